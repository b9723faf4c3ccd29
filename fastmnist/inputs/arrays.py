"""Images given in Python -> one stream of batches: paths, encoded pictures as bytes, arrays, and lists of these.

(n, 784) and (n, 28, 28) arrays are treated like IDX files, (h, w) and (h, w, 3) RGB like pictures. Values are uint8, or
floats from 0 to 1, which are rounded to 256 greys.
"""

import logging
import os
from collections.abc import Generator, Iterator, Sequence
from enum import Enum, auto
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmnist.errors import DataError
from fastmnist.images.normalize import Ask
from fastmnist.images.preprocess import Page, colours_to_digit, to_digit, to_digits
from fastmnist.inputs.batch import Batch, batch_of
from fastmnist.inputs.levels import levels_of
from fastmnist.inputs.stream import BATCH_SIZE, normalize_batch, open_stream
from fastmnist.inputs.workers import Workers
from fastmnist.shapes import IMAGE_SHAPE, N_PIXELS

_log = logging.getLogger(__name__)

Image = str | os.PathLike[str] | bytes | NDArray[Any]
Images = Image | Sequence[Image]
Uint8 = NDArray[np.uint8]

ARRAY, BYTES = b"<array>", b"<bytes>"  # what stands for the path of a row
_EXPECTED = "expected paths, bytes of pictures, or arrays (n, 784), (n, 28, 28), (h, w) or (h, w, 3)"


def read_images(images: Images, preprocess: str, *, threads: int = 1, ask: Ask | None = None) -> Generator[Batch]:
    """Yield the images as batches, none of them empty; what can't be read keeps a row with an entry in `errors`.

    Raises DataError for what is no image at all: other types, shapes or values.
    """
    given = as_list(images)
    for image in given:
        if isinstance(image, np.ndarray):
            check_array(image)
    n_rows = 0
    for batch in _read_each(given, preprocess, threads, ask):
        n = len(batch.pixels)
        if n:
            batch.numbers = range(n_rows, n_rows + n)
            n_rows += n
            yield batch


def as_list(images: Images) -> list[Image]:
    """Return single images as a list of one. Raises DataError for other types; arrays may have any shape."""
    given: list[Any] = list(images) if isinstance(images, list | tuple) else [images]
    for image in given:
        if not isinstance(image, str | bytes | os.PathLike | np.ndarray):
            raise DataError(f"an image of type {type(image).__name__}, {_EXPECTED}")
    return given


def check_array(array: NDArray[Any]) -> None:
    """Raise DataError, saying what was found, unless the array holds images: its shape, its dtype, its values."""
    if isinstance(array, np.ma.MaskedArray):
        raise DataError("a masked array, expected one without a mask; use its filled()")
    if not (_holds_many(array) or _is_picture(array)):
        raise DataError(f"an array of shape {array.shape}, expected (n, 784), (n, 28, 28), (h, w) or (h, w, 3)")
    if array.dtype == np.uint8:
        return
    if array.dtype.kind != "f":
        raise DataError(f"an array of dtype {array.dtype}, expected uint8, or floats from 0 to 1")
    if np.isnan(array).any():
        raise DataError(f"an array of {array.dtype} with NaN, expected values from 0 to 1, or uint8")
    if array.size and not (array.min() >= 0 and array.max() <= 1):
        raise DataError(
            f"an array of {array.dtype} from {array.min():.9g} to {array.max():.9g}, expected values from 0 to 1, or "
            "uint8"
        )


def _holds_many(array: NDArray[Any]) -> bool:
    return (array.ndim == 2 and array.shape[1] == N_PIXELS) or (array.ndim == 3 and array.shape[1:] == IMAGE_SHAPE)


def _is_picture(array: NDArray[Any]) -> bool:
    return array.size > 0 and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3))


def as_pixels(array: NDArray[Any]) -> Uint8 | None:
    """Return a checked array of many images as C-contiguous uint8 (n, 784), None for a picture."""
    return _as_uint8(array).reshape(len(array), N_PIXELS) if _holds_many(array) else None


def as_picture(array: NDArray[Any]) -> Uint8:
    """Return an array as one picture, uint8 (h, w) or (h, w, 3) RGB. Raises DataError where it is none."""
    if not _is_picture(array):
        raise DataError(f"an array of shape {array.shape}, expected one picture, (h, w) or (h, w, 3)")
    check_array(array)
    return _as_uint8(array)


def _as_uint8(array: NDArray[Any]) -> Uint8:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    return np.rint(array.astype(np.float64) * 255).astype(np.uint8)


class _Form(Enum):
    """How a given image is read."""

    PATH = auto()
    MANY = auto()
    PICTURE = auto()


def _form(image: Any) -> _Form:
    if isinstance(image, str | os.PathLike):
        return _Form.PATH
    return _Form.MANY if isinstance(image, np.ndarray) and _holds_many(image) else _Form.PICTURE


def _read_each(images: list[Any], preprocess: str, threads: int, ask: Ask | None) -> Iterator[Batch]:
    """Yield batches of the images, a run of one form together; their `numbers` are to be set."""
    with Workers(threads) as workers:
        for form, group in groupby(images, _form):
            if form is _Form.PATH:
                yield from open_stream(map(as_file, group), preprocess, threads=threads, ask=ask)
            elif form is _Form.PICTURE:
                yield from _picture_batches(list(group), preprocess, workers, ask)
            else:
                for array in group:
                    yield from _array_batches(_as_uint8(array).reshape(len(array), N_PIXELS), preprocess, workers, ask)


def as_file(path: Any) -> bytes:
    """Return a path as bytes; `-` is a file of that name, not stdin. Raises DataError for text that is no path."""
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError as error:
        raise DataError(f"{path!r}: {error.reason}, expected a path") from error
    return b"./-" if name == b"-" else name


def _array_batches(pixels: Uint8, preprocess: str, workers: Workers, ask: Ask | None) -> Iterator[Batch]:
    """Yield the images of an array (n, 784), which is not changed; if its scale or polarity is odd, that is logged."""
    levels = levels_of(pixels, preprocess)
    for note in levels.notes(ARRAY):
        _log.warning(note)
    for first in range(0, len(pixels), BATCH_SIZE):
        part = levels.applied(pixels[first : first + BATCH_SIZE])
        batch = Batch([ARRAY] * len(part), range(first, first + len(part)), range(0), part, {})
        if preprocess == "mnist":
            batch.pixels = part.copy()
        normalize_batch(batch, preprocess, workers, ask)
        yield batch


def _picture_batches(pictures: list[Any], preprocess: str, workers: Workers, ask: Ask | None) -> Iterator[Batch]:
    """Yield pictures, arrays or encoded bytes, as rows; bytes that encode several pages are a row for each."""
    for first in range(0, len(pictures), BATCH_SIZE):
        part = pictures[first : first + BATCH_SIZE]
        pages: dict[int, list[Page]] = {}
        workers.share(len(part), partial(_read_pictures, part, preprocess, ask, pages))
        yield batch_of(list(map(_name, part)), range(len(part)), pages)


def _read_pictures(
    pictures: list[Any], preprocess: str, ask: Ask | None, pages: dict[int, list[Page]], rows: slice
) -> dict[int, str]:
    """Put the digits in some of the pictures, or why there are none, into `pages`, by row."""
    for row, picture in enumerate(pictures[rows], rows.start):
        try:
            pages[row] = _read_picture(picture, preprocess, ask)
        except DataError as error:
            pages[row] = [str(error)]
    return {}


def _read_picture(picture: Any, preprocess: str, ask: Ask | None) -> list[Page]:
    if isinstance(picture, bytes):
        return to_digits(picture, preprocess, BYTES, ask)
    pixels = _as_uint8(picture)
    read = colours_to_digit if pixels.ndim == 3 else to_digit
    return [read(pixels, preprocess, ARRAY, ask)]


def _name(picture: Any) -> bytes:
    return BYTES if isinstance(picture, bytes) else ARRAY
