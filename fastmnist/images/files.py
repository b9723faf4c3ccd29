"""Image files -> their bytes, many at a time."""

import os
import stat
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from fastmnist.errors import AnyPath, DataError, printable, reason
from fastmnist.kernels import read_files as kernel
from fastmnist.kernels.opaque import find_opaque, is_opaque, jpeg_shape

MAX_FILE_BYTES = 64 * 1024 * 1024
FEW = 8  # files are not worth the time to compile or load a kernel
TOGETHER_BYTES = 256 * 1024  # what is read at a time, so that it stays in the cache; larger files are read one by one


class File(NamedTuple):
    """What a file holds, or why it can't be read."""

    data: bytes
    is_opaque: bool  # known to be one opaque picture of up to 8 bits, JPEG or PNG
    jpeg_shape: tuple[int, int]  # height and width in a JPEG file's header, 0, 0 where there are none
    error: DataError | None = None


class _Memory(threading.local):
    """Working memory, one for each thread that reads."""

    def __init__(self) -> None:
        self.contents = np.empty(TOGETHER_BYTES, np.uint8)
        self.read_only = self.contents.view()  # as the bytes of one file are: kernels are compiled for either
        self.read_only.flags.writeable = False
        self.status = np.empty(kernel.STATX_BYTES, np.uint8)


_memory = _Memory()


def read_each(paths: Sequence[bytes]) -> Iterator[File]:
    """Yield what is in each file of `paths`, as `read_file` returns it."""
    if len(paths) <= FEW:
        yield from map(_read_alone, paths)
        return
    first = 0
    while first < len(paths):
        for path, file in zip(paths[first:], _read_together(paths[first:]), strict=False):
            first += 1
            yield _read_alone(path) if file is None else file


def _read_alone(path: bytes) -> File:
    try:
        return file_of(read_file(path))
    except DataError as error:
        return unreadable(error)


def file_of(data: bytes) -> File:
    """Return the file that `data` is the content of."""
    return File(data, is_opaque(data), jpeg_shape(data))


def unreadable(error: DataError) -> File:
    """Return a file that can't be read, and why."""
    return File(b"", is_opaque=False, jpeg_shape=(0, 0), error=error)


def _read_together(paths: Sequence[bytes]) -> list[File | None]:
    """Return the first files of `paths`, one or more, as many as memory holds; None where `read_file` is to do it."""
    names = b"".join(path + b"\0" for path in paths)
    if not kernel.IS_AVAILABLE or names.count(b"\0") != len(paths):  # a NUL within a path would cut it
        return [None] * len(paths)
    memory, encoded = _memory, np.frombuffer(names, np.uint8)
    name_starts, sizes = np.cumsum([0, *(len(path) + 1 for path in paths)])[:-1], np.empty(len(paths), np.int64)
    n = kernel.read_files(encoded.ctypes.data, name_starts, memory.contents, memory.status, sizes)
    sizes, are_opaque, shapes = sizes[:n], np.empty(n, np.bool_), np.empty((n, 2), np.int64)
    starts = np.cumsum(np.maximum(0, sizes)) - np.maximum(0, sizes)
    find_opaque(memory.read_only, starts, sizes, are_opaque, shapes)
    return [
        None if size == kernel.ERROR else File(memory.contents[start : start + size].tobytes(), is_opaque, shape)
        for start, size, is_opaque, shape in zip(
            starts.tolist(), sizes.tolist(), are_opaque.tolist(), map(tuple, shapes.tolist()), strict=True
        )
    ]


def wrong_size(path: AnyPath, found: str) -> DataError:
    """Return the error for an image file of a size, in words, that none may have."""
    return DataError(
        f"{printable(path)}: {found}, expected an image of 1 to {MAX_FILE_BYTES} bytes "
        f"({MAX_FILE_BYTES >> 20} MB); replace it"
    )


def read_file(path: bytes) -> bytes:
    """Return the content of the regular file `path`, not empty and at most MAX_FILE_BYTES long.

    A file replaced or changed in between is safe: opening a FIFO doesn't block, and no more is
    read than the size that was checked.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a FIFO, socket or device"
            raise DataError(f"{printable(path)}: {kind}, expected an image file; name a regular file")
        size = status.st_size
        if not 0 < size <= MAX_FILE_BYTES:
            raise wrong_size(path, f"{size} bytes")
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            data = os.read(file, size)
        finally:
            os.close(file)
    except (OSError, ValueError) as error:  # a NUL in the path is a ValueError
        raise DataError(
            f"{printable(path)}: {reason(error)}, expected an image file; check its name and permissions"
        ) from error
    if len(data) != size:
        raise DataError(
            f"{printable(path)}: {len(data)} bytes, expected {size}; it changed while it was read; try again"
        )
    return data
