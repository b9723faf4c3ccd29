"""Glyphs, each the ink between two cuts, in MNIST's form."""

import numpy as np
import numpy.typing as npt

from fastmnist.kernels.numbers.glyphs import place_glyphs, place_in_context
from fastmnist.kernels.picture.parts import place_digit
from fastmnist.kernels.picture.work import SLACK
from fastmnist.shapes import IMAGE_SHAPE, N_PIXELS

ROOM = 9  # times a glyph's pixels: strokes that are made wider need a margin
OTHERS = 0.4  # of the ink around a piece: how much of it is seen
Integers = npt.NDArray[np.int32]


def to_mnist_form(
    ink: npt.NDArray[np.uint8], part_of: Integers, parts: Integers, seams: Integers, glyphs: Integers
) -> npt.NDArray[np.uint8]:
    """Return glyphs as MNIST would have them, uint8 (n, 28, 28); one without ink is black.

    ink: uint8 (height, width), 0 for paper and 255 for full ink. The others as in kernels/numbers/glyphs.py.
    """
    images = np.zeros((len(glyphs), N_PIXELS), np.uint8)
    largest = int(((glyphs[:, 4] - glyphs[:, 2]) * (glyphs[:, 5] - glyphs[:, 3])).max(initial=1))
    work = np.empty((3, max(N_PIXELS, ROOM * largest) + SLACK), np.float32)
    place_glyphs(place_digit.address(), ink, part_of, parts, seams, glyphs, work, images)
    return images.reshape(-1, *IMAGE_SHAPE)


def to_pieces(
    ink: npt.NDArray[np.uint8], part_of: Integers, parts: Integers, seams: Integers, glyphs: Integers
) -> npt.NDArray[np.uint8]:
    """Return glyphs that were cut out, with the ink around them paler: uint8 (n, 28, 28); all else as above.

    This shows what was cut off, and what was left on: a piece of an 8, on its own, may be a perfect 3.
    """
    images = np.zeros((len(glyphs), N_PIXELS), np.uint8)
    line, totals = np.empty(ink.shape[1]), np.empty(IMAGE_SHAPE[1])
    place_in_context(ink, part_of, parts, seams, glyphs, OTHERS, line, totals, images)
    return images.reshape(-1, *IMAGE_SHAPE)


def place_glyph(ink: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return all ink of a picture, uint8 (height, width), as one glyph: uint8 (28, 28)."""
    height, width = ink.shape
    before_and_after = np.array([0, 1], np.int32), np.full((2, height), -1, np.int32)
    whole = np.array([[0, 1, 0, 0, height, width]], np.int32)
    image: npt.NDArray[np.uint8] = to_mnist_form(ink, np.zeros(ink.shape, np.int32), *before_and_after, whole)[0]
    return image
