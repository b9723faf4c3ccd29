"""The ink of a line cut into pieces: more than it has digits, so that each digit is one of them or some in a row."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.kernels.numbers.seams import find_seams
from fastmnist.kernels.numbers.spread import spread
from fastmnist.numbers.lines import Line

Grey = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]

NARROW = 0.45  # of the digits' height: what is narrower is one digit
NEAR = 0.12  # of the digits' height: seams are at least so far apart
CROSSED = 0.35  # of the digits' height: the most ink that a seam crosses
LEAST_PIECE = 0.01  # of the digits' height squared: what has less area stays with its neighbour
SOFT_EDGE = 2  # pixels of a stroke around its core


class Pieces(NamedTuple):
    """The pieces of a line, from left to right.

    labels: int32, which piece each pixel of `ink` is of, from 0, -1 for paper; both uint8 and int32 (height, width) of
    the line's box, whose left upper corner is at (top, left) of the page.
    boxes: int32 (n, 4), top, left, bottom, right, in that box.
    crossed: float64 (n + 1,), the ink that is cut between each piece and the next, in parts of the digits' height.
    """

    ink: Grey
    labels: Labels
    boxes: npt.NDArray[np.int32]
    crossed: npt.NDArray[np.float64]
    top: int
    left: int


def cut(line: Line, ink: Grey, part_of: Labels) -> Pieces:
    """Cut a line's ink, in a page's `ink` where `part_of` has its parts' labels, into pieces."""
    top, bottom = min(part.top for part in line.parts), max(part.bottom for part in line.parts)
    left, right = min(part.left for part in line.parts), max(part.right for part in line.parts)
    top, left = max(0, top - SOFT_EDGE), max(0, left - SOFT_EDGE)
    window = slice(top, bottom + SOFT_EDGE), slice(left, right + SOFT_EDGE)
    ink, here = np.ascontiguousarray(ink[window]), part_of[window]
    labels = np.full(ink.shape, -1, np.int32)
    found: list[tuple[float, int, float]] = []  # middle, label before it is sorted, what was cut on its left
    boxes: list[tuple[int, int, int, int]] = []
    for part in line.parts:
        box = slice(part.top - top, part.bottom - top), slice(part.left - left, part.right - left)
        own = here[box] == part.label
        numbers, costs = _cut_part(np.where(own, ink[box], 0).astype(np.uint8), own, line.height)
        for number, cost in enumerate(costs):
            rows, columns = np.nonzero(numbers == number)
            if not len(rows):
                continue
            y, x = box[0].start, box[1].start
            edges = y + rows.min(), x + columns.min(), y + rows.max() + 1, x + columns.max() + 1
            labels[box][numbers == number] = len(boxes)
            found.append(((edges[1] + edges[3]) / 2, len(boxes), cost))
            boxes.append(tuple(int(edge) for edge in edges))  # type: ignore[arg-type]
    found.sort()
    order = [label for _, label, _ in found]
    places = np.full(len(boxes) + 1, -1, np.int32)
    places[order] = np.arange(len(boxes))
    labels = places[labels]
    spread(ink, labels, np.empty_like(labels), SOFT_EDGE)
    crossed = np.array([cost for _, _, cost in found] + [0.0])
    return Pieces(ink, labels, np.array([boxes[label] for label in order], np.int32), crossed, top, left)


def _cut_part(ink: Grey, own: npt.NDArray[np.bool_], height: float) -> tuple[Labels, list[float]]:
    """Return which piece each pixel of a part is of, from left to right, -1 elsewhere, and what was cut before each."""
    numbers = np.where(own, 0, -1).astype(np.int32)
    if ink.shape[1] < NARROW * height:
        return numbers, [0.0]
    seams = np.empty((ink.shape[1], len(ink)), np.int32)
    costs, table = np.empty(ink.shape[1], np.float32), np.empty(ink.shape, np.float32)
    near = max(1, round(NEAR * height))
    n = find_seams(ink, near, np.float32(CROSSED * height), table, costs, seams)
    columns, least, kept = np.arange(ink.shape[1]), LEAST_PIECE * height * height, [0.0]
    for seam in seams[:n]:
        is_right = own & (columns >= seam[:, None])
        is_new = is_right & (numbers == len(kept) - 1)
        if is_new.sum() >= least and (own & (numbers == len(kept) - 1) & ~is_right).sum() >= least:
            numbers[is_right] = len(kept)
            kept.append(float(costs[seam[len(seam) // 2]]) / height)
    return numbers, kept
