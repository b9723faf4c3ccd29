"""Where a line's ink may be cut: in more places than it has digits, so that each digit lies between two of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.kernels.numbers.labels import number_parts, spread
from fastmnist.kernels.numbers.seams import find_seams, keep_unlike
from fastmnist.kernels.numbers.valleys import find_valley_seams
from fastmnist.numbers.lines import Line

Grey = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]

NARROW = 0.45  # of the digits' height: what is narrower is one digit
ROWS = (0.38, 0.62, 0.15, 0.85)  # of a part's height: seams of least ink are the cheapest through these rows
NEAR = 0.05  # of the digits' height: seams are at least this far apart in that row,
UNLIKE = 0.02  # and at least this much ink lies between them, in units of the digits' height squared
# Of the digits' height: the most ink that a seam of least ink crosses, and one between valleys. Of 1,000 rows of
# training digits that touch, in other hands, 97 % have cuts around each digit with both, 91 % with the former alone.
CROSSED, BETWEEN_VALLEYS = 0.6, 0.8
SOFT_EDGE = 2  # pixels of a stroke around its core


class Cuts(NamedTuple):
    """The cuts of a line, from left to right: before and after each of its parts, and through those that are wide.

    ink: uint8 (height, width), the line's box, whose upper left corner is at (top, left) of the page. cores, part_of:
    int32 (height, width), which part each pixel is of, from 0, -1 for paper; without and with soft edges.
    boxes: int32 (n_parts, 4), top, left, bottom, right, in that box.
    parts, seams: int32 (n,) and (n, height), see kernels/numbers/glyphs.py. lefts: int64 (n,), the pixels left of each.
    crossed: float64 (n,), the ink that is cut, in parts of the digits' height.
    """

    ink: Grey
    cores: Labels
    part_of: Labels
    boxes: npt.NDArray[np.int32]
    parts: npt.NDArray[np.int32]
    seams: npt.NDArray[np.int32]
    lefts: npt.NDArray[np.int64]
    crossed: npt.NDArray[np.float64]
    top: int
    left: int


class _Seams(NamedTuple):
    """The cuts through a part; all arrays as in Cuts."""

    parts: npt.NDArray[np.int32]
    seams: npt.NDArray[np.int32]
    lefts: npt.NDArray[np.int64]
    crossed: npt.NDArray[np.float64]


def cut(line: Line, ink: Grey, part_of: Labels) -> Cuts:
    """Find all cuts of a line's ink, in a page's `ink` where `part_of` has its parts' labels."""
    return with_seams(cut_between(line, ink, part_of), line, [False] * len(line.parts))


def cut_between(line: Line, ink: Grey, part_of: Labels) -> Cuts:
    """Return the cuts before and after each part of a line alone; see `cut`."""
    boxes = np.array([(part.top, part.left, part.bottom, part.right) for part in line.parts], np.int32)
    top, left = np.maximum(0, boxes[:, :2].min(axis=0) - SOFT_EDGE).tolist()
    bottom, right = (boxes[:, 2:].max(axis=0) + SOFT_EDGE).tolist()
    window = slice(top, bottom), slice(left, right)
    ink, here = np.ascontiguousarray(ink[window]), part_of[window]
    boxes -= np.array([top, left, top, left], np.int32)
    labels = np.array([part.label for part in line.parts], np.int32)
    cores = np.full(ink.shape, -1, np.int32)
    number_parts(here, labels, boxes, cores)
    soft = cores.copy()
    spread(ink, soft, np.empty_like(soft), SOFT_EDGE)
    lefts = np.cumsum([0, *(part.area for part in line.parts)])
    n = len(lefts)
    seams = np.full((n, len(ink)), -1, np.int32)
    return Cuts(ink, cores, soft, boxes, np.arange(n, dtype=np.int32), seams, lefts, np.zeros(n), top, left)


def with_seams(cuts: Cuts, line: Line, is_whole: Sequence[bool]) -> Cuts:
    """Return cuts between a line's parts with those through the parts that are neither whole nor narrow."""
    found = [_Seams(cuts.parts, cuts.seams, cuts.lefts, cuts.crossed)]
    for number, part in enumerate(line.parts):
        if part.width >= NARROW * line.height and not is_whole[number]:
            box, n_before = cuts.boxes[number].tolist(), int(cuts.lefts[number])
            found.append(_seams_of(number, cuts.ink, cuts.cores, box, n_before, line.height))
    parts, seams, lefts, crossed = map(np.concatenate, zip(*found, strict=True))
    order = np.lexsort((parts, lefts))
    return cuts._replace(parts=parts[order], seams=seams[order], lefts=lefts[order], crossed=crossed[order])


def _seams_of(number: int, ink: Grey, cores: Labels, box: list[int], n_before: int, height: float) -> _Seams:
    """Return the cuts through a part that has `n_before` pixels of ink to its left; digits are `height` pixels high."""
    top, left, bottom, right = box
    own = cores[top:bottom, left:right] == number
    before = np.zeros((bottom - top, right - left + 1), np.int32)  # its pixels left of each column, in every row
    np.cumsum(own, axis=1, out=before[:, 1:])
    seams, costs = _find_seams(np.where(own, ink[top:bottom, left:right], 0).astype(np.uint8), before, height)
    lefts = before[np.arange(len(before)), seams + 1].sum(axis=1)
    whole = np.empty((len(seams), len(ink)), np.int32)  # np.pad takes 30 us
    whole[:, :top], whole[:, top:bottom], whole[:, bottom:] = seams[:, :1], seams, seams[:, -1:]
    of_part = np.full(len(seams), number, np.int32)
    return _Seams(of_part, whole + np.int32(left), lefts + n_before, (costs / height).astype(np.float64))


def _find_seams(ink: Grey, before: Labels, height: float) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return the seams of a part, int32 (n, rows), and the ink that each crosses, float32 (n,); see keep_unlike."""
    rows, width = ink.shape
    near, most, least = max(1, round(NEAR * height)), np.float32(CROSSED * height), UNLIKE * height * height
    seams, costs = np.empty(((len(ROWS) + 1) * width, rows), np.int32), np.empty((len(ROWS) + 1) * width, np.float32)
    table, of_row = np.empty(ink.shape, np.float32), np.empty(width, np.float32)
    n = 0
    for share in ROWS:
        row = round(share * (rows - 1))
        n_new = n + find_seams(ink, row, near, most, table, of_row, seams[n:])
        costs[n:n_new] = of_row[seams[n:n_new, row]]
        n = keep_unlike(before, seams, costs, n, n_new, least)
    wet, valleys = np.empty((2, rows + 2, width + 2), np.uint8), np.empty((2, width, 2), np.int32)
    n_new = n + find_valley_seams(ink, BETWEEN_VALLEYS * height, wet, valleys, seams[n:], costs[n:])
    order = n + np.argsort(costs[n:n_new], kind="stable")[: width // near]  # as many as a row has at most
    n_new = n + len(order)
    seams[n:n_new], costs[n:n_new] = seams[order], costs[order]
    n = keep_unlike(before, seams, costs, n, n_new, least)
    return seams[:n], costs[:n]
