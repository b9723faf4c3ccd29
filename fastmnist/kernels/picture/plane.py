"""Replaces other things in a picture with plain paper, under light that changes evenly."""

import numpy as np

from fastmnist.kernels.jit import serial_kernel


@serial_kernel
def lay_plane(picture, inside, level, across, down, out):
    """Fill out (height, width) uint8 with `picture` where `inside` is not 0, and with the light elsewhere.

    The light is level + across * x + down * y, in grey levels, from 0 to 255.
    """
    height, width = picture.shape
    for y in range(height):
        pixels, mask, line = picture[y], inside[y], out[y]
        start, step = np.float32(level + down * y + 0.5), np.float32(across)
        for x in range(width):
            grey = np.int32(min(np.float32(255), max(np.float32(0), start + step * np.float32(x))))
            line[x] = pixels[x] if mask[x] else np.uint8(grey)
