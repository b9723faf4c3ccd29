"""Regular files and gzip streams: what every reader of untrusted data starts from."""

import gzip
import io
import os
import stat
import zlib
from typing import Protocol

from fastmnist.errors import AnyPath, DataError, printable, reason
from fastmnist.remote.address import is_address

GZIP_MAGIC = b"\x1f\x8b"
READ_ERRORS = (OSError, EOFError, zlib.error)  # what reading from `expanded` may raise: all three happen

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class ByteStream(Protocol):
    """A source of bytes, in order; `read` returns b"" only at the end."""

    def read(self, size: int, /) -> bytes: ...  # noqa: D102 (the class says it)


class RawStream(ByteStream, Protocol):
    """A source of bytes that also fills buffers; `readinto` returns 0 only at the end."""

    def readinto(self, buffer: bytearray | memoryview, /) -> int | None: ...  # noqa: D102 (the class says it)


def open_regular(path: AnyPath) -> io.RawIOBase:
    """Open a regular file, or one at an address, for reading, unbuffered. Never waits for a FIFO or opens a device.

    Raises DataError if `path` is missing, unreadable or not a regular file; RemoteError.
    """
    if is_address(path):
        from fastmnist.remote.file import RemoteFile

        return RemoteFile(os.fsencode(path))
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            kind = next((name for test, name in _KINDS if test(mode)), "a special file")
            raise DataError(f"{printable(path)}: {kind}, expected a regular file")
        # O_NONBLOCK: a FIFO that takes the file's place after the check doesn't block either.
        return io.FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except (OSError, ValueError) as error:  # a NUL in the path is a ValueError
        raise DataError(
            f"{printable(path)}: {reason(error)}, expected a readable file; check its name and permissions"
        ) from error


def length_of(file: io.BufferedReader | io.RawIOBase) -> int:
    """Return how many bytes a regular file has, or one at an address. Raises OSError."""
    place = file.tell()
    n_bytes = file.seek(0, os.SEEK_END)
    file.seek(place)
    return n_bytes


def expanded(stream: ByteStream, head: bytes = b"") -> RawStream:
    """Return the content of a stream, gunzipped if it is gzip, which its first two bytes tell.

    `head`: what was read of it already, two bytes or more. gzip may have any number of members, and zero padding.
    Memory is bounded whatever the stream holds. Reading raises one of READ_ERRORS for damage (checksum and length
    included), for data that ends early, and for anything but zeros after the last member.
    """
    head = head or stream.read(len(GZIP_MAGIC))
    content: RawStream = Pushback(stream, head)
    if isinstance(stream, io.RawIOBase) and stream.seekable():
        stream.seek(-len(head), os.SEEK_CUR)
        content = stream
    if not head.startswith(GZIP_MAGIC):
        return content
    return gzip.GzipFile(fileobj=content, mode="rb")  # type: ignore[call-overload, no-any-return]  # read() is enough


class Pushback:
    """A stream with some bytes put back before it, to be read again."""

    def __init__(self, stream: ByteStream, head: bytes) -> None:
        self._stream = stream
        self._head = head

    def read(self, size: int, /) -> bytes:
        """Return 1 to `size` bytes, b"" at the end. Raises OSError from the stream."""
        if not self._head:
            return self._stream.read(size)
        content, self._head = self._head[:size], self._head[size:]
        return content

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill the beginning of `buffer`; return the number of bytes, 0 at the end. Raises OSError from the stream."""
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


_HIDDEN = (b".", b"__MACOSX")


def folders_within(folder: AnyPath) -> list[bytes]:
    """Return the names of the folders in `folder`, and of links to folders, in byte order, without hidden ones.

    What macOS packs beside a folder counts as hidden. By `scandir`, which asks for links only: a folder may hold 60,000
    images. Raises OSError if it can't be listed.
    """
    with os.scandir(os.fsencode(folder)) as found:
        return sorted(entry.name for entry in found if not entry.name.startswith(_HIDDEN) and is_folder(entry))


def is_folder(entry: os.DirEntry[bytes]) -> bool:
    """Tell whether `entry` is a folder or a link to one; costs a system call for links only."""
    try:
        return entry.is_dir()
    except OSError:  # such as a circular link: not a folder, and the reader will report what is wrong
        return False
