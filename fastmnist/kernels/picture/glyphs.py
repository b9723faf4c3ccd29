"""Glyphs that are made of some of the pieces of a picture's ink, each in MNIST's form."""

import numpy as np

from fastmnist.kernels.jit import serial_kernel
from fastmnist.kernels.picture.place import place


@serial_kernel
def place_glyphs(ink, pieces, glyphs, work, images):
    """Fill images (n, 784) uint8 with glyphs in MNIST's form; one without ink stays as it is.

    ink: uint8 (height, width), 0 for paper, 255 for full ink. pieces: int32 (height, width), which piece a pixel is of.
    glyphs: int32 (n, 6), the first and the last piece of each, and its box: top, left, bottom and right (exclusive).
    work: float32 (3, m), m at least 784, and 9 times the pixels of the largest box.
    """
    share = np.float32(1 / 255)
    for i in range(len(glyphs)):
        first, last, top, left, bottom, right = glyphs[i]
        width = right - left
        for y in range(top, bottom):
            line = work[0, (y - top) * width : (y - top + 1) * width]
            for x in range(width):
                is_of_it = first <= pieces[y, left + x] <= last
                line[x] = ink[y, left + x] * share if is_of_it else np.float32(0)
        place(work[0], bottom - top, width, work[1], work[2], images[i])
