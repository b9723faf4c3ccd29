"""Where a line's ink may be cut: in more places than it has digits, so that each digit lies between two of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.kernels.numbers.labels import spread
from fastmnist.kernels.numbers.seams import find_seams, keep_unlike
from fastmnist.numbers.lines import Line

Grey = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

NARROW = 0.45  # of the digits' height: what is narrower is one digit
WIDE = 1.3  # of the digits' height: what is narrower is rarely two digits
# Of a part's height: seams are the cheapest through these rows. Of rows of training digits that touch, there are cuts
# around each digit in 92 % if it is the middle row alone, and in 97 % with these.
ROWS = (0.38, 0.62, 0.15, 0.85)
NEAR = 0.05  # of the digits' height: seams are at least so far apart in that row,
UNLIKE = 0.02  # and have so much ink between them, of the digits' height squared
CROSSED = 0.6  # of the digits' height: the most ink that a seam crosses
SOFT_EDGE = 2  # pixels of a stroke around its core


class Cuts(NamedTuple):
    """The cuts of a line, from left to right: before and after each of its parts, and through those that are wide.

    ink: uint8 (height, width), the line's box, whose left upper corner is at (top, left) of the page. cores, part_of:
    int32 (height, width), which part each pixel is of, from 0, -1 for paper; without and with soft edges.
    boxes: int32 (n_parts, 4), top, left, bottom, right, in that box.
    parts, seams: int32 (n,) and (n, height), see kernels/numbers/glyphs.py. lefts: int64 (n,), the pixels left of each.
    crossed: float64 (n,), the ink that is cut, in parts of the digits' height.
    narrow: float64 (n,), how much narrower than WIDE the part is that is cut, 0 where none is.
    """

    ink: Grey
    cores: Labels
    part_of: Labels
    boxes: npt.NDArray[np.int32]
    parts: npt.NDArray[np.int32]
    seams: npt.NDArray[np.int32]
    lefts: npt.NDArray[np.int64]
    crossed: npt.NDArray[np.float64]
    narrow: npt.NDArray[np.float64]
    top: int
    left: int


class _PartCuts(NamedTuple):
    """The cut before a part, and those through it; all arrays as in Cuts."""

    seams: npt.NDArray[np.int32]
    lefts: npt.NDArray[np.int64]
    crossed: npt.NDArray[np.float64]
    narrow: npt.NDArray[np.float64]


def cut(line: Line, ink: Grey, part_of: Labels, is_whole: Sequence[bool] | None = None) -> Cuts:
    """Find the cuts of a line's ink, in a page's `ink` where `part_of` has its parts' labels.

    is_whole: which parts are not to be cut; None for none of them.
    """
    top = max(0, min(part.top for part in line.parts) - SOFT_EDGE)
    left = max(0, min(part.left for part in line.parts) - SOFT_EDGE)
    bottom, right = max(part.bottom for part in line.parts), max(part.right for part in line.parts)
    window = slice(top, bottom + SOFT_EDGE), slice(left, right + SOFT_EDGE)
    ink, here = np.ascontiguousarray(ink[window]), part_of[window]
    boxes = [(part.top - top, part.left - left, part.bottom - top, part.right - left) for part in line.parts]
    cores = np.full(ink.shape, -1, np.int32)
    found = []
    n_before = 0
    for number, (part, (y, x, below, behind)) in enumerate(zip(line.parts, boxes, strict=True)):
        own = here[y:below, x:behind] == part.label
        cores[y:below, x:behind][own] = number
        may_be_cut = part.width >= NARROW * line.height and not (is_whole and is_whole[number])
        of_part = _cuts_of_part(ink[y:below, x:behind], own, line.height, may_be_cut)
        seams = np.empty((len(of_part.seams), len(ink)), np.int32)  # np.pad takes 30 us
        seams[:, :y], seams[:, y:below], seams[:, below:] = of_part.seams[:, :1], of_part.seams, of_part.seams[:, -1:]
        seams[1:] += x
        found.append(of_part._replace(seams=seams, lefts=of_part.lefts + n_before))
        n_before += int(own.sum())
    found.append(_PartCuts(np.full((1, len(ink)), -1, np.int32), np.array([n_before]), np.zeros(1), np.zeros(1)))
    parts = np.repeat(np.arange(len(found)), [len(of_part.lefts) for of_part in found])
    lefts = np.concatenate([of_part.lefts for of_part in found])
    order = np.argsort(lefts, kind="stable")
    soft = cores.copy()
    spread(ink, soft, np.empty_like(soft), SOFT_EDGE)
    return Cuts(
        ink,
        cores,
        soft,
        np.array(boxes, np.int32),
        parts[order].astype(np.int32),
        np.concatenate([of_part.seams for of_part in found])[order],
        lefts[order],
        np.concatenate([of_part.crossed for of_part in found])[order],
        np.concatenate([of_part.narrow for of_part in found])[order],
        top,
        left,
    )


def _cuts_of_part(ink: Grey, own: Bools, height: float, may_be_cut: bool) -> _PartCuts:
    """Return the cuts of a part, whose pixels are `own`; the first is before it. Digits are so high."""
    rows, width = ink.shape
    if may_be_cut:
        seams, costs = _find_seams(np.where(own, ink, 0).astype(np.uint8), own, height)
    else:
        seams, costs = np.empty((0, rows), np.int32), np.empty(0, np.float32)
    lefts = [int(own[np.arange(width) <= seam[:, None]].sum()) for seam in seams]
    return _PartCuts(
        np.concatenate([np.full((1, rows), -1, np.int32), seams]),
        np.array([0, *lefts], np.int64),
        np.array([0.0, *(costs / height).tolist()]),
        np.array([0.0] + [max(0.0, WIDE - width / height)] * len(seams)),
    )


def _find_seams(ink: Grey, own: Bools, height: float) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return the seams of a part, int32 (n, rows), and the ink that each crosses, float32 (n,)."""
    rows, width = ink.shape
    near, most, least = max(1, round(NEAR * height)), np.float32(CROSSED * height), UNLIKE * height * height
    seams, costs = np.empty(((len(ROWS) + 1) * width, rows), np.int32), np.empty((len(ROWS) + 1) * width, np.float32)
    table, of_row = np.empty(ink.shape, np.float32), np.empty(width, np.float32)
    n = 0
    for share in ROWS:
        row = round(share * (rows - 1))
        n_new = n + find_seams(ink, row, near, most, table, of_row, seams[n:])
        costs[n:n_new] = of_row[seams[n:n_new, row]]
        n = keep_unlike(own, seams, costs, n, n_new, least)
    return seams[:n], costs[:n]
