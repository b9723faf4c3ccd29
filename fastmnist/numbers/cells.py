"""The insides of printed boxes: which stand in a row, and where one is missing in a row."""

import math
from collections.abc import Iterator
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv

Grey = npt.NDArray[np.uint8]

BESIDE = 0.7  # of their height: boxes of a row overlap as much from top to bottom,
NEAR, ASIDE = 0.8, 0.2  # and are at most so far apart, or, askew, so far into each other
ALIKE, IN_STEP = 0.2, 0.2  # of their width, of the step from one to the next: boxes of a row differ by less
WIDEST = 1.3  # times as wide as high: a box for one digit
HIGHEST = 1.5  # times their height: a frame around them is a table's
MOST_MISSING = 3  # side by side
HIGH = 0.3  # of a box's height: where one is missing, the ink is at least as high
INSET = 4  # pixels of a box's edges


class Cell(NamedTuple):
    """The inside of a printed box: its edges, right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Its width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Its height in pixels."""
        return self.bottom - self.top


def cell_of(contour: npt.NDArray[np.int32]) -> Cell:
    """Return the box of a contour."""
    left, top, width, height = opencv().boundingRect(contour)
    return Cell(left, top, left + width, top + height)


def rows_of(cells: list[Cell], near: float = NEAR) -> list[list[Cell]]:
    """Return boxes beside each other in rows, from left to right; `near`: how far apart, times their height."""
    rows: list[list[Cell]] = []
    for cell in sorted(cells):
        for row in rows:
            last = row[-1]
            overlap = min(last.bottom, cell.bottom) - max(last.top, cell.top)
            is_beside = (
                overlap > BESIDE * min(last.height, cell.height) and cell.left >= last.right - ASIDE * last.height
            )
            if is_beside and cell.left - last.right < near * last.height:
                row.append(cell)
                break
        else:
            rows.append([cell])
    return rows


def innermost(cells: list[Cell]) -> list[Cell]:
    """Return the cells that no other one stands in: not a frame around boxes, nor the outer one of two borders."""
    edges = np.array(cells)
    kept = []
    for cell in cells:
        is_in_it = (edges[:, :2] >= cell[:2]).all(axis=1) & (edges[:, 2:] <= cell[2:]).all(axis=1)
        if is_in_it.sum() == 1:  # itself
            kept.append(cell)
    return kept


def complete(cells: list[Cell], frames: list[Cell], core: Grey) -> list[Cell]:
    """Return the cells, and those that are missing in rows of boxes that are alike, though there is ink.

    A digit that touches two sides of its box leaves no rectangle in it, and a faint line between two boxes is lost.
    `frames`: what the boxes' lines reach, of each connected piece of them. core: uint8 (height, width), 1 for ink.
    """
    completed = []
    for row in rows_of(cells, near=math.inf):
        gaps = [gap for gap in _gaps_in(row, frames) if all(_has_ink(core, cell) for cell in gap)]
        missing = [cell for gap in gaps for cell in gap]
        completed += missing
        completed += [cell for cell in row if not any(_holds_middle(cell, other) for other in missing)]
    return completed


def _gaps_in(row: list[Cell], frames: list[Cell]) -> Iterator[list[Cell]]:
    """Yield where in a row one or a few boxes are missing, side by side."""
    width, height = median(cell.width for cell in row), median(cell.height for cell in row)
    alike = [cell for cell in row if abs(cell.width - width) <= ALIKE * width]
    steps = [b.left - a.left for a, b in pairwise(alike) if a.left < b.left < a.right + NEAR * height]
    if not steps or width > WIDEST * height:
        return
    step = median(steps)
    for a, b in pairwise(alike):
        if n := _n_missing(b.left - a.left - step, step):
            yield [_between(a, b, k / (n + 1)) for k in range(1, n + 1)]
    for end, side in ((alike[0], -1), (alike[-1], 1)):
        around = [frame for frame in frames if frame.height < HIGHEST * height and _holds_middle(frame, end)]
        if around:
            frame = min(around, key=lambda frame: frame.width)  # another may stand around it
            n = _n_missing(end.left - frame.left if side < 0 else frame.right - end.right, step)
            yield [_moved(end, round(side * k * step)) for k in range(1, n + 1)]


def _n_missing(space: float, step: float) -> int:
    """Return how many boxes fit into some space, 0 where they don't."""
    n = round(space / step)
    return n if 0 < n <= MOST_MISSING and abs(space - n * step) <= IN_STEP * step else 0


def _between(one: Cell, other: Cell, share: float) -> Cell:
    """Return a cell on the way from one to another."""
    return Cell(*(round(a + share * (b - a)) for a, b in zip(one, other, strict=True)))


def _moved(cell: Cell, right: int) -> Cell:
    return cell._replace(left=cell.left + right, right=cell.right + right)


def _holds_middle(cell: Cell, other: Cell) -> bool:
    """Return whether the middle of another cell is in a cell."""
    x, y = (other.left + other.right) / 2, (other.top + other.bottom) / 2
    return cell.left <= x < cell.right and cell.top <= y < cell.bottom


def _has_ink(core: Grey, cell: Cell) -> bool:
    """Return whether there is ink in a cell as high as a digit, apart from the cell's edges."""
    inner = core[cell.top + INSET : cell.bottom - INSET, max(0, cell.left + INSET) : cell.right - INSET]
    rows = np.flatnonzero(inner.any(axis=1))
    return len(rows) > 0 and rows[-1] + 1 - rows[0] >= HIGH * cell.height
