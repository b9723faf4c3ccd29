"""Removes printed boxes from a page's ink, and finds their insides."""

import math

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv
from fastmnist.numbers.cells import Cell, cell_of, complete, innermost, rows_of
from fastmnist.numbers.displays import figures_like_boxes
from fastmnist.numbers.page import DEEP, core_of

Grey = npt.NDArray[np.uint8]

FAINT = 0.12  # of the ink's depth: boxes are often printed in a lighter shade
LEAST_CELL = 14  # pixels of a box's shorter side
RECTANGULAR = 0.92  # of the smallest rectangle around it: the inside of a box fills more, that of a 0 less
OF_FRAME, LOOPS = 0.5, 2  # of the height of the ink around them: the insides of boxes are higher, or more than that
LINE = 0.12  # of a box's size: what is less wide is a line, and no shade
ASKEW = 8.0  # degrees, at most
INSET = 2  # pixels of a box's soft edge


def without_boxes(ink: Grey, *, may_be_shaded: bool = True) -> tuple[Grey, list[list[Cell]]]:
    """Return the ink without printed boxes, and the rows of their insides, from left to right.

    Shades of boxes are taken away first, if there `may_be` any: they would hold the digits on them.

    A box is ink around a hole that is as good as rectangular; a digit that touches the box stays, and so does a figure
    that only looks like a box.
    """
    cv2 = opencv()
    is_ink = (ink > FAINT * 255).astype(np.uint8)
    contours, nesting = cv2.findContours(is_ink, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    hulls: dict[int, list[npt.NDArray[np.int32]]] = {}  # of the holes, by the contour around them
    for contour, (_, _, _, outer) in zip(contours, nesting[0] if len(contours) else [], strict=True):
        if outer >= 0 and _is_box(hull := cv2.convexHull(contour)):
            hulls.setdefault(int(outer), []).append(hull)
    for figure in figures_like_boxes(ink, is_ink, contours, nesting[0][:, 3], hulls) if hulls else ():
        del hulls[figure]
    if not hulls:
        return ink, []
    found: list[Cell] = []
    inside, frames, labels = np.zeros_like(is_ink), {}, cv2.connectedComponents(is_ink)[1]
    for outer in sorted(hulls, key=lambda outer: -_area(cell_of(contours[outer]))):  # a box may stand in a larger one
        holes, around = hulls[outer], cell_of(contours[outer])
        cells = [cell_of(hull) for hull in holes]
        if len(rows_of(cells)) > 1 and _n_sides(around, ink.shape) > 2:
            continue  # squared paper
        height = max(cell.bottom for cell in cells) - min(cell.top for cell in cells)
        if len(cells) <= LOOPS and height < OF_FRAME * around.height:
            continue  # the loop of a 9
        found += cells
        cv2.drawContours(inside, [contours[outer]], 0, 0, cv2.FILLED)
        _mark_inside(inside, holes)
        x, y = contours[outer][0][0]
        frames[labels[y, x]] = around
    if not found:
        return ink, []
    cells = complete(innermost(found), list(frames.values()), core_of(ink))
    missing = [_corners(cell) for cell in set(cells).difference(found)]
    _mark_inside(inside, missing)
    near = np.ones((2 * INSET + 1,) * 2, np.uint8)
    is_frame = np.isin(labels, [*frames, *_along(missing, labels)]) & (inside == 0)
    if may_be_shaded and (lighter := _without_shade(ink, is_frame, max(map(_area, cells)))) is not None:
        return without_boxes(lighter, may_be_shaded=False)
    others = cv2.dilate(((is_ink > 0) & ~is_frame).astype(np.uint8), near)
    gone = (cv2.dilate(is_frame.astype(np.uint8), near) > 0) & (is_frame | (others == 0))
    return np.where(gone, 0, ink).astype(np.uint8), rows_of(cells)


def _without_shade(ink: Grey, is_frame: npt.NDArray[np.bool_], area: int) -> Grey | None:
    """Return ink in which a light shade that belongs to boxes' frames is paper, None without one.

    `area`: of the largest box's inside. A shade covers at least half of that, not counting lines, of which a large grid
    has as much.
    """
    near = opencv().dilate(core_of(ink), np.ones((2 * INSET + 1,) * 2, np.uint8))
    is_shade = is_frame & (near == 0)
    wide = np.ones((round(LINE * math.sqrt(area)),) * 2, np.uint8)
    is_wide = opencv().morphologyEx(is_shade.astype(np.uint8), opencv().MORPH_OPEN, wide)
    if np.count_nonzero(is_wide) <= OF_FRAME * area:
        return None
    level = int(np.percentile(ink[is_shade], 95)) + 4  # above its noise
    if level > DEEP * 255:
        return None
    lighter = np.clip((np.arange(256) - level) * (255 / (255 - level)), 0, 255).astype(np.uint8)
    return np.where(is_frame, lighter[ink], ink).astype(np.uint8)


def _mark_inside(inside: Grey, holes: list[npt.NDArray[np.int32]]) -> None:
    """Set what is in holes to 1, but not their soft edges."""
    opencv().fillPoly(inside, holes, 1)
    opencv().polylines(inside, holes, True, 0, 2 * INSET + 1)


def _along(holes: list[npt.NDArray[np.int32]], labels: npt.NDArray[np.int32]) -> list[int]:
    """Return the labels of what lies wholly along the edges of holes: pieces of their boxes."""
    if not holes:
        return []
    edges = np.zeros(labels.shape, np.uint8)
    opencv().polylines(edges, holes, True, 1, 4 * INSET + 1)
    of_all = np.bincount(labels.ravel())
    of_edges = np.bincount(labels[edges > 0], minlength=len(of_all))
    return [int(label) for label in np.flatnonzero((of_edges == of_all) & (of_all > 0))]


def _corners(cell: Cell) -> npt.NDArray[np.int32]:
    """Return the corners of a cell as a contour."""
    left, top, right, bottom = cell
    return np.array([[[left, top]], [[right - 1, top]], [[right - 1, bottom - 1]], [[left, bottom - 1]]], np.int32)


def _area(cell: Cell) -> int:
    return cell.width * cell.height


def _n_sides(cell: Cell, shape: tuple[int, ...]) -> int:
    """Return how many of the picture's sides a box touches."""
    return sum((cell.left == 0, cell.top == 0, cell.right == shape[1], cell.bottom == shape[0]))


def _is_box(hull: npt.NDArray[np.int32]) -> bool:
    cv2 = opencv()
    _, (width, height), angle = cv2.minAreaRect(hull)
    askew = min(angle % 90, 90 - angle % 90)
    is_large = min(width, height) >= LEAST_CELL
    return bool(is_large and askew <= ASKEW and cv2.contourArea(hull) >= RECTANGULAR * width * height)
