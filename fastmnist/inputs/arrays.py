"""Images given in Python -> one stream of batches: paths, encoded pictures as bytes, arrays, and lists of these.

(n, 784) and (n, 28, 28) arrays are treated like IDX files, (h, w) and (h, w, 3) RGB like pictures. Values are uint8, or
floats from 0 to 1, which are rounded to 256 greys.
"""

import os
from collections.abc import Generator, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmnist.errors import DataError
from fastmnist.images.decode import decode_picture, to_grey
from fastmnist.images.preprocess import normalize_images, to_digit
from fastmnist.inputs.batch import Batch
from fastmnist.inputs.stream import BATCH_SIZE, open_stream
from fastmnist.shapes import IMAGE_SHAPE, N_PIXELS

Image = str | os.PathLike[str] | bytes | NDArray[Any]
Images = Image | Sequence[Image]
Uint8 = NDArray[np.uint8]

ARRAY, BYTES = b"<array>", b"<bytes>"  # what stands for the path of a row
_EXPECTED = "expected paths, bytes of pictures, or arrays (n, 784), (n, 28, 28), (h, w) or (h, w, 3)"


def read_images(images: Images, preprocess: str, *, threads: int = 1) -> Generator[Batch]:
    """Yield the images as batches, none of them empty; what can't be read keeps a row with an entry in `errors`.

    Raises DataError for what is no image at all: other types, shapes or values.
    """
    n_rows = 0
    for batch in _read_each(_as_list(images), preprocess, threads):
        n = len(batch.pixels)
        if n:
            batch.numbers = range(n_rows, n_rows + n)
            n_rows += n
            yield batch


def _as_list(images: Images) -> list[Image]:
    """Return single images as a list of one. Raises DataError for what is no image."""
    given: list[Any] = list(images) if isinstance(images, list | tuple) else [images]
    for image in given:
        if not isinstance(image, str | bytes | os.PathLike | np.ndarray):
            raise DataError(f"an image of type {type(image).__name__}, {_EXPECTED}")
        if isinstance(image, np.ndarray):
            check_array(image)
    return given


def check_array(array: NDArray[Any]) -> None:
    """Raise DataError, saying what was found, unless the array holds images: its shape, its dtype, its values."""
    if not (_holds_many(array) or _is_picture(array)):
        raise DataError(f"an array of shape {array.shape}, expected (n, 784), (n, 28, 28), (h, w) or (h, w, 3)")
    if array.dtype == np.uint8:
        return
    if array.dtype.kind != "f":
        raise DataError(f"an array of dtype {array.dtype}, expected uint8, or floats from 0 to 1")
    if array.size and not (array.min() >= 0 and array.max() <= 1):  # a NaN is neither
        raise DataError(
            f"an array of {array.dtype} from {array.min():g} to {array.max():g}, expected values from 0 to 1, or uint8"
        )


def _holds_many(array: NDArray[Any]) -> bool:
    return (array.ndim == 2 and array.shape[1] == N_PIXELS) or (array.ndim == 3 and array.shape[1:] == IMAGE_SHAPE)


def _is_picture(array: NDArray[Any]) -> bool:
    return array.size > 0 and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3))


def as_pixels(array: NDArray[Any]) -> Uint8 | None:
    """Return a checked array of many images as C-contiguous uint8 (n, 784), None for a picture."""
    return _as_uint8(array).reshape(len(array), N_PIXELS) if _holds_many(array) else None


def _as_uint8(array: NDArray[Any]) -> Uint8:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    return np.rint(array.astype(np.float64) * 255).astype(np.uint8)


def _read_each(images: list[Image], preprocess: str, threads: int) -> Iterator[Batch]:
    """Yield batches of the images, a run of paths together; their `numbers` are to be set."""
    for is_path, group in groupby(images, lambda image: isinstance(image, str | os.PathLike)):
        if is_path:
            yield from open_stream(map(as_file, group), preprocess, threads=threads)
            continue
        for image in group:
            if isinstance(image, bytes):
                yield _picture_batch(BYTES, image, preprocess)
            elif isinstance(image, np.ndarray) and (pixels := as_pixels(image)) is not None:
                yield from _array_batches(pixels, preprocess)
            else:
                yield _picture_batch(ARRAY, image, preprocess)


def as_file(path: Any) -> bytes:
    """Return a path as bytes; `-` is a file of that name, not stdin."""
    name = os.fsencode(path)
    return b"./-" if name == b"-" else name


def _array_batches(pixels: Uint8, preprocess: str) -> Iterator[Batch]:
    """Yield the images of an array (n, 784), which is not changed."""
    for first in range(0, len(pixels), BATCH_SIZE):
        part = pixels[first : first + BATCH_SIZE]
        batch = Batch([ARRAY] * len(part), range(first, first + len(part)), range(0), part, {})
        if preprocess == "mnist":
            batch.pixels = part.copy()
            squares = batch.pixels.reshape(-1, *IMAGE_SHAPE)
            batch.errors = normalize_images(squares, range(len(part)), preprocess, batch.where)
        yield batch


def _picture_batch(name: bytes, image: Any, preprocess: str) -> Batch:
    """Return one picture, an array or encoded bytes, as a batch of one row."""
    pixels, errors = np.zeros((1, N_PIXELS), np.uint8), {}
    try:
        if isinstance(image, bytes):
            picture = decode_picture(image, name)
        else:
            picture = _as_uint8(image)
            picture = to_grey(picture) if picture.ndim == 3 else picture
        pixels[0] = to_digit(picture, preprocess, name).ravel()
    except DataError as error:
        errors[0] = str(error)
    return Batch([name], [None], range(0), pixels, errors)
