"""What each step from picture files to rows costs by itself, and what remains: the Python in between, and waiting."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from bench.settings import Settings
from bench.table import Table
from bench.timing import measure
from fastmnist.api import Model
from fastmnist.images.decode import decode_opaque
from fastmnist.images.files import TOGETHER_BYTES, File, read_each
from fastmnist.images.normalize import normalize_plain
from fastmnist.images.reduced import divisors
from fastmnist.inputs.batch import Batch
from fastmnist.inputs.paths import Ignored, find_inputs
from fastmnist.kernels.jit import using_threads
from fastmnist.output.csv import CsvFormat
from fastmnist.prediction import predict
from fastmnist.shapes import N_PIXELS

MOST = 512  # pictures, all in memory

Step = Callable[[], object]


def add_steps(
    table: Table, name: str, folder: str, whole: float, model: Model, threads: int, settings: Settings
) -> None:
    """Add a row for each step of reading a folder's pictures of one shape, in us per picture, and for what is left.

    The remainder is `whole`, in seconds per picture, minus the steps. In steps that threads share, each thread handles
    a part of the pictures.
    """
    left = 1e6 * whole
    with using_threads(threads):
        for what, step, n in _steps(folder, model, threads):
            microseconds = 1e6 * measure(step, repeats=settings.repeats(5)).median / n
            left -= microseconds
            table.add(f"{name}: {what}", microseconds, unit="us", note=f"{microseconds / whole / 1e6:.0%}")
    table.add(f"{name}: the rest", left, unit="us", note=f"{left / whole / 1e6:.0%}")


def _steps(folder: str, model: Model, threads: int) -> list[tuple[str, Step, int]]:
    """Return each step's name, what does it, and for how many pictures."""
    all_paths = [os.fsencode(entry.path) for entry in os.scandir(folder)]
    paths = all_paths[:MOST]
    files = list(read_each(paths))
    pictures = np.stack([picture for file in files if (picture := _decode(file)) is not None])
    size = max(1, TOGETHER_BYTES // pictures[0].nbytes)  # as many as the reader hands to the kernel at a time
    stacks = [pictures[first : first + size] for first in range(0, len(pictures), size)]
    pixels = np.concatenate([normalize_plain(stack)[0] for stack in stacks]).reshape(-1, N_PIXELS)
    batch = Batch(paths, [None] * len(paths), range(len(paths)), pixels, {})
    rows, labelled = CsvFormat(model.class_names), list(predict(model, (part for part in [batch])))

    def shared(step: Callable[[int], object]) -> Step:
        return lambda: _in_threads(step, threads)

    n = len(paths)
    return [
        ("finding the files", lambda: list(find_inputs([folder], Ignored())), len(all_paths)),
        ("reading them", shared(lambda first: list(read_each(paths[first::threads]))), n),
        ("decoding", shared(lambda first: [_decode(file) for file in files[first::threads]]), n),
        ("picture to 28x28", shared(lambda first: [normalize_plain(stack) for stack in stacks[first::threads]]), n),
        ("network", lambda: model.network.predict(pixels), n),
        ("rows of CSV", lambda: [list(rows.rows(part)) for part in labelled], n),
    ]


def _decode(file: File) -> npt.NDArray[np.uint8] | None:
    """Return the picture in a file as it is decoded for a first look."""
    return decode_opaque(file.data, divisors(file.jpeg_shape)[0])


def _in_threads(step: Callable[[int], object], threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(step, range(threads)))
