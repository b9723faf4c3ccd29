"""The ink of a line cut into pieces: more than it has digits, so that each digit is one of them or some in a row."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.kernels.numbers.labels import measure, split, spread
from fastmnist.kernels.numbers.seams import find_seams
from fastmnist.numbers.lines import Line

Grey = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]

NARROW = 0.45  # of the digits' height: what is narrower is one digit
WIDE = 1.3  # of the digits' height: what is narrower is rarely two digits
NEAR = 0.07  # of the digits' height: seams are at least so far apart
CROSSED = 0.6  # of the digits' height: the most ink that a seam crosses
LEAST_PIECE = 0.007  # of the digits' height squared: what has less area stays with its neighbour
SOFT_EDGE = 2  # pixels of a stroke around its core


class Pieces(NamedTuple):
    """The pieces of a line, from left to right.

    labels: int32, which piece each pixel of `ink` is of, from 0, -1 for paper; both uint8 and int32 (height, width) of
    the line's box, whose left upper corner is at (top, left) of the page.
    boxes: int32 (n, 4), top, left, bottom, right, in that box.
    crossed: float64 (n + 1,), the ink that is cut before each piece and after the last, in parts of the digits' height.
    narrow: float64 (n + 1,), how much narrower than WIDE the part is that is cut there, 0 where none is.
    """

    ink: Grey
    labels: Labels
    boxes: npt.NDArray[np.int32]
    crossed: npt.NDArray[np.float64]
    narrow: npt.NDArray[np.float64]
    top: int
    left: int


def cut(line: Line, ink: Grey, part_of: Labels) -> Pieces:
    """Cut a line's ink, in a page's `ink` where `part_of` has its parts' labels, into pieces."""
    top = max(0, min(part.top for part in line.parts) - SOFT_EDGE)
    left = max(0, min(part.left for part in line.parts) - SOFT_EDGE)
    bottom, right = max(part.bottom for part in line.parts), max(part.right for part in line.parts)
    window = slice(top, bottom + SOFT_EDGE), slice(left, right + SOFT_EDGE)
    ink, here = np.ascontiguousarray(ink[window]), part_of[window]
    labels = np.full(ink.shape, -1, np.int32)
    costs: list[float] = []
    narrow: list[float] = []
    for part in line.parts:
        box = slice(part.top - top, part.bottom - top), slice(part.left - left, part.right - left)
        own = here[box] == part.label
        numbers, of_cuts = _cut_part(np.where(own, ink[box], 0).astype(np.uint8), own, line.height)
        labels[box][own] = numbers[own] + len(costs)
        costs += of_cuts
        narrow += [0.0] + [max(0.0, WIDE - part.width / line.height)] * (len(of_cuts) - 1)
    boxes = np.empty((len(costs), 5), np.int32)
    measure(labels, boxes)
    order = np.argsort(boxes[:, 1] + boxes[:, 3], kind="stable")
    places = np.empty(len(costs) + 1, np.int32)
    places[order], places[-1] = np.arange(len(costs)), -1
    labels = places[labels]
    spread(ink, labels, np.empty_like(labels), SOFT_EDGE)
    crossed, narrow_there = (np.append(np.array(of_pieces)[order], 0.0) for of_pieces in (costs, narrow))
    return Pieces(ink, labels, boxes[order, :4], crossed, narrow_there, top, left)


def _cut_part(ink: Grey, own: npt.NDArray[np.bool_], height: float) -> tuple[Labels, list[float]]:
    """Return which piece each pixel of a part is of, from left to right, -1 elsewhere, and what was cut before each."""
    seams, costs = np.empty((0, len(ink)), np.int32), np.empty(ink.shape[1], np.float32)
    if ink.shape[1] >= NARROW * height:
        seams = np.empty((ink.shape[1], len(ink)), np.int32)
        near = max(1, round(NEAR * height))
        n = find_seams(ink, near, np.float32(CROSSED * height), np.empty(ink.shape, np.float32), costs, seams)
        seams = seams[:n]
    numbers = np.empty(ink.shape, np.int32)
    split(own, seams, numbers)
    areas = np.bincount(numbers[own], minlength=len(seams) + 1)
    least, kept, places = LEAST_PIECE * height * height, [0.0], np.zeros(len(areas) + 1, np.int32)
    area = areas[0]
    for number, seam in enumerate(seams, 1):
        rest = areas[number:].sum()
        if area >= least and rest >= least:  # else it stays with its neighbour
            kept.append(float(costs[seam[(len(seam) - 1) // 2]]) / height)
            area = 0
        area += areas[number]
        places[number] = len(kept) - 1
    places[-1] = -1
    return places[numbers], kept
