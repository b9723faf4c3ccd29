"""A number in a picture: its text, its digits and where they are; and the order in which numbers are read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BESIDE = 0.35  # of the lower one's height: numbers that overlap as much stand beside each other
NEAR_EDGE, LENGTHWISE = 0.03, 2  # of a sheet's shorter side; times as long as wide: a stroke along a sheet's edge
UNKNOWN, BLANK = "?", " "  # a glyph that is no digit, and an empty box


class Box(NamedTuple):
    """Where something is in a picture, in its pixels; right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int


class Digit(NamedTuple):
    """A glyph: its class, "?" where it is none, how sure the network is of that, and where it is."""

    label: str
    confidence: float
    box: Box


class Number(NamedTuple):
    """A number: its text, how sure that is as a whole, its digits from left to right, and where it is.

    The text has a "?" for a glyph that is no digit, and a space for an empty box in a row of boxes. `line` is that of
    the page, from 0.
    """

    text: str
    confidence: float
    digits: list[Digit]
    box: Box
    line: int


@dataclass(frozen=True)
class PageRead:
    """The numbers on a page of a picture, in reading order.

    path: the picture's, b"<array>" or b"<bytes>" where it has none. number: its position among all pictures of the job,
    from 0. page: its position within the picture's file, from 0, None where that has one page. error: in one line why
    there are no numbers, else None.
    """

    path: bytes
    number: int
    page: int | None
    numbers: list[Number] = field(default_factory=list)
    error: str | None = None


def moved(number: Number, right: int, down: int) -> Number:
    """Return a number in a part of a picture as one in the picture."""

    def moved_box(box: Box) -> Box:
        return Box(box.left + right, box.top + down, box.right + right, box.bottom + down)

    digits = [digit._replace(box=moved_box(digit.box)) for digit in number.digits]
    return number._replace(digits=digits, box=moved_box(number.box))


def is_at_edge(number: Number, sheet: Box, shape: tuple[int, ...]) -> bool:
    """Return whether a number is a single stroke along one side of a sheet: that side itself, read as a 1.

    `shape` is the picture's: its border is no side of the sheet.
    """
    if len(number.digits) > 1:
        return False
    left, top, right, bottom = number.box
    near = NEAR_EDGE * min(sheet.right - sheet.left, sheet.bottom - sheet.top)
    upright = [x for x in (sheet.left, sheet.right) if 0 < x < shape[1]]
    level = [y for y in (sheet.top, sheet.bottom) if 0 < y < shape[0]]
    is_upright = bottom - top >= LENGTHWISE * (right - left) and sheet.top <= top and bottom <= sheet.bottom
    is_level = right - left >= LENGTHWISE * (bottom - top) and sheet.left <= left and right <= sheet.right
    return (is_upright and any(x - near <= left and right <= x + near for x in upright)) or (
        is_level and any(y - near <= top and bottom <= y + near for y in level)
    )


def around(boxes: list[Box]) -> Box:
    """Return the smallest box around some."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return Box(min(lefts), min(tops), max(rights), max(bottoms))


def in_reading_order(numbers: list[Number], places: Sequence[Box | None]) -> list[Number]:
    """Return numbers from top to bottom, and those of a line from left to right, with their lines.

    `places`: the printed box of a number that has one to itself; a row of these is a line, wherever in them the numbers
    stand. A page that is askew is taken to be level first: by what the numbers beside each other rise or fall.
    """
    if len(numbers) < 2:
        return numbers
    boxes = np.array([place or number.box for number, place in zip(numbers, places, strict=True)], np.float64)
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    shift = _slope(boxes, x, y) * x
    tops, middles, bottoms = boxes[:, 1] - shift, y - shift, boxes[:, 3] - shift
    rest = np.argsort(tops, kind="stable")
    ordered: list[Number] = []
    line = 0
    while len(rest):
        top, middle, bottom = tops[rest[0]], middles[rest[0]], bottoms[rest[0]]
        # A small number that stands higher than those of its line begins it, too.
        is_beside = ((top <= middles[rest]) & (middles[rest] < bottom)) | (
            (tops[rest] <= middle) & (middle < bottoms[rest])
        )
        row = rest[is_beside]
        ordered += [numbers[n]._replace(line=line) for n in row[np.argsort(x[row], kind="stable")].tolist()]
        rest, line = rest[~is_beside], line + 1
    return ordered


def _slope(boxes: Floats, x: Floats, y: Floats) -> float:
    """Return by how much numbers are lower than those beside them, in pixels for each to the right: least squares."""
    heights, steps = boxes[:, 3] - boxes[:, 1], []
    for n in range(len(boxes)):
        overlap = np.minimum(boxes[:, 3], boxes[n, 3]) - np.maximum(boxes[:, 1], boxes[n, 1])
        beside = np.flatnonzero((boxes[:, 0] >= boxes[n, 2]) & (overlap > BESIDE * np.minimum(heights, heights[n])))
        if len(beside):
            nearest = beside[np.argmin(boxes[beside, 0])]
            steps.append((x[nearest] - x[n], y[nearest] - y[n]))
    across, down = np.array(steps).reshape(-1, 2).T
    return float((across * down).sum() / (across * across).sum()) if steps else 0.0
