"""Seams, along which strokes may part: the ways of least ink from the top of a piece of ink to its bottom.

One runs through each column of the middle row; those kept are better than all near them. (Seams of least energy: Avidan
and Shamir, Seam carving for content-aware image resizing, 2007, section 3.)
"""

import numpy as np

from fastmnist.kernels.jit import inlined, serial_kernel

SIDEWAYS = np.float32(0.1)  # what a step aside costs, in pixels of full ink: a seam is no longer than it must be


@serial_kernel
def find_seams(ink, near, most, table, costs, seams):
    """Fill seams (m, height) int32 with the columns of seams, from left to right; return how many there are.

    ink: uint8 (height, width), 255 for full ink. A seam is kept where it crosses no more than `most` pixels of full
    ink, and no seam within `near` columns of the middle row costs less. table: float32 (height, width) is scratch.
    costs: float32 (width,) get what the seam through each column of the middle row costs.
    """
    height, width = ink.shape
    middle = (height - 1) // 2
    _add_up(ink, table, 0, middle, 1)
    if height > 1:
        _add_up(ink, table, height - 1, middle + 1, -1)
    for x in range(width):
        costs[x] = table[middle, x] + (_cheapest(table, middle + 1, x)[0] if height > 1 else np.float32(0))
    n = 0
    for x in range(width):
        if costs[x] <= most and n < len(seams) and _is_least(costs, x, near):
            _trace(table, middle, x, seams[n])
            n += 1
    return n


@inlined
def _add_up(ink, table, first, last, step):
    """Fill rows `first` to `last` of `table` with the costs of the cheapest ways from row `first` to each pixel."""
    share = np.float32(1 / 255)
    for x in range(ink.shape[1]):
        table[first, x] = ink[first, x] * share
    y = first
    while y != last:
        y += step
        for x in range(ink.shape[1]):
            table[y, x] = ink[y, x] * share + _cheapest(table, y - step, x)[0]


@inlined
def _cheapest(table, y, x):
    """Return the cost of the cheapest step to column x from row y, and the column that it comes from."""
    best, column = table[y, x], x
    for other in (x - 1, x + 1):
        if 0 <= other < table.shape[1] and table[y, other] + SIDEWAYS < best:
            best, column = table[y, other] + SIDEWAYS, other
    return best, column


@inlined
def _is_least(costs, x, near):
    """Return whether no seam nearby costs less; of equal ones side by side the middle one is the least."""
    for other in range(max(0, x - near), min(len(costs), x + near + 1)):
        if costs[other] < costs[x]:
            return False
    left, right = x, x
    while left > 0 and costs[left - 1] == costs[x]:
        left -= 1
    while right + 1 < len(costs) and costs[right + 1] == costs[x]:
        right += 1
    return x == (left + right) // 2


@inlined
def _trace(table, middle, x, seam):
    """Fill `seam` with the columns of the cheapest way through column x of the middle row."""
    seam[middle] = x
    column = x
    for y in range(middle - 1, -1, -1):
        column = _cheapest(table, y, column)[1]
        seam[y] = column
    column = x
    for y in range(middle + 1, table.shape[0]):
        column = _cheapest(table, y, column)[1]
        seam[y] = column
