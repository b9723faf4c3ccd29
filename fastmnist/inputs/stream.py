"""Whatever holds pictures or pixels, and stdin, in any mix -> one stream of batches, in constant memory."""

import logging
import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, groupby, islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.errors import DataError, printable
from fastmnist.images.files import File, read_each
from fastmnist.images.normalize import Ask
from fastmnist.images.preprocess import Page, ReadFiles, check_size, read_digits, read_squares, to_digits
from fastmnist.inputs import emnist, npz, parquet
from fastmnist.inputs.archive import EXPECTED, Archive
from fastmnist.inputs.batch import Batch, batch_of, with_pages
from fastmnist.inputs.idx import IdxImages, IdxStream, open_images
from fastmnist.inputs.levels import SAMPLE, Levels, levels_of
from fastmnist.inputs.npz import NpyImages
from fastmnist.inputs.parquet import ParquetImages, open_parquet
from fastmnist.inputs.paths import Ignored, Input, Kind, find_inputs, pictures_in
from fastmnist.inputs.selection import Selection
from fastmnist.inputs.stdin import open_stdin
from fastmnist.inputs.table import Table, open_table
from fastmnist.inputs.workers import Workers
from fastmnist.remote.fetch import Fetcher, Wanted
from fastmnist.shapes import N_PIXELS, SIDE

_log = logging.getLogger(__name__)

BATCH_SIZE = 4096  # rows at most

Source = IdxImages | IdxStream | NpyImages


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

    Inputs are image files, folders, zip files, IDX files, tables, files of NumPy arrays, Parquet files, and `-` for
    stdin. What can't be read keeps a row with an entry in `Batch.errors`; nothing is raised for it. Folders are walked
    depth-first in byte order of full paths. Image files are brought into MNIST's form as `preprocess` (one of
    PREPROCESS_MODES) says, and so are images in arrays and Parquet files that are not 28x28; others in IDX files,
    tables, arrays and Parquet files only where it is "mnist". Up to `threads` threads do that, and may `ask`. Only the
    rows of the `selection` are read, to which a file of several pages is one, though it gives a row for each.
    Logged as warnings: empty folders, files of EMNIST, and at the end the kinds of files that were ignored.
    """
    selection, ignored = selection or Selection(), Ignored()
    with Workers(threads) as workers:
        reading = Reading(preprocess, batch_size, selection, workers, ask)
        yield from read_found(find_inputs(inputs, ignored), reading, ignored)
    selection.n_ignored = ignored.n_files
    ignored.tell()


class Reading(NamedTuple):
    """How all of the inputs are read; see `open_stream`."""

    preprocess: str
    batch_size: int
    selection: Selection
    workers: Workers
    ask: Ask | None


def read_found(inputs: Iterable[Input], reading: Reading, ignored: Ignored) -> Iterator[Batch]:
    """Yield the selected images of files that were found; what zip files hold besides is counted in `ignored`."""
    for (kind, archive), group in groupby(inputs, together):
        if kind is Kind.IMAGE:
            yield from _image_batches(group, reading)
        elif kind is Kind.REMOTE:
            yield from _remote_batches(group, reading)
        elif kind is Kind.ZIP:
            yield from _zip_batches(archive, (found.inner for found in group), ignored, reading)
        else:
            for found in group:
                yield from _file_batches(found, reading)


def together(found: Input) -> tuple[Kind, bytes]:
    """Return what the inputs have in common that are read together: image files, and members of one zip file."""
    return found.kind, found.path if found.kind is Kind.ZIP else b""


def _image_batches(images: Iterable[Input], reading: Reading, read: ReadFiles = read_each) -> Iterator[Batch]:
    """Yield the selected image files, whose content `read` gets at."""
    images, selection, workers = iter(images), reading.selection, reading.workers
    while offered := list(islice(images, selection.n_shards * min(reading.batch_size, workers.rows_per_batch()))):
        taken = selection.take([image.path for image in offered], [None] * len(offered))
        if taken.positions:
            chosen = [offered[position] for position in taken.positions]
            yield _image_batch(chosen, taken.numbers, reading, read)


def _remote_batches(pictures: Iterable[Input], reading: Reading) -> Iterator[Batch]:
    """Yield the selected pictures that lie at addresses. Raises RemoteError."""
    with Fetcher() as fetcher:
        for fetched in fetcher.batches(_wanted(pictures, reading.selection), reading.batch_size):
            files = {picture.address: picture.file for picture in fetched}
            images, numbers = [Input(picture.address) for picture in fetched], [picture.number for picture in fetched]
            yield _image_batch(images, numbers, reading, partial(map, files.__getitem__))


def _wanted(pictures: Iterable[Input], selection: Selection) -> Iterator[Wanted]:
    """Yield the selected pictures."""
    for picture in pictures:
        taken = selection.take([picture.path], [None])
        if taken.positions:
            yield Wanted(picture.path, taken.numbers[0])


def _image_batch(images: list[Input], numbers: Sequence[int], reading: Reading, read: ReadFiles) -> Batch:
    """Return the digits in the image files."""
    paths = [image.path for image in images]
    pixels = np.zeros((len(images), N_PIXELS), np.uint8)
    squares = pixels.reshape(-1, SIDE, SIDE)
    refused = {row: image.error for row, image in enumerate(images) if image.error is not None}

    pages: dict[int, list[Page]] = {}

    def read_rows(rows: slice) -> dict[int, str]:
        found = read_digits(paths[rows], reading.preprocess, squares[rows], reading.ask, read)
        pages.update({rows.start + row: several for row, several in found.pages.items()})
        return found.errors

    # What can't be opened also fails as an image; why it can't be opened is the better message.
    errors = reading.workers.share(len(images), read_rows) | refused
    return with_pages(Batch(paths, [None] * len(images), numbers, pixels, errors), pages)


def _zip_batches(path: bytes, inners: Iterable[bytes], ignored: Ignored, reading: Reading) -> Iterator[Batch]:
    """Yield the selected pictures in a zip file: its members `inners`, and those in folders of these names."""
    try:
        archive = Archive(path)
    except DataError as error:
        for inner in inners:
            yield from one_item(within(path, inner), reading.selection, [str(error)])
        return
    with archive:
        start = len(path) + 1

        def read(paths: Sequence[bytes]) -> Iterator[File]:
            return (archive.read_picture(name[start:]) for name in paths)

        yield from _image_batches(members(archive, inners, ignored), reading, read)


def within(path: bytes, inner: bytes) -> bytes:
    """Return the path of what is called `inner` in a zip file, that of the file itself for b""."""
    return path + b"/" + inner if inner else path


def members(archive: Archive, inners: Iterable[bytes], ignored: Ignored) -> Iterator[Input]:
    """Yield the pictures in a zip file; where there are none, a row that says so."""
    for inner in inners:
        where = within(archive.path, inner)
        names = pictures_in(archive, inner, ignored)
        for name in names:
            yield Input(within(archive.path, name))
        if not names:
            found = "nothing of this name in the zip file" if inner and not archive.below(inner) else "no pictures"
            yield Input(where, error=f"{printable(where)}: {found}, {EXPECTED}")


def _file_batches(found: Input, reading: Reading) -> Iterator[Batch]:
    """Yield the selected images of a file that holds many, or stdin; a refusal or a read error is one more row."""
    try:
        source = open_file(found, reading.preprocess)
    except DataError as error:
        yield from one_item(found.path, reading.selection, [str(error)])
        return
    yield from read_source(source, found.path, reading)


def read_source(source: Source | Table | ParquetImages | bytes, path: bytes, reading: Reading) -> Iterator[Batch]:
    """Yield the selected images of a file that is open, or of an image from stdin; a read error is one more row."""
    if isinstance(source, bytes):
        yield from one_item(path, reading.selection, _pages_of(source, path, reading))
        return
    try:
        if isinstance(source, ParquetImages):
            yield from _parquet_batches(source, path, reading)
            return
        levels = tell_levels(source, path, reading.preprocess)
        batches = (
            _table_batches(source, path, reading.selection)
            if isinstance(source, Table)
            else _array_batches(source, path, reading.batch_size, reading.selection)
        )
        for batch in batches:
            batch.pixels = levels.applied(batch.pixels)
            normalize_batch(batch, reading.preprocess, reading.workers, reading.ask)
            yield batch
    except DataError as error:
        # Every shard reports it: each has lost rows.
        yield from one_item(path, reading.selection, [str(error)], every_shard=True)


def _pages_of(picture: bytes, path: bytes, reading: Reading) -> list[Page]:
    try:
        return to_digits(picture, reading.preprocess, path, reading.ask)
    except DataError as error:
        return [str(error)]


def tell_levels(source: Source | Table, path: bytes, preprocess: str) -> Levels:
    """Return how the values of a file's images differ from MNIST's; that, and what else is unusual, is logged.

    Raises DataError.
    """
    if emnist.is_emnist(path):
        _log.warning(emnist.note(path))
    if isinstance(source, NpyImages) and source.note is not None:
        _log.warning(source.note)
    levels = levels_of(_sample(source), preprocess)
    for note in levels.notes(path):
        _log.warning(note)
    return levels


def open_file(found: Input, preprocess: str) -> Source | Table | ParquetImages | bytes:
    """Open an input that is not an image file; bytes are an image from stdin. Raises DataError."""
    if found.kind is Kind.TABLE:
        return open_table(found.path)
    if found.kind is Kind.PARQUET:
        return open_parquet(found.path)
    source: Source | bytes
    if found.kind is Kind.STDIN:
        source = open_stdin()
    else:
        source = npz.open_images(found.path) if found.kind is Kind.NUMPY else open_images(found.path)
    if not isinstance(source, bytes):
        check_size(source.image_shape, preprocess, found.path)
    return source


def _sample(source: Source | Table) -> npt.NDArray[np.uint8]:
    """Return the first images of a file, as many as tell its levels. Raises DataError."""
    if isinstance(source, Table):
        rows = next(source.batches(), None)
        return np.zeros((0, N_PIXELS), np.uint8) if rows is None else np.delete(rows.pixels, list(rows.errors), axis=0)
    if isinstance(source, IdxStream):
        return source.peek(SAMPLE)
    return next(source.batches(SAMPLE), np.zeros((0, N_PIXELS), np.uint8))


def one_item(path: bytes, selection: Selection, pages: list[Page], *, every_shard: bool = False) -> Iterator[Batch]:
    """Yield a batch of the pages of one file, if it is selected."""
    taken = selection.take([path], [None], every_shard=every_shard)
    if taken.positions:
        yield batch_of([path], taken.numbers, {0: pages})


def _array_batches(images: Source, path: bytes, batch_size: int, selection: Selection) -> Iterator[Batch]:
    """Yield the selected images of an IDX file or array, of any size; reading begins at the first. Raises DataError."""
    size = selection.n_shards * max(1, batch_size // selection.n_shards)
    blocks = None
    for first in range(0, images.n_images, size):
        indices = range(first, min(first + size, images.n_images))
        taken = selection.take([path] * len(indices), indices)
        if not taken.positions:
            continue
        blocks = blocks or images.batches(size, first)
        pixels = rows_of(next(blocks), taken.positions, path)
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
            pixels = rows_of(rows.pixels, positions, path)
            yield Batch([path] * len(pixels), _at(indices, positions), taken.numbers, pixels, errors)


def _parquet_batches(source: ParquetImages, path: bytes, reading: Reading) -> Iterator[Batch]:
    """Yield the selected pictures in a Parquet file. Raises DataError."""
    reader = parquet.Reader(source, reading.preprocess, reading.workers, reading.ask)
    pictures, first = chain.from_iterable(source.batches()), 0
    while offered := list(islice(pictures, min(source.batch_rows, reading.workers.rows_per_batch()))):
        indices = range(first, first + len(offered))
        first = indices.stop
        taken = reading.selection.take([path] * len(indices), indices)
        if taken.positions:
            chosen = _at(indices, taken.positions)
            pixels, errors = reader.read([offered[position] for position in taken.positions], chosen)
            yield Batch([path] * len(pixels), chosen, taken.numbers, pixels, errors)


def _at(indices: range, positions: range) -> range:
    """Return the indices at `positions`, at least one."""
    return indices[positions.start : positions[-1] + 1 : positions.step]


def rows_of(pixels: npt.NDArray[np.uint8], positions: range, path: bytes) -> npt.NDArray[np.uint8]:
    """Return some rows of the pixels of `path`, contiguous and upright."""
    if len(positions) < len(pixels):
        pixels = np.ascontiguousarray(pixels[positions.start : positions[-1] + 1 : positions.step])
    return emnist.upright(pixels) if emnist.is_emnist(path) else pixels


def normalize_batch(batch: Batch, preprocess: str, workers: Workers, ask: Ask | None = None) -> None:
    """Bring the images of a batch into MNIST's form, as `preprocess` says; those with no digit become errors.

    Those of another size than 28x28 are scaled as pictures are.
    """
    side = math.isqrt(batch.pixels.shape[1])
    if side == SIDE and preprocess != "mnist":
        return
    images = batch.pixels.reshape(-1, side, side)
    digits = images if side == SIDE else np.zeros((len(images), SIDE, SIDE), np.uint8)

    def normalize(rows: slice) -> dict[int, str]:
        good = [row for row in range(rows.start, min(rows.stop, len(images))) if row not in batch.errors]
        digits[good], errors = read_squares(images[good], preprocess, lambda index: batch.where(good[index]), ask)
        return {good[index] - rows.start: error for index, error in errors.items()}

    batch.errors |= workers.share(len(images), normalize)
    batch.pixels = digits.reshape(-1, N_PIXELS)
