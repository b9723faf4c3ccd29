"""How much ink each pixel has: its contrast with the paper, which is the picture after closing with a window.

The window is wider than strokes, but no larger than that requires: anything that it fits into, such as the shadow of a
hand, counts as paper, and the edges of the shadow are not ink.
"""

from typing import NamedTuple

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.picture.histogram import (
    GREYS,
    count_greys,
    deviation_of,
    median_of,
    threshold_between,
    upper_percentile,
)
from fastmnist.kernels.picture.morphology import close

MIN_CONTRAST = 0.08 * 255  # of the full range: less is paper, noise or shadow, not ink
DIM = 64  # grey levels: contrast is relative to no less, or the noise of a black picture would be ink
MIN_SIGNAL = 6  # minimum signal-to-noise ratio, in standard deviations of the noise

REACH = 0.2  # of the side: how far the window reaches on each side of its middle
REACH_IN_SMALL = (
    0.25  # the same if the digit fills the picture: with 0.2, 96.2 % of scikit-learn's digits instead of 96.4 %
)
N_NARROWER = 2  # windows that are tried after that, each half of the last
CLEAN = 0.03  # share of the border's pixels that may be ink before narrower windows are tried
KEPT = 0.8  # of the deepest ink must remain under a narrower window,
DEEPER = 0.12 * 255  # or what remains must be this much deeper than what goes, as ink in a shadow is than the shadow


class Ink(NamedTuple):
    """What tells ink from paper, in 255ths of the full contrast."""

    is_found: bool
    level: int  # of the paper
    depth: int  # of the ink, above that
    noise: float  # standard deviation of the paper's level

    # (Numba compiles no properties: the core of a stroke is above level + depth / 2.)


@inlined
def core(ink):
    """Return the level that the core of a stroke exceeds."""
    return int(ink.level + 0.5 * ink.depth)


@inlined
def contrast(even, paper, n, is_dark, out):
    """Fill `out` with the contrast with the paper: relative to it for dark ink, the difference for light ink."""
    white, half, dim = np.float32(255), np.float32(0.5), np.float32(DIM)
    for i in range(n):
        if is_dark:
            light = np.float32(paper[i])
            out[i] = np.uint8(np.int32((light - np.float32(even[i])) * (white / max(light, dim)) + half))
        else:
            out[i] = paper[i] - even[i]


@inlined
def judge(picture, n, counts):
    """Return the Ink of a map of ink, n pixels uint8. counts (1024,) get its histogram."""
    count_greys(picture, n, counts)
    highest = GREYS - 1
    while highest > 0 and counts[highest] == 0:
        highest -= 1
    threshold = threshold_between(counts)
    level = median_of(counts, 0, threshold)
    noise = deviation_of(counts, 0, threshold, level)
    depth = median_of(counts, threshold + 1, GREYS - 1) - level if highest > threshold else 0
    return Ink(depth >= max(MIN_CONTRAST, MIN_SIGNAL * noise), level, depth, noise)


@inlined
def share_at_border(picture, height, width, threshold):
    """Return the share of the border's pixels that are above the threshold."""
    n = 0
    for x in range(width):
        n += int(picture[x] > threshold) + int(picture[(height - 1) * width + x] > threshold)
    for y in range(1, height - 1):
        n += int(picture[y * width] > threshold) + int(picture[(y + 1) * width - 1] > threshold)
    return n / (2 * width + 2 * height)


@inlined
def map_ink(work, height, width, is_dark, reach):
    """Fill work.ink from work.even, with a window that reaches that share of the sides; return its Ink."""
    down, across = max(1, int(height * reach)), max(1, int(width * reach))
    close(work.even, height, width, down, across, work.paper, work.padded)
    contrast(work.even, work.paper, height * width, is_dark, work.ink)
    return judge(work.ink, height * width, work.counts)


@inlined
def find_ink(work, height, width, is_dark, is_small):
    """Fill work.ink from work.even; return its Ink and the share of the border that is ink, 1 where none is found.

    `is_small`: the picture shows hardly anything but the digit, so that its strokes are wide.
    """
    ink = map_ink(work, height, width, is_dark, REACH_IN_SMALL if is_small else REACH)
    share = share_at_border(work.ink, height, width, core(ink)) if ink.is_found else 1.0
    if is_small:
        return ink, share
    reach = REACH
    for _ in range(N_NARROWER):
        reach /= 2
        if share <= CLEAN or reach * min(height, width) < 2:
            break
        ink, share = _with_narrower_window(work, height, width, is_dark, reach, ink, share)
    return ink, share


@inlined
def _with_narrower_window(work, height, width, is_dark, reach, ink, share):
    """Map the ink with a narrower window; if that is the better map, keep it and return its Ink and share.

    It is better if there is much less ink at the border, since what was there was shadow, and the strokes remain.
    """
    n = height * width
    for i in range(n):
        work.before[i] = work.ink[i]
    highest = upper_percentile(work.counts, 0.005)
    deep = int(ink.level + KEPT * (highest - ink.level))
    narrower = map_ink(work, height, width, is_dark, reach)
    new_share = share_at_border(work.ink, height, width, core(narrower)) if narrower.is_found else 1.0
    is_better = narrower.is_found and not ink.is_found
    if narrower.is_found and ink.is_found and new_share < 0.5 * share:
        is_better = _strokes_stay(work, n, ink, narrower, deep)
    if is_better:
        count_greys(work.ink, n, work.counts)
        return narrower, new_share
    for i in range(n):
        work.ink[i] = work.before[i]
    count_greys(work.ink, n, work.counts)
    return ink, share


@inlined
def _strokes_stay(work, n, ink, narrower, deep):
    """Return whether the deepest ink is still ink under a narrower window, or what stays is deeper than what goes."""
    counts, threshold, new_threshold = work.counts, core(ink), core(narrower)
    for i in range(2 * GREYS):
        counts[i] = 0
    n_deep, n_kept = 0, 0
    for i in range(n):
        before, is_ink = work.before[i], work.ink[i] > new_threshold
        n_deep += before > deep
        n_kept += before > deep and is_ink
        if is_ink:
            counts[GREYS + before] += 1
        elif before > threshold:
            counts[before] += 1
    gone = median_of(counts, 0, GREYS - 1)
    return n_kept >= KEPT * n_deep or upper_percentile(counts[GREYS:], 0.1) - gone >= DEEPER
