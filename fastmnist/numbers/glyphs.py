"""Glyphs, some pieces of ink each, in MNIST's form."""

import numpy as np
import numpy.typing as npt

from fastmnist.kernels.picture.glyphs import place_glyphs
from fastmnist.shapes import IMAGE_SHAPE, N_PIXELS

ROOM = 9  # times a glyph's pixels: strokes that are made wider need a margin


def to_mnist_form(
    ink: npt.NDArray[np.uint8], pieces: npt.NDArray[np.int32], glyphs: npt.NDArray[np.int32]
) -> npt.NDArray[np.uint8]:
    """Return glyphs as MNIST would have them, uint8 (n, 28, 28); one without ink is black.

    ink: uint8 (height, width), 0 for paper and 255 for full ink. pieces: int32 (height, width), the piece that each
    pixel is of. glyphs: int32 (n, 6), first and last piece, top, left, bottom and right (exclusive).
    """
    images = np.zeros((len(glyphs), N_PIXELS), np.uint8)
    largest = int(((glyphs[:, 4] - glyphs[:, 2]) * (glyphs[:, 5] - glyphs[:, 3])).max(initial=1))
    place_glyphs(ink, pieces, glyphs, np.empty((3, max(N_PIXELS, ROOM * largest)), np.float32), images)
    return images.reshape(-1, *IMAGE_SHAPE)


def place_glyph(ink: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return all ink of a picture, uint8 (height, width), as one glyph: uint8 (28, 28)."""
    whole = np.array([[0, 0, 0, 0, *ink.shape]], np.int32)
    image: npt.NDArray[np.uint8] = to_mnist_form(ink, np.zeros(ink.shape, np.int32), whole)[0]
    return image
