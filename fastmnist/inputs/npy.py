"""NumPy's format .npy: images, or labels, as one array of plain numbers, read in constant memory.

An array of Python objects is a pickle within the file, and is refused. So is anything else that a header may say: the
header is matched against a pattern, never evaluated.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmnist.errors import AnyPath, DataError, printable
from fastmnist.inputs.files import RawStream
from fastmnist.inputs.items import ItemReader, times
from fastmnist.shapes import IMAGE_SHAPE, MAX_SIDE, MIN_SIDE, N_PIXELS, square_side

MAGIC = b"\x93NUMPY"
SAMPLE = 100  # images that tell whether floats reach from 0 to 1 or to 255
_MAX_HEADER_BYTES = 10_000
_HEADER = re.compile(
    rb"\s*\{\s*'descr'\s*:\s*'(?P<dtype>[^']{1,9})'\s*,\s*'fortran_order'\s*:\s*(?P<columns>True|False)\s*,"
    rb"\s*'shape'\s*:\s*\(\s*(?P<shape>(?:\d{1,18}L?\s*(?:,\s*\d{1,18}L?\s*)*,?\s*)?)\)\s*,?\s*\}\s*"
)
_NUMBERS = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248])")


class NpyReader(ItemReader):
    """Reads an array from the beginning of a stream; its header, and the file's length, are checked at once.

    shape, dtype: those of the array.
    """

    def __init__(self, stream: RawStream, path: AnyPath, n_file: int) -> None:
        """Take a stream of `n_file` bytes. Raises DataError for anything but an array of plain numbers."""
        super().__init__(stream, path, ".npy")
        self.dtype, self.shape = self._read_header()
        self.declare(self.shape[0], math.prod(self.shape[1:]) * self.dtype.itemsize, n_file)

    def image_shape(self) -> tuple[int, int]:
        """Return the shape of each image. Raises DataError where the items are not images."""
        if self.shape[1:] == (N_PIXELS,):
            return IMAGE_SHAPE
        side = square_side(self.shape[1:])
        if side is None:
            raise DataError(
                f"{self._name}: an array of {times(self.shape)}, expected images, n x {N_PIXELS} or n x side x side, "
                f"of {MIN_SIDE} to {MAX_SIDE} pixels a side"
            )
        return (side, side)

    def image_blocks(self, block: int, first: int = 0) -> Iterator[npt.NDArray[Any]]:
        """Yield the images from `first` on in fresh arrays (m, pixels) of the array's own dtype. Raises DataError."""
        for items in self.batches(block, first):
            yield items.view(self.dtype)

    def read_labels(self) -> npt.NDArray[np.uint8]:
        """Return the array as labels, uint8 (n,); whole numbers of any dtype will do. Raises DataError."""
        if math.prod(self.shape[1:]) != 1:
            hint = "give each image its class: labels.argmax(axis=1)" if len(self.shape) == 2 else None
            raise DataError(
                f"{self._name}: an array of {times(self.shape)}, expected a label for each image", hint=hint
            )
        labels = self.read_all((self.dtype.itemsize,)).view(self.dtype).reshape(-1)
        wrong = ~((labels >= 0) & (labels <= 255) & (labels == np.rint(labels)))  # a NaN is none of these
        if wrong.any():
            index = int(wrong.argmax())
            raise DataError(
                f"{self._name}: label {labels[index]} at index {index}, expected a whole number from 0 to 255; "
                "use the labels that belong to the images"
            )
        return np.asarray(labels, np.uint8)

    def _read_header(self) -> tuple[np.dtype[Any], tuple[int, ...]]:
        start = bytearray(12)
        n_start = self.fill(memoryview(start)[:10])
        if n_start < 10 or not start.startswith(MAGIC):
            what = f"it begins with {start[:4].hex()}" if n_start else "it is empty"
            raise DataError(f"{self._name}: not a .npy file: {what}, expected {MAGIC[:4].hex()}; check the file's name")
        n_length = 2 if start[6] == 1 else 4
        self.fill(memoryview(start)[10 : 8 + n_length])
        length = int.from_bytes(start[8 : 8 + n_length], "little")
        header = bytearray(min(length, _MAX_HEADER_BYTES))
        n_header = self.fill(memoryview(header))
        found = _HEADER.fullmatch(header)
        if found is None:
            what = f"a .npy header of {length} bytes" if n_header < length else "an array that is not of plain numbers"
            raise DataError(f"{self._name}: {what}, expected whole numbers or floats", hint=_SAVE_AGAIN)
        dtype = found["dtype"].decode("ascii", "replace")
        if _NUMBERS.fullmatch(dtype) is None:
            what = (
                "Python objects (a pickle), which are never loaded"
                if "O" in dtype
                else f"elements '{printable(dtype)}'"
            )
            raise DataError(f"{self._name}: {what}, expected whole numbers or floats", hint=_SAVE_AGAIN)
        shape = tuple(int(size) for size in re.findall(rb"\d+", found["shape"]))
        if not shape:
            raise DataError(f"{self._name}: a single number, expected an array of images or labels")
        if found["columns"] == b"True" and len(shape) > 1:
            raise DataError(
                f"{self._name}: stored column by column, expected row by row",
                hint="save it again: numpy.save(FILE, numpy.ascontiguousarray(array))",
            )
        return np.dtype(dtype), shape


_SAVE_AGAIN = "save it again: numpy.save(FILE, numpy.array(list(images), dtype='uint8'))"


_BELOW = -0.01  # pixels that were normalised have as little as -0.42, which would be rounded to 0; noise has less


def scale_of(values: npt.NDArray[Any]) -> int:
    """Return what the values of some images are multiplied with: 255 for floats up to 1 and for booleans, else 1."""
    is_unit = values.dtype.kind == "f" and values.size > 0 and values.max() <= 1
    return 255 if is_unit or values.dtype.kind == "b" else 1


def to_uint8(values: npt.NDArray[Any], scale: int, first: int, name: str) -> npt.NDArray[np.uint8]:
    """Return images (m, pixels) of any numbers as uint8, the first of them image `first` of `name`.

    Raises DataError for a value that is not from 0 to 255 once it is scaled.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "b":
        return values.view(np.uint8) * np.uint8(scale)
    greys = values
    if values.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large becomes infinite, and is refused
            greys = np.rint(values.astype(np.float64) * scale)
    wrong = ~((greys >= 0) & (greys <= 255) & (values > _BELOW))  # a NaN is none of these
    if wrong.any():
        row, column = (int(place) for place in np.argwhere(wrong)[0])
        raise DataError(
            f"{name}: {values[row, column]:g} in image {first + row}, expected values from 0 to "
            f"{255 // scale}; scale them, or save them as uint8"
        )
    return greys.astype(np.uint8)
