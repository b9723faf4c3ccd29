"""A picture -> the numbers in it: where they are, where they may be cut, and the best path through the cuts."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.errors import DataError
from fastmnist.images.paper import find_sheet
from fastmnist.numbers.cells import Cell
from fastmnist.numbers.cuts import Cuts, cut_between, with_seams
from fastmnist.numbers.finding import Inked, find_numbers
from fastmnist.numbers.lines import Line, is_mark
from fastmnist.numbers.number import BLANK, UNKNOWN, Box, Digit, Number, around, in_reading_order, is_at_edge, moved
from fastmnist.numbers.page import Page
from fastmnist.numbers.plates import CONTRAST, without_plates
from fastmnist.numbers.segments import Grid, Segment
from fastmnist.numbers.ways import HIGHEST, MOST_OF_LINE, Answers, Chosen, Ways, choose, find_ways, pieces, whole_glyphs
from fastmnist.numbers.words import rarer_digits

Grey = npt.NDArray[np.uint8]
# Given images (n, 28, 28), returns how probable each class is, and last that it is none: float32 (n, n_classes + 1).
Probabilities = Callable[[Grey], npt.NDArray[np.float32]]


class Readers(NamedTuple):
    """Who says what a glyph is: a network for ink as it stands, and one for pieces that were cut, if there is one.

    The first sees glyphs in MNIST's form, the second with what is around them, as `ways.pieces` draws them.
    """

    of_whole: Probabilities
    of_pieces: Probabilities | None


SURE = 0.99  # probability of a digit: a part with more is not cut
# Times what a sheet says: a picture as a whole that says less than that says it of the sheet's edges, or of the desk.
MUCH_MORE = 1.5
A_LITTLE_MORE = 1.1  # times what the whole picture says: a sheet that says it by a hair has lost what crosses its edge
MORE = 0.25  # sure digits, at least
PAIR = 0.8  # confidence of what counts as two digits in a box


class _Asked(NamedTuple):
    """What the networks say of what stands in a printed box, or of a number without boxes: see `ways_of`."""

    cuts: Cuts
    ways: Ways
    answers: Answers
    page: Page
    is_in_box: bool


def read_numbers(
    picture: Grey, readers: Readers, class_names: Sequence[str], length: tuple[int, int] | None = None
) -> list[Number]:
    """Return the numbers in a grey picture (height, width), in reading order.

    `length`: how many digits each has, from the first to the second. Raises DataError, without a file's name, where
    there are more pieces of ink than a page of numbers, or a line, has.

    Where the picture shows a sheet of paper that lies on something else, the sheet is read by itself too, and the
    reading with more sure digits counts. On what is darker than a shadow the whole picture must have MUCH_MORE. Where
    it shows plates, it is also read with these turned into paper, which must tell MORE.
    """
    best = _with_sheet(picture, readers, class_names, length)
    turned = without_plates(picture)
    if turned is not None:
        of_plates = _numbers_in(turned, readers, class_names, length)
        if _evidence(of_plates) > _evidence(best, turned) + MORE:
            best = of_plates
    if isinstance(best, DataError):
        raise best
    return best


def _with_sheet(
    picture: Grey, readers: Readers, class_names: Sequence[str], length: tuple[int, int] | None
) -> list[Number] | DataError:
    """Return the numbers in a picture, or on the sheet that it shows, or why it is none of numbers."""
    whole = _numbers_in(picture, readers, class_names, length)
    found = find_sheet(picture)
    if found is not None:
        sheet, is_dark = found
        on_sheet = _numbers_in(sheet.picture, readers, class_names, length)
        if not isinstance(whole, DataError):
            height, width = sheet.picture.shape
            of_sheet = Box(sheet.left, sheet.top, sheet.left + width, sheet.top + height)
            whole = [number for number in whole if not is_at_edge(number, of_sheet, picture.shape)]
        is_more = _evidence(on_sheet) * (MUCH_MORE if is_dark else 1) > A_LITTLE_MORE * _evidence(whole)
        if is_more and not isinstance(on_sheet, DataError):
            return [moved(number, sheet.left, sheet.top) for number in on_sheet]
    return whole


def _numbers_in(
    picture: Grey, readers: Readers, class_names: Sequence[str], length: tuple[int, int] | None
) -> list[Number] | DataError:
    """Return the numbers in a picture whose paper goes on to its border, or why it is none of numbers."""
    try:
        inked = find_numbers(picture)
        if inked is None:
            return []
        found = inked.numbers + [n for grid in inked.grids for n in _of_grid(grid, inked, readers, class_names)]
        asked = [[_ask_about(segment, inked, readers) for segment in segments] for segments in found]
        low = [_ask_about(segment, inked, readers) for segment in inked.low]
    except DataError as error:
        return error
    asked += [[one] for one in low if _is_low_number(_read([one], class_names, None))]
    numbers = [_read(segments, class_names, length) for segments in asked]
    rarer = rarer_digits([digit.label == UNKNOWN for number in numbers for digit in number.digits])
    if rarer > 1:
        numbers = [_read(segments, class_names, length, rarer) for segments in asked]
    cells = [segments[0].cell for segments in found] + [None] * (len(numbers) - len(found))
    return in_reading_order(numbers, [cell and _in_picture(cell, inked.page) for cell in cells])


def _evidence(numbers: list[Number] | DataError, turned: Grey | None = None) -> float:
    """Return how many digits were surely read, less how many glyphs are none.

    What is blank where plates are `turned` into paper is none either, but a plate's edge, unless all of a number is.
    """
    evidence = 0.0
    for number in [] if isinstance(numbers, DataError) else numbers:
        n_unknown = sum(digit.label == UNKNOWN for digit in number.digits)
        n_blank = sum(_is_blank(digit.box, turned) for digit in number.digits)
        n_unknown += n_blank if n_blank < len(number.digits) else 0
        evidence += number.confidence * (len(number.digits) - 2 * n_unknown)
    return evidence


def _is_blank(box: Box, picture: Grey | None) -> bool:
    """Return whether nothing stands out in a part of a picture, False without one."""
    if picture is None:
        return False
    return bool(np.ptp(picture[box.top : box.bottom, box.left : box.right]) < CONTRAST)


def _of_grid(grid: Grid, inked: Inked, readers: Readers, class_names: Sequence[str]) -> list[list[Segment]]:
    """Return the numbers in a grid of boxes: one in each box where enough of these hold two digits, or one a row.

    What is sure to be two digits and can't be one glyph counts: no digit in pieces does, nor one that is very wide.
    """
    n_pairs, most = 0, len(grid.pairs)
    for glyph, pair in grid.pairs:
        if _is_pair(glyph, pair, inked, readers, class_names):
            n_pairs += 1
        else:
            most -= 1
        if n_pairs >= grid.needed:
            return grid.in_boxes
        if most < grid.needed:
            break
    return grid.in_rows


def _is_pair(glyph: Segment, pair: Segment, inked: Inked, readers: Readers, class_names: Sequence[str]) -> bool:
    """Return whether what is in a box is no digit as one glyph, and surely two as a number."""
    if _read([_ask_about(glyph, inked, readers)], class_names, None).text != UNKNOWN:
        return False
    read = _read([_ask_about(pair, inked, readers)], class_names, None)
    return len(read.digits) == 2 and UNKNOWN not in read.text and read.confidence > PAIR


def _is_low_number(read: Number) -> bool:
    """Return whether low pieces of ink say a number: two digits or more, not only strokes, which may all be marks."""
    labels = {digit.label for digit in read.digits}
    return len(read.digits) > 1 and UNKNOWN not in labels and labels != {"1"}


def _ask_about(segment: Segment, inked: Inked, readers: Readers) -> _Asked | None:
    """Return what the networks say of a segment, None where it is empty."""
    if segment.line is None:
        return None
    return _Asked(*ways_of(segment.line, inked, readers), inked.page, segment.is_in_box)


def _read(
    segments: list[_Asked | None], class_names: Sequence[str], length: tuple[int, int] | None, rarer: float = 1.0
) -> Number:
    """Return what the segments of a number say, at least one of which is not empty; `rarer` as in `choose`."""
    text, confidence, digits = "", 1.0, []
    for segment in segments:
        if segment is None:
            text += BLANK
            continue
        read = _read_segment(segment, class_names, (1, 1) if segment.is_in_box else length, rarer)
        text += "".join(digit.label for digit in read[0])
        digits += read[0]
        confidence *= read[1]
    if length is not None and not length[0] <= len(digits) <= length[1]:  # of boxes; others have 0 by now
        confidence = 0.0
    return Number(text, confidence, digits, around([digit.box for digit in digits]), 0)


def _read_segment(
    segment: _Asked, class_names: Sequence[str], length: tuple[int, int] | None, rarer: float
) -> tuple[list[Digit], float]:
    """Return the digits of a segment, one or more, and how sure they are as a whole: 0 where no way has that length."""
    cuts, ways, answers, page, is_in_box = segment
    chosen = choose(ways, answers, length, rarer, is_in_box)
    if chosen is not None and length is not None and not is_in_box and (n := _n_unknown(chosen, class_names)):
        free = choose(ways, answers, None, rarer)
        if free is not None and _n_unknown(free, class_names) < n:
            chosen = None  # pieces of digits that are none make no number longer
    if chosen is None and is_in_box:  # what is in one box stays one glyph
        corners = *cuts.boxes[:, :2].min(axis=0).tolist(), *cuts.boxes[:, 2:].max(axis=0).tolist()
        return [Digit(UNKNOWN, 0.0, _box_of(corners, cuts, page))], 0.0
    if chosen is None:  # a number is never dropped, nor cut short
        chosen = choose(ways, answers, None, rarer, is_in_box)
        assert chosen is not None  # noqa: S101  # what lies between two cuts may be a glyph
        chosen = chosen._replace(confidence=0.0)
    digits = []
    for arc, probabilities, best in zip(chosen.arcs, chosen.probabilities, chosen.labels, strict=True):
        label = class_names[best] if best < len(class_names) else UNKNOWN
        box = _box_of(ways.glyphs[arc, 2:].tolist(), cuts, page)
        digits.append(Digit(label, float(probabilities[best] / probabilities.sum()), box))
    return digits, chosen.confidence


def _n_unknown(chosen: Chosen, class_names: Sequence[str]) -> int:
    """Return how many glyphs of a way are no digits."""
    return sum(label >= len(class_names) for label in chosen.labels)


def _box_of(corners: Sequence[int], cuts: Cuts, page: Page) -> Box:
    """Return where something is in the picture: its top, left, bottom and right in its line."""
    top, left, bottom, right = corners
    return _in_picture(Cell(left + cuts.left, top + cuts.top, right + cuts.left, bottom + cuts.top), page)


def _in_picture(cell: Cell, page: Page) -> Box:
    """Return where in the picture something on a page is."""
    height, width = page.of_picture
    return Box(
        math.floor(page.scale * cell.left),
        math.floor(page.scale * cell.top),
        min(width, math.ceil(page.scale * cell.right)),
        min(height, math.ceil(page.scale * cell.bottom)),
    )


def ways_of(line: Line, inked: Inked, readers: Readers) -> tuple[Cuts, Ways, Answers]:
    """Return the cuts of a line, the ways through them, and what the networks say of each way's glyphs.

    Parts that are surely a digit as they stand, or far too high for one of the line, are not cut, nor are marks. Raises
    DataError for a line of too many parts.
    """
    between = cut_between(line, inked.page.ink, inked.part_of)
    _check_length(len(between.parts))
    ways = find_ways(between, line.height)
    answers = readers.of_whole(whole_glyphs(between, ways, np.arange(len(ways.counts))))
    alone = (ways.counts > 0) & (ways.ends == ways.starts + 1)
    sizes = between.boxes[:, 2:] - between.boxes[:, :2]
    are_marks = [is_mark(height, width, line.height) for height, width in sizes.tolist()]
    is_high = sizes[:, 0] > HIGHEST * line.height
    is_whole = (is_high | are_marks | (answers[alone, :-1].max(axis=1) > SURE)).tolist()
    if all(is_whole):
        return between, ways, Answers(answers, answers)
    cuts = with_seams(between, line, is_whole)
    _check_length(len(cuts.parts))
    cut_ways = find_ways(cuts, line.height)
    whole = np.flatnonzero(~cut_ways.is_cut)
    as_before = _arcs_between(ways, cuts.parts[cut_ways.starts[whole]], cuts.parts[cut_ways.ends[whole]])
    return cuts, cut_ways, _ask(readers, cuts, cut_ways, whole, answers[as_before])


def _check_length(n_cuts: int) -> None:
    """Raise DataError for a line of too many cuts."""
    if n_cuts > MOST_OF_LINE:
        raise DataError(f"a line with more than {MOST_OF_LINE:,} places to cut it, expected numbers")


def _arcs_between(ways: Ways, first: npt.NDArray[np.int32], end: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Return which arcs, of ways through uncut parts, read the parts from each of `first` to `end`, exclusive.

    Each is there: with more cuts, fewer arcs are near enough.
    """
    n = int(ways.ends[-1]) + 1
    arcs, wanted = ways.ends * n + ways.starts, end.astype(np.int64) * n + first
    order = np.argsort(arcs)
    return order[np.searchsorted(arcs, wanted, sorter=order)]


def _ask(
    readers: Readers, cuts: Cuts, ways: Ways, whole: npt.NDArray[np.int64], of_whole: npt.NDArray[np.float32]
) -> Answers:
    """Ask the reader of pieces about what was cut, and about the arcs `whole` where their reader is in doubt."""
    cut_out = np.flatnonzero(ways.is_cut)
    if readers.of_pieces is None:
        alone = np.empty((len(ways.counts), of_whole.shape[1]), np.float32)
        alone[whole] = of_whole
        if len(cut_out):
            alone[cut_out] = readers.of_whole(whole_glyphs(cuts, ways, cut_out))
        return Answers(alone, alone)
    in_doubt = of_whole.max(axis=1) <= SURE
    arcs = np.concatenate([cut_out, whole[in_doubt]])
    nothing = np.empty((0, of_whole.shape[1]), np.float32)  # no network is asked about no images
    of_pieces = readers.of_pieces(pieces(cuts, ways, arcs)) if len(arcs) else nothing
    alone = np.empty((len(ways.counts), of_whole.shape[1]), np.float32)
    alone[whole], alone[cut_out] = of_whole, of_pieces[: len(cut_out)]
    together = alone.copy()
    together[whole[in_doubt]] = np.sqrt(of_whole[in_doubt] * of_pieces[len(cut_out) :])
    return Answers(alone, together)
