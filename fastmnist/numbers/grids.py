"""Grids of printed boxes, and which boxes look as if they held two digits: calendars, bingo cards, dates."""

import numpy as np

from fastmnist.numbers.cells import Cell
from fastmnist.numbers.lines import Part, are_neighbours, digit_height

ALIKE = 0.2  # of a box's width: the sides of boxes in one column are so near
BELOW = 1.0  # times a box's height: rows of one grid are less far apart
HIGH = 0.25  # of a box's height: both digits of a pair are at least so high,
AS_HIGH = 0.6  # and the lower one at least so high beside the other
WIDE = 1.0  # times as wide as high: two digits that touch are wider, and so are a third of single ones
INTO = 0.3  # of the narrower one's width: digits of a pair reach less far above each other


def grids_of(rows: list[list[Cell]]) -> list[list[int]]:
    """Return which rows of boxes are in one grid: near above each other, most boxes of the shorter one in a column.

    Each grid lists indices into `rows`.
    """
    lefts, tops, rights, _ = np.array([cell for row in rows for cell in row], np.int64).reshape(-1, 4).T
    lengths = np.array([len(row) for row in rows], np.int64)
    row_of, grid_of = np.repeat(np.arange(len(rows)), lengths), np.arange(len(rows))
    for here, row in enumerate(rows):
        shared = np.zeros(len(rows), np.int64)
        for cell in row:
            aside = np.maximum(np.abs(lefts - cell.left), np.abs(rights - cell.right))
            is_below = (tops > cell.top) & (tops - cell.bottom < BELOW * cell.height)
            shared[row_of[is_below & (aside < ALIKE * cell.width)]] += 1
        for other in np.flatnonzero(2 * shared > np.minimum(lengths, len(row))):
            grid_of[grid_of == grid_of[other]] = grid_of[here]
    return [np.flatnonzero(grid_of == grid).tolist() for grid in np.unique(grid_of)]


def looks_like_pair(cell: Cell, parts: list[Part]) -> bool:
    """Return whether ink in a box may be two digits: two high pieces side by side, or a wide one."""
    high = sorted((part for part in parts if part.height >= HIGH * cell.height), key=lambda part: part.left)
    if len(high) == 1:
        return high[0].width > WIDE * high[0].height
    if len(high) != 2:
        return False
    one, other = high
    is_aside = one.right - other.left < INTO * min(one.width, other.width)
    are_alike = min(one.height, other.height) >= AS_HIGH * max(one.height, other.height)
    return is_aside and are_alike and are_neighbours(one, other, digit_height(high))
