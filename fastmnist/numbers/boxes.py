"""What stands in a printed box: a digit of a number, maybe in pieces, or whole numbers."""

import numpy as np

from fastmnist.numbers.cells import Cell
from fastmnist.numbers.lines import Line, Part, hang_together

IN_BOX = 0.5  # of a box's height: digits in it are taken to be at least this high
WIDE_BOX, WIDE_INK = 1.5, 1.6  # times as wide as high: a box for a number, ink of more than one digit
LOW_INK, PARTS = 0.4, 4  # of a box's height: this many pieces as low may stand in several lines; fewer are one broken
STEP, LEAST_STEP = 0.06, 2  # digit, as are up to MOST_PIECES that are within steps of each other: of a box's height;
MOST_PIECES = 16  # in pixels


def sort_into(cells: list[Cell], parts: list[Part]) -> tuple[list[list[Part]], list[Part]]:
    """Return the parts whose middles are in each of the cells, and those that are in none."""
    middles = np.array([((part.left + part.right) / 2, (part.top + part.bottom) / 2) for part in parts]).reshape(-1, 2)
    owner = np.full(len(parts), len(cells))
    for number, cell in enumerate(cells):
        owner[((middles >= cell[:2]) & (middles < cell[2:])).all(axis=1)] = number
    groups: list[list[Part]] = [[] for _ in range(len(cells) + 1)]
    for part, number in zip(parts, owner.tolist(), strict=True):
        groups[number].append(part)
    return groups[:-1], groups[-1]


def holds_several(cell: Cell, lines: list[Line]) -> bool:
    """Return whether a box is for numbers rather than for one digit of one, by its shape or what is in it."""
    if not lines:
        return False
    width, height = max(line.right - line.left for line in lines), max(line.height for line in lines)
    is_wide = width > WIDE_INK * max(height, IN_BOX * cell.height)
    return is_wide or holds_lines(cell, lines) or cell.right - cell.left > WIDE_BOX * cell.height


def holds_lines(cell: Cell, lines: list[Line]) -> bool:
    """Return whether what is in a box stands in several lines, and is not one digit in pieces."""
    is_low = len(lines) > 1 and max(line.height for line in lines) < LOW_INK * cell.height
    return is_low and not _is_broken_digit(list({part for line in lines for part in line.parts}), cell)


def _is_broken_digit(parts: list[Part], cell: Cell) -> bool:
    """Return whether what is in a box, though it may stand in several lines, is one digit in pieces."""
    if len(parts) < PARTS:
        return True
    height = max(part.bottom for part in parts) - min(part.top for part in parts)
    is_one_high = height >= LOW_INK * cell.height and len(parts) <= MOST_PIECES
    return is_one_high and hang_together(parts, max(LEAST_STEP, STEP * cell.height))
