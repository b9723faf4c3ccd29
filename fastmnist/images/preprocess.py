"""Which pictures are normalised to MNIST's form, and which are left as they are."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.errors import DataError, printable
from fastmnist.images.colour import strongest_contrast
from fastmnist.images.decode import decode_colours, decode_picture, read_file, to_grey
from fastmnist.images.normalize import Ask, NoInkError, normalize, normalize_plain
from fastmnist.images.pages import decode_pages, may_have_pages
from fastmnist.kernels.picture.mnist_form import has_form
from fastmnist.shapes import SIDE

Images = npt.NDArray[np.uint8]
Page = Images | str  # a digit (28, 28), or a one-line message


def in_mnist_form(images: Images) -> npt.NDArray[np.bool_]:
    """Return which of the images (n, 28, 28) are already in MNIST's form: bool (n,); see `has_form`."""
    has_it = np.empty(len(images), np.bool_)
    has_form(np.ascontiguousarray(images).reshape(-1, SIDE * SIDE), has_it)
    return has_it


class Digits(NamedTuple):
    """What came of some files: row -> one-line message where one can't be used, and row -> pages where it has many."""

    errors: dict[int, str]
    pages: dict[int, list[Page]]


def read_digits(paths: Sequence[bytes], preprocess: str, images: Images, ask: Ask | None = None) -> Digits:
    """Fill `images`, uint8 (m, 28, 28), from the image files `paths` (m), in MNIST's form where `preprocess` says so.

    Images of files that can't be used are 0; those of files of several pages are their first.
    """
    found = Digits({}, {})
    small = []
    for row, path in enumerate(paths):
        try:
            data = read_file(path)
            if may_have_pages(data):
                found.pages[row] = to_digits(data, preprocess, path, ask)
                continue
            picture = decode_picture(data, path)
            if picture.shape == (SIDE, SIDE):
                images[row] = picture
                small.append(row)
            else:
                images[row] = _to_digit_in_colour(picture, lambda: decode_colours(data), preprocess, path, ask)  # noqa: B023
        except DataError as error:
            found.errors[row] = str(error)
            images[row] = 0
    found.errors.update(normalize_images(images, small, preprocess, lambda row: printable(paths[row]), ask))
    for row, (first, *others) in list(found.pages.items()):
        if isinstance(first, str):
            found.errors[row] = first
        else:
            images[row] = first
        if not others:
            del found.pages[row]
    return found


def to_digits(data: bytes, preprocess: str, name: bytes, ask: Ask | None = None) -> list[Page]:
    """Return the digit of each page that `data` encodes, at least one, or a message that begins with `name`.

    Raises DataError where there is no page at all.
    """
    if not may_have_pages(data):
        return [_to_digit_in_colour(decode_picture(data, name), lambda: decode_colours(data), preprocess, name, ask)]
    pages: list[Page] = []
    for page in decode_pages(data, name):
        try:
            if isinstance(page, DataError):
                raise page
            pages.append(to_digit(page, preprocess, name, ask))
        except DataError as error:
            pages.append(str(error))
    if not pages:
        raise DataError(f"{printable(name)}: no page that can be read (damaged or cut short); replace the file")
    return pages


def normalize_images(
    images: Images, rows: Iterable[int], preprocess: str, name: Callable[[int], str], ask: Ask | None = None
) -> dict[int, str]:
    """Bring the `rows` of `images`, uint8 (m, 28, 28), into MNIST's form in place, as `preprocess` says.

    Returns row -> one-line message, which begins with the row's `name`, where that can't be done; those become 0.
    """
    errors: dict[int, str] = {}
    chosen = np.fromiter(rows, np.int64)
    if preprocess == "none" or not len(chosen):
        return errors
    if preprocess == "auto":
        chosen = chosen[~in_mnist_form(images[chosen])]
    if not len(chosen):
        return errors
    plain, is_plain = normalize_plain(images[chosen])
    images[chosen[is_plain]] = plain[is_plain]
    for row in chosen[~is_plain].tolist():
        try:
            images[row] = normalize(images[row], ask)
        except DataError as error:
            errors[row] = f"{name(row)}: {error}"
            images[row] = 0
    return errors


def colours_to_digit(picture: Images, preprocess: str, name: bytes, ask: Ask | None = None) -> Images:
    """Return an RGB picture, uint8 (height, width, 3), as `to_digit` does a grey one."""
    return _to_digit_in_colour(to_grey(picture), lambda: picture, preprocess, name, ask)


def _to_digit_in_colour(
    picture: Images, colours: Callable[[], Images | None], preprocess: str, name: bytes, ask: Ask | None
) -> Images:
    """Return what `to_digit` does; where grey shows no ink, that of the `colours`."""
    try:
        return to_digit(picture, preprocess, name, ask)
    except NoInkError:
        in_colour = colours()
        contrast = None if in_colour is None else strongest_contrast(in_colour)
        if contrast is None:
            raise
        return to_digit(contrast, preprocess, name, ask)


def to_digit(picture: Images, preprocess: str, name: bytes, ask: Ask | None = None) -> Images:
    """Return a grey picture, uint8 (height, width), as 28x28 pixels, in MNIST's form where `preprocess` says so.

    Raises DataError, which begins with `name`, where that can't be done.
    """
    if picture.shape == (SIDE, SIDE):
        if preprocess == "none" or (preprocess == "auto" and in_mnist_form(picture[np.newaxis])[0]):
            return picture
    elif preprocess == "none":
        height, width = picture.shape
        raise DataError(
            f"{printable(name)}: is {width}x{height} pixels, expected {SIDE}x{SIDE}; "
            "resize it, or use --preprocess auto for a digit"
        )
    try:
        return normalize(picture, ask)
    except DataError as error:
        raise type(error)(f"{printable(name)}: {error}") from None
