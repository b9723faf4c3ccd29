"""Glyphs, some pieces of ink each, in MNIST's form."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.kernels.picture.glyphs import place_glyphs
from fastmnist.shapes import IMAGE_SHAPE, N_PIXELS

ROOM = 9  # times a glyph's pixels: strokes that are made wider need a margin


class Glyphs(NamedTuple):
    """Glyphs in MNIST's form, uint8 (n, 28, 28), and the widths of their strokes in the 20x20 box, float32 (n,).

    The width is 0, and the image means nothing, where there was no ink.
    """

    images: npt.NDArray[np.uint8]
    strokes: npt.NDArray[np.float32]


def to_mnist_form(ink: npt.NDArray[np.uint8], pieces: npt.NDArray[np.int32], glyphs: npt.NDArray[np.int32]) -> Glyphs:
    """Return glyphs as MNIST would have them.

    ink: uint8 (height, width), 0 for paper and 255 for full ink. pieces: int32 (height, width), the piece that each
    pixel is of. glyphs: int32 (n, 6), first and last piece, top, left, bottom and right (exclusive).
    """
    images, strokes = np.zeros((len(glyphs), N_PIXELS), np.uint8), np.zeros(len(glyphs), np.float32)
    largest = int(((glyphs[:, 4] - glyphs[:, 2]) * (glyphs[:, 5] - glyphs[:, 3])).max(initial=1))
    place_glyphs(ink, pieces, glyphs, np.empty((3, max(N_PIXELS, ROOM * largest)), np.float32), images, strokes)
    return Glyphs(images.reshape(-1, *IMAGE_SHAPE), strokes)


def place_glyph(ink: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], float]:
    """Return all ink of a picture, uint8 (height, width), as one glyph (28, 28), and the width of its strokes."""
    whole = np.array([[0, 0, 0, 0, *ink.shape]], np.int32)
    images, strokes = to_mnist_form(ink, np.zeros(ink.shape, np.int32), whole)
    return images[0], float(strokes[0])
