"""A number in a picture: its text, its digits and where they are; and the order in which numbers are read."""

from dataclasses import dataclass, field
from typing import NamedTuple

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


def around(boxes: list[Box]) -> Box:
    """Return the smallest box around some."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return Box(min(lefts), min(tops), max(rights), max(bottoms))


def in_order(numbers: list[Number]) -> list[Number]:
    """Return numbers from top to bottom, and those of a line from left to right, with their lines."""
    rest = sorted(numbers, key=lambda number: number.box.top)
    ordered: list[Number] = []
    line = 0
    while rest:
        first = rest[0].box
        row: list[Number] = []
        below: list[Number] = []
        for number in rest:
            is_beside = first.top <= (number.box.top + number.box.bottom) / 2 < first.bottom
            (row if is_beside else below).append(number._replace(line=line))
        ordered += sorted(row, key=lambda number: number.box.left)
        rest, line = below, line + 1
    return ordered
