"""A grey picture of a digit, of any size -> MNIST's form: which part of it is read, and which reading is kept.

A reading itself is compiled (kernels/picture/read.py). What it reports decides here whether it was of the right part:
the digit may stand on paper within the picture, or be so small that it is read again by itself, or be cut so closely
that its paper could be its ink.
"""

import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.errors import DataError
from fastmnist.images.decode import opencv
from fastmnist.images.paper import Paper, find_paper
from fastmnist.kernels.picture import read as reader
from fastmnist.kernels.picture.read import Reading
from fastmnist.kernels.picture.strokes import SHEET_SIDE
from fastmnist.kernels.picture.work import AREA, Work, make_work
from fastmnist.shapes import IMAGE_SHAPE, N_PIXELS

Grey = npt.NDArray[np.uint8]
# Given images (n, 28, 28), returns how sure the network is of each: float32 (n,).
Ask = Callable[[Grey], npt.NDArray[np.float32]]


class Scale(NamedTuple):
    """How large a picture is read, in pixels."""

    area: int  # at most
    least_size: int  # a digit is small below that,
    least_stroke: float  # or with strokes narrower than that


FULL = Scale(AREA, 32, 0)
# For a plain picture of a large digit, less is enough: 320x320 pixels take 130 us instead of 200. (If digits of 32
# pixels counted as large too, the loss would be a third higher, as the width of thin strokes can't be measured.)
PLAIN = Scale(100 * 100, 40, 5)
# Where no ink stands out, the paper may be ruled so finely that its lines are taken for noise: at this size they melt.
COARSE = Scale(56 * 56, 32, 0)
LARGEST = 640  # pixels: larger pictures are shrunk first, lossless for digits larger than 1/32 of the picture
MARGIN = 0.5  # of its size, around a small digit or sheet
THIN = 1.3  # times as deep: the ink of strokes that are narrower than what becomes one pixel
THICK = 4.0  # pixels of the 20x20 box: the strokes of what may be a sheet; those of 94 % of digits are thinner

# What distinguishes strokes from the paper between them: the network's confidence, minus this much
PER_BORDER = 0.4  # for ink all along the border,
PER_WIDTH = 0.1  # for each pixel of the strokes' width in the 20x20 box,
PER_PIECE = 0.2  # for each piece but one
FIRST_LOOK = 0.05  # more for the polarity that the light tells
SURE = 0.97  # the confidence in what is on round paper, at least; that in the hole of a thick 0 is rarely as high


class NoInkError(DataError):
    """Nothing stands out from the paper."""


class Digit(NamedTuple):
    """What was read, and of which part of the picture, shrunk so that no side is longer than LARGEST."""

    image: Grey  # (28, 28)
    reading: Reading
    top: int
    left: int
    part: Grey  # (height, width)
    is_part: bool  # of a picture that shows more
    is_turned: bool  # its paper was first taken for its ink
    scale: Scale


class _Memory(threading.local):
    """Working memory, one for each thread that reads."""

    def __init__(self) -> None:
        self.work: Work = make_work()


_memory = _Memory()


def normalize(picture: Grey, ask: Ask | None = None) -> Grey:
    """Return the digit in `picture`, uint8 (height, width) of any size, in MNIST's form: uint8 (28, 28).

    Handles dark ink on light and light ink on dark, uneven light and shadows, specks, frames, ruled and squared paper,
    underlines, printed boxes, sheets on a desk, any position and size. Raises DataError, without a file's name, if no
    ink is found, or clearly more than one digit. `ask` helps with digits that are cut so closely that either side of
    the picture's greys could be the paper.
    """
    return read_digit(picture, ask).image


def normalize_plain(pictures: Grey) -> tuple[Grey, npt.NDArray[np.bool_]]:
    """Return pictures (n, height, width) in MNIST's form, (n, 28, 28), and which need no second look, bool (n,).

    The images of the others mean nothing.
    """
    images, is_plain = np.empty((len(pictures), N_PIXELS), np.uint8), np.empty(len(pictures), np.bool_)
    reader.read(pictures, *PLAIN, False, _memory.work, images, is_plain)
    return images.reshape(-1, *IMAGE_SHAPE), is_plain


def read_digit(picture: Grey, ask: Ask | None = None) -> Digit:
    """Return what `normalize` does, and how it was read. Raises DataError likewise."""
    digit = first_look(picture)
    picture = digit.part
    if not digit.reading.is_plain:
        digit = _read(picture)
        if ask is not None and _may_be_thin(digit):
            digit = _thickened(digit, ask)
    if digit.reading.is_plain:
        return digit
    if digit.reading.code == reader.NO_INK:
        coarse = _read(picture, scale=COARSE)
        if coarse.reading.code == reader.READ:
            digit = coarse
    if digit.reading.may_stand_on_paper:
        may_be_small = min(picture.shape) >= SHEET_SIDE
        paper = find_paper(picture, may_be_small=may_be_small) or (_find_small_paper(digit) if may_be_small else None)
        if paper is not None:
            digit = _read(paper.picture, paper.top, paper.left, is_part=True)
        elif ask is not None:
            digit = _on_round_paper(picture, digit, ask)
    if digit.reading.is_small:
        digit = _enlarged(digit)
    if digit.reading.may_be_turned:
        digit = _turned_if_better(digit, ask)
    _refuse(digit.reading)
    return digit


def first_look(picture: Grey) -> Digit:
    """Return what a first look at `picture` tells, whether it is plain or not."""
    return _read(shrunk(picture), scale=PLAIN)


def read_again(digit: Digit) -> tuple[Work, Reading]:
    """Read a digit's part once more; return the working memory, which then holds every step, and the reading."""
    again = _read(digit.part, is_turned=digit.is_turned, scale=digit.scale)
    return _memory.work, again.reading


def shrunk(picture: Grey) -> Grey:
    """Return the picture with no side longer than LARGEST."""
    scale = LARGEST / max(picture.shape)
    if scale >= 1:
        return picture
    height, width = (max(1, round(side * scale)) for side in picture.shape)
    cv2 = opencv()
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[no-any-return]


def _read(
    part: Grey, top: int = 0, left: int = 0, *, is_part: bool = False, is_turned: bool = False, scale: Scale = FULL
) -> Digit:
    image = np.empty((1, N_PIXELS), np.uint8)
    reading = reader.read(part[np.newaxis], *scale, is_turned, _memory.work, image, np.empty(1, np.bool_))
    return Digit(image.reshape(IMAGE_SHAPE), reading, top, left, part, is_part, is_turned, scale)


def _may_be_thin(digit: Digit) -> bool:
    """Return whether strokes may be narrower than a pixel of the shrunk picture, where the ink is then less deep.

    Such a line falls to pieces, as its slanted parts are half as deep as the others, and looks like several digits.
    """
    if max(digit.reading.down, digit.reading.across) == 1:
        return False
    if digit.reading.code == reader.SEVERAL:
        return True
    part = digit.part if digit.reading.is_dark else 255 - digit.part
    height, width = part.shape
    size = max(1, width // digit.reading.across), max(1, height // digit.reading.down)
    small = np.asarray(opencv().resize(part, size, interpolation=opencv().INTER_AREA), np.uint8)
    paper = float(np.median(small))
    return paper - int(part.min()) > THIN * (paper - int(small.min()))


def _thickened(digit: Digit, ask: Ask) -> Digit:
    """Return the digit read with strokes a pixel wider on either side, or as it was where nothing is read then.

    Of what looks like several digits, which may grow together, the network must be sure.
    """
    cv2 = opencv()
    thicken = cv2.erode if digit.reading.is_dark else cv2.dilate
    thick = _read(np.asarray(thicken(digit.part, np.ones((3, 3), np.uint8)), np.uint8))
    is_read = thick.reading.code == reader.READ
    is_sure = is_read and (digit.reading.code != reader.SEVERAL or ask(thick.image[np.newaxis])[0] >= SURE)
    return thick if is_sure else digit


def _on_round_paper(picture: Grey, digit: Digit, ask: Ask) -> Digit:
    """Return what is on round paper in a picture if the network is sure of it, else the digit, as of a thick 0."""
    paper = find_paper(picture, may_be_small=True, may_be_round=True)
    if paper is None:
        return digit
    inside = _read(paper.picture, paper.top, paper.left, is_part=True)
    is_read = inside.reading.code == reader.READ
    return inside if is_read and ask(inside.image[np.newaxis])[0] >= SURE else digit


def _find_small_paper(digit: Digit) -> Paper | None:
    """Return the paper in the part of a picture around what was read, if that is so thick that it may be a sheet."""
    if digit.reading.code != reader.READ or digit.reading.stroke < THICK:
        return None
    part, top, left = _around(digit)
    paper = find_paper(part, may_be_small=True)
    return None if paper is None else paper._replace(top=paper.top + top, left=paper.left + left)


def _enlarged(digit: Digit) -> Digit:
    """Return the digit read again by itself, with a margin, or as it was where that fails."""
    part, top, left = _around(digit)
    larger = _read(part, digit.top + top, digit.left + left, is_part=True)
    is_same = larger.reading.code == reader.READ and larger.reading.is_dark == digit.reading.is_dark
    return larger if is_same else digit


def _around(digit: Digit) -> tuple[Grey, int, int]:
    """Return the part of a digit's picture that shows what was read, with a margin, and its upper left corner."""
    reading = digit.reading
    margin = MARGIN * max(reading.bottom - reading.top, reading.right - reading.left)
    top = max(0, round((reading.frame_top + reading.top - margin) * reading.down))
    left = max(0, round((reading.frame_left + reading.left - margin) * reading.across))
    bottom = round((reading.frame_top + reading.bottom + margin) * reading.down)
    right = round((reading.frame_left + reading.right + margin) * reading.across)
    return np.ascontiguousarray(digit.part[top:bottom, left:right]), top, left


def _turned_if_better(digit: Digit, ask: Ask | None) -> Digit:
    """Return the digit, or what is read if its paper is taken for its ink, whichever is more like a digit."""
    turned = _read(digit.part, digit.top, digit.left, is_part=digit.is_part, is_turned=True)
    if turned.reading.code != reader.READ:
        return digit
    if digit.reading.code != reader.READ:
        return turned
    sure = np.zeros(2) if ask is None else ask(np.stack([digit.image, turned.image]))
    likeness = sure - [_unlikeness(digit.reading) - FIRST_LOOK, _unlikeness(turned.reading)]
    return turned if likeness[1] > likeness[0] else digit


def _unlikeness(reading: Reading) -> float:
    return PER_BORDER * reading.at_border + PER_WIDTH * reading.stroke + PER_PIECE * (reading.n_pieces - 1)


def _refuse(reading: Reading) -> None:
    """Raise DataError where no digit was read."""
    if reading.code == reader.NO_INK:
        raise NoInkError("no ink found, expected a digit darker or lighter than its background")
    if reading.code == reader.ONLY_LINES:
        raise DataError("only ruled lines found, expected a digit")
    if reading.code == reader.SEVERAL:
        raise DataError(
            f"{reading.n_digits} digits side by side, expected one; read the number with fastmnist read, or crop each "
            "digit into a picture of its own"
        )
