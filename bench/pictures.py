"""Pictures of several sizes: from files to pixels in MNIST's form, and to rows, beside OpenCV's decoding alone."""

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from bench.load import undisturbed
from bench.picture_steps import add_steps
from bench.settings import Settings, WrongResultError, mnist
from bench.table import Table
from bench.timing import compare, measure
from fastmnist.api import Model, load
from fastmnist.inputs.stream import open_stream
from fastmnist.output.csv import CsvFormat

Picture = npt.NDArray[np.uint8]


class Kind(NamedTuple):
    """Pictures of one size: how many, and the files' suffix."""

    name: str
    height: int
    width: int
    suffix: str
    n_files: int
    inverted: bool = True


DECODED = (  # the whole way to rows of CSV, beside decoding the same bytes in memory
    Kind("64x64 PNG", 64, 64, ".png", 8_000),
    Kind("200x200 PNG", 200, 200, ".png", 4_000),
    Kind("320x320 PNG", 320, 320, ".png", 2_000),
    Kind("64x64 JPEG", 64, 64, ".jpg", 8_000),
    Kind("200x200 JPEG", 200, 200, ".jpg", 4_000),
    Kind("320x320 JPEG", 320, 320, ".jpg", 2_000),
)
KINDS = (
    Kind("28x28 PNG, MNIST's own", 28, 28, ".png", 10_000, inverted=False),
    Kind("28x28 PNG, dark on light", 28, 28, ".png", 4_000),
    Kind("200x200 PNG", 200, 200, ".png", 2_000),
    Kind("12-megapixel JPEG", 3000, 4000, ".jpg", 24),
    Kind("24-megapixel JPEG", 4000, 6000, ".jpg", 24),
)


def run(settings: Settings) -> Iterator[Table]:
    """Yield the tables; all files that they need are made for them, and removed."""
    table = Table("Pictures, from files to pixels in MNIST's form, all cores")
    images = mnist(settings).test_pixels.reshape(-1, 28, 28)
    for kind in KINDS[:3] if settings.smoke else KINDS:
        with _files(kind, images, settings) as (folder, n):
            _check(folder, n, settings)
            for _ in undisturbed(table, settings):
                timing = measure(lambda: _read(folder, settings.threads), repeats=settings.repeats(3))
                table.add_timing(kind.name, timing, note=f"{n / timing.median:,.0f} images/s")
    yield table
    yield from _beside_decoding(images, settings)


def _beside_decoding(images: Picture, settings: Settings) -> Iterator[Table]:
    """Yield the whole way from files to rows beside `imdecode` of the same bytes in memory, and its steps."""
    steps = Table("Pictures, from files to rows of CSV: where the time goes, for each picture")
    table = Table("Pictures, from files to rows of CSV, over OpenCV's decoding of the same bytes alone")
    model = load("shipped")
    for kind in DECODED[1:2] if settings.smoke else DECODED:
        with _files(kind, images, settings) as (folder, n):
            encoded = [np.fromfile(entry.path, np.uint8) for entry in os.scandir(folder)]
            for threads in sorted({1, settings.threads}):
                for _ in undisturbed(table, settings):
                    pair = compare(
                        lambda folder=folder, threads=threads: _to_rows(model, folder, threads),  # type: ignore[misc]
                        lambda encoded=encoded, threads=threads: _decode(encoded, threads),  # type: ignore[misc]
                        repeats=settings.repeats(5),
                    )
                    times = pair.ours.median / pair.peer.median
                    note = f"{times:.2f} times decoding, {n / pair.ours.median:,.0f} images/s"
                    name = f"{kind.name}, {threads} thread{'s' * (threads > 1)}"
                    table.add_comparison(name, pair, note=note)
                add_steps(steps, name, folder, pair.ours.median / n, model, threads, settings)
    yield table
    yield steps


@contextmanager
def _files(kind: Kind, images: Picture, settings: Settings) -> Iterator[tuple[str, int]]:
    """Yield a folder of the kind's pictures, and how many there are."""
    with tempfile.TemporaryDirectory() as folder:
        n = min(kind.n_files, 200) if settings.smoke else kind.n_files
        for position in range(n):
            picture = _drawn(images[position % len(images)], kind)
            cv2.imwrite(str(Path(folder) / f"{position:05d}{kind.suffix}"), picture)
        yield folder, n


def _to_rows(model: Model, folder: str, threads: int) -> int:
    """Predict all pictures as `fastmnist predict` does; return the bytes of the rows."""
    row_format = CsvFormat(model.class_names)
    parts = model.stream([folder], preprocess="auto", threads=threads)
    return sum(len(piece) for part in parts for piece in row_format.rows(part))


def _decode(encoded: list[Picture], threads: int) -> None:
    """Decode all pictures in grey, as their files have them."""

    def decode(first: int) -> None:
        for data in encoded[first::threads]:
            cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(decode, range(threads)))


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
