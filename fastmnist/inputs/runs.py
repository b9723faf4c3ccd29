"""Inputs -> runs of rows, to be read by another process: the inputs are walked here, and their images opened there.

`find_runs` and `find_picture_runs` are this side, `read_run` is the other. Together they yield what stream.py does.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from typing import TypeGuard

from fastmnist.errors import DataError, printable
from fastmnist.images.normalize import Ask
from fastmnist.inputs.archive import Archive
from fastmnist.inputs.batch import Batch, batch_of
from fastmnist.inputs.idx import IdxImages
from fastmnist.inputs.levels import Levels
from fastmnist.inputs.npz import NpyImages
from fastmnist.inputs.parquet import ParquetImages
from fastmnist.inputs.paths import Ignored, Input, Kind, find_inputs
from fastmnist.inputs.selection import Selection
from fastmnist.inputs.stream import (
    BATCH_SIZE,
    Reading,
    Source,
    members,
    normalize_batch,
    one_item,
    open_file,
    read_found,
    read_source,
    rows_of,
    tell_levels,
    together,
    within,
)
from fastmnist.inputs.table import Table
from fastmnist.inputs.workers import Workers

ARRAY_BATCHES = 16  # batches of an array in a run: 65,536 images of 1 to 30 us, against some ms to hand over a task
ZIP_ROWS = 1024  # of a zip file in a run: whoever reads it opens the zip file's directory first


@dataclass(frozen=True)
class Run:
    """Rows of a job that are read together.

    inputs: the files, or the one file of which `indices` are read, where those are not None.
    numbers: the position among all rows of the job, of each file or of each index.
    levels: how the values of the file's images differ from MNIST's.
    """

    inputs: Sequence[Input]
    numbers: range
    indices: range | None = None
    levels: Levels = field(default_factory=Levels)

    def __len__(self) -> int:
        return len(self.numbers)

    def split(self, n_parts: int) -> list["Run"]:
        """Return runs of the same rows: `n_parts` of them, or as many as there are rows."""
        size = -(-len(self) // n_parts)
        parts = [slice(first, first + size) for first in range(0, len(self), size)]
        if self.indices is not None:
            return [replace(self, numbers=self.numbers[part], indices=self.indices[part]) for part in parts]
        return [replace(self, numbers=self.numbers[part], inputs=self.inputs[part]) for part in parts]


def find_runs(
    inputs: Iterable[bytes | str],
    preprocess: str,
    selection: Selection,
    n_files: Callable[[], int],
    ask: Ask | None = None,
) -> Generator[Run | Batch]:
    """Yield runs of the rows that `open_stream` yields, in its order, of `n_files()` pictures at most.

    What can only be read from its beginning (tables, Parquet and .npz files, gzip) is read here: its batches are
    yielded instead. The log is that of `open_stream`.
    """
    ignored = Ignored()
    with Workers(1) as workers:
        reading = Reading(preprocess, BATCH_SIZE, selection, workers, ask)
        for (kind, archive), group in groupby(find_inputs(inputs, ignored), together):
            if kind in (Kind.IMAGE, Kind.REMOTE):
                yield from _file_runs(group, selection, n_files)
            elif kind is Kind.ZIP:
                yield from _zip_runs(archive, [found.inner for found in group], ignored, selection)
            else:
                for found in group:
                    yield from _array_runs(found, reading)
    selection.n_ignored = ignored.n_files
    ignored.tell()


def find_picture_runs(
    inputs: Iterable[bytes | str], selection: Selection, n_files: Callable[[], int]
) -> Generator[Run]:
    """Yield runs of the picture files that `read_pictures` reads, of `n_files()` at most, with its log.

    Raises DataError for stdin, which only this process has.
    """
    ignored = Ignored()
    for run in _file_runs(find_inputs(inputs, ignored), selection, n_files):
        if any(found.kind is Kind.STDIN for found in run.inputs):
            raise DataError("<stdin>: a picture that other processes can't read, expected files; save it to one")
        yield run
    selection.n_ignored = ignored.n_files
    ignored.tell()


def _file_runs(files: Iterable[Input], selection: Selection, n_files: Callable[[], int]) -> Iterator[Run]:
    files = iter(files)
    while offered := list(islice(files, selection.n_shards * n_files())):
        taken = selection.take([found.path for found in offered], [None] * len(offered))
        if taken.positions:
            yield Run([offered[position] for position in taken.positions], taken.numbers)


def _zip_runs(path: bytes, inners: Iterable[bytes], ignored: Ignored, selection: Selection) -> Iterator[Run | Batch]:
    try:
        archive = Archive(path)
    except DataError as error:
        for inner in inners:
            yield from one_item(within(path, inner), selection, [str(error)])
        return
    with archive:
        for run in _file_runs(members(archive, inners, ignored), selection, lambda: ZIP_ROWS):
            yield replace(run, inputs=[_member(path, found) for found in run.inputs])


def _member(archive: bytes, found: Input) -> Input:
    """Return a picture in a zip file, found under its whole path, as an input."""
    return found if found.error else Input(archive, Kind.ZIP, inner=found.path[len(archive) + 1 :])


def _array_runs(found: Input, reading: Reading) -> Iterator[Run | Batch]:
    """Yield runs of a file that holds many images, or its batches where reading can't begin anywhere."""
    path, selection = found.path, reading.selection
    try:
        source = open_file(found, reading.preprocess)
    except DataError as error:
        yield from one_item(path, selection, [str(error)])
        return
    if not _is_seekable(source):
        yield from read_source(source, path, reading)
        return
    try:
        levels = tell_levels(source, path, reading.preprocess)
    except DataError as error:
        yield from one_item(path, selection, [str(error)], every_shard=True)
        return
    size = ARRAY_BATCHES * _block(selection.n_shards)
    for first in range(0, source.n_images, size):
        offered = range(first, min(first + size, source.n_images))
        taken = selection.take([path] * len(offered), offered)
        if taken.positions:
            indices = range(first + taken.positions[0], first + taken.positions[-1] + 1, selection.n_shards)
            yield Run([found], taken.numbers, indices, levels)


def _is_seekable(source: Source | Table | ParquetImages | bytes) -> TypeGuard[IdxImages | NpyImages]:
    """Return whether reading can begin at any image: an IDX file that is not compressed, a .npy file."""
    return (isinstance(source, IdxImages) and not source.compressed) or (
        isinstance(source, NpyImages) and source.key is None
    )


def _block(step: int) -> int:
    """Return how many images to read at once where every `step`-th is wanted, BATCH_SIZE if that can be."""
    return step * max(1, BATCH_SIZE // step)


def read_run(run: Run, preprocess: str, *, threads: int = 1, ask: Ask | None = None) -> Generator[Batch]:
    """Yield the images of a run as batches, as `open_stream` does, with its arguments."""
    with Workers(threads) as workers:
        reading = Reading(preprocess, BATCH_SIZE, Selection(), workers, ask)
        if run.indices is not None:
            yield from _array_batches(run, run.indices, reading)
            return
        for batch in read_found(run.inputs, reading, Ignored()):
            batch.numbers = [run.numbers[number] for number in batch.numbers]
            yield batch


def _array_batches(run: Run, indices: range, reading: Reading) -> Iterator[Batch]:
    """Yield the images at `indices` of a file; where it can't be read any more, one row that says why."""
    path, step, n_done = run.inputs[0].path, indices.step, 0
    try:
        source = open_file(run.inputs[0], reading.preprocess)
        if not _is_seekable(source):
            raise DataError(f"{printable(path)}: another file than a moment ago; leave the file alone while it is read")
        size = _block(step)
        for block in source.batches(size, indices.start):
            chosen = indices[n_done : n_done + size // step]
            pixels = run.levels.applied(rows_of(block, range(0, chosen[-1] - chosen[0] + 1, step), path))
            batch = Batch([path] * len(pixels), chosen, run.numbers[n_done : n_done + len(chosen)], pixels, {})
            normalize_batch(batch, reading.preprocess, reading.workers, reading.ask)
            yield batch
            n_done += len(chosen)
            if n_done == len(indices):
                return
    except DataError as error:
        yield batch_of([path], run.numbers[n_done : n_done + 1], {0: [str(error)]})
