"""Lines that are no boxes, taken out of a page's ink: across the page, of tables, and combs to write on."""

from bisect import bisect
from itertools import pairwise
from statistics import median

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv
from fastmnist.kernels.picture.rules import remove_rules
from fastmnist.kernels.picture.work import SLACK, make_work
from fastmnist.numbers.lines import Part, digit_height
from fastmnist.numbers.page import core_of

Grey = npt.NDArray[np.uint8]

THICKEST_RULE = 0.02  # of the picture's shorter side, and
SOFT_EDGES = 3  # pixels
UNUSED = make_work(1)  # in place of the working memory that nothing here needs

HOLLOW, THIN = 0.15, 5  # of its box, times as high as wide: the ink of a grid, an upright line
FAR_HIGHER, MANY_OTHERS = 2, 2  # times the others' height, times as many as they are

LONG = 1.6  # times the digits' height: lines are longer than any stroke of a digit,
THICK, THICKEST = 0.15, 4  # and thinner than that, or that many pixels
AROUND = 2  # pixels of a line's soft edge
FULL = 0.7  # of its box: a tick is as good as straight and upright
FEWEST = 3  # ticks
ALIKE, MORE_ALIKE = 0.15, 0.06  # of their height and of the least step: ticks on a line differ less; others,
HIGHER, HIGH = 1.2, 0.3  # which are that much higher than digits, still less, and have digits as high between them


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


def is_drawn(part: Part) -> bool:
    """Return whether a piece of ink may consist of lines: a grid, a frame, an upright line; or a 1."""
    return part.area < HOLLOW * part.width * part.height or part.height > THIN * part.width


def without_drawings(parts: list[Part]) -> list[Part]:
    """Return parts without those made of lines that are far higher than the others, where these are many: tables."""
    others = [part for part in parts if not is_drawn(part)]
    if not others or len(others) == len(parts):
        return parts
    most = FAR_HIGHER * digit_height(others)
    left = [part for part in parts if part.height <= most or not is_drawn(part)]
    return left if len(others) >= MANY_OTHERS * (len(parts) - len(left)) else parts


def without_lines(ink: Grey, parts: list[Part], of_digits: float) -> tuple[Grey, Grey | None]:
    """Return the ink without lines that are longer than any stroke of a digit, and where these were, None if nowhere.

    `parts`: its pieces, at least one. Where a stroke crosses a line, it stays.
    """
    length, thick = round(LONG * of_digits), max(THICKEST, round(THICK * of_digits))
    is_long = max(part.width for part in parts) > length, max(part.height for part in parts) > length
    if not any(is_long):
        return ink, None
    core, lines = core_of(ink), np.zeros_like(ink)
    if is_long[0]:
        lines |= _lines_along(core, (1, length), (thick + 1, 1))
    if is_long[1]:
        lines |= _lines_along(core, (length, 1), (1, thick + 1))
    if not lines.any():
        return ink, None
    cv2 = opencv()
    strokes = cv2.dilate(core & ~lines, np.ones((3, 3), np.uint8))
    gone = cv2.dilate(lines, np.ones((2 * AROUND + 1,) * 2, np.uint8)) & ~strokes | lines
    return np.where(gone, 0, ink).astype(np.uint8), lines


def _lines_along(core: Grey, length: tuple[int, int], thickness: tuple[int, int]) -> Grey:
    """Return where runs of ink are as long as a window and thinner than one across it."""
    cv2 = opencv()
    across = np.ones(thickness, np.uint8)
    wider = cv2.dilate(core, np.ones([min(3, side) for side in thickness], np.uint8))  # a line askew has steps
    long = cv2.morphologyEx(wider, cv2.MORPH_OPEN, np.ones(length, np.uint8))
    return np.asarray(long & core & ~cv2.morphologyEx(core, cv2.MORPH_OPEN, across), np.uint8)


def find_ticks(parts: list[Part], lines: Grey | None) -> list[Part]:
    """Return the ticks between the places for digits: upright, alike, evenly spaced, on a line or higher than digits.

    `lines`: where lines were taken out, if any.
    """
    bars = [part for part in parts if _is_bar(part)]
    others = [part for part in parts if not _is_bar(part)]
    if len(bars) < FEWEST or not others:
        return []
    on_line = [] if lines is None else [bar for bar in bars if _stands_on(bar, lines)]
    if len(on_line) >= FEWEST and _are_even(on_line, ALIKE):
        return on_line
    higher = [bar for bar in bars if bar.height > HIGHER * digit_height(others)]
    return higher if len(higher) >= FEWEST and _are_even(higher, MORE_ALIKE) and _are_between(others, higher) else []


def _is_bar(part: Part) -> bool:
    is_thin = part.width <= max(THICKEST, THICK * part.height) and part.height > 2 * part.width
    return is_thin and part.area >= FULL * part.width * part.height


def _are_even(bars: list[Part], alike: float) -> bool:
    """Return whether bars, three or more, are alike in height and evenly spaced, maybe with gaps."""
    height, lefts = median(bar.height for bar in bars), sorted(bar.left for bar in bars)
    steps = [second - first for first, second in pairwise(lefts)]
    least = min(steps)
    are_alike = all(abs(bar.height - height) <= max(2, alike * height) for bar in bars)
    return are_alike and least > 0 and all(abs(step - round(step / least) * least) <= alike * least for step in steps)


def _are_between(parts: list[Part], bars: list[Part]) -> bool:
    """Return whether there is a digit in front of or behind every bar."""
    lefts = sorted(bar.left for bar in bars)
    middles = sorted((part.left + part.right) / 2 for part in parts if part.height > HIGH * bars[0].height)
    return all(bisect(middles, first) < bisect(middles, second) for first, second in pairwise(lefts))


def _stands_on(part: Part, lines: Grey) -> bool:
    """Return whether a part touches a line at its foot or its head."""
    columns = slice(max(0, part.left - 1), part.right + 1)
    foot, head = slice(part.bottom - 1, part.bottom + AROUND + 2), slice(max(0, part.top - AROUND - 2), part.top + 1)
    return bool(lines[foot, columns].any() or lines[head, columns].any())
