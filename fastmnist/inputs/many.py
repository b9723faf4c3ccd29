"""Inputs that hold many images: IDX files, tables of pixels, and stdin, which may hold one -> batches."""

from collections.abc import Callable, Iterator
from enum import Enum, auto

import numpy as np
import numpy.typing as npt

from fastmnist.errors import DataError
from fastmnist.images.decode import decode_picture
from fastmnist.images.preprocess import to_digit
from fastmnist.inputs import emnist
from fastmnist.inputs.batch import Batch
from fastmnist.inputs.idx import IdxImages, IdxStream, open_images
from fastmnist.inputs.selection import Selection
from fastmnist.inputs.stdin import open_stdin
from fastmnist.inputs.table import Table, open_table
from fastmnist.shapes import SIDE


class Kind(Enum):
    """How an input is read."""

    IMAGE = auto()
    IDX = auto()
    TABLE = auto()
    STDIN = auto()


def file_batches(
    path: bytes, kind: Kind, preprocess: str, batch_size: int, selection: Selection, on_note: Callable[[str], None]
) -> Iterator[Batch]:
    """Yield the images of an IDX file, a table or stdin; a refusal, or an error on the way, is one more row.

    `preprocess` (one of PREPROCESSES) is for a single image on stdin.
    """
    try:
        source = _open(path, kind)
        if isinstance(source, bytes):
            pixels, errors = to_digit(decode_picture(source, path), preprocess, path).reshape(1, -1), {}
    except DataError as error:
        source, pixels, errors = b"", np.zeros((1, SIDE * SIDE), np.uint8), {0: str(error)}
    if isinstance(source, bytes):
        if selection.of_next(1) and not selection.count_known([path], None):
            yield Batch([path], None, pixels, errors)
        return
    try:
        if emnist.is_emnist(path):
            on_note(emnist.note(path))
        if isinstance(source, Table):
            yield from _table_batches(source, path, selection)
        else:
            yield from _idx_batches(source, path, batch_size, selection)
    except DataError as error:
        selection.of_next(1)  # whoever's row it is: rows of every shard are missing, and each must say so
        if not selection.count_known([path], None):
            yield Batch([path], None, np.zeros((1, SIDE * SIDE), np.uint8), {0: str(error)})


def _open(path: bytes, kind: Kind) -> IdxImages | IdxStream | Table | bytes:
    """Open what is no image file; bytes are those of an image on stdin. Raises DataError."""
    if kind is Kind.STDIN:
        return open_stdin()
    return open_table(path) if kind is Kind.TABLE else open_images(path)


def _idx_batches(images: IdxImages | IdxStream, path: bytes, batch_size: int, selection: Selection) -> Iterator[Batch]:
    """Yield the selected images of an IDX file. Raises DataError."""
    wanted = selection.of_next(images.n_images)
    wanted = wanted[selection.count_known([path], wanted) :]
    step = wanted.step
    first = wanted.start if wanted else images.n_images
    for pixels in images.batches(step * max(1, batch_size // step), first):
        yield Batch([path], first, _chosen(pixels, range(0, len(pixels), step), path), {}, step)
        first += len(pixels)


def _table_batches(table: Table, path: bytes, selection: Selection) -> Iterator[Batch]:
    """Yield the selected rows of a table. Raises DataError."""
    first = 0
    for rows in table.batches():
        wanted = selection.of_next(len(rows.pixels))
        positions = range(first + wanted.start, first + wanted.stop, wanted.step)
        wanted = wanted[selection.count_known([path], positions) :]
        if wanted:
            errors = {wanted.index(row): error for row, error in rows.errors.items() if row in wanted}
            yield Batch([path], first + wanted.start, _chosen(rows.pixels, wanted, path), errors, wanted.step)
        first += len(rows.pixels)


def _chosen(pixels: npt.NDArray[np.uint8], rows: range, path: bytes) -> npt.NDArray[np.uint8]:
    """Return some rows of the pixels of `path`, contiguous and upright."""
    if len(rows) < len(pixels):
        pixels = np.ascontiguousarray(pixels[rows.start : rows.stop : rows.step])
    return emnist.upright(pixels) if emnist.is_emnist(path) else pixels
