"""Image files, folders and IDX files, in any mix -> one stream of batches, in order, in constant memory."""

import os
import stat
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.data.idx import looks_like_idx, open_images
from fastmnist.data.normalize import SIDE
from fastmnist.data.preprocess import normalize_images, read_digits
from fastmnist.errors import DataError, printable, reason
from fastmnist.threads import Pace

# In folders a file with another suffix is taken for something else.
IMAGE_SUFFIXES = frozenset(
    b"apng avif bmp dib gif hdr jp2 jpe jpeg jpg pam pbm pfm pgm png pnm ppm pxm ras sr tif tiff webp".split()
)

CHUNK = 128  # files for a thread at a time: about 2 ms of work, against 20 us to hand it over
CHUNKS_PER_THREAD = 4  # at least, so that no thread waits long for the last one
BATCH_SECONDS = 0.5  # rows appear this often, however large the pictures


@dataclass
class Batch:
    """A run of rows, one per image.

    names: the path of each row; exactly one for all rows where `first_index` is set.
    first_index: position of row 0 inside an IDX file; None for image files.
    pixels: uint8 (m, 784), a row of zeros where there is an error.
    errors: row -> one-line message.
    """

    names: list[bytes]
    first_index: int | None
    pixels: npt.NDArray[np.uint8]
    errors: dict[int, str]


class _Entry(NamedTuple):
    """One input: an image file, an IDX file, or what could not be opened, with the reason."""

    path: bytes
    is_idx: bool = False
    error: str | None = None


@dataclass
class _PassedOver:
    """What the folders hold that is not read."""

    other_files: int = 0
    folder_links: int = 0
    idx_files: int = 0
    first_idx: bytes = b""

    def add_idx(self, path: bytes) -> None:
        self.first_idx = self.first_idx or path
        self.idx_files += 1

    def notes(self) -> Iterator[str]:
        """Yield a line for each kind that was met."""
        if self.other_files:
            yield f"ignored {_count(self.other_files, 'file')} without an image suffix"
        if self.folder_links:
            yield f"ignored {_count(self.folder_links, 'symbolic link')} to a folder"
        if self.idx_files:
            yield (
                f"ignored {_count(self.idx_files, 'IDX file')} inside folders, first "
                f"{printable(self.first_idx)}; name an IDX file itself to read it"
            )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def open_sources(
    inputs: Sequence[bytes | str],
    preprocess: str = "auto",
    *,
    batch_size: int = 4096,
    threads: int = 1,
    on_note: Callable[[str], None],
) -> Generator[Batch]:
    """Yield the images of `inputs` (image files, folders, IDX files) as batches of at most `batch_size` rows.

    What can't be read keeps a row with an entry in `Batch.errors`; nothing is raised for it. Folders are
    walked depth-first in byte order of full paths. Image files are brought into MNIST's form as `preprocess` (one of
    PREPROCESSES) says, images of IDX files only where it is "mnist". Up to `threads` threads do that. `on_note` gets
    a line for an empty folder, and at the end for the kinds of files passed over.
    """
    passed_over = _PassedOver()
    with _Workers(threads, preprocess) as workers:
        for is_idx, entries in groupby(_entries(inputs, passed_over, on_note), lambda entry: entry.is_idx):
            if is_idx:
                for entry in entries:
                    yield from _idx_batches(entry.path, batch_size, workers)
            else:
                while chosen := list(islice(entries, min(batch_size, workers.rows_per_batch()))):
                    yield _image_batch(chosen, workers)
        for note in passed_over.notes():
            on_note(note)


class _Workers:
    """Threads that share the rows of a batch: all of them, or one where that is faster."""

    def __init__(self, threads: int, preprocess: str) -> None:
        self.preprocess = preprocess
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._pace = Pace(threads)
        self._seconds_per_row = 0.01  # to begin with

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def rows_per_batch(self) -> int:
        """Return how many rows take about BATCH_SECONDS, by the last batch."""
        return max(1, int(BATCH_SECONDS / self._seconds_per_row))

    def share(self, n_rows: int, work: Callable[[slice], dict[int, str]]) -> dict[int, str]:
        """Call `work` for slices of the `n_rows`; return the errors of all, by row."""
        threads = self._pace.choose()
        size = min(CHUNK, -(-n_rows // (CHUNKS_PER_THREAD * threads))) if threads > 1 else n_rows
        tasks = [self._pool.submit(_timed, work, slice(row, row + size)) for row in range(0, n_rows, size)]
        chunks = [task.result() for task in tasks]
        seconds = max(chunk.stop for chunk in chunks) - min(chunk.start for chunk in chunks)
        self._seconds_per_row = seconds / n_rows
        self._pace.record(threads, self._seconds_per_row)
        return {row: error for chunk in chunks for row, error in chunk.errors.items()}


class _Chunk(NamedTuple):
    """What became of a chunk: its errors by row, and when it was begun and done."""

    errors: dict[int, str]
    start: float
    stop: float


def _timed(work: Callable[[slice], dict[int, str]], rows: slice) -> _Chunk:
    start = time.perf_counter()
    errors = {rows.start + row: error for row, error in work(rows).items()}
    return _Chunk(errors, start, time.perf_counter())


def _idx_batches(path: bytes, batch_size: int, workers: _Workers) -> Iterator[Batch]:
    """Yield an IDX file's images; a refusal, or an error on the way, is one more row."""
    first_index = 0
    try:
        for pixels in open_images(path).batches(batch_size):
            errors = _normalize_rows(pixels, path, first_index, workers) if workers.preprocess == "mnist" else {}
            yield Batch([path], first_index, pixels, errors)
            first_index += len(pixels)
    except DataError as error:
        yield Batch([path], None, np.zeros((1, SIDE * SIDE), np.uint8), {0: str(error)})


def _normalize_rows(pixels: npt.NDArray[np.uint8], path: bytes, first_index: int, workers: _Workers) -> dict[int, str]:
    """Bring an IDX file's images from `first_index` on, uint8 (m, 784), into MNIST's form; return errors by row."""
    images = pixels.reshape(-1, SIDE, SIDE)

    def normalize_slice(rows: slice) -> dict[int, str]:
        part = images[rows]
        first = first_index + rows.start
        return normalize_images(
            part, range(len(part)), workers.preprocess, lambda row: f"{printable(path)}: image {first + row}"
        )

    return workers.share(len(images), normalize_slice)


def _image_batch(entries: list[_Entry], workers: _Workers) -> Batch:
    """Return the digits of the image files `entries`."""
    names = [entry.path for entry in entries]
    pixels = np.zeros((len(entries), SIDE * SIDE), np.uint8)
    images = pixels.reshape(-1, SIDE, SIDE)
    unlisted = {row: entry.error for row, entry in enumerate(entries) if entry.error is not None}

    def read_slice(rows: slice) -> dict[int, str]:
        return read_digits(names[rows], workers.preprocess, images[rows])

    # A folder that can't be listed is no image either; the reason is the better one.
    return Batch(names, None, pixels, workers.share(len(entries), read_slice) | unlisted)


def _entries(
    inputs: Sequence[bytes | str], passed_over: _PassedOver, on_note: Callable[[str], None]
) -> Iterator[_Entry]:
    """Yield every file of `inputs`, in order, folders walked."""
    for given in inputs:
        path = os.fsencode(given)
        mode = _mode(path)
        if not stat.S_ISDIR(mode):
            # What is missing or no regular file goes the way of an image, which names the fault.
            yield _Entry(path, is_idx=stat.S_ISREG(mode) and looks_like_idx(path))
            continue
        is_empty = True
        for entry in _walk(path, passed_over):
            is_empty = False
            yield entry
        if is_empty:
            on_note(f"{printable(path)}: holds no images")


def _mode(path: bytes) -> int:
    """Return the `st_mode` of `path`, links followed, or 0 where there is none to be had."""
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


def _walk(folder: bytes, passed_over: _PassedOver) -> Iterator[_Entry]:
    """Yield the inputs below `folder`, depth-first in byte order of full paths, without recursion."""
    pending = [os.path.join(folder, b"")]  # a stack of paths; those of folders end with a slash
    while pending:
        path = pending.pop()
        if path.endswith(b"/"):
            try:
                pending += sorted(_listing(path, passed_over), reverse=True)
            except OSError as error:
                yield _unlisted(path.rstrip(b"/") or b"/", error)
        elif b"." not in os.path.basename(path) and stat.S_ISREG(_mode(path)) and looks_like_idx(path):
            passed_over.add_idx(path)
        else:
            yield _Entry(path)


def _listing(folder: bytes, passed_over: _PassedOver) -> Iterator[bytes]:
    """Yield the paths in `folder` to visit, in any order: folders with a slash appended. Raises OSError."""
    with os.scandir(folder) as found:
        for entry in found:
            name = entry.name.lower()
            _, dot, suffix = name.rpartition(b".")
            if name.startswith(b"."):
                continue
            if _is_folder(entry):
                if entry.is_symlink():
                    passed_over.folder_links += 1
                else:
                    yield entry.path + b"/"
            elif suffix in IMAGE_SUFFIXES:
                yield entry.path
            elif name.removesuffix(b".gz").endswith(b"ubyte"):
                passed_over.add_idx(entry.path)
            elif dot:
                passed_over.other_files += 1
            else:
                yield entry.path


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    """Tell whether `entry` is a folder or a link to one; costs a system call for links only."""
    try:
        return entry.is_dir()
    except OSError:  # a link that leads round in circles, say: not a folder, the reader will name the fault
        return False


def _unlisted(folder: bytes, error: OSError) -> _Entry:
    message = "expected a folder that can be listed; check its permissions"
    return _Entry(folder, error=f"{printable(folder)}: {reason(error)}, {message}")
