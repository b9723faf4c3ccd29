"""Which pictures are normalised to MNIST's form, and which are left as they are."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from fastmnist.errors import DataError, printable
from fastmnist.images.decode import decode_image
from fastmnist.images.normalize import Ask, normalize
from fastmnist.kernels.picture.mnist_form import has_form
from fastmnist.shapes import SIDE

Images = npt.NDArray[np.uint8]


def in_mnist_form(images: Images) -> npt.NDArray[np.bool_]:
    """Return which of the images (n, 28, 28) are already in MNIST's form: bool (n,); see `has_form`."""
    has_it = np.empty(len(images), np.bool_)
    has_form(np.ascontiguousarray(images).reshape(-1, SIDE * SIDE), has_it)
    return has_it


def read_digits(paths: Sequence[bytes], preprocess: str, images: Images, ask: Ask | None = None) -> dict[int, str]:
    """Fill `images`, uint8 (m, 28, 28), from the image files `paths` (m), in MNIST's form where `preprocess` says so.

    Returns row -> one-line message for the files that can't be used; their images are 0.
    """
    errors: dict[int, str] = {}
    small = []
    for row, path in enumerate(paths):
        try:
            picture = decode_image(path)
            if picture.shape == (SIDE, SIDE):
                images[row] = picture
                small.append(row)
            else:
                images[row] = to_digit(picture, preprocess, path, ask)
        except DataError as error:
            errors[row] = str(error)
            images[row] = 0
    return errors | normalize_images(images, small, preprocess, lambda row: printable(paths[row]), ask)


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
    for row in chosen.tolist():
        try:
            images[row] = normalize(images[row], ask)
        except DataError as error:
            errors[row] = f"{name(row)}: {error}"
            images[row] = 0
    return errors


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
        raise DataError(f"{printable(name)}: {error}") from None
