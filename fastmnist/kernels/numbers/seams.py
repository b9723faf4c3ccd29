"""Seams, along which strokes may part: the ways of least ink from the top of a piece of ink to its bottom.

A seam runs through each column of a row; those that are kept cost less than all others nearby, and divide the ink
differently from those kept before. (Seams of least energy: Avidan and Shamir, Seam carving for content-aware image
resizing, 2007, section 3.)
"""

import numpy as np

from fastmnist.kernels.jit import inlined, serial_kernel

SIDEWAYS = np.float32(0.1)  # what a step aside costs, in pixels of full ink: a seam is no longer than it must be


@serial_kernel
def find_seams(ink, row, near, most, table, costs, seams):
    """Fill seams (m, height) int32 with the columns of seams, from left to right; return how many there are.

    ink: uint8 (height, width), 255 for full ink. A seam is kept where it crosses no more than `most` pixels of full
    ink, and no seam within `near` columns of `row` costs less. table: float32 (height, width) is scratch.
    costs: float32 (width,) get what the seam through each column of `row` costs.
    """
    height, width = ink.shape
    _add_up(ink, table, 0, row, 1)
    if row + 1 < height:
        _add_up(ink, table, height - 1, row + 1, -1)
    for x in range(width):
        costs[x] = table[row, x] + (_cheapest(table, row + 1, x)[0] if row + 1 < height else np.float32(0))
    n = 0
    for x in range(width):
        if costs[x] <= most and n < len(seams) and _is_least(costs, x, near):
            _trace(table, row, x, seams[n])
            n += 1
    return n


@serial_kernel
def keep_unlike(before, seams, costs, n_kept, n, least):
    """Keep those of the seams `n_kept` to `n` that divide the ink differently from all kept before; return how many.

    At least `least` pixels of ink lie between a seam and any other, and on either side of it. before: int32
    (height, width + 1), how many pixels of ink lie left of each column, in every row.
    seams: int32 (m, height), the last column to the left of each in every row. costs: float32 (m,), moved with them.
    """
    for new in range(n_kept, n):
        other = -2  # the left side, -1 the right side
        while other < n_kept and _n_between(before, seams, new, other) >= least:
            other += 1
        if other == n_kept:
            for y in range(len(before)):
                seams[n_kept, y] = seams[new, y]
            costs[n_kept] = costs[new]
            n_kept += 1
    return n_kept


@inlined
def _n_between(before, seams, one, other):
    """Return how many pixels of ink lie between two seams."""
    n, last = 0, before.shape[1] - 1
    for y in range(len(before)):
        column = seams[other, y] + 1 if other >= 0 else 0 if other == -2 else last
        n += abs(before[y, seams[one, y] + 1] - before[y, column])
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
def _trace(table, row, x, seam):
    """Fill `seam` with the columns of the cheapest way through column x of a row."""
    seam[row] = x
    column = x
    for y in range(row - 1, -1, -1):
        column = _cheapest(table, y, column)[1]
        seam[y] = column
    column = x
    for y in range(row + 1, table.shape[0]):
        column = _cheapest(table, y, column)[1]
        seam[y] = column
