"""Digits in fainter ink than the rest, as of a pencil beside a pen: made as deep as the others."""

import math
from bisect import bisect_left, bisect_right

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv
from fastmnist.numbers.lines import MOST_PARTS, WIDE_GAP, Part, are_neighbours, connected_parts
from fastmnist.numbers.page import core_of

Grey = npt.NDArray[np.uint8]

FAINTEST = 0.15  # of the ink's depth: less may be a stain, or shine through the paper
CORE = 0.5  # of its pixels: of a faint stroke, less is as deep as the cores of others; of these it is 0.6 and more
SOFT_EDGE = 2  # pixels around a core
LOWEST, HIGHEST, WIDEST = 0.5, 1.3, 3.0  # times the digits' height: strokes of digits, maybe of some that touch
FULLEST = 0.6  # of its box: a blot fills more
UPRIGHT = 2  # times as high as wide: a 1, or the edge of a sheet; it fills as much of its box as it likes
LEVEL = 0.25  # of the digits' height: a 1 begins and ends as high as another digit, give or take this much
DEPTH = 75  # percentile of a faint stroke's pixels: its depth


def with_faint_strokes(ink: Grey, of_digits: float) -> Grey:
    """Return a page's ink, uint8 (height, width), with faint digits as deep as the others; itself where there are none.

    They stand beside another one, faint or not. `of_digits`: how high digits are.
    """
    core, is_ink = core_of(ink), ink > FAINTEST * 255
    near_core = opencv().dilate(core, np.ones((2 * SOFT_EDGE + 1,) * 2, np.uint8)) > 0
    if np.count_nonzero(is_ink > near_core) < LOWEST * of_digits:  # nearly always
        return ink
    labels, parts = connected_parts(is_ink.view(np.uint8))
    n_core = np.bincount(labels[core > 0], minlength=len(parts) + 1)
    parts = [part for part in parts if LOWEST * of_digits <= part.height <= HIGHEST * of_digits]
    if len(parts) > MOST_PARTS:  # a pattern
        return ink
    parts.sort(key=lambda part: part.left)
    lefts, reach = [part.left for part in parts], WIDE_GAP * of_digits
    widest = max((part.width for part in parts), default=0)
    faint = [part for part in parts if n_core[part.label] < CORE * part.area and _may_be_digit(part, of_digits)]
    raised = ink
    for part in faint:
        near = parts[bisect_left(lefts, part.left - reach - widest) : bisect_right(lefts, part.right + reach)]
        if any(other is not part and _are_of_one_number(part, other, of_digits) for other in near):
            raised = ink.copy() if raised is ink else raised
            _raise(raised, labels, part)
    return raised


def _may_be_digit(part: Part, of_digits: float) -> bool:
    is_upright = part.height > UPRIGHT * part.width
    return part.width <= WIDEST * of_digits and (is_upright or part.area <= FULLEST * part.width * part.height)


def _are_of_one_number(part: Part, other: Part, of_digits: float) -> bool:
    """Return whether a part may be a digit beside another: if it is upright, one that begins and ends as high."""
    most = LEVEL * of_digits if part.height > UPRIGHT * part.width else math.inf
    is_level = abs(part.top - other.top) <= most and abs(part.bottom - other.bottom) <= most
    return is_level and are_neighbours(part, other, of_digits)


def _raise(ink: Grey, labels: npt.NDArray[np.int32], part: Part) -> None:
    """Make a part as deep as full ink."""
    window = slice(part.top, part.bottom), slice(part.left, part.right)
    is_own, here = labels[window] == part.label, ink[window]
    deeper = here.astype(np.float32) * np.float32(255 / np.percentile(here[is_own], DEPTH))
    here[is_own] = np.minimum(255, deeper[is_own]).astype(np.uint8)
