"""Seams between valleys: from where water poured on a piece of ink settles to where water poured from below would.

Digits that touch leave a valley above the place and another below it. A seam between the two may run along strokes
that have merged, where one of least ink would rather cross a stroke nearby. (Drop falling: Congedo, Dimauro, Impedovo
and Pirlo, Segmentation of numeric strings, ICDAR 1995.)
"""

import math

import numpy as np

from fastmnist.kernels.jit import inlined, serial_kernel

LEAN, ASIDE = 1.5, 2  # columns: between two valleys a seam shifts by LEAN per row at most, plus ASIDE


@serial_kernel
def find_valley_seams(ink, most, wet, valleys, seams, costs):
    """Fill seams (m, height) int32 and costs (m,) float32 with seams from valley to valley; return how many there are.

    ink: uint8 (height, width), 255 for full ink, 0 for paper. A seam follows the water down to a valley, goes straight
    on to a valley of the water from below, and follows that. Its cost is the ink along the straight part, in pixels of
    full ink, and `most` at most. wet: uint8 (2, height + 2, width + 2) and valleys: int32 (2, n, 2), for at most n on
    either side, are scratch.
    """
    from_above = _find_valleys(ink, wet[0], 1, valleys[0])
    from_below = _find_valleys(ink, wet[1], -1, valleys[1])
    n = 0
    for above in range(from_above):
        for below in range(from_below):
            (top, first), (bottom, last) = valleys[0, above], valleys[1, below]
            if n == len(seams) or bottom <= top or abs(last - first) > LEAN * (bottom - top) + ASIDE:
                continue
            costs[n] = _go_straight(ink, top, first, bottom, last, seams[n])
            if costs[n] <= most:
                _follow_water(wet[0], top, first, -1, seams[n])
                _follow_water(wet[1], bottom, last, 1, seams[n])
                n += 1
    return n


@inlined
def _find_valleys(ink, wet, down, valleys):
    """Fill `wet` with where water goes, and `valleys` with the rows and columns where it rests; return how many.

    `wet` has a pixel more on each side than the ink, and so have the rows and columns. The water comes from above, or
    from below if `down` is -1. It goes through paper alone, sideways or down, by at most a column in each row.
    """
    height, width = wet.shape
    first = 0 if down == 1 else height - 1
    for x in range(width):
        wet[first, x] = 1
    n, y = 0, first
    for _ in range(height - 1):
        n = _flow(ink, wet, y, y + down, valleys, n)
        y += down
    return n


@inlined
def _flow(ink, wet, above, y, valleys, n):
    """Fill row y of `wet`; add to the n `valleys` where water rests in the row `above`; return how many there are."""
    height, width = wet.shape
    x = 0
    while x < width:
        start = x
        while x < width and (y in (0, height - 1) or x in (0, width - 1) or ink[y - 1, x - 1] == 0):
            x += 1
        is_wet = np.uint8(_has_water(wet[above], start - 1, x + 1) if x > start else 0)
        for column in range(start, x):
            wet[y, column] = is_wet
        if x < width:
            wet[y, x] = 0
            x += 1
    x = 0
    while x < width:
        start = x
        while x < width and wet[above, x]:
            x += 1
        if 0 < start < x < width and n < len(valleys) and not _has_water(wet[y], start - 1, x + 1):
            valleys[n, 0], valleys[n, 1] = above, (start + x - 1) // 2
            n += 1
        x += 1
    return n


@inlined
def _has_water(row, first, end):
    most = np.uint8(0)
    for x in range(max(0, first), min(len(row), end)):
        most = max(most, row[x])
    return most > 0


@inlined
def _go_straight(ink, top, first, bottom, last, seam):
    """Fill `seam` from row `top` to `bottom`; return the ink along it."""
    lean, crossed = (last - first) / (bottom - top), 0.0
    for y in range(top, bottom + 1):
        seam[y - 1] = int(np.rint(first + lean * (y - top))) - 1
        crossed += ink[y - 1, seam[y - 1]]
    return crossed / 255 * math.sqrt(1 + lean * lean)


@inlined
def _follow_water(wet, y, x, up, seam):
    """Fill `seam` from where water rests to where it came from: in each row, the nearest water that flowed there."""
    height, width = wet.shape
    while 0 < y + up < height - 1:
        left, right = x, x
        while wet[y, left] and not wet[y + up, left]:
            left -= 1
        while wet[y, right] and not wet[y + up, right]:
            right += 1
        y += up
        is_left = wet[y, left] and (x - left <= right - x or not wet[y, right])
        x = left if is_left else right
        seam[y - 1] = min(max(0, x - 1), width - 3)  # not -1, which stands for no seam
