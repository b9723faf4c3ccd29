"""Pictures of several sizes, from files to pixels in MNIST's form: decoding and normalising, on all cores."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from bench.load import undisturbed
from bench.settings import Settings, WrongResultError, mnist
from bench.table import Table
from bench.timing import measure
from fastmnist.inputs.stream import open_stream

Picture = npt.NDArray[np.uint8]


class Kind(NamedTuple):
    """Pictures of one size: how many, and the files' suffix."""

    name: str
    height: int
    width: int
    suffix: str
    n_files: int
    inverted: bool = True


KINDS = (
    Kind("28x28 PNG, MNIST's own", 28, 28, ".png", 10_000, inverted=False),
    Kind("28x28 PNG, dark on light", 28, 28, ".png", 4_000),
    Kind("200x200 PNG", 200, 200, ".png", 2_000),
    Kind("12-megapixel JPEG", 3000, 4000, ".jpg", 24),
    Kind("24-megapixel JPEG", 4000, 6000, ".jpg", 24),
)


def run(settings: Settings) -> Iterator[Table]:
    """Yield the table; all files that it needs are made for it, and removed."""
    table = Table("Pictures, from files to pixels in MNIST's form, all cores")
    images = mnist(settings).test_pixels.reshape(-1, 28, 28)
    for kind in KINDS[:3] if settings.smoke else KINDS:
        with tempfile.TemporaryDirectory() as folder:
            n = min(kind.n_files, 200) if settings.smoke else kind.n_files
            for position in range(n):
                picture = _drawn(images[position % len(images)], kind)
                cv2.imwrite(str(Path(folder) / f"{position:05d}{kind.suffix}"), picture)
            _check(folder, n, settings)
            for _ in undisturbed(table, settings):
                timing = measure(lambda: _read(folder, settings.threads), repeats=settings.repeats(3))
                table.add_timing(kind.name, timing, note=f"{n / timing.median:,.0f} images/s")
    yield table


def _drawn(digit: Picture, kind: Kind) -> Picture:
    """Return a picture with the digit in its middle, filling at most three quarters of it."""
    if not kind.inverted:
        return digit
    side = 28 if kind.height == 28 else kind.height * 3 // 4
    top, left = (kind.height - side) // 2, (kind.width - side) // 2
    picture = np.zeros((kind.height, kind.width), np.uint8)
    picture[top : top + side, left : left + side] = cv2.resize(digit, (side, side), interpolation=cv2.INTER_CUBIC)
    return 255 - picture


def _read(folder: str, threads: int) -> int:
    """Read all pictures; return how many could be read."""
    batches = open_stream([folder], "auto", threads=threads)
    return sum(len(batch.pixels) - len(batch.errors) for batch in batches)


def _check(folder: str, n: int, settings: Settings) -> None:
    n_read = _read(folder, settings.threads)
    if n_read < 0.98 * n:
        raise WrongResultError(f"{n_read} of {n} pictures can be read")
