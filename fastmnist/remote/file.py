"""A remote file that is read like a local one: parts of it are fetched as they are needed."""

import io
from typing import Any

from fastmnist.errors import DataError, printable
from fastmnist.remote.store import attempt

EXPECTED = "a file of which parts can be asked for"
FIRST_BYTES, MOST_BYTES = 1 << 16, 8 << 20  # of a part: whoever looks at the beginning only should not wait long


class RemoteFile(io.RawIOBase):
    """A file at an address, of a length that is known, open to read."""

    def __init__(self, address: bytes) -> None:
        """Ask for the file's length. Raises DataError where it can't be read in parts, RemoteError."""
        super().__init__()
        self._address = address
        self._file: Any = attempt(address, lambda store, name: store.open(name, "rb", cache_type="none"), EXPECTED)
        if not isinstance(self._file.size, int):
            self._file.close()
            raise DataError(
                f"{printable(address)}: the server does not report its size, expected one that does; copy the file to "
                "this machine first"
            )
        self._place = self._start = 0
        self._part = b""  # of the file, from `_start` on
        self._next_bytes = FIRST_BYTES

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that any place can be gone to."""
        return True

    def tell(self) -> int:
        """Return the place where the next byte is read."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place and return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._file.size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: Any, /) -> int:
        """Fill the beginning of `buffer`; return the number of bytes, 0 at the end. Raises DataError, RemoteError."""
        if not 0 <= self._place - self._start < len(self._part):
            self._fetch()
        at = self._place - self._start
        content = self._part[at : at + len(buffer)]
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)

    def _fetch(self) -> None:
        """Ask for the part that begins where the next byte is read."""
        n_bytes = min(self._next_bytes, self._file.size - self._place)

        def ask(_store: Any, _name: str) -> bytes:
            self._file.seek(self._place)
            return bytes(self._file.read(n_bytes))

        self._part = attempt(self._address, ask, EXPECTED) if n_bytes > 0 else b""
        self._start = self._place
        self._next_bytes = min(2 * self._next_bytes, MOST_BYTES)

    def close(self) -> None:
        """Let go of it."""
        if not self.closed:
            self._file.close()
        super().close()
