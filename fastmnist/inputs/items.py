"""Items of equal size, one after the other, exactly as many as a file's header declares."""

import io
import os
import zipfile
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fastmnist.errors import AnyPath, DataError, printable, reason
from fastmnist.inputs.files import READ_ERRORS, Pushback, RawStream

MAX_DEFLATE_RATIO = 1032  # deflate can't do better: at most 258 bytes from 2 bits
_CHUNK_BYTES = 1 << 18


class ItemReader:
    """Reads items in order from a stream that may be damaged, end early or go on for ever.

    `form` is what the file is to be, for the messages: "IDX", ".npy".
    """

    def __init__(self, stream: RawStream, path: AnyPath, form: str) -> None:
        self._stream = stream
        self._name = printable(path)
        self._form = form
        self._n_read = 0
        self._declared: int | None = None
        self.n_items = self._item_bytes = 0

    def declare(self, n_items: int, item_bytes: int, n_file: int | None, *, compressed: bool = False) -> None:
        """Take what the header, which has been read, says; `n_file` is the length of a regular file, else None.

        Raises DataError where a file of that length can't hold it, before anything is allocated.
        """
        self.n_items, self._item_bytes = n_items, item_bytes
        # Python's integers: three 32-bit dimensions overflow a 64-bit product.
        self._declared = declared = self._n_read + n_items * item_bytes
        if n_file is None:
            return
        if not compressed and n_file != declared:
            raise self._wrong_length(f"{n_file} bytes")
        if compressed and declared > MAX_DEFLATE_RATIO * n_file:
            raise self._wrong_length(f"{n_file} bytes of gzip data, which can't hold that much")

    def batches(self, batch_size: int, first: int) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the items from `first` on: fresh uint8 arrays (m, bytes of an item), m = `batch_size` but the last."""
        self.skip(first)
        for start in range(first, self.n_items, batch_size):
            items = np.empty((min(batch_size, self.n_items - start), self._item_bytes), np.uint8)
            self.read_into(items)
            yield items

    def peek(self, n_items: int) -> npt.NDArray[np.uint8]:
        """Return the next items, (m, bytes of an item), which stay to be read. Raises DataError if they end."""
        items = np.empty((n_items, self._item_bytes), np.uint8)
        self._n_read -= self.read_into(items)
        self._stream = Pushback(self._stream, items.tobytes())
        return items

    def skip(self, n_items: int) -> None:
        """Pass over the next items. Raises DataError if the stream is damaged there or ends."""
        n_left = n_items * self._item_bytes
        if isinstance(self._stream, io.RawIOBase) and self._stream.seekable():
            self._stream.seek(n_left, os.SEEK_CUR)
            self._n_read += n_left
            return
        chunk = np.empty(_CHUNK_BYTES, np.uint8)
        while n_left:
            n_left -= self.read_into(chunk[:n_left])

    def read_into(self, array: npt.NDArray[np.uint8]) -> int:
        """Fill a contiguous `array` with the next bytes; return how many. Raises DataError if they end."""
        n_filled = self.fill(array.reshape(-1).data)
        if n_filled < array.size:
            raise self._wrong_length(f"{self._n_read} bytes")
        return n_filled

    def read_all(self, item_shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """Return the bytes of all items, uint8 (n, *item_shape), and check the end. Raises DataError."""
        try:
            items = np.empty((self.n_items, *item_shape), np.uint8)
        except MemoryError as error:
            raise DataError(f"{self._name}: {self.n_items} items do not fit into memory; split the file") from error
        self.read_into(items)
        self.check_end()
        return items

    def check_end(self) -> None:
        """Raise DataError if anything follows the declared bytes, or the checksum is wrong."""
        if self.fill(memoryview(bytearray(1))):
            raise self._wrong_length("more bytes")

    def fill(self, view: memoryview) -> int:
        """Fill `view` as far as the content goes; return the number of bytes. Raises DataError for damage."""
        n_filled = 0
        try:
            while n_filled < len(view):
                part = view[n_filled : n_filled + _CHUNK_BYTES]
                n_new = self._stream.readinto(part)
                if not n_new:
                    break
                n_filled += n_new
                self._n_read += n_new
        except (*READ_ERRORS, zipfile.BadZipFile) as error:
            expected = f"an {self._form} file" if self._declared is None else f"{self._declared} bytes"
            raise DataError(
                f"{self._name}: {reason(error)} after {self._n_read} good bytes, expected {expected}; "
                "get the file again"
            ) from error
        return n_filled

    def _wrong_length(self, found: str) -> DataError:
        return DataError(
            f"{self._name}: {found}, expected exactly {self._declared} bytes by its {self._form} header; "
            "the file is damaged, get it again"
        )


def times(shape: tuple[int, ...]) -> str:
    """Return a shape for a message: 28 x 28."""
    return " x ".join(map(str, shape))
