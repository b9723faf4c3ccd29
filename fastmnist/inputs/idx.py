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
from fastmnist.inputs.files import GZIP_MAGIC, READ_ERRORS, RawStream, expanded, length_of, open_regular
from fastmnist.inputs.items import ItemReader, times
from fastmnist.shapes import EXPECTED_SQUARES, IMAGE_SHAPE, square_side

_UINT8, _INT32 = 0x08, 0x0C
_ELEMENT_TYPES = {
    _UINT8: "unsigned byte",
    0x09: "signed byte",
    0x0B: "16-bit integer",
    0x0C: "32-bit integer",
    0x0D: "32-bit float",
    0x0E: "64-bit float",
}
_ELEMENT_BYTES = {_UINT8: 1, _INT32: 4}
_CONTENTS = {1: "labels", 3: "images"}
_MAGICS = {
    "images": (b"\0\0\x08\x03", b"\0\0\x08\x04"),  # the second has an axis of one channel
    "labels": (b"\0\0\x08\x01", b"\0\0\x0c\x02"),  # the second is QMNIST's
}
_QMNIST_COLUMNS = (8,)
_STRANGERS = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"PK\x03\x04": "a zip archive, to be unpacked first",
    GZIP_MAGIC: "gzip data within gzip data, to be unpacked once",
    b"<": "a web page or XML",
}
_IDX_NAME = re.compile(r"idx\d[-_.]?ubyte(\.gz)?$", re.IGNORECASE)


@dataclass(frozen=True)
class IdxImages:
    """A checked IDX file of images; holds no open file."""

    path: AnyPath
    n_images: int
    compressed: bool
    image_shape: tuple[int, ...] = IMAGE_SHAPE

    def batches(self, batch_size: int, first: int = 0) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the pixels from image `first` on: fresh uint8 arrays (m, side * side), m = `batch_size` or the rest.

        Raises DataError if the file changed since it was opened and no longer gives `n_images`.
        """
        with open_regular(self.path) as file:
            reader = _file_reader(file, self.path, "images")
            if (reader.n_items, reader.item_shape) != (self.n_images, self.image_shape):
                raise DataError(
                    f"{printable(self.path)}: {reader.n_items} images, expected the {self.n_images} it held "
                    "a moment ago; leave the file alone while it is read"
                )
            yield from reader.batches(batch_size, first)


class IdxStream:
    """IDX images that come by a stream and can be read once: only the header is checked before the images."""

    def __init__(self, stream: RawStream, head: bytes, name: str) -> None:
        """Take a stream of which `head`, two bytes or more, is already read.

        Raises DataError for anything but square images of 8 to 64 pixels a side.
        """
        self._reader = _IdxReader(expanded(stream, head), name, "images", n_file=None)
        self.n_images = self._reader.n_items
        self.image_shape = self._reader.item_shape

    def peek(self, n_images: int) -> npt.NDArray[np.uint8]:
        """Return the first images, or all where there are fewer, (m, side * side), which stay to be read.

        Raises DataError where the stream is damaged there.
        """
        return self._reader.peek(min(n_images, self.n_images))

    def batches(self, batch_size: int, first: int = 0) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the pixels as `IdxImages.batches` does.

        Raises DataError, after the last good batch, where the stream is damaged, ends early or does not end.
        """
        yield from self._reader.batches(batch_size, first)
        self._reader.check_end()


def open_images(path: AnyPath) -> IdxImages:
    """Check an IDX file of uint8 images and return it; a gzip file is expanded once, in constant memory.

    Raises DataError if the file is unreadable, damaged, or holds anything but square images of 8 to 64 pixels a side.
    """
    with open_regular(path) as file:
        reader = _file_reader(file, path, "images")
        if reader.compressed:  # a plain file's length is already checked
            reader.skip(reader.n_items)
            reader.check_end()
    return IdxImages(path, reader.n_items, reader.compressed, reader.item_shape)


def read_images(path: AnyPath) -> npt.NDArray[np.uint8]:
    """Return all images of an IDX file, uint8 (n, side, side). Raises DataError."""
    with open_regular(path) as file:
        reader = _file_reader(file, path, "images")
        return reader.read_all(reader.item_shape)


def read_labels(path: AnyPath) -> npt.NDArray[np.uint8]:
    """Return all labels of an IDX file, uint8 (n,), whatever their range. Raises DataError.

    QMNIST's have eight 32-bit numbers for each image, of which the first is its class.
    """
    with open_regular(path) as file:
        reader = _file_reader(file, path, "labels")
        if not reader.item_shape:
            return reader.read_all(())
        classes = reader.read_all((*_QMNIST_COLUMNS, 4))[:, 0]  # (n, 4), big-endian
    too_large = classes[:, :3].any(axis=1)
    if too_large.any():
        index = int(too_large.argmax())
        value = int.from_bytes(classes[index].tobytes(), "big", signed=True)
        raise DataError(f"{printable(path)}: label {value} at index {index}, expected 0 to 255; get the file again")
    return np.ascontiguousarray(classes[:, 3])


def write_images(path: AnyPath, images: npt.NDArray[np.uint8]) -> None:
    """Write `images` uint8 (n, height, width) as IDX; gzip if the name ends in .gz. Raises OSError."""
    _write_array(path, images, n_dimensions=3)


def write_labels(path: AnyPath, labels: npt.NDArray[np.uint8]) -> None:
    """Write `labels` uint8 (n,) as IDX; gzip if the name ends in .gz. Raises OSError."""
    _write_array(path, labels, n_dimensions=1)


def peek_magic(path: AnyPath) -> bytes:
    """Return the first four bytes of a file's content, plain or gzip, or fewer where there are none.

    Never raises and never blocks: what is missing, unreadable, damaged or not a regular file gives b"".
    """
    try:
        with open_regular(path) as file:
            return expanded(file).read(4)
    except (DataError, *READ_ERRORS):
        return b""


def holds(content: str, magic: bytes) -> bool:
    """Tell whether a file that begins with `magic` is one of IDX "images" or "labels"."""
    return magic in _MAGICS[content]


def peek_n_images(path: AnyPath) -> int:
    """Return the number of images that an IDX file's header names; 0 if it holds no images. Never raises."""
    try:
        with open_regular(path) as file:
            return _file_reader(file, path, "images").n_items
    except DataError:
        return 0


def looks_like_idx(path: AnyPath, magic: bytes | None = None) -> bool:
    """Whether to read `path` as IDX: its content has the magic, plain or gzip, or its name says it is IDX.

    `magic` is what `peek_magic` says, if it was asked already.

    A file such as `t10k-images-idx3-ubyte.gz` with a damaged head is a damaged IDX file, whose reader says
    what is wrong; to take it for an image would hide that. Never blocks; False unless a regular file.
    """
    if is_idx_magic(peek_magic(path) if magic is None else magic):
        return True
    return os.path.isfile(path) and _IDX_NAME.search(os.path.basename(os.fsdecode(path))) is not None


class _IdxReader(ItemReader):
    """Reads IDX data in order; the header, and a plain file's length, are checked at once."""

    def __init__(self, stream: RawStream, path: AnyPath, content: str, *, n_file: int | None) -> None:
        """Take an expanded stream of `content`, "images" or "labels", at its beginning.

        `n_file` is the length of a regular file, else None.
        """
        super().__init__(stream, path, "IDX")
        self.compressed = isinstance(stream, gzip.GzipFile)
        element_type, dimensions = self._read_header(content)
        self.item_shape = dimensions[1:]
        if content == "images":
            side = square_side(self.item_shape)
            if side is None:
                raise DataError(f"{self._name}: images of {times(self.item_shape)} pixels, {EXPECTED_SQUARES}")
            self.item_shape = (side, side)
        elif element_type == _INT32 and self.item_shape != _QMNIST_COLUMNS:
            raise DataError(
                f"{self._name}: labels of {times(self.item_shape)} columns, expected QMNIST's 8; check the file's name"
            )
        item_bytes = math.prod(self.item_shape) * _ELEMENT_BYTES[element_type]
        self.declare(dimensions[0], item_bytes, n_file, compressed=self.compressed)

    def _read_header(self, content: str) -> tuple[int, tuple[int, ...]]:
        """Return the element type and the dimensions. Raises DataError unless the magic is one of the `content`'s."""
        magic = bytearray(4)
        n_magic = self.fill(memoryview(magic))
        if bytes(magic) not in _MAGICS[content]:
            raise DataError(
                f"{self._name}: {_describe_magic(bytes(magic[:n_magic]))}, "
                f"expected IDX {content} (magic {_MAGICS[content][0].hex()}); check the file's name"
            )
        n_dimensions = magic[3]
        sizes = bytearray(4 * n_dimensions)
        n_sizes = self.fill(memoryview(sizes))
        if n_sizes < len(sizes):
            raise DataError(
                f"{self._name}: {4 + n_sizes} bytes, expected an IDX header of {4 + len(sizes)}; "
                "the file is cut short, get it again"
            )
        return magic[2], struct.unpack(f">{n_dimensions}I", sizes)


def _file_reader(file: io.RawIOBase, path: AnyPath, content: str) -> _IdxReader:
    """Return the reader of a regular file, plain or gzip by its content."""
    try:
        stream, n_file = expanded(file), length_of(file)
    except OSError as error:
        raise DataError(f"{printable(path)}: {reason(error)}, expected an IDX file; get the file again") from error
    return _IdxReader(stream, path, content, n_file=n_file)


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
