"""Regular files and gzip streams: what every reader of untrusted data starts from."""

import io
import os
import stat
import zlib
from typing import Protocol

from fastmnist.errors import AnyPath, DataError, printable, reason

GZIP_MAGIC = b"\x1f\x8b"

_INPUT_BYTES = 16 * 1024  # compressed bytes taken at a time; small, because zlib copies what it leaves over
_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's way to say: with a gzip header and trailer, both checked

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class ByteStream(Protocol):
    """What gives bytes in order; `read` returns b"" only at the end."""

    def read(self, size: int, /) -> bytes: ...  # noqa: D102 (the class says it)


class RawStream(ByteStream, Protocol):
    """What fills buffers too; `readinto` returns 0 only at the end."""

    def readinto(self, buffer: bytearray | memoryview, /) -> int | None: ...  # noqa: D102 (the class says it)


def open_regular(path: AnyPath) -> io.FileIO:
    """Open a regular file for reading, unbuffered. Never waits for a FIFO and never opens a device.

    Raises DataError if `path` is missing, unreadable or not a regular file.
    """
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            kind = next((name for test, name in _KINDS if test(mode)), "a special file")
            raise DataError(f"{printable(path)}: {kind}, expected a regular file")
        # O_NONBLOCK: a FIFO that takes the file's place after the check doesn't block either.
        return io.FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as error:
        raise DataError(
            f"{printable(path)}: {reason(error)}, expected a readable file; check its name and permissions"
        ) from error


class GunzipReader:
    """The uncompressed bytes of a gzip stream: any number of members, zero padding after each.

    `head` is what the caller already took from the stream. Memory is bounded whatever the stream holds.
    """

    def __init__(self, stream: ByteStream, head: bytes = b"") -> None:
        self._stream = stream
        self._input = head
        self._member: zlib._Decompress | None = zlib.decompressobj(_GZIP_WINDOW)

    def read(self, size: int) -> bytes:
        """Return 1 to `size` bytes, b"" at the end; never expands more than `size` (at least 1) bytes.

        Raises EOFError if the stream ends within a member; zlib.error for damage (checksum and length
        included) and for anything but zeros behind the last member; OSError from the stream.
        """
        while True:
            if not self._input:
                self._input = self._stream.read(_INPUT_BYTES)
            at_end = not self._input
            if self._member is None:  # between two members
                self._input = self._input.lstrip(b"\0")
                if at_end:
                    return b""
                if not self._input:
                    continue
                self._member = zlib.decompressobj(_GZIP_WINDOW)
            content = self._member.decompress(self._input, size)
            if self._member.eof:
                self._input, self._member = self._member.unused_data, None
            else:
                self._input = self._member.unconsumed_tail
                if at_end and not content:
                    raise EOFError("the gzip data ends early")
            if content:
                return content


class Pushback:
    """A stream with some bytes put back before it, to be read again."""

    def __init__(self, stream: RawStream, head: bytes) -> None:
        self._stream = stream
        self._head = head

    def read(self, size: int, /) -> bytes:
        """Return 1 to `size` bytes, b"" at the end. Raises OSError from the stream."""
        content = bytearray(size)
        return bytes(content[: self.readinto(content)])

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill the beginning of `buffer`; return the number of bytes, 0 at the end. Raises OSError from the stream."""
        if not self._head:
            return self._stream.readinto(buffer) or 0
        n = min(len(buffer), len(self._head))
        buffer[:n], self._head = self._head[:n], self._head[n:]
        return n


def folders_within(folder: AnyPath) -> list[bytes]:
    """Return the names of the folders in `folder`, and of links to such, in byte order, hidden ones apart.

    By `scandir`, which asks for links only: a folder may hold 60,000 images. Raises OSError if it can't be listed.
    """
    with os.scandir(os.fsencode(folder)) as found:
        return sorted(entry.name for entry in found if not entry.name.startswith(b".") and is_folder(entry))


def is_folder(entry: os.DirEntry[bytes]) -> bool:
    """Tell whether `entry` is a folder or a link to one; costs a system call for links only."""
    try:
        return entry.is_dir()
    except OSError:  # a link that leads round in circles, say: not a folder, the reader will name the fault
        return False
