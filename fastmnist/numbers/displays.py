"""The 0s and 8s of displays and of square fonts: their holes are rectangular, as a printed box's is."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv
from fastmnist.numbers.cells import Cell, cell_of, rows_of
from fastmnist.numbers.page import core_of

Grey = npt.NDArray[np.uint8]
Contour = npt.NDArray[np.int32]

SLIM = 0.8  # times as wide as high, at most: a digit's shape
LOW_HOLE, HIGH_HOLE = 0.2, 0.5  # of the height: a digit's hole is no lower, and that of a box no less high
HOLES = 2  # of an 8
LEVEL = 0.12  # of their height: figures of one number begin and end as near to each other
SIDE, ALONG = 0.25, 0.9  # of a box's sides: within so much of its size ink lies along so much of each of them
LOWEST = 0.8  # of the lowest slim box's height: a lower piece is none that a digit touches
MOST_NEAR = 300  # pieces around a figure: more are a pattern
OVERLAP = 0.5  # of the narrower one's width: pieces of one figure, above each other, have more in common
MOST, MOST_PIECES = 200, 20_000  # boxes, contours: more are a form's, or noise


def figures_like_boxes(
    ink: Grey,
    is_ink: Grey,
    contours: Sequence[Contour],
    outer_of: npt.NDArray[np.int32],
    hulls: dict[int, list[Contour]],
) -> set[int]:
    """Return which of the contours with rectangular holes, `hulls`, are figures.

    is_ink: uint8, shape of `ink`, 1 for all of a page's ink, of which the contours are. `outer_of`: which contour is
    around each one that is a hole's, else -1.

    A figure is slim, and nothing stands in it. Beside it stands one as high, without a box's hole; or all are 8s, of
    which some become other digits where faint strokes are left out: a display whose unlit segments can be seen.
    """
    if len(hulls) > MOST or len(contours) > MOST_PIECES:
        return set()
    holes_of = _large_holes(contours, outer_of)
    slim: dict[int, Cell] = {}
    for outer, holes in hulls.items():
        around = cell_of(contours[outer])
        is_stack = len(holes_of[outer]) <= HOLES and all(len(row) == 1 for row in rows_of(holes_of[outer]))
        if is_stack and around.width < SLIM * around.height and not _hold_ink(contours[outer], holes, is_ink):
            slim[outer] = around
    if not slim:
        return set()
    are_eights = len(slim) == len(hulls) and all(len(holes_of[outer]) == HOLES for outer in slim)
    if are_eights and any(_n_holes(ink, cell) < HOLES for cell in slim.values()):
        return set(slim)
    least = LOWEST * min(cell.height for cell in slim.values())
    others = [(number, cell_of(contours[number])) for number, outer in enumerate(outer_of) if outer < 0]
    whole = [
        cell
        for number, cell in others
        if number not in hulls and not (cell.height >= least and _is_box(cell, holes_of[number], is_ink))
    ]
    figures, found = np.array(whole, np.int64).reshape(-1, 4), set()
    in_order = sorted(slim, key=slim.__getitem__)
    for outer in [*in_order, *reversed(in_order)]:
        if outer not in found and _has_level_neighbour(slim[outer], figures):
            found.add(outer)  # and stands beside others
            figures = np.vstack([figures, slim[outer]])
    return found


def _large_holes(contours: Sequence[Contour], outer_of: npt.NDArray[np.int32]) -> dict[int, list[Cell]]:
    """Return the holes of each contour but those far lower than it, which are no hole of a digit."""
    holes_of = defaultdict(list)
    for contour, outer in zip(contours, outer_of, strict=True):
        if outer >= 0 and (hole := cell_of(contour)).height >= LOW_HOLE * cell_of(contours[outer]).height:
            holes_of[int(outer)].append(hole)
    return holes_of


def _is_box(around: Cell, holes: list[Cell], is_ink: Grey) -> bool:
    """Return whether a hole is as high as a box's, or ink lies along all four sides: of a box that a digit touches."""
    if any(hole.height >= HIGH_HOLE * around.height for hole in holes):
        return True
    part = is_ink[around.top : around.bottom, around.left : around.right]
    across, down = max(1, round(SIDE * around.width)), max(1, round(SIDE * around.height))
    upright = [part[:, :across].any(axis=1).mean(), part[:, -across:].any(axis=1).mean()]
    level = [part[:down].any(axis=0).mean(), part[-down:].any(axis=0).mean()]
    return bool(min(upright + level) >= ALONG)


def _hold_ink(outer: Contour, holes: list[Contour], is_ink: Grey) -> bool:
    """Return whether anything but the ink around holes, whose outside is a contour, stands in them."""
    cv2 = opencv()
    left, top, right, bottom = cell_of(outer)
    around, inner = np.zeros((2, bottom - top, right - left), np.uint8)
    cv2.drawContours(around, [outer], 0, 1, cv2.FILLED, offset=(-left, -top))
    cv2.fillPoly(inner, holes, 1, offset=(-left, -top))
    labels = cv2.connectedComponents(is_ink[top:bottom, left:right] & around)[1]
    x, y = outer[0][0]
    return bool(((labels != labels[y - top, x - left]) & (labels > 0) & (inner > 0)).any())


def _n_holes(ink: Grey, cell: Cell) -> int:
    """Return how many holes the deep ink in a cell has."""
    cv2 = opencv()
    core = core_of(np.ascontiguousarray(ink[cell.top : cell.bottom, cell.left : cell.right]))
    nesting = cv2.findContours(core, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)[1]
    return 0 if nesting is None else int((nesting[0][:, 3] >= 0).sum())


def _has_level_neighbour(cell: Cell, others: npt.NDArray[np.int64]) -> bool:
    """Return whether beside a figure stands another one, of one or more pieces above each other, as high as it is.

    others: the boxes of pieces (n, 4), left, top, right and bottom.
    """
    left, top, right, bottom = others.T
    most = LEVEL * cell.height
    is_near = np.maximum(left - cell.right, cell.left - right) < cell.height
    is_beside = (right <= cell.left) | (left >= cell.right)
    is_level = (top >= cell.top - most) & (bottom <= cell.bottom + most) & (bottom - top > most)
    near = others[is_near & is_beside & is_level]
    if len(near) > MOST_NEAR:
        return False
    left, top, right, bottom = near.T
    shared = np.minimum.outer(right, right) - np.maximum.outer(left, left)
    is_one = shared > OVERLAP * np.minimum.outer(right - left, right - left)
    reaches_top, reaches_bottom = top <= cell.top + most, bottom >= cell.bottom - most
    return bool(((is_one & reaches_top).any(axis=1) & (is_one & reaches_bottom).any(axis=1)).any())
