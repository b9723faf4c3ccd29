"""How much darker each pixel is than the paper around it, and from that, how much ink it has."""

import numpy as np

from fastmnist.kernels.jit import inlined, serial_kernel
from fastmnist.kernels.picture.histogram import GREYS, threshold_between
from fastmnist.kernels.picture.morphology import close

NORMAL = 1.4826  # the standard deviation of a normal distribution whose median distance from its median is 1


@serial_kernel
def close_page(dark, reach, paper, padded):
    """Fill `paper` with a page closed by a square window, from `reach` pixels before each pixel to as many after it.

    dark: uint8 (height, width), with sides that are not shorter than `reach`. paper (height * width + SLACK,) and
    padded are as in `close`. A window of 59 pixels takes 52 us where OpenCV takes 204, on a page of 75,000.
    """
    height, width = dark.shape
    close(dark.reshape(height * width), height, width, reach, reach, paper, padded)


@serial_kernel
def fill_ink(paper, dark, gains, least, signal, faint, counts, table, ink):
    """Fill `ink`, 0 for paper and 255 for full ink; return False where nothing stands out from the paper.

    paper, dark, ink: uint8 (n,), pixels. The contrast of one is (paper - dark) * gains[paper], from 0 to 255; gains:
    float32 (256,). Otsu's threshold tells ink from paper, and full ink is the median of ink. It must have `least` more
    contrast than the median of paper, and `signal` standard deviations of the paper's noise; what has `faint` of these
    or less is paper. counts: int64 (256,) and table: uint8 (256,) are scratch.
    """
    _find_contrast(paper, dark, gains, counts, ink)
    threshold = threshold_between(counts)
    n_paper = np.int64(0)
    for grey in range(threshold + 1):
        n_paper += counts[grey]
    n_ink = len(ink) - n_paper
    if n_paper == 0 or n_ink == 0:
        return False
    twice = _twice_median(counts, 0, n_paper)
    level, noise = twice / 2, NORMAL * _twice_distance(counts, threshold, twice, n_paper) / 4
    depth = _twice_median(counts, threshold + 1, n_ink) / 2 - level
    if depth < max(least, signal * noise):
        return False
    for grey in range(GREYS):
        share = min(255.0, max(0.0, (grey - level) * (255 / depth)))
        table[grey] = np.uint8(0 if grey <= level + faint * noise else share)
    for i in range(len(ink)):
        if ink[i]:  # no contrast is no ink
            ink[i] = table[ink[i]]
    return True


@inlined
def _find_contrast(paper, dark, gains, counts, contrast):
    """Fill `contrast`, and `counts` with how often each occurs.

    Most pixels are as light as their paper. They are counted as the remainder: one by one, each would wait for another.
    """
    for grey in range(GREYS):
        counts[grey] = 0
    for i in range(len(contrast)):
        contrast[i] = 0
        if paper[i] > dark[i]:
            lacking = np.float32(paper[i]) - np.float32(dark[i])
            contrast[i] = np.uint8(min(np.float32(255), lacking * gains[paper[i]]))
            counts[contrast[i]] += 1
    n_left = np.int64(len(contrast))
    for grey in range(1, GREYS):
        n_left -= counts[grey]
    counts[0] = n_left


@inlined
def _twice_median(counts, first, n):
    """Return the sum of the two greys in the middle of n, from `first` on."""
    low, high, n_below = -1, -1, np.int64(0)
    for grey in range(first, GREYS):
        n_below += counts[grey]
        if low < 0 and n_below > (n - 1) // 2:
            low = grey
        if high < 0 and n_below > n // 2:
            high = grey
    return low + high


@inlined
def _twice_distance(counts, last, twice, n):
    """Return twice the sum of the two distances in the middle of n, those of greys up to `last` from `twice` / 2."""
    low, high, n_near = -1, -1, np.int64(0)
    for distance in range(twice % 2, 2 * GREYS, 2):
        if 0 <= twice - distance <= 2 * last:
            n_near += counts[(twice - distance) // 2]
        if distance and twice + distance <= 2 * last:
            n_near += counts[(twice + distance) // 2]
        if low < 0 and n_near > (n - 1) // 2:
            low = distance
        if high < 0 and n_near > n // 2:
            high = distance
    return low + high
