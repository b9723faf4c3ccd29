"""How often each grey occurs, and what that tells: medians, and the threshold between two classes."""

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.lanes import MASK_BITS, count_bits, lowest_bit, nonzero_bits

GREYS = 256


@inlined
def count_greys(picture, n, counts):
    """Fill counts[:256] with how many of the first n pixels have each grey.

    counts (1024,) int64: four histograms that are added up, because a pixel's count must not wait for its neighbour's.
    Where most pixels are 0, as on clean paper, only the others are visited.
    """
    for i in range(4 * GREYS):
        counts[i] = 0
    whole = n - n % MASK_BITS
    for first in range(0, whole, MASK_BITS):
        inked = nonzero_bits(picture, first)
        if count_bits(inked) > MASK_BITS // 2:
            _count_block(picture[first:], counts)
        else:
            counts[0] += MASK_BITS - count_bits(inked)
            while inked:
                i = lowest_bit(inked)
                inked &= inked - np.uint64(1)
                counts[i % 4 * GREYS + picture[first + i]] += 1
    for i in range(whole, n):
        counts[picture[i]] += 1
    for grey in range(GREYS):
        counts[grey] += counts[GREYS + grey] + counts[2 * GREYS + grey] + counts[3 * GREYS + grey]


@inlined
def _count_block(pixels, counts):
    for i in range(0, MASK_BITS, 4):
        counts[pixels[i]] += 1
        counts[GREYS + pixels[i + 1]] += 1
        counts[2 * GREYS + pixels[i + 2]] += 1
        counts[3 * GREYS + pixels[i + 3]] += 1


@inlined
def threshold_between(counts):
    """Return the last grey of the darker of two classes, by Otsu's criterion (1979); of equal ones, the first."""
    n, total = 0, 0
    for grey in range(GREYS):
        n += counts[grey]
        total += grey * counts[grey]
    n_below, below, best, threshold = 0, 0, 0.0, 0
    for grey in range(GREYS):  # one that does not occur is as good as the one before
        n_below += counts[grey]
        below += grey * counts[grey]
        # The means' distance is `apart` / `n_pairs`: one division instead of two, and no branch: half the time.
        apart, n_pairs = float(below * n - total * n_below), float(n_below) * float(n - n_below)
        spread = apart * apart / max(1.0, n_pairs)
        if spread > best:
            best, threshold = spread, grey
    return threshold


@inlined
def median_of(counts, first, last):
    """Return the median of the greys from `first` to `last`, the larger middle one of an even number."""
    n = 0
    for grey in range(first, last + 1):
        n += counts[grey]
    n_below = 0
    for grey in range(first, last + 1):
        n_below += counts[grey]
        if 2 * n_below > n:
            return grey
    return first


@inlined
def deviation_of(counts, first, last, median):
    """Return the standard deviation of those greys, if they are normal: 1.4826 times the median distance."""
    n = 0
    for grey in range(first, last + 1):
        n += counts[grey]
    n_near = 0
    for distance in range(GREYS):
        if first <= median - distance <= last:
            n_near += counts[median - distance]
        if distance and first <= median + distance <= last:
            n_near += counts[median + distance]
        if 2 * n_near > n:
            return 1.4826 * distance
    return 0.0


@inlined
def upper_percentile(counts, share):
    """Return the grey that at most the given share of the pixels is above."""
    n = 0
    for grey in range(GREYS):
        n += counts[grey]
    n_above = np.int64(0)
    grey = GREYS - 1
    while grey > 0 and n_above + counts[grey] <= share * n:
        n_above += counts[grey]
        grey -= 1
    return grey
