"""Which pictures are normalised to MNIST's form, and which are left as they are."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.errors import AnyPath, DataError, as_data_error, printable
from fastmnist.images.colour import strongest_contrast
from fastmnist.images.decode import decode_colours, decode_opaque, decode_picture, opencv, to_grey
from fastmnist.images.files import TOGETHER_BYTES, File, file_of, read_each
from fastmnist.images.mnist_form import in_mnist_form
from fastmnist.images.normalize import LARGEST, Ask, NoInkError, normalize, normalize_plain, shrunk
from fastmnist.images.pages import colours_of_page, decode_pages, may_have_pages
from fastmnist.images.reduced import divisors
from fastmnist.shapes import SIDE

Images = npt.NDArray[np.uint8]
Page = Images | str  # a digit (28, 28), or a one-line message
ReadFiles = Callable[[Sequence[bytes]], Iterable[File]]


class Digits(NamedTuple):
    """What came of some files: row -> one-line message where one can't be used, and row -> pages where it has many."""

    errors: dict[int, str]
    pages: dict[int, list[Page]]


class _Picture(NamedTuple):
    """A decoded picture that waits to be read together with others of its shape."""

    row: int
    grey: Images  # (height, width), reduced as far as for a first look
    file: File


_Waiting = dict[tuple[int, ...], list[_Picture]]  # by shape


def read_digits(
    paths: Sequence[bytes], preprocess: str, images: Images, ask: Ask | None = None, read: ReadFiles = read_each
) -> Digits:
    """Fill `images`, uint8 (m, 28, 28), from the image files `paths` (m), in MNIST's form where `preprocess` says so.

    Images of files that can't be used are 0; those of files of several pages are their first. `read` gets at what is
    in the files.
    """
    found = Digits({}, {})
    waiting: _Waiting = defaultdict(list)
    n_bytes = 0
    for row, file in enumerate(read(paths)):  # the less Python there is for a file, the less do threads wait for it
        try:
            grey = _decode(file, preprocess, paths[row])
            if grey is None:
                _take_pages(found, row, to_digits(file.data, preprocess, paths[row], ask), images)
                continue
        except DataError as error:
            found.errors[row], images[row] = str(error), 0
            continue
        waiting[grey.shape].append(_Picture(row, grey, file))
        n_bytes += grey.size + len(file.data)
        if n_bytes > TOGETHER_BYTES:
            _read_waiting(waiting, paths, preprocess, images, found.errors, ask)
            waiting.clear()
            n_bytes = 0
    _read_waiting(waiting, paths, preprocess, images, found.errors, ask)
    return found


def _decode(file: File, preprocess: str, path: bytes) -> Images | None:
    """Return the grey picture in a file, reduced as far as for a first look, None where it may be one of several pages.

    Raises DataError.
    """
    if file.error is not None:
        raise file.error
    if file.is_opaque:  # most are
        try:
            grey = decode_opaque(file.data, _divisors(file, preprocess)[0])
        except opencv().error:
            grey = None
        if grey is not None:
            return grey
    return None if may_have_pages(file.data) else decode_picture(file.data, path)


def _take_pages(found: Digits, row: int, pages: list[Page], images: Images) -> None:
    """Note the pages of a file, at least one."""
    if isinstance(pages[0], str):
        found.errors[row], images[row] = pages[0], 0
    else:
        images[row] = pages[0]
    if len(pages) > 1:
        found.pages[row] = pages


def _read_waiting(
    waiting: _Waiting,
    paths: Sequence[bytes],
    preprocess: str,
    images: Images,
    errors: dict[int, str],
    ask: Ask | None,
) -> None:
    """Fill `images` with the digits in pictures that wait, and `errors` with why there is none."""
    for shape, pictures in waiting.items():
        greys = [picture.grey for picture in pictures]
        if preprocess != "none" and max(shape) > LARGEST:
            greys = [shrunk(grey) for grey in greys]
        stack = np.concatenate(greys).reshape(-1, *greys[0].shape)  # `np.stack` takes 20 times as long
        digits, is_done = _together(stack, preprocess)
        images[[picture.row for picture in pictures]] = digits
        for index in np.flatnonzero(~is_done).tolist():
            row, _, file = pictures[index]
            try:
                images[row] = _look_again(stack[index], file, preprocess, paths[row], ask)
            except DataError as error:
                errors[row], images[row] = str(error), 0


def _look_again(grey: Images, file: File, preprocess: str, name: bytes, ask: Ask | None) -> Images:
    """Return the digit in a picture that a first look at its `grey` did not tell. Raises DataError."""
    first, last = _divisors(file, preprocess)
    if first > last:
        grey = decode_picture(file.data, name, last)
    return in_colour_to_digit(grey, lambda: decode_colours(file.data), preprocess, name, ask)


def _divisors(file: File, preprocess: str) -> tuple[int, int]:
    """Return by what the picture in a file is reduced for a first look, and for what follows."""
    return (1, 1) if preprocess == "none" else divisors(file.jpeg_shape)


def _together(pictures: Images, preprocess: str) -> tuple[Images, npt.NDArray[np.bool_]]:
    """Return pictures of one shape, (n, height, width), as 28x28 pixels (n, 28, 28), and which are done, bool (n,).

    The others must be read one by one; their images mean nothing.
    """
    is_small = pictures.shape[1:] == (SIDE, SIDE)
    if preprocess == "none":
        digits = pictures if is_small else np.empty((len(pictures), SIDE, SIDE), np.uint8)
        return digits, np.full(len(pictures), is_small)
    if not is_small or preprocess != "auto":
        return normalize_plain(pictures)
    digits, is_done = pictures, in_mnist_form(pictures)
    left = np.flatnonzero(~is_done)
    if len(left):
        digits = digits.copy()
        digits[left], is_done[left] = normalize_plain(pictures[left])
    return digits, is_done


def to_digits(data: bytes, preprocess: str, name: bytes, ask: Ask | None = None) -> list[Page]:
    """Return the digit of each page that `data` encodes, at least one, or a message that begins with `name`.

    Raises DataError where there is no page at all.
    """
    if not may_have_pages(data):
        return [file_to_digit(file_of(data), preprocess, name, ask)]
    pages: list[Page] = []
    for number, page in enumerate(decode_pages(data, name)):
        try:
            if isinstance(page, DataError):
                raise page
            pages.append(in_colour_to_digit(page, partial(colours_of_page, data, number), preprocess, name, ask))
        except DataError as error:
            pages.append(str(error))
    if not pages:
        raise DataError(f"{printable(name)}: no page that can be read (damaged or cut short); replace the file")
    return pages


def file_to_digit(file: File, preprocess: str, name: bytes, ask: Ask | None = None) -> Images:
    """Return the digit in a picture file of one page, (28, 28). Raises DataError, which begins with `name`."""
    first, last = _divisors(file, preprocess)
    grey = decode_picture(file.data, name, first)
    if first > last:
        digits, is_done = _together(grey[np.newaxis], preprocess)
        if is_done[0]:
            return np.asarray(digits[0])
    return _look_again(grey, file, preprocess, name, ask)


def read_squares(
    pictures: Images, preprocess: str, name: Callable[[int], str], ask: Ask | None = None
) -> tuple[Images, dict[int, str]]:
    """Return pictures of one shape, uint8 (m, height, width), as 28x28 pixels, uint8 (m, 28, 28), as those in files.

    And index -> one-line message, which begins with the picture's `name`, where that can't be done; those become 0.
    """
    errors: dict[int, str] = {}
    digits, is_done = _together(pictures, preprocess)
    for index in np.flatnonzero(~is_done).tolist():
        try:
            digits[index] = normalize(pictures[index], ask)
        except DataError as error:
            errors[index] = f"{name(index)}: {error}"
            digits[index] = 0
    return digits, errors


def colours_to_digit(picture: Images, preprocess: str, name: bytes, ask: Ask | None = None) -> Images:
    """Return an RGB picture, uint8 (height, width, 3), as `to_digit` does a grey one."""
    return in_colour_to_digit(to_grey(picture), lambda: picture, preprocess, name, ask)


def in_colour_to_digit(
    picture: Images, colours: Callable[[], Images | None], preprocess: str, name: bytes, ask: Ask | None = None
) -> Images:
    """Return what `to_digit` does; where grey shows no ink, that of the `colours`."""
    try:
        return to_digit(picture, preprocess, name, ask)
    except NoInkError:
        contrast = strongest_contrast(colours())
        if contrast is None:
            raise
        return to_digit(contrast, preprocess, name, ask)


def check_size(shape: tuple[int, ...], preprocess: str | None, name: AnyPath) -> None:
    """Raise DataError, which begins with `name`, for pictures that are not 28x28 if none may be scaled."""
    if preprocess == "none" and shape != (SIDE, SIDE):
        height, width = shape
        raise DataError(
            f"{printable(name)}: is {width}x{height} pixels, expected {SIDE}x{SIDE}",
            hint="resize it or, if it shows a digit, use `preprocess` auto",
        )


def to_digit(picture: Images, preprocess: str, name: bytes, ask: Ask | None = None) -> Images:
    """Return a grey picture, uint8 (height, width), as 28x28 pixels, in MNIST's form where `preprocess` says so.

    Raises DataError, which begins with `name`, where that can't be done.
    """
    check_size(picture.shape, preprocess, name)
    may_stay = picture.shape == (SIDE, SIDE) and preprocess != "mnist"
    if may_stay and (preprocess == "none" or in_mnist_form(picture[np.newaxis])[0]):
        return picture
    try:
        return normalize(picture, ask)
    except Exception as error:  # noqa: BLE001, RUF100
        raise as_data_error(error, name) from None
