"""Explains how a picture was read: in a line of text, and as a picture of what was used and what was left out."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.errors import DataError, counted
from fastmnist.images.decode import decode_picture, opencv
from fastmnist.images.files import file_of
from fastmnist.images.mnist_form import in_mnist_form
from fastmnist.images.normalize import LARGEST, Ask, Digit, NoInkError, first_look, read_again, read_digit
from fastmnist.images.pages import contrast_in
from fastmnist.images.reduced import divisors
from fastmnist.kernels.picture.read import Reading
from fastmnist.shapes import IMAGE_SHAPE

HEIGHT = 280  # pixels of the explaining picture: ten times MNIST's
KEPT, BOX = (60, 160, 0), (0, 0, 220)  # blue, green, red: the strokes that were taken, and the digit's box


class Explanation(NamedTuple):
    """A line of words, and a picture, uint8 (height, width, 3) BGR: what was read, and the digit beside it."""

    words: str
    picture: npt.NDArray[np.uint8]


def explain_page(
    data: bytes, picture: npt.NDArray[np.uint8], page: int, name: bytes, preprocess: str, ask: Ask | None = None
) -> Explanation | None:
    """Return how a page of a picture file was brought into MNIST's form, None where it can't be or is left as it is.

    data: the file's content. picture: the page's greys (height, width); `page` is its index, 0 in a file of one.
    `name` is the file's.
    """
    if preprocess == "none" or (
        preprocess == "auto" and picture.shape == IMAGE_SHAPE and in_mnist_form(picture[np.newaxis])[0]
    ):
        return None
    first, last = divisors(file_of(data).jpeg_shape)
    try:
        digit = first_look(decode_picture(data, name, first) if first > 1 else picture)  # as it was read
        if not digit.reading.is_plain:
            digit = _read_closely(decode_picture(data, name, last) if last > 1 else picture, data, page, ask)
        return _explanation(digit, picture.shape)
    except DataError:
        return None


def _read_closely(grey: npt.NDArray[np.uint8], data: bytes, page: int, ask: Ask | None) -> Digit:
    """Return the digit in the greys of a page; where they show no ink, that in its colours. Raises DataError."""
    try:
        return read_digit(grey, ask)
    except NoInkError:
        contrast = contrast_in(data, page)
        if contrast is None:
            raise
        return read_digit(contrast, ask)


def explain(picture: npt.NDArray[np.uint8], ask: Ask | None = None) -> Explanation:
    """Return how a grey picture (height, width) is read. Raises DataError where `normalize` does."""
    return _explanation(read_digit(picture, ask), picture.shape)


def as_png(explanation: Explanation) -> bytes:
    """Return an explanation's picture as a PNG file."""
    return opencv().imencode(".png", explanation.picture)[1].tobytes()  # type: ignore[no-any-return]


def _explanation(digit: Digit, shape: tuple[int, ...]) -> Explanation:
    return Explanation(_in_words(digit, shape), _drawn(digit))


def _in_words(digit: Digit, shape: tuple[int, ...]) -> str:
    """Return how a digit in a picture of that shape was read."""
    reading, size = digit.reading, f"{shape[1]}x{shape[0]}"
    parts = ["dark ink on light paper" if reading.is_dark else "light ink on dark paper"]
    if digit.is_part:
        scale = max(1, max(shape) / LARGEST)
        height, width, left, top = (round(scale * pixels) for pixels in (*digit.part.shape, digit.left, digit.top))
        parts.append(f"read a part of {width}x{height} at {left},{top} of {size} pixels")
    elif max(reading.down, reading.across) > 1 or digit.part.shape != shape:
        parts.append(f"{size} pixels read as {reading.width}x{reading.height}")
    if reading.frame_top or reading.frame_left:
        parts.append("frame cropped")
    if reading.n_lines:
        parts.append(f"{counted(reading.n_lines, 'line')} removed")
    if digit.is_turned:
        parts.append("ink and paper swapped")
    parts.append(f"{counted(reading.n_pieces, 'piece')}, strokes {reading.stroke:.1f} pixels wide at 20x20")
    return ", ".join(parts)


def _drawn(digit: Digit) -> npt.NDArray[np.uint8]:
    """Return the part that was read, its strokes in colour and in their box, and the digit beside it."""
    cv2 = opencv()
    work, reading = read_again(digit)
    seen = _as_read(work.grey, reading)
    picture = np.dstack([seen] * 3)
    is_stroke = (_as_read(work.mask, reading) > 0) & (_as_read(work.ink, reading) > 0)
    picture[is_stroke] = (picture[is_stroke] // 2 + np.array(KEPT) // 2).astype(np.uint8)
    scale = HEIGHT / reading.height
    width = max(1, round(reading.width * scale))
    picture = cv2.resize(picture, (width, HEIGHT), interpolation=cv2.INTER_NEAREST)
    box = reading.left, reading.top, reading.right, reading.bottom
    left, top, right, bottom = (round(side * scale) for side in box)
    cv2.rectangle(picture, (left, top), (right, bottom), BOX, 1)
    beside = cv2.resize(digit.image, (HEIGHT, HEIGHT), interpolation=cv2.INTER_NEAREST)
    return np.hstack([picture, np.dstack([beside] * 3)])


def _as_read(pixels: npt.NDArray[np.uint8], reading: Reading) -> npt.NDArray[np.uint8]:
    return pixels[: reading.height * reading.width].reshape(reading.height, reading.width)
