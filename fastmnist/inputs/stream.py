"""Images, folders, IDX files, tables and stdin, in any mix -> one stream of batches, in order, in constant memory."""

import logging
from collections.abc import Generator, Iterable, Iterator
from itertools import groupby, islice

import numpy as np
import numpy.typing as npt

from fastmnist.errors import DataError
from fastmnist.images.normalize import Ask
from fastmnist.images.preprocess import Page, normalize_images, read_digits, to_digits
from fastmnist.inputs import emnist
from fastmnist.inputs.batch import Batch, batch_of, with_pages
from fastmnist.inputs.idx import IdxImages, IdxStream, open_images
from fastmnist.inputs.paths import Ignored, Input, Kind, find_inputs
from fastmnist.inputs.selection import Selection
from fastmnist.inputs.stdin import open_stdin
from fastmnist.inputs.table import Table, open_table
from fastmnist.inputs.workers import Workers
from fastmnist.shapes import N_PIXELS, SIDE

_log = logging.getLogger(__name__)

BATCH_SIZE = 4096  # rows at most


def open_stream(
    inputs: Iterable[bytes | str],
    preprocess: str = "auto",
    *,
    batch_size: int = BATCH_SIZE,
    threads: int = 1,
    selection: Selection | None = None,
    ask: Ask | None = None,
) -> Generator[Batch]:
    """Yield the images of `inputs` as batches of at most `batch_size` rows, none of them empty.

    Inputs are image files, folders, IDX files, tables, and `-` for stdin. What can't be read keeps a row with an
    entry in `Batch.errors`; nothing is raised for it. Folders are walked depth-first in byte order of full paths.
    Image files are brought into MNIST's form as `preprocess` (one of PREPROCESS_MODES) says, images of IDX files and
    tables only where it is "mnist". Up to `threads` threads do that, and may `ask`. Only the rows of the `selection`
    are read, to which a file of several pages is one, though it gives a row for each.
    Logged as warnings: empty folders, files of EMNIST, and at the end the kinds of files that were ignored.
    """
    selection = selection or Selection()
    ignored = Ignored()
    with Workers(threads) as workers:
        for kind, group in groupby(find_inputs(inputs, ignored), lambda found: found.kind):
            if kind is Kind.IMAGE:
                yield from _image_batches(group, preprocess, batch_size, selection, workers, ask)
                continue
            for found in group:
                for batch in _file_batches(found, preprocess, batch_size, selection, ask):
                    if preprocess == "mnist" and found.kind is not Kind.IMAGE and batch.indices[0] is not None:
                        normalize_batch(batch, workers, ask)
                    yield batch
        selection.n_ignored = ignored.n_files
        for note in ignored.notes():
            _log.warning(note)


def _image_batches(
    images: Iterable[Input],
    preprocess: str,
    batch_size: int,
    selection: Selection,
    workers: Workers,
    ask: Ask | None,
) -> Iterator[Batch]:
    """Yield the selected image files."""
    images = iter(images)
    while offered := list(islice(images, selection.n_shards * min(batch_size, workers.rows_per_batch()))):
        taken = selection.take([image.path for image in offered], [None] * len(offered))
        if taken.positions:
            chosen = [offered[position] for position in taken.positions]
            yield _image_batch(chosen, taken.numbers, preprocess, workers, ask)


def _image_batch(images: list[Input], numbers: range, preprocess: str, workers: Workers, ask: Ask | None) -> Batch:
    """Return the digits in the image files."""
    paths = [image.path for image in images]
    pixels = np.zeros((len(images), N_PIXELS), np.uint8)
    squares = pixels.reshape(-1, SIDE, SIDE)
    unlisted = {row: image.error for row, image in enumerate(images) if image.error is not None}

    pages: dict[int, list[Page]] = {}

    def read(rows: slice) -> dict[int, str]:
        found = read_digits(paths[rows], preprocess, squares[rows], ask)
        pages.update({rows.start + row: several for row, several in found.pages.items()})
        return found.errors

    # A folder that can't be listed also fails as an image; why it can't be listed is the better message.
    errors = workers.share(len(images), read) | unlisted
    return with_pages(Batch(paths, [None] * len(images), numbers, pixels, errors), pages)


def _file_batches(
    found: Input, preprocess: str, batch_size: int, selection: Selection, ask: Ask | None
) -> Iterator[Batch]:
    """Yield the selected images of an IDX file, a table or stdin; a refusal or a read error is one more row."""
    path = found.path
    try:
        source = _open(found)
        if isinstance(source, bytes):
            yield from _one_item(path, selection, to_digits(source, preprocess, path, ask))
            return
    except DataError as error:
        yield from _one_item(path, selection, [str(error)])
        return
    try:
        if emnist.is_emnist(path):
            _log.warning(emnist.note(path))
        if isinstance(source, Table):
            yield from _table_batches(source, path, selection)
        else:
            yield from _idx_batches(source, path, batch_size, selection)
    except DataError as error:
        # Every shard reports it: each has lost rows.
        yield from _one_item(path, selection, [str(error)], every_shard=True)


def _open(found: Input) -> IdxImages | IdxStream | Table | bytes:
    """Open an input that is not an image file; bytes are an image from stdin. Raises DataError."""
    if found.kind is Kind.STDIN:
        return open_stdin()
    return open_table(found.path) if found.kind is Kind.TABLE else open_images(found.path)


def _one_item(path: bytes, selection: Selection, pages: list[Page], *, every_shard: bool = False) -> Iterator[Batch]:
    """Yield a batch of the pages of one file, if it is selected."""
    taken = selection.take([path], [None], every_shard=every_shard)
    if taken.positions:
        yield batch_of([path], taken.numbers, {0: pages})


def _idx_batches(images: IdxImages | IdxStream, path: bytes, batch_size: int, selection: Selection) -> Iterator[Batch]:
    """Yield the selected images of an IDX file; reading begins at the first of them. Raises DataError."""
    size = selection.n_shards * max(1, batch_size // selection.n_shards)
    blocks = None
    for first in range(0, images.n_images, size):
        indices = range(first, min(first + size, images.n_images))
        taken = selection.take([path] * len(indices), indices)
        if not taken.positions:
            continue
        blocks = blocks or images.batches(size, first)
        pixels = _rows_of(next(blocks), taken.positions, path)
        yield Batch([path] * len(pixels), _at(indices, taken.positions), taken.numbers, pixels, {})
    for _ in blocks or images.batches(size, images.n_images):
        pass  # no image is left, but the stream's end is to be checked


def _table_batches(table: Table, path: bytes, selection: Selection) -> Iterator[Batch]:
    """Yield the selected rows of a table. Raises DataError."""
    first = 0
    for rows in table.batches():
        indices = range(first, first + len(rows.pixels))
        first = indices.stop
        taken = selection.take([path] * len(indices), indices)
        positions = taken.positions
        if positions:
            errors = {positions.index(row): error for row, error in rows.errors.items() if row in positions}
            pixels = _rows_of(rows.pixels, positions, path)
            yield Batch([path] * len(pixels), _at(indices, positions), taken.numbers, pixels, errors)


def _at(indices: range, positions: range) -> range:
    """Return the indices at `positions`, at least one."""
    return indices[positions.start : positions[-1] + 1 : positions.step]


def _rows_of(pixels: npt.NDArray[np.uint8], positions: range, path: bytes) -> npt.NDArray[np.uint8]:
    """Return some rows of the pixels of `path`, contiguous and upright."""
    if len(positions) < len(pixels):
        pixels = np.ascontiguousarray(pixels[positions.start : positions[-1] + 1 : positions.step])
    return emnist.upright(pixels) if emnist.is_emnist(path) else pixels


def normalize_batch(batch: Batch, workers: Workers, ask: Ask | None = None) -> None:
    """Bring the images of a batch into MNIST's form in place; those with no digit become errors."""
    images = batch.pixels.reshape(-1, SIDE, SIDE)

    def normalize(rows: slice) -> dict[int, str]:
        good = [row - rows.start for row in range(rows.start, min(rows.stop, len(images))) if row not in batch.errors]
        return normalize_images(images[rows], good, "mnist", lambda row: batch.where(rows.start + row), ask)

    batch.errors |= workers.share(len(images), normalize)
