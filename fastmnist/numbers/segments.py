"""Pieces of ink -> the numbers that they are of: in rows of printed boxes, in grids of these, or outside of boxes."""

from typing import NamedTuple

from fastmnist.numbers.boxes import IN_BOX, holds_lines, holds_several, sort_into
from fastmnist.numbers.cells import Cell
from fastmnist.numbers.grids import grids_of, looks_like_pair
from fastmnist.numbers.lines import LOW, Line, Part, find_lines, is_mark, line_of, without_outlines

LEAST_PAIRS = 2  # of digits in a grid's boxes; one alone may be a digit in pieces
LEAST_LOW, MOST_LOW = 10, 400  # pixels of low digits' height; pieces: more are a texture
FLAT = 1.6  # times as wide as high: a low digit is no wider, a dash is
OF_GRID = 0.25  # of the boxes that are not empty: as many hold pairs where each box holds a number


class Segment(NamedTuple):
    """What stands in a printed box, or a number without boxes; no line where a box is empty.

    cell: the box of a grid that holds this number and no other, if there is one.
    """

    line: Line | None
    is_in_box: bool
    cell: Cell | None = None


class Grid(NamedTuple):
    """Rows of boxes that share their columns, of which some may hold two digits: what that would be of whole numbers.

    in_rows: if each row is a number, as segments from left to right. in_boxes: if each box holds one. pairs: what may
    be two digits in a box, first as one glyph, then as a number. needed: how many of these must be.
    """

    in_rows: list[list[Segment]]
    in_boxes: list[list[Segment]]
    pairs: list[tuple[Segment, Segment]]
    needed: float


class _Content(NamedTuple):
    """A box, the pieces of ink in it, and the lines that these stand in."""

    cell: Cell
    parts: list[Part]
    lines: list[Line]


class Found(NamedTuple):
    """Numbers, as segments from left to right; grids that may hold other ones; what may be a number or marks."""

    numbers: list[list[Segment]]
    grids: list[Grid]
    low: list[Segment]


def segments_of(parts: list[Part], rows: list[list[Cell]]) -> Found:
    """Return the numbers among pieces of ink, in rows of boxes and outside."""
    in_cells, outside = sort_into([cell for row in rows for cell in row], parts)
    lines = find_lines(without_outlines(outside))
    numbers = [[Segment(line, False)] for line in lines]
    contents = iter(in_cells)
    filled = [[_content(cell, next(contents)) for cell in row] for row in rows]
    grids = []
    for grid in grids_of(rows):
        found = _grid([filled[row] for row in grid])
        if len(found.pairs) >= found.needed:
            grids.append(found)
        else:
            numbers += found.in_rows
    return Found(numbers, grids, [Segment(line, False) for line in _low_lines(outside, lines)])


def _low_lines(parts: list[Part], lines: list[Line]) -> list[Line]:
    """Return the lines that low pieces of ink stand in by themselves: what beside the highest digits are marks."""
    highest = max((line.height for line in lines), default=0)
    digits = {part.label for line in lines for part in line.parts if not is_mark(part.height, part.width, line.height)}
    low = [
        part
        for part in parts
        if part.label not in digits and LEAST_LOW <= part.height < LOW * highest and part.width <= FLAT * part.height
    ]
    return [line for line in find_lines(low) if len(line.parts) > 1] if len(low) <= MOST_LOW else []


def _content(cell: Cell, parts: list[Part]) -> _Content:
    return _Content(cell, parts, find_lines(without_outlines(parts)))


def _grid(rows: list[list[_Content]]) -> Grid:
    """Return rows of boxes both ways."""
    boxes = [box for row in rows for box in row if box.lines]
    glyphs = [(box, _glyph_of(box)) for box in boxes if len(box.lines) == 1 and looks_like_pair(box.cell, box.parts)]
    return Grid(
        [segments for row in rows for segments in _of_row(row)],
        [segments for box in boxes for segments in _of_box(box)],
        [(Segment(glyph, True), Segment(box.lines[0], False)) for box, glyph in glyphs if glyph],
        max(LEAST_PAIRS, OF_GRID * len(boxes)),
    )


def _of_row(row: list[_Content]) -> list[list[Segment]]:
    """Return the numbers in a row of boxes: one with a glyph in each box, unless a box holds several."""
    if any(holds_several(box.cell, box.lines) for box in row):
        return _each_line(row)
    of_digits = [_glyph_of(box) for box in row]
    return [[Segment(line, True) for line in of_digits]] if any(of_digits) else []


def _glyph_of(box: _Content) -> Line | None:
    """Return all that is in a box as a line of one glyph."""
    return line_of(box.parts, IN_BOX * box.cell.height)


def _of_box(box: _Content) -> list[list[Segment]]:
    """Return what is in a box as one number, or as one in each line where it clearly stands in several."""
    if holds_lines(box.cell, box.lines):
        return _each_line([box])
    height = max(part.bottom for part in box.parts) - min(part.top for part in box.parts)
    line = box.lines[0] if len(box.lines) == 1 else line_of(box.parts, height)
    return [[Segment(line, False, box.cell)]] if line else []


def _each_line(boxes: list[_Content]) -> list[list[Segment]]:
    """Return each line in some boxes as a number."""
    return [[Segment(line, False)] for box in boxes for line in box.lines]
