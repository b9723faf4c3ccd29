"""Lines that are no boxes, taken out of a page's ink: across the page, of tables, and combs to write on."""

from bisect import bisect
from itertools import pairwise
from statistics import median

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv
from fastmnist.kernels.picture.rules import remove_rules
from fastmnist.kernels.picture.work import SLACK, make_work
from fastmnist.numbers.lines import Part, are_around_others, digit_height
from fastmnist.numbers.page import core_of

Grey = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]

THICKEST_RULE = 0.02  # of the picture's shorter side, and
SOFT_EDGES = 3  # pixels
UNUSED = make_work(1)  # in place of the working memory that nothing here needs

HOLLOW, THIN = 0.15, 5  # of its box, times as high as wide: the ink of a grid, an upright line
FAR_HIGHER, MANY_OTHERS = 2, 2  # times the others' height, times as many as they are

LONG = 1.6  # times the digits' height: lines are longer than any stroke of a digit,
THICK, THICKEST = 0.15, 4  # and thinner than that, or that many pixels
FAR, MOSTLY = 5, 0.65  # of a piece of ink that is not that much longer, lines that are taken out are more than that
AROUND = 2  # pixels of a line's soft edge

WIDER, COMB_AREA = 1.2, 0.35  # times as high, of its box: a comb is wider, and has less ink
LEVEL = 0.03  # of its length: its line is as good as level
FULL = 0.7  # of its box: a tick is as good as straight and upright
FEWEST = 3  # ticks, or outlines,
TWO_LINES = 3  # times as high as the digits: what is higher may be a table
OUTLINES = 0.1  # of their height and width: by which these differ less
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


def without_lines(ink: Grey, labels: Labels, parts: list[Part], of_digits: float) -> Grey:
    """Return the ink without lines that are longer than any stroke of a digit, which is `of_digits` pixels high.

    `labels`, `parts`: the map of its pieces, and these, at least one. Where a stroke crosses a line, it stays. What is
    drawn around a single row of digits stays whole, and so do letters and digits that touch in a straight line.
    """
    length, thick = round(LONG * of_digits), max(THICKEST, round(THICK * of_digits))
    is_long = max(part.width for part in parts) > length, max(part.height for part in parts) > length
    if not any(is_long):
        return ink
    core, lines = core_of(ink), np.zeros_like(ink)
    if is_long[0]:
        lines |= _lines_along(core, (1, length), (thick + 1, 1))
    if is_long[1]:
        lines |= _lines_along(core, (length, 1), (1, thick + 1))
    of_lines = np.bincount(labels[lines > 0], minlength=len(parts) + 1)
    whole = [
        part.label
        for part, is_around in zip(parts, are_around_others(parts), strict=True)
        if (is_around and part.height < TWO_LINES * of_digits)
        or (max(part.width, part.height) < FAR * of_digits and of_lines[part.label] < MOSTLY * part.area)
    ]
    lines[np.isin(labels, whole)] = 0
    return _without(ink, lines) if lines.any() else ink


def _without(ink: Grey, gone: Grey) -> Grey:
    """Return the ink without some of its core, 1 in `gone`, and the soft edges of that."""
    cv2 = opencv()
    strokes = cv2.dilate(core_of(ink) & ~gone, np.ones((3, 3), np.uint8))
    gone = cv2.dilate(gone, np.ones((2 * AROUND + 1,) * 2, np.uint8)) & ~strokes | gone
    return np.where(gone, 0, ink).astype(np.uint8)


def _lines_along(core: Grey, length: tuple[int, int], thickness: tuple[int, int]) -> Grey:
    """Return where runs of ink are as long as a window and thinner than one across it."""
    cv2 = opencv()
    across = np.ones(thickness, np.uint8)
    wider = cv2.dilate(core, np.ones([min(3, side) for side in thickness], np.uint8))  # a line askew has steps
    long = cv2.morphologyEx(wider, cv2.MORPH_OPEN, np.ones(length, np.uint8))
    return np.asarray(long & core & ~cv2.morphologyEx(core, cv2.MORPH_OPEN, across), np.uint8)


def without_places(ink: Grey, labels: Labels, parts: list[Part]) -> Grey:
    """Return the ink without what shows the places for digits: combs, and outlines around each digit.

    `labels`, `parts`: the map of its pieces, and these.
    """
    outlines = _outlines_of_each(parts)
    may_be_combs = [
        part
        for part in parts
        if part.width >= WIDER * part.height and part.area <= COMB_AREA * part.width * part.height
    ]
    if not outlines and not may_be_combs:
        return ink
    gone = np.isin(labels, outlines).astype(np.uint8)
    for part in may_be_combs:
        window = slice(part.top, part.bottom), slice(part.left, part.right)
        is_own = labels[window] == part.label
        depths = is_own.sum(axis=0)
        is_tick, is_base = _ticks_of(depths), depths <= 2 * np.median(depths)
        if is_tick.any() and _is_level(is_own[:, is_base]):
            gone[window] |= is_own & (is_tick | is_base)
    return _without(ink, gone) if gone.any() else ink


def _outlines_of_each(parts: list[Part]) -> list[int]:
    """Return the labels of outlines that are alike, several, each around another piece of ink: circles, or boxes.

    (A single one that is no higher than digits may be a digit, with a piece of it within its box.)
    """
    outlines = [part for part, is_around in zip(parts, are_around_others(parts), strict=True) if is_around]
    if len(outlines) < FEWEST:
        return []
    height, width = median(part.height for part in outlines), median(part.width for part in outlines)
    alike = [
        part.label
        for part in outlines
        if abs(part.height - height) <= OUTLINES * height and abs(part.width - width) <= OUTLINES * width
    ]
    return alike if len(alike) >= FEWEST else []


def _is_level(is_own: npt.NDArray[np.bool_]) -> bool:
    """Return whether the columns of a line, (height, n), hardly rise or fall: it is printed, not written."""
    rise = np.ptp(is_own.argmax(axis=0))
    return bool(rise <= max(2, LEVEL * is_own.shape[1]))


def _ticks_of(depths: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which columns of a piece of ink, each with so many pixels, are ticks of a comb, if it is one."""
    thickness = float(np.median(depths))
    is_high = np.concatenate([[False], depths > 2 * thickness + 1, [False]])
    starts, ends = np.flatnonzero(~is_high[:-1] & is_high[1:]), np.flatnonzero(is_high[:-1] & ~is_high[1:])
    is_narrow = ends - starts <= max(THICKEST, 3 * thickness)
    starts, ends = starts[is_narrow], ends[is_narrow]
    is_tick = np.zeros(len(depths), np.bool_)
    if len(starts) < 2 or starts[0] > THICKEST or ends[-1] < len(depths) - THICKEST:
        return is_tick
    ticks = [slice(start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    if _are_even(starts.tolist(), [int(depths[tick].max()) for tick in ticks], ALIKE):
        for tick in ticks:
            is_tick[tick] = True
    return is_tick


def find_separators(parts: list[Part]) -> list[Part]:
    """Return the lines between the places for digits: upright, alike, evenly spaced, and higher than digits."""
    others = [part for part in parts if not _is_bar(part)]
    if len(parts) - len(others) < FEWEST or not others:
        return []
    least = HIGHER * digit_height(others)
    bars = sorted((part for part in parts if _is_bar(part) and part.height > least), key=lambda bar: bar.left)
    if len(bars) < FEWEST:
        return []
    are_even = _are_even([bar.left for bar in bars], [bar.height for bar in bars], MORE_ALIKE)
    return bars if are_even and _are_between(others, bars) else []


def _is_bar(part: Part) -> bool:
    is_thin = part.width <= max(THICKEST, THICK * part.height) and part.height > 2 * part.width
    return is_thin and part.area >= FULL * part.width * part.height


def _are_even(lefts: list[int], heights: list[int], alike: float) -> bool:
    """Return whether bars, two or more, are alike in height and evenly spaced, maybe with gaps."""
    steps, height = [second - first for first, second in pairwise(lefts)], median(heights)
    least = min(steps)
    are_alike = all(abs(one - height) <= max(2, alike * height) for one in heights)
    return are_alike and least > 0 and all(abs(step - round(step / least) * least) <= alike * least for step in steps)


def _are_between(parts: list[Part], bars: list[Part]) -> bool:
    """Return whether there is a digit between every bar and the next one."""
    middles = sorted((part.left + part.right) / 2 for part in parts if part.height > HIGH * bars[0].height)
    return all(bisect(middles, first.left) < bisect(middles, second.left) for first, second in pairwise(bars))
