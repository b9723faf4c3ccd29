"""The IDX format of MNIST's files: streaming reader and writer, plain or gzip.

A file is a magic number (00 00, element type, number of dimensions), the dimensions as big-endian 32-bit
numbers, then the elements. Nothing of it is believed before it is checked.
"""

import gzip
import io
import math
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from fastmnist.errors import AnyPath, DataError, printable, reason
from fastmnist.inputs.files import GZIP_MAGIC, READ_ERRORS, RawStream, expanded, open_regular
from fastmnist.shapes import IMAGE_SHAPE

_UINT8 = 0x08
_ELEMENT_TYPES = {
    _UINT8: "unsigned byte",
    0x09: "signed byte",
    0x0B: "16-bit integer",
    0x0C: "32-bit integer",
    0x0D: "32-bit float",
    0x0E: "64-bit float",
}
_CONTENTS = {1: "labels", 3: "images"}
_STRANGERS = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"PK\x03\x04": "a zip archive, to be unpacked first",
    GZIP_MAGIC: "gzip data within gzip data, to be unpacked once",
    b"<": "a web page or XML",
}
_IDX_NAME = re.compile(r"idx\d[-_.]?ubyte(\.gz)?$", re.IGNORECASE)
_CHUNK_BYTES = 1 << 18
_MAX_GZIP_RATIO = 1032  # deflate can't do better: at most 258 bytes from 2 bits


@dataclass(frozen=True)
class IdxImages:
    """A checked IDX file of images; holds no open file."""

    path: AnyPath
    n_images: int
    compressed: bool
    image_shape: tuple[int, int] = IMAGE_SHAPE

    def batches(self, batch_size: int, first: int = 0) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the pixels from image `first` on: fresh uint8 arrays (m, n_in), m = `batch_size` but for the last.

        Raises DataError if the file changed since it was opened and no longer gives `n_images`.
        """
        with open_regular(self.path) as file:
            reader = _file_reader(file, self.path, self.image_shape)
            if reader.n_items != self.n_images:
                raise DataError(
                    f"{printable(self.path)}: {reader.n_items} images, expected the {self.n_images} it held "
                    "a moment ago; leave the file alone while it is read"
                )
            yield from reader.batches(batch_size, first)


class IdxStream:
    """IDX images that come by a stream and can be read once: only the header is checked before the images."""

    def __init__(self, stream: RawStream, head: bytes, name: str) -> None:
        """Take a stream of which `head`, two bytes or more, is already read.

        Raises DataError for anything but images of 28x28.
        """
        self._reader = _IdxReader(expanded(stream, head), name, IMAGE_SHAPE, n_file=None)
        self.n_images = self._reader.n_items

    def batches(self, batch_size: int, first: int = 0) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the pixels as `IdxImages.batches` does.

        Raises DataError, after the last good batch, where the stream is damaged, ends early or does not end.
        """
        yield from self._reader.batches(batch_size, first)
        self._reader.check_end()


def open_images(path: AnyPath, image_shape: tuple[int, int] = IMAGE_SHAPE) -> IdxImages:
    """Check an IDX file of uint8 images and return it; a gzip file is expanded once, in constant memory.

    Raises DataError if the file is unreadable, damaged, or holds anything but images of `image_shape`.
    """
    with open_regular(path) as file:
        reader = _file_reader(file, path, image_shape)
        if reader.compressed:  # a plain file's length is already checked
            reader.skip(reader.n_items)
            reader.check_end()
    return IdxImages(path, reader.n_items, reader.compressed, image_shape)


def read_images(path: AnyPath) -> npt.NDArray[np.uint8]:
    """Return all images of an IDX file, uint8 (n, 28, 28). Raises DataError."""
    return _read_array(path, IMAGE_SHAPE)


def read_labels(path: AnyPath) -> npt.NDArray[np.uint8]:
    """Return all labels of an IDX file, uint8 (n,), whatever their range. Raises DataError."""
    return _read_array(path, ())


def write_images(path: AnyPath, images: npt.NDArray[np.uint8]) -> None:
    """Write `images` uint8 (n, height, width) as IDX; gzip if the name ends in .gz. Raises OSError."""
    _write_array(path, images, n_dimensions=3)


def write_labels(path: AnyPath, labels: npt.NDArray[np.uint8]) -> None:
    """Write `labels` uint8 (n,) as IDX; gzip if the name ends in .gz. Raises OSError."""
    _write_array(path, labels, n_dimensions=1)


def peek_dimensions(path: AnyPath) -> int | None:
    """Return the number of dimensions in a file's IDX magic, plain or gzip; None without such a magic.

    Never raises and never blocks: what is missing, unreadable, damaged or not a regular file gives None.
    """
    magic = b""
    try:
        with open_regular(path) as file:
            magic = expanded(file).read(4)
    except (DataError, *READ_ERRORS):
        return None
    return magic[3] if is_idx_magic(magic) else None


def peek_n_images(path: AnyPath) -> int:
    """Return the number of images that an IDX file's header names; 0 if it holds no images. Never raises."""
    try:
        with open_regular(path) as file:
            return _file_reader(file, path, IMAGE_SHAPE).n_items
    except DataError:
        return 0


def looks_like_idx(path: AnyPath) -> bool:
    """Whether to read `path` as IDX: its content has the magic, plain or gzip, or its name says it is IDX.

    A file such as `t10k-images-idx3-ubyte.gz` with a damaged head is a damaged IDX file, whose reader says
    what is wrong; to take it for an image would hide that. Never blocks; False unless a regular file.
    """
    if peek_dimensions(path) is not None:
        return True
    return os.path.isfile(path) and _IDX_NAME.search(os.path.basename(os.fsdecode(path))) is not None


class _IdxReader:
    """Reads IDX data in order; the header, and a plain file's length, are checked at once."""

    def __init__(self, stream: RawStream, path: AnyPath, item_shape: tuple[int, ...], *, n_file: int | None) -> None:
        """Take an expanded stream at its beginning; `n_file` is the length of a regular file, else None."""
        self._stream = stream
        self._name = printable(path)
        self._n_read = 0
        self._declared: int | None = None
        self.compressed = isinstance(stream, gzip.GzipFile)
        dimensions = self._read_header(1 + len(item_shape))
        if dimensions[1:] != item_shape:
            raise DataError(
                f"{self._name}: images of {_times(dimensions[1:])} pixels, expected {_times(item_shape)}; "
                "only that size can be read from IDX"
            )
        self.n_items = dimensions[0]
        self._item_bytes = math.prod(item_shape)
        # Python's integers: three 32-bit dimensions overflow a 64-bit product.
        self._declared = declared = self._n_read + math.prod(dimensions)
        if n_file is None:
            return
        if not self.compressed and n_file != declared:
            raise self._wrong_length(f"{n_file} bytes")
        if self.compressed and declared > _MAX_GZIP_RATIO * n_file:
            raise self._wrong_length(f"{n_file} bytes of gzip data, which can't hold that much")

    def batches(self, batch_size: int, first: int) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the items from `first` on: fresh uint8 arrays (m, bytes of an item), m = `batch_size` but the last."""
        self.skip(first)
        for start in range(first, self.n_items, batch_size):
            pixels = np.empty((min(batch_size, self.n_items - start), self._item_bytes), np.uint8)
            self.read_into(pixels)
            yield pixels

    def skip(self, n_items: int) -> None:
        """Pass over the next items. Raises DataError if the stream is damaged there or ends."""
        n_left = n_items * self._item_bytes
        if isinstance(self._stream, io.FileIO) and self._stream.seekable():
            self._stream.seek(n_left, os.SEEK_CUR)
            self._n_read += n_left
            return
        chunk = np.empty(_CHUNK_BYTES, np.uint8)
        while n_left:
            n_left -= self.read_into(chunk[:n_left])

    def read_into(self, array: npt.NDArray[np.uint8]) -> int:
        """Fill a contiguous `array` with the next bytes; return how many. Raises DataError if they end."""
        n_filled = self._fill(array.reshape(-1).data)
        if n_filled < array.size:
            raise self._wrong_length(f"{self._n_read} bytes")
        return n_filled

    def check_end(self) -> None:
        """Raise DataError if anything follows the declared bytes, or the gzip trailer is wrong."""
        if self._fill(memoryview(bytearray(1))):
            raise self._wrong_length("more bytes")

    def _fill(self, view: memoryview) -> int:
        """Fill `view` as far as the content goes; return the number of bytes."""
        n_filled = 0
        try:
            while n_filled < len(view):
                part = view[n_filled : n_filled + _CHUNK_BYTES]
                n_new = self._stream.readinto(part)
                if not n_new:
                    break
                n_filled += n_new
                self._n_read += n_new
        except READ_ERRORS as error:
            expected = "an IDX file" if self._declared is None else f"{self._declared} bytes"
            raise DataError(
                f"{self._name}: {reason(error)} after {self._n_read} good bytes, expected {expected}; "
                "get the file again"
            ) from error
        return n_filled

    def _read_header(self, n_dimensions: int) -> tuple[int, ...]:
        """Return the dimensions. Raises DataError unless the magic says uint8 and `n_dimensions`."""
        magic = bytearray(4)
        n_magic = self._fill(memoryview(magic))
        expected = bytes((0, 0, _UINT8, n_dimensions))
        if magic != expected:
            raise DataError(
                f"{self._name}: {_describe_magic(bytes(magic[:n_magic]))}, "
                f"expected IDX {_CONTENTS[n_dimensions]} (magic {expected.hex()}); check the file's name"
            )
        sizes = bytearray(4 * n_dimensions)
        n_sizes = self._fill(memoryview(sizes))
        if n_sizes < len(sizes):
            raise DataError(
                f"{self._name}: {4 + n_sizes} bytes, expected an IDX header of {4 + len(sizes)}; "
                "the file is cut short, get it again"
            )
        dimensions: tuple[int, ...] = struct.unpack(f">{n_dimensions}I", sizes)
        return dimensions

    def _wrong_length(self, found: str) -> DataError:
        return DataError(
            f"{self._name}: {found}, expected exactly {self._declared} bytes by its IDX header; "
            "the file is damaged, get it again"
        )


def _file_reader(file: io.FileIO, path: AnyPath, item_shape: tuple[int, ...]) -> _IdxReader:
    """Return the reader of a regular file, plain or gzip by its content."""
    try:
        content, n_file = expanded(file), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise DataError(f"{printable(path)}: {reason(error)}, expected an IDX file; get the file again") from error
    return _IdxReader(content, path, item_shape, n_file=n_file)


def _read_array(path: AnyPath, item_shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return all items of an IDX file, uint8 (n, *item_shape), read in one pass. Raises DataError."""
    with open_regular(path) as file:
        reader = _file_reader(file, path, item_shape)
        try:
            items = np.empty((reader.n_items, *item_shape), np.uint8)
        except MemoryError as error:
            raise DataError(f"{printable(path)}: {reader.n_items} items do not fit into memory") from error
        reader.read_into(items)
        reader.check_end()
    return items


def _write_array(path: AnyPath, array: npt.NDArray[np.uint8], n_dimensions: int) -> None:
    if array.dtype != np.uint8 or array.ndim != n_dimensions:
        raise ValueError(f"{array.ndim}-dimensional {array.dtype}, expected {n_dimensions}-dimensional uint8 for IDX")
    with open(path, "wb") as file:
        if os.fsdecode(path).lower().endswith(".gz"):
            # No time and no name inside: equal arrays give equal files.
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as compressed:
                _write_content(compressed, array)
        else:
            _write_content(file, array)


def _write_content(file: BinaryIO | gzip.GzipFile, array: npt.NDArray[np.uint8]) -> None:
    file.write(bytes((0, 0, _UINT8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape))
    file.write(np.ascontiguousarray(array).data)


def is_idx_magic(magic: bytes) -> bool:
    """Tell whether these are the first four bytes of an IDX file, of whatever elements and dimensions."""
    return len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _ELEMENT_TYPES and magic[3] > 0


def _describe_magic(magic: bytes) -> str:
    """Say in words what a file that begins with `magic`, up to 4 bytes, is."""
    if not magic:
        return "an empty file"
    if not is_idx_magic(magic):
        stranger = next((name for head, name in _STRANGERS.items() if magic.startswith(head)), "")
        return f"not an IDX file: it begins with {magic.hex()}" + (f" ({stranger})" if stranger else "")
    element_type, n_dimensions = magic[2], magic[3]
    if element_type != _UINT8:
        return f"IDX elements of type {element_type:02x} ({_ELEMENT_TYPES[element_type]}, magic {magic.hex()})"
    content = _CONTENTS.get(n_dimensions, f"with {n_dimensions} dimensions")
    return f"IDX {content} (magic {magic.hex()})"


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
