"""Removes ruled lines and printed boxes from a page's ink, and finds the insides of the boxes."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv
from fastmnist.kernels.picture.rules import remove_rules
from fastmnist.kernels.picture.work import SLACK, make_work

Grey = npt.NDArray[np.uint8]

THICKEST_RULE = 0.02  # of the picture's shorter side, and
SOFT_EDGES = 3  # pixels
FAINT = 0.12  # of the ink's depth: boxes are often printed in a lighter shade
LEAST_CELL = 14  # pixels of a box's shorter side
RECTANGULAR = 0.92  # of the smallest rectangle around it: the inside of a box fills more, that of a 0 less
OF_FRAME, LOOPS = 0.5, 2  # of the height of the ink around them: the insides of boxes are higher, or more than that
ASKEW = 8.0  # degrees, at most
INSET = 2  # pixels of a box's soft edge
UNUSED = make_work(1)  # in place of the working memory that nothing here needs
BESIDE = 0.7  # of their height: boxes of a row overlap as much from top to bottom,
NEAR, ASIDE = 0.8, 0.2  # and are at most so far apart, or, askew, so far into each other


class Cell(NamedTuple):
    """The inside of a printed box: its edges, right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def height(self) -> int:
        """Its height in pixels."""
        return self.bottom - self.top

    @property
    def area(self) -> int:
        """Its area in pixels."""
        return (self.right - self.left) * self.height


def without_rules(ink: Grey) -> Grey:
    """Return a page's ink, uint8 (height, width), without the lines that it is ruled or squared with."""
    height, width = ink.shape
    work = UNUSED._replace(
        ink=np.append(ink.ravel(), np.zeros(SLACK, np.uint8)),
        before=np.empty(ink.size, np.uint8),
        spare=np.empty(ink.size, np.uint8),
        padded=np.zeros(2 * ink.size + SLACK, np.uint8),
        paper=np.zeros(max(ink.shape) + SLACK, np.uint8),
        row=np.zeros(max(ink.shape), np.float32),
    )
    thickest = round(THICKEST_RULE * min(ink.shape)) + SOFT_EDGES
    return work.ink[: ink.size].reshape(ink.shape) if remove_rules(work, height, width, thickest) else ink


def without_boxes(ink: Grey) -> tuple[Grey, list[list[Cell]]]:
    """Return the ink without printed boxes, and the rows of their insides, from left to right.

    A box is ink around a hole that is as good as rectangular; a digit that touches the box stays.
    """
    cv2 = opencv()
    is_ink = (ink > FAINT * 255).astype(np.uint8)
    contours, nesting = cv2.findContours(is_ink, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    hulls: dict[int, list[npt.NDArray[np.int32]]] = {}  # of the holes, by the contour around them
    for contour, (_, _, _, outer) in zip(contours, nesting[0] if len(contours) else [], strict=True):
        if outer >= 0 and _is_box(hull := cv2.convexHull(contour)):
            hulls.setdefault(int(outer), []).append(hull)
    if not hulls:
        return ink, []
    found: list[Cell] = []
    inside, frames, labels = np.zeros_like(is_ink), [], cv2.connectedComponents(is_ink)[1]
    for outer in sorted(hulls, key=lambda outer: -_cell(contours[outer]).area):  # a box may stand in a larger one
        holes, around = hulls[outer], _cell(contours[outer])
        cells = [_cell(hull) for hull in holes]
        if len(_rows(cells)) > 1 and _n_sides(around, ink.shape) > 2:
            continue  # squared paper
        height = max(cell.bottom for cell in cells) - min(cell.top for cell in cells)
        if len(cells) <= LOOPS and height < OF_FRAME * around.height:
            continue  # the loop of a 9
        found += cells
        cv2.drawContours(inside, contours, outer, 0, cv2.FILLED)
        cv2.fillPoly(inside, holes, 1)
        cv2.polylines(inside, holes, True, 0, 2 * INSET + 1)  # in it lie the holes' edges
        x, y = contours[outer][0][0]
        frames.append(labels[y, x])
    if not found:
        return ink, []
    near = np.ones((2 * INSET + 1,) * 2, np.uint8)
    is_frame = np.isin(labels, frames) & (inside == 0)
    others = cv2.dilate(((is_ink > 0) & ~is_frame).astype(np.uint8), near)
    gone = (cv2.dilate(is_frame.astype(np.uint8), near) > 0) & (is_frame | (others == 0))
    return np.where(gone, 0, ink).astype(np.uint8), _rows(_innermost(found))


def _innermost(cells: list[Cell]) -> list[Cell]:
    """Return the cells that no other one stands in: not a frame around boxes, nor the outer one of two borders."""
    edges = np.array(cells)
    kept = []
    for cell in cells:
        is_in_it = (edges[:, :2] >= cell[:2]).all(axis=1) & (edges[:, 2:] <= cell[2:]).all(axis=1)
        if is_in_it.sum() == 1:  # itself
            kept.append(cell)
    return kept


def _cell(contour: npt.NDArray[np.int32]) -> Cell:
    """Return the box of a contour."""
    left, top, width, height = opencv().boundingRect(contour)
    return Cell(left, top, left + width, top + height)


def _n_sides(cell: Cell, shape: tuple[int, ...]) -> int:
    """Return how many of the picture's sides a box touches."""
    return sum((cell.left == 0, cell.top == 0, cell.right == shape[1], cell.bottom == shape[0]))


def _is_box(hull: npt.NDArray[np.int32]) -> bool:
    cv2 = opencv()
    _, (width, height), angle = cv2.minAreaRect(hull)
    askew = min(angle % 90, 90 - angle % 90)
    is_large = min(width, height) >= LEAST_CELL
    return bool(is_large and askew <= ASKEW and cv2.contourArea(hull) >= RECTANGULAR * width * height)


def _rows(cells: list[Cell]) -> list[list[Cell]]:
    """Return boxes beside each other in rows, from left to right."""
    rows: list[list[Cell]] = []
    for cell in sorted(cells):
        for row in rows:
            last = row[-1]
            overlap = min(last.bottom, cell.bottom) - max(last.top, cell.top)
            is_beside = (
                overlap > BESIDE * min(last.height, cell.height) and cell.left >= last.right - ASIDE * last.height
            )
            if is_beside and cell.left - last.right < NEAR * last.height:
                row.append(cell)
                break
        else:
            rows.append([cell])
    return rows
