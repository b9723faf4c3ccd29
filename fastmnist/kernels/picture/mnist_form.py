"""Which 28x28 pixels are already in MNIST's form, and are left as they are."""

import numpy as np

from fastmnist.kernels.jit import inlined, serial_kernel
from fastmnist.kernels.picture.place import CENTRE
from fastmnist.shapes import SIDE

BRIGHT = 127  # MNIST's digits all have pixels of 254 or 255,
LEAST_SIZE, MOST_SIZE = 12, 22  # and the box of those brighter than this is 13 to 20 pixels in its longer side


@serial_kernel
def has_form(images, has_it):
    """Fill has_it (n,) bool with whether images (n, 784) uint8 are in MNIST's form.

    Their border is black (its median is 0), their centre of mass lies in [13, 15), in pixel indices, on both axes, and
    the box of their bright pixels is about as large as those of MNIST's digits.
    """
    for i in range(len(images)):
        has_it[i] = _is_black(images[i]) and _is_central(images[i]) and _is_sized(images[i])


@inlined
def _is_black(image):
    n_grey, last = 0, SIDE * (SIDE - 1)
    for x in range(SIDE):
        n_grey += int(image[x] > 0) + int(image[last + x] > 0)
    for y in range(1, SIDE - 1):
        n_grey += int(image[y * SIDE] > 0) + int(image[y * SIDE + SIDE - 1] > 0)
    return n_grey < 2 * (SIDE - 1)


@inlined
def _is_central(image):
    total, down, across = np.int64(0), np.int64(0), np.int64(0)
    for y in range(SIDE):
        in_row = np.int64(0)
        for x in range(SIDE):
            grey = np.int64(image[y * SIDE + x])
            in_row += grey
            across += x * grey
        total += in_row
        down += y * in_row
    least, most = (CENTRE - 1) * total, (CENTRE + 1) * total
    return least <= down < most and least <= across < most


@inlined
def _is_sized(image):
    top, bottom, left, right = SIDE, -1, SIDE, -1
    for y in range(SIDE):
        for x in range(SIDE):
            if image[y * SIDE + x] > BRIGHT:
                top, bottom, left, right = min(top, y), y, min(left, x), max(right, x)
    return LEAST_SIZE <= max(bottom - top, right - left) + 1 <= MOST_SIZE
