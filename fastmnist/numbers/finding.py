"""A picture -> where its numbers are: its ink, without boxes and rules, and the lines that stand in it."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.errors import DataError
from fastmnist.images.decode import opencv
from fastmnist.numbers.cells import Cell
from fastmnist.numbers.dashes import with_whole_lines
from fastmnist.numbers.faint import with_faint_strokes
from fastmnist.numbers.frames import without_boxes
from fastmnist.numbers.lines import MOST_PARTS, Part, digit_height, measured_parts, without_margin
from fastmnist.numbers.page import Page, core_of, find_ink
from fastmnist.numbers.rules import find_separators, without_drawings, without_lines, without_places, without_rules
from fastmnist.numbers.segments import Found, Grid, Segment, segments_of
from fastmnist.numbers.specks import are_specks, without_specks

Grey = npt.NDArray[np.uint8]

SMALL, LARGE = 6, 96  # pixels: digits are not lower than that, and are shrunk if they are higher
CALM = 1.5  # pixels: sigma of what takes noise away


class _Parts(NamedTuple):
    """A map of which piece of ink each pixel is of, and the pieces."""

    map: npt.NDArray[np.int32]
    all: list[Part]


class Inked(NamedTuple):
    """A page's ink without rules and boxes, its map of parts, and its numbers, as segments from left to right.

    grids: boxes with other numbers, which the networks are to tell from two digits in each. low: what they are to tell
    from marks.
    """

    page: Page
    part_of: npt.NDArray[np.int32]
    numbers: list[list[Segment]]
    grids: list[Grid]
    low: list[Segment]


def find_numbers(picture: Grey, *, is_clean: bool = False) -> Inked | None:
    """Return where the numbers are in a grey picture (height, width), in any order; None where there is no ink.

    `is_clean`: it shows figures as deep as each other, and nothing else: no tables, combs or dashed lines are looked
    for, nor faint ink. Raises DataError as `read_numbers` does.
    """
    page = find_ink(picture)
    if page is None and not is_clean:  # in dim light the noise of single pixels may hide the ink
        page = find_ink(np.asarray(opencv().GaussianBlur(picture, (0, 0), CALM), np.uint8))
    if page is None:
        return None
    page, parts = _with_parts(page, is_clean)
    large = [part for part in parts.all if part.height >= SMALL]
    if not large:
        return None
    height = digit_height(without_drawings(large))
    if height > LARGE:
        page = find_ink(picture, page.scale * height / LARGE)
        if page is None:
            return None
        page, parts = _with_parts(page, is_clean)
    return _without_frames(page, parts, is_clean)


def _with_parts(page: Page, is_clean: bool) -> tuple[Page, _Parts]:
    """Return a page, specks away and dashed lines joined, and its pieces. Raises DataError where there are too many."""
    labels, pieces = measured_parts(core_of(page.ink))
    if not is_clean and are_specks(pieces):
        page = page._replace(ink=without_specks(page.ink))
        labels, pieces = measured_parts(core_of(page.ink))
    parts = _parts_of(labels, pieces)
    return (page, parts) if is_clean else _with_ink(with_whole_lines(page.ink, parts.all), page, parts)


def _with_ink(ink: Grey, page: Page, parts: _Parts) -> tuple[Page, _Parts]:
    """Return a page with other ink, if that is other, and its pieces."""
    if ink is page.ink:
        return page, parts
    return page._replace(ink=ink), _parts_of(*measured_parts(core_of(ink)))


def _parts_of(labels: npt.NDArray[np.int32], pieces: npt.NDArray[np.int32]) -> _Parts:
    """Return the pieces of a page's ink. Raises DataError where there are too many."""
    if len(pieces) > MOST_PARTS:
        raise DataError(f"{len(pieces):,} pieces of ink, expected a page of numbers with at most {MOST_PARTS:,}")
    return _Parts(labels, [Part(label, *piece) for label, piece in enumerate(pieces.tolist(), 1)])


def _without_frames(page: Page, found: _Parts, is_clean: bool) -> Inked | None:
    """Return the numbers on a page, of which the pieces of ink were found; None where all are specks."""
    ink, rows = without_boxes(page.ink)
    page, found = _with_ink(ink, page, found)
    ink = without_rules(ink if is_clean else without_places(ink, found.map, found.all))
    page, found = _with_ink(ink, page, found)
    if not found.all:
        return None
    height = digit_height(without_drawings(found.all))
    if height < SMALL:
        return None
    if not is_clean:
        ink = with_faint_strokes(without_lines(ink, found.map, found.all, height), height)
        page, found = _with_ink(ink, page, found)
    numbers, grids, low = _numbers_of(found, rows)
    if is_clean:
        numbers, grids, low = numbers + [segments for grid in grids for segments in grid.in_rows], [], []
    return Inked(page, found.map, numbers, grids, low)


def _numbers_of(found: _Parts, rows: list[list[Cell]]) -> Found:
    """Return the numbers among pieces of ink, in rows of boxes and outside of them."""
    separators = set(find_separators(found.all))
    return segments_of(without_margin([part for part in found.all if part not in separators], found.map), rows)
