"""How much darker than the paper around it each pixel is."""

import numpy as np

from fastmnist.kernels.jit import serial_kernel


@serial_kernel
def find_contrast(paper, dark, gains, contrast, counts):
    """Fill `contrast` with (paper - dark) * gains[paper], from 0 to 255, and add up in `counts` how often each occurs.

    paper, dark, contrast: uint8 (height, width). gains: float32 (256,). counts: int64 (256,).
    """
    for y in range(paper.shape[0]):
        for x in range(paper.shape[1]):
            lacking = np.float32(paper[y, x]) - np.float32(dark[y, x])
            contrast[y, x] = np.uint8(min(np.float32(255), max(np.float32(0), lacking * gains[paper[y, x]])))
    for y in range(paper.shape[0]):
        for x in range(paper.shape[1]):
            counts[contrast[y, x]] += 1
