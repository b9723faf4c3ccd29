"""Zip files: their members are read in memory, within bounds; nothing is extracted to disk."""

import bisect
import io
import os
import struct
import zipfile
import zlib
from types import TracebackType

from fastmnist.errors import AnyPath, DataError, printable, reason
from fastmnist.images.files import MAX_FILE_BYTES, File, file_of, unreadable, wrong_size
from fastmnist.inputs.files import RawStream, length_of, open_regular
from fastmnist.inputs.items import MAX_DEFLATE_RATIO

MAGICS = (b"PK\x03\x04", b"PK\x05\x06")  # the second: an archive of nothing
EXPECTED = "expected image files, in folders or not; unpack IDX files and tables first"
MAX_DIRECTORY_BYTES = 32 << 20  # some 300,000 members; in memory they take twenty times as much

# Whatever zipfile makes of damage.
_ERRORS = (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OverflowError, OSError, EOFError,
           struct.error, zlib.error)  # fmt: skip
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others expand without a bound
_ENCRYPTED = 0x1


class _Bounded(io.BufferedReader):
    """A file that refuses to read more than MAX_DIRECTORY_BYTES at once: zipfile reads a directory as a whole."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(
                f"a directory of {size} bytes, more than {MAX_DIRECTORY_BYTES >> 20} MB; split the zip file"
            )
        return super().read(size)


class Archive:
    """An open zip file, closed with the context. Any number of threads may read members.

    names: those of its files, in byte order.
    """

    def __init__(self, path: AnyPath) -> None:
        """Open the zip file and check its directory. Raises DataError."""
        self.path = os.fsencode(path)
        self._file = _Bounded(open_regular(path))
        try:
            self._zip = zipfile.ZipFile(self._file)
            self._members = {_name(info): info for info in _named(self._zip.infolist()) if not info.is_dir()}
            self._check_sizes()
        except _ERRORS as error:
            self._file.close()
            raise DataError(
                f"{printable(path)}: {reason(error)}, expected an intact zip file; get the file again"
            ) from error
        self.names = sorted(self._members)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_exception: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._zip.close()
        self._file.close()

    def below(self, prefix: bytes) -> list[bytes]:
        """Return the names that are `prefix`, or in the folder of that name; all for b""."""
        if prefix in self._members or not prefix:
            return [prefix] if prefix else self.names
        folder = prefix.rstrip(b"/") + b"/"
        first = bisect.bisect_left(self.names, folder)
        return self.names[first : bisect.bisect_left(self.names, folder[:-1] + b"0")]  # "0" comes after "/"

    def size(self, name: bytes) -> int:
        """Return how many bytes the member says it holds, which `open` gives at most."""
        return self._members[name].file_size

    def open(self, name: bytes) -> RawStream:
        """Return a member's content. Raises DataError where it can't be read at all."""
        info = self._members[name]
        where = self._where(name)
        if info.flag_bits & _ENCRYPTED:
            raise DataError(f"{where}: encrypted, expected a file without a password; unpack the zip file")
        if info.compress_type not in _METHODS:
            method = zipfile.compressor_names.get(info.compress_type, str(info.compress_type))  # type: ignore[attr-defined]
            raise DataError(f"{where}: compressed by {method}, expected deflate; zip the files again")
        try:
            return self._zip.open(info)  # type: ignore[return-value]  # a BufferedIOBase
        except _ERRORS as error:
            raise self._damaged(name, error) from error

    def read_picture(self, name: bytes) -> File:
        """Return what is in a member, or why it can't be read."""
        try:
            if name not in self._members:
                raise DataError(f"{self._where(name)}: no such file in the zip file, {EXPECTED}")
            n_bytes = self.size(name)
            if not 0 < n_bytes <= MAX_FILE_BYTES:
                raise wrong_size(self.path + b"/" + name, f"{n_bytes} bytes")
            stream = self.open(name)
            try:
                data = stream.read(n_bytes)
            except _ERRORS as error:
                raise self._damaged(name, error) from error
        except DataError as error:
            return unreadable(error)
        return file_of(data)

    def _check_sizes(self) -> None:
        """Raise BadZipFile where members overlap, or claim more than can be compressed: a bomb."""
        members = self._members.values()
        n_bytes = length_of(self._file)
        if sum(info.compress_size for info in members) > n_bytes:
            raise zipfile.BadZipFile("its members overlap")
        for info in members:
            if info.file_size > MAX_DEFLATE_RATIO * max(1, info.compress_size):
                raise zipfile.BadZipFile(
                    f"{info.compress_size} bytes that claim to hold {info.file_size} ({printable(info.filename)})"
                )

    def _damaged(self, name: bytes, error: Exception) -> DataError:
        return DataError(f"{self._where(name)}: {reason(error)}, expected an intact zip file; get the file again")

    def _where(self, name: bytes) -> str:
        return printable(self.path + b"/" + name)


def _named(infos: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """Return a directory's entries. Raises BadZipFile where one has no name, which nothing could be called by."""
    if not all(info.filename for info in infos):
        raise zipfile.BadZipFile("a file in it has no name")
    return infos


def _name(info: zipfile.ZipInfo) -> bytes:
    name = info.filename.encode("utf-8", "surrogateescape")
    while name.startswith(b"./"):  # as some programs write it
        name = name[2:]
    return name


def split_path(path: bytes) -> tuple[bytes, bytes] | None:
    """Return the file and what is within it, of a path that goes through a regular file; None for any other.

    `set.zip/0/a.png` is set.zip, and 0/a.png in it.
    """
    inner = b""
    while path:
        path, _, name = path.rpartition(b"/")
        inner = name + b"/" + inner if inner else name
        if os.path.isfile(path):
            return path, inner
    return None
