"""Groups pieces of ink into lines: each piece is followed by the next one to its right at about the same height."""

from bisect import bisect_left
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv
from fastmnist.kernels.numbers.labels import measure

Grey = npt.NDArray[np.uint8]

INSET = 1 / 12  # of the picture's shorter side: the inner part of a picture begins there
INNER_SHARE = 0.4  # of its area: what touches the border with less of it in the inner part is no digit
MOST_PARTS = 3000  # pieces of ink on a page: more are a photograph, or noise
SPECK = 0.02  # of a digit's height squared: less area is a speck
LOW = 0.4  # of a digit's height: what is lower is a mark, such as a point or a dash, unless its box is as large as
BROAD = 0.27  # of a digit's height squared: that of a flat 2 is
LONG, THIN = 1.5, 0.12  # times a digit's height: what is that long, and on average no thicker, is an underline
OVERLAP = 0.35  # of the lower one's height: pieces that overlap as much stand side by side
WIDE_GAP = 1.6  # times the digits' height: another number begins
HOLLOW = 0.25  # of its box: what is drawn around digits has less area,
IN_OUTLINE, HIGHER = 0.28, 1.3  # of its height: digits in it have that much; times the digits' height: it has more
STACKED, NEAR_ABOVE = 0.25, 0.3  # of the narrower one's width, of the higher one's height: parts of one digit
PIECE = 0.7  # of a digit's height: parts lower than that, together no higher than WHOLE, are one digit if they are
NEAR_PIECE, NEAR_HALF, WHOLE = 0.17, 0.1, 1.1  # less than that apart vertically, one being a mark; neither being one
TALL, NARROW = 2.5, 0.2  # times a digit's height: what may join lines; of its own height: a bracket or fold is narrower
NEAR_MARK = 0.5  # of a digit's height: a mark nearer than that may be a stroke of a digit


class Part(NamedTuple):
    """A connected piece of ink: its label in the map of labels, its box, right and bottom exclusive, and its area."""

    label: int
    left: int
    top: int
    right: int
    bottom: int
    area: int

    @property
    def height(self) -> int:
        """Its height in pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Its width in pixels."""
        return self.right - self.left


class Line(NamedTuple):
    """Parts of one number, from left to right; `height` is that of its digits."""

    parts: list[Part]
    height: float

    @property
    def left(self) -> int:
        """Where its ink begins."""
        return min(part.left for part in self.parts)

    @property
    def right(self) -> int:
        """Where its ink ends, exclusive."""
        return max(part.right for part in self.parts)


def measured_parts(core: Grey) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return which piece each pixel of `core`, uint8 (height, width), is of, from 1, and the pieces as (n, 5).

    Each row is a Part but for its label, which is the row's number plus 1.
    """
    n_labels, labels = opencv().connectedComponents(core, connectivity=8, ltype=4)
    parts = np.empty((n_labels - 1, 5), np.int32)  # OpenCV's own statistics take three times as long
    measure(labels, parts)
    return labels, parts


def connected_parts(core: Grey) -> tuple[npt.NDArray[np.int32], list[Part]]:
    """Return which piece each pixel of `core`, uint8 (height, width), is of, from 1, and the pieces."""
    labels, parts = measured_parts(core)
    return labels, [Part(label, *part) for label, part in enumerate(parts.tolist(), 1)]


def without_margin(parts: list[Part], labels: npt.NDArray[np.int32]) -> list[Part]:
    """Return parts without those at the picture's border: shadows, frames and neighbours that are cut off.

    More of a digit that touches the border lies further in; `labels` is the map of the parts.
    """
    height, width = labels.shape
    touching = [
        part for part in parts if part.left == 0 or part.top == 0 or part.right == width or part.bottom == height
    ]
    if not touching:
        return parts
    inset = max(1, round(INSET * min(height, width)))
    inner = labels[inset : height - inset, inset : width - inset]
    n_inner = np.bincount(inner.ravel(), minlength=max(part.label for part in touching) + 1)
    at_border = {part.label for part in touching if n_inner[part.label] < INNER_SHARE * part.area}
    return [part for part in parts if part.label not in at_border] if len(at_border) < len(parts) else parts


def without_outlines(parts: list[Part]) -> list[Part]:
    """Return parts without those that are drawn around others and higher than these: the circle around an answer."""
    is_outline = are_around_others(parts)
    if not is_outline.any() or is_outline.all():
        return parts
    least = HIGHER * digit_height([part for part, is_around in zip(parts, is_outline, strict=True) if not is_around])
    return [part for part, is_around in zip(parts, is_outline, strict=True) if not is_around or part.height < least]


def are_around_others(parts: list[Part]) -> npt.NDArray[np.bool_]:
    """Return which parts have little ink in their box and another part within, which may stick out at the top."""
    _, left, top, right, bottom, area = np.array(parts, np.int64).reshape(-1, 6).T
    height, width = bottom - top, right - left
    is_around = np.zeros(len(parts), np.bool_)
    for n in np.flatnonzero(area < HOLLOW * width * height):
        is_within = (left[n] < left) & (right < right[n]) & (top[n] < top + height / 2) & (bottom < bottom[n])
        is_around[n] = (is_within & (height >= IN_OUTLINE * height[n])).any()
    return is_around


def digit_height(parts: list[Part]) -> float:
    """Return how high digits are: the median height of what is at least half as high as the higher ones.

    The weight of a part is its height, so that a few digits outweigh many specks.
    """
    # Few as a rule, for which NumPy takes three times as long.
    heights = sorted([part.bottom - part.top for part in parts])
    weights = list(accumulate(heights))
    typical = heights[bisect_left(weights, 0.5 * weights[-1])]
    high = heights[bisect_left(heights, 0.5 * typical) :]
    return (high[(len(high) - 1) // 2] + high[len(high) // 2]) / 2  # their median, as they are in order


def find_lines(parts: list[Part]) -> list[Line]:
    """Return the lines that parts of similar size stand in, in any order."""
    if not parts:
        return []
    height = digit_height(parts)
    parts = [part for part in parts if part.width < LONG * height or part.area > THIN * part.width * height]
    parts, bridges = _without_bridges(parts, height)
    digits, marks = _digits_and_marks(parts, height)
    lines = _lines_of_bridges(bridges)
    for group in _chains([whole for whole, _ in digits]):
        strokes = [stroke for n in group for stroke in digits[n][1]]
        line = Line(sorted(strokes, key=_middle), digit_height([digits[n][0] for n in group]))
        lines.append(_with_marks(line, marks))
    return lines


def _without_bridges(parts: list[Part], height: float) -> tuple[list[Part], list[Part]]:
    """Return parts without those that would join lines, and those: much higher than digits, beside digits of two lines.

    They are brackets, folds or axes, or large digits beside small print.
    """
    tall = [part for part in parts if part.height > TALL * height]
    digits = [part for part in parts if PIECE * height <= part.height <= TALL * height]
    if not tall or not digits:
        return parts, []
    _, _, tops, _, bottoms, _ = np.array(digits, np.int64).T
    bridges = {}
    for part in tall:
        overlaps = np.minimum(bottoms, part.bottom) - np.maximum(tops, part.top)
        beside = overlaps > OVERLAP * (bottoms - tops)
        if beside.any() and tops[beside].max() >= bottoms[beside].min():
            bridges[part.label] = part
    return [part for part in parts if part.label not in bridges], list(bridges.values())


def _lines_of_bridges(bridges: list[Part]) -> list[Line]:
    """Return the numbers among bridges: all but a narrow one that stands alone, which is a bracket or a fold."""
    bridges = sorted(bridges, key=lambda part: part.left)
    groups = [[bridges[n] for n in group] for group in _chains(bridges)]
    return [
        Line(sorted(group, key=_middle), digit_height(group))
        for group in groups
        if len(group) > 1 or group[0].width >= NARROW * group[0].height
    ]


def _digits_and_marks(parts: list[Part], height: float) -> tuple[list[tuple[Part, list[Part]]], list[Part]]:
    """Return what may be digits about so high, from left to right, each with its strokes; and what is lower.

    What is flat, or low even with all its pieces, is a digit only beside others: two lines of small print are not.
    """
    parts = [part for part in parts if part.height >= LOW * height or part.area >= SPECK * height * height]
    tall = [part for part in parts if part.height >= PIECE * height]
    digits, marks = [], []
    for strokes in _joined(parts, height):
        whole = _around(strokes)
        if _is_digit(whole, tall, height):
            digits.append((whole, strokes))
            continue
        digits += [(stroke, [stroke]) for stroke in strokes if stroke.height >= LOW * height]
        marks += [stroke for stroke in strokes if stroke.height < LOW * height]
    return sorted(digits, key=lambda digit: digit[0].left), marks


def _is_digit(whole: Part, tall: list[Part], height: float) -> bool:
    """Return whether strokes are of a digit: high, or beside one and not small either."""
    if whole.height >= PIECE * height:
        return True
    may_be_mark = is_mark(whole.height, whole.width, height)
    return not may_be_mark and any(are_neighbours(whole, other, height) for other in tall)


def is_mark(height: int, width: int, of_digits: float) -> bool:
    """Return whether ink so high and wide beside digits so high may be a mark: low, in a small box."""
    return height < LOW * of_digits and height * width < BROAD * of_digits * of_digits


def _joined(parts: list[Part], height: float) -> list[list[Part]]:
    """Return parts in groups: those together that a digit of about that height may have broken into."""
    group_of = {part.label: [part] for part in parts}
    near = []
    pieces = sorted([part for part in parts if part.height < PIECE * height], key=lambda part: part.left)
    for here, part in enumerate(pieces):
        for other in pieces[here + 1 :]:
            if other.left >= part.right:
                break
            reach = (NEAR_PIECE if min(part.height, other.height) < LOW * height else NEAR_HALF) * height
            gap = _gap_down(part, other)
            if -_gap(part, other) > STACKED * min(part.width, other.width) and gap < reach:
                near.append((gap, part.label, other.label))
    for _, first, second in sorted(near):
        group, more = group_of[first], group_of[second]
        if group is more:
            continue
        whole = _around(group + more)
        if whole.height <= WHOLE * height and whole.width <= LONG * height:
            group += more
            group_of.update((part.label, group) for part in more)
    return [group for first, group in group_of.items() if group[0].label == first]


def _around(parts: list[Part]) -> Part:
    """Return parts as one."""
    label, lefts, tops, rights, bottoms, areas = zip(*parts, strict=True)
    return Part(label[0], min(lefts), min(tops), max(rights), max(bottoms), sum(areas))


def line_of(parts: list[Part], least_height: float) -> Line | None:
    """Return all parts as one line, whose digits are `least_height` pixels high or more; None without ink."""
    if not parts:
        return None
    height = max(least_height, digit_height(parts))
    parts = [part for part in parts if part.area >= SPECK * height * height]
    return Line(sorted(parts, key=_middle), height) if parts else None


def hang_together(parts: list[Part], step: float) -> bool:
    """Return whether every part can be reached from any other in steps of at most `step` pixels."""
    reached, left = parts[:1], parts[1:]
    for one in reached:
        near = [other for other in left if _apart(one, other) <= step]
        left = [other for other in left if other not in near]
        reached += near
    return not left


def _apart(one: Part, other: Part) -> int:
    """Return how far apart the boxes of two parts are, across or down, whichever is more."""
    return max(_gap(one, other), _gap_down(one, other))


def _gap(one: Part, other: Part) -> int:
    """Return how far apart two parts are, from left to right; below 0 where they overlap."""
    return max(one.left, other.left) - min(one.right, other.right)


def _gap_down(one: Part, other: Part) -> int:
    """Return how far apart two parts are, from top to bottom; below 0 where they overlap."""
    return max(one.top, other.top) - min(one.bottom, other.bottom)


def _middle(part: Part) -> float:
    return (part.left + part.right) / 2


def _chains(parts: list[Part]) -> list[list[int]]:
    """Return parts, sorted by their left sides, in groups: each goes on with the nearest to its right beside it.

    Each group lists indices into `parts`.
    """
    group_of = list(range(len(parts)))
    tallest = max((part.height for part in parts), default=0)

    def root(n: int) -> int:
        while group_of[n] != n:
            n = group_of[n]
        return n

    for here, part in enumerate(parts):
        for other in range(here + 1, len(parts)):
            gap = parts[other].left - part.right
            if gap > WIDE_GAP * tallest:
                break
            if gap < WIDE_GAP * max(part.height, parts[other].height) and _are_beside(part, parts[other]):
                group_of[root(other)] = root(here)
                break
        for other in range(here + 1, len(parts)):
            if parts[other].left >= part.right:
                break
            if _are_stacked(part, parts[other]):
                group_of[root(other)] = root(here)
    groups: dict[int, list[int]] = {}
    for n in range(len(parts)):
        groups.setdefault(root(n), []).append(n)
    return list(groups.values())


def _are_beside(one: Part, other: Part) -> bool:
    return -_gap_down(one, other) > OVERLAP * min(one.height, other.height)


def are_neighbours(one: Part, other: Part, height: float) -> bool:
    """Return whether parts may be of one number, whose digits are about so high."""
    return _gap(one, other) < WIDE_GAP * height and _are_beside(one, other)


def _are_stacked(one: Part, other: Part) -> bool:
    """Return whether parts stand above each other and near, as the bar and the body of a broken 5 do."""
    higher = max(one.height, other.height)
    together = max(one.bottom, other.bottom) - min(one.top, other.top)
    is_near = _gap_down(one, other) < NEAR_ABOVE * higher
    is_above = -_gap(one, other) > STACKED * min(one.width, other.width) and is_near
    return is_above and together < 2 * higher


def _with_marks(line: Line, marks: list[Part]) -> Line:
    """Return a line with the marks that may be strokes of its digits."""
    reach = NEAR_MARK * line.height
    near = [mark for mark in marks if any(_apart(mark, part) < reach for part in line.parts)]
    return Line(sorted([*line.parts, *near], key=_middle), line.height)
