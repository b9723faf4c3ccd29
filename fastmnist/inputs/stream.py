"""Images, folders, IDX files, tables and stdin, in any mix -> one stream of batches, in order, in constant memory."""

import os
import stat
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np

from fastmnist.errors import printable, reason
from fastmnist.images.preprocess import normalize_images, read_digits
from fastmnist.inputs.batch import Batch
from fastmnist.inputs.files import is_folder
from fastmnist.inputs.idx import looks_like_idx, peek_n_images
from fastmnist.inputs.many import Kind, file_batches
from fastmnist.inputs.selection import Selection
from fastmnist.inputs.stdin import NAME as STDIN
from fastmnist.inputs.table import estimate_rows, is_table
from fastmnist.inputs.workers import Workers
from fastmnist.shapes import SIDE

# In folders a file with another suffix is taken for something else.
IMAGE_SUFFIXES = frozenset(
    b"apng avif bmp dib gif hdr jp2 jpe jpeg jpg pam pbm pfm pgm png pnm ppm pxm ras sr tif tiff webp".split()
)


class _Entry(NamedTuple):
    """One input, or what could not be opened, with the reason."""

    path: bytes
    kind: Kind = Kind.IMAGE
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
    inputs: Iterable[bytes | str],
    preprocess: str = "auto",
    *,
    batch_size: int = 4096,
    threads: int = 1,
    on_note: Callable[[str], None],
    selection: Selection | None = None,
) -> Generator[Batch]:
    """Yield the images of `inputs` as batches of at most `batch_size` rows, without empty ones.

    Inputs are image files, folders, IDX files, tables, and `-` for stdin. What can't be read keeps a row with an
    entry in `Batch.errors`; nothing is raised for it. Folders are walked depth-first in byte order of full paths.
    Image files are brought into MNIST's form as `preprocess` (one of PREPROCESSES) says, images of IDX files and
    tables only where it is "mnist". Up to `threads` threads do that. Of all rows, those of the `selection` are read.
    `on_note` gets a line for an empty folder and for a file of EMNIST, and at the end for the kinds of files passed
    over.
    """
    selection = selection or Selection()
    passed_over = _PassedOver()
    with Workers(threads) as workers:
        for kind, entries in groupby(_entries(inputs, passed_over, on_note), lambda entry: entry.kind):
            if kind is Kind.IMAGE:
                wanted = selection.only(entries)
                while chosen := list(islice(wanted, min(batch_size, workers.rows_per_batch()))):
                    chosen = chosen[selection.count_known([entry.path for entry in chosen], None) :]
                    if chosen:
                        yield _image_batch(chosen, preprocess, workers)
            else:
                for entry in entries:
                    for batch in file_batches(entry.path, entry.kind, preprocess, batch_size, selection, on_note):
                        if preprocess == "mnist" and batch.first_index is not None:
                            _normalize(batch, workers)
                        yield batch
        for note in passed_over.notes():
            on_note(note)


def _image_batch(entries: list[_Entry], preprocess: str, workers: Workers) -> Batch:
    """Return the digits of the image files `entries`."""
    names = [entry.path for entry in entries]
    pixels = np.zeros((len(entries), SIDE * SIDE), np.uint8)
    images = pixels.reshape(-1, SIDE, SIDE)
    unlisted = {row: entry.error for row, entry in enumerate(entries) if entry.error is not None}

    def read(rows: slice) -> dict[int, str]:
        return read_digits(names[rows], preprocess, images[rows])

    # A folder that can't be listed is no image either; the reason is the better one.
    return Batch(names, None, pixels, workers.share(len(entries), read) | unlisted)


def _normalize(batch: Batch, workers: Workers) -> None:
    """Bring the images of an IDX file or a table into MNIST's form in place; add those that have none to the errors."""
    images = batch.pixels.reshape(-1, SIDE, SIDE)

    def normalize(rows: slice) -> dict[int, str]:
        good = [row - rows.start for row in range(rows.start, min(rows.stop, len(images))) if row not in batch.errors]
        return normalize_images(images[rows], good, "mnist", lambda row: batch.where(rows.start + row))

    batch.errors |= workers.share(len(images), normalize)


def count_rows(inputs: Iterable[bytes | str]) -> int:
    """Return about how many rows `open_sources` will give, for a progress bar: images are not looked at."""
    n_rows = 0
    for entry in _entries(inputs, _PassedOver(), lambda _note: None):
        if entry.kind is Kind.IDX:
            n_rows += peek_n_images(entry.path)
        else:
            n_rows += estimate_rows(entry.path) if entry.kind is Kind.TABLE else 1
    return n_rows


def _entries(
    inputs: Iterable[bytes | str], passed_over: _PassedOver, on_note: Callable[[str], None]
) -> Iterator[_Entry]:
    """Yield every file of `inputs`, in order, folders walked."""
    for given in inputs:
        path = os.fsencode(given)
        if path == b"-":
            yield _Entry(STDIN.encode(), Kind.STDIN)
            continue
        mode = _mode(path)
        if not stat.S_ISDIR(mode):
            yield _Entry(path, _kind(path, mode))
            continue
        is_empty = True
        for entry in _walk(path, passed_over):
            is_empty = False
            yield entry
        if is_empty:
            on_note(f"{printable(path)}: holds no images")


def _kind(path: bytes, mode: int) -> Kind:
    """Return how to read a file that was named itself, whose `st_mode` is `mode`."""
    if is_table(path):
        return Kind.TABLE
    # What is missing or no regular file goes the way of an image, which names the fault.
    return Kind.IDX if stat.S_ISREG(mode) and looks_like_idx(path) else Kind.IMAGE


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
            if is_folder(entry):
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


def _unlisted(folder: bytes, error: OSError) -> _Entry:
    message = "expected a folder that can be listed; check its permissions"
    return _Entry(folder, error=f"{printable(folder)}: {reason(error)}, {message}")
