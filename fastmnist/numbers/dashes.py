"""Dashed and dotted lines, joined to whole ones: printed boxes and rules are known by those."""

from statistics import median

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv
from fastmnist.numbers.frames import FAINT
from fastmnist.numbers.lines import Part, connected_parts, digit_height
from fastmnist.numbers.page import core_of
from fastmnist.numbers.rules import is_drawn

Grey = npt.NDArray[np.uint8]

LEAST = 12  # pieces of ink; most of them are dashes
LONGEST = 2.0  # times the median size of all pieces: dashes are shorter
SOFT_EDGES = 2  # pixels of a dash
FULL = 0.6  # of the rectangle around it: a dash or dot fills more, a digit less
THICK, GAP = 0.15, 0.35  # of a digit's height: lines are thinner, and their dashes not so far apart,
THICKEST, LEAST_GAP = 4, 4  # in pixels, or less than that
RUN = 1.0  # times a digit's height: lines are longer


def with_whole_lines(ink: Grey, parts: list[Part]) -> Grey:
    """Return a page's ink, uint8 (height, width), with its dashed lines joined; itself where there are none.

    `parts`: the cores of its strokes. Lines along the rows and the columns are looked for, hardly askew.
    """
    if len(parts) < LEAST:
        return ink
    longest = LONGEST * median(max(part.width, part.height) for part in parts)
    others = [part for part in parts if part.height > longest and not is_drawn(part)]
    if not others:
        return ink
    height = digit_height(others)
    thick, gap, run = max(THICKEST, round(THICK * height)), max(LEAST_GAP, round(GAP * height)), round(RUN * height)
    if median(min(part.width, part.height) for part in parts) > thick:
        return ink
    if median(part.area / (part.width * part.height) for part in parts) < FULL:
        return ink  # of digits in a table whose lines are so wide that it is not taken for one
    labels, faint = connected_parts((ink > FAINT * 255).astype(np.uint8))  # a faint line in pieces is whole here
    is_dash = np.bincount(labels[core_of(ink) > 0], minlength=len(faint) + 1) > 0
    is_dash[1:] &= [max(part.width, part.height) <= longest + SOFT_EDGES for part in faint]
    dashes = is_dash[labels].astype(np.uint8) * np.uint8(255)
    joined = _lines_of(dashes, gap, run, thick, True) | _lines_of(dashes, gap, run, thick, False)
    return np.maximum(ink, joined) if joined.any() else ink


def _lines_of(dashes: Grey, gap: int, run: int, thick: int, is_level: bool) -> Grey:
    """Return lines that dashes lie in, 255, else 0; they go on at both ends by half a gap, to meet at corners."""
    cv2 = opencv()

    def along(size: int) -> Grey:
        return np.ones((1, size) if is_level else (size, 1), np.uint8)

    def across(size: int) -> Grey:
        return np.ones((size, 1) if is_level else (1, size), np.uint8)

    lines = cv2.morphologyEx(dashes, cv2.MORPH_CLOSE, along(gap + 1))
    lines = cv2.morphologyEx(lines, cv2.MORPH_OPEN, along(run))
    lines &= ~cv2.morphologyEx(lines, cv2.MORPH_OPEN, across(thick + 1))
    return np.asarray(cv2.dilate(lines, along(2 * (gap // 2) + 1)), np.uint8)
