"""The ways to group a line's pieces into glyphs, and the best of them: as the network reads it, and as digits stand."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.kernels.numbers.search import add_all_ways, add_ways_of_text, find_best_way
from fastmnist.numbers.glyphs import to_mnist_form
from fastmnist.numbers.lines import LOW
from fastmnist.numbers.pieces import Pieces

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MOST_PIECES = 10  # of a glyph: that many lie in a part that is as wide as a digit
WIDEST = 1.6  # times the digits' height: glyphs of several pieces are at most so wide
# Ways share their glyphs, so that a sum over all counts the doubt of each many times. With scores to that power, and
# its root of the share, the confidences of 1,250 rows of training digits are off by 0.021 in the mean; plainly by 0.33.
SHARP = 2
LEAST = 1e-9  # probability of anything


class Weights(NamedTuple):
    """What a way costs beside the network's doubt, in natural logarithms; chosen on training digits."""

    cut: float = 0.15  # for each cut through ink,
    per_cut: float = 0.8  # for what it cuts, as much as digits are high,
    per_narrow: float = 4.0  # and for the width that what is cut lacks to two digits', in parts of their height
    per_gap: float = 8.0  # for a gap within a glyph, as wide as digits are high
    low: float = 10.0  # for a low glyph, times the square of what it lacks to
    height: float = 0.67  # of the digits' height
    unknown: float = 1.2  # for a glyph that is no digit
    left_out: float = 1.2  # for a mark


WEIGHTS = Weights()


class Ways(NamedTuple):
    """All arcs between a line's cuts, in the order of their ends; a way is a row of them.

    starts, ends, counts: int64 (n,), see kernels/numbers/search.py; an arc without a glyph leaves a mark out.
    shapes: float64 (n, 4), the ink cut at its end, what the part cut there lacks in width, the gaps within, and its
    height, all in parts of the digits' height.
    glyphs: int32 (n, 6), see glyphs.py.
    """

    starts: Integers
    ends: Integers
    counts: Integers
    shapes: Floats
    glyphs: npt.NDArray[np.int32]


class Chosen(NamedTuple):
    """The arcs of the best way that read a glyph, from left to right, and how sure their text is, 0 to 1.

    It is the share of the ways that read the same text, of all.
    """

    arcs: list[int]
    confidence: float


def find_ways(pieces: Pieces, height: float) -> Ways:
    """Return all ways through pieces, one or more, of a line whose digits are so high."""
    arcs: list[tuple[int, int, int]] = []
    shapes: list[tuple[float, float, float, float]] = []
    glyphs: list[tuple[int, ...]] = []
    boxes, cuts = pieces.boxes.tolist(), list(zip(pieces.crossed.tolist(), pieces.narrow.tolist(), strict=True))
    for end in range(1, len(boxes) + 1):
        top, left, bottom, right = boxes[end - 1]
        if bottom - top < LOW * height:  # it may be left out, as a point or a dash is
            arcs.append((end - 1, end, 0))
            shapes.append((*cuts[end], 0.0, 0.0))
            glyphs.append((end - 1, end - 1, top, left, bottom, right))
        gaps = 0
        for start in range(end - 1, max(-1, end - 1 - MOST_PIECES), -1):
            y, x, low, far = boxes[start]
            gaps += max(0, left - far)
            top, left, bottom, right = min(top, y), min(left, x), max(bottom, low), max(right, far)
            if start < end - 1 and right - left > WIDEST * height:
                break
            arcs.append((start, end, 1))
            shapes.append((*cuts[end], gaps / height, (bottom - top) / height))
            glyphs.append((start, end - 1, top, left, bottom, right))
    starts, ends, counts = np.array(arcs, np.int64).T.copy()
    return Ways(starts, ends, counts, np.array(shapes), np.array(glyphs, np.int32))


def images_of(pieces: Pieces, ways: Ways) -> npt.NDArray[np.uint8]:
    """Return the glyph of each arc in MNIST's form, uint8 (n, 28, 28)."""
    return to_mnist_form(pieces.ink, pieces.labels, ways.glyphs)


def with_doubt(probabilities: npt.NDArray[np.float32]) -> Floats:
    """Return what the network says of glyphs, (n, n_classes + 1), the last less likely: a number has digits."""
    doubted = np.maximum(probabilities.astype(np.float64), LEAST)
    doubted[:, -1] *= np.exp(-WEIGHTS.unknown)
    return doubted


def best_way(ways: Ways, doubted: Floats, length: tuple[int, int] | None = None) -> Chosen | None:
    """Return the best way, with as many glyphs as `length` says, from its first to its second; None where none has.

    doubted: float64 (n, n_classes + 1), what `with_doubt` returns of each arc's glyph.
    """
    n_cuts, costs, is_glyph = int(ways.ends[-1]) + 1, _costs(ways), ways.counts > 0
    scores = np.where(is_glyph[:, None], np.log(doubted), 0.0) - costs[:, None]  # of each class
    best = scores.max(axis=1)
    least, most = length or (1, n_cuts - 1)
    most = min(most, n_cuts - 1)
    table, before = np.empty((n_cuts, most + 1)), np.empty((n_cuts, most + 1), np.int64)
    way = np.empty(len(best), np.int64)
    n = find_best_way(ways.starts, ways.ends, best, ways.counts, least, most, table, before, way)
    if n == 0:
        return None
    arcs = way[:n][::-1]
    glyphs = arcs[is_glyph[arcs]]
    each = np.where(is_glyph, np.log((doubted**SHARP).sum(axis=1)), 0.0) - SHARP * costs
    together = add_all_ways(ways.starts, ways.ends, each, ways.counts, least, most, table)
    text, alike = doubted[glyphs].argmax(axis=1), np.empty((n_cuts, len(glyphs) + 1))
    of_text = add_ways_of_text(ways.starts, ways.ends, SHARP * scores, ways.counts, text, alike)
    return Chosen(glyphs.tolist(), float(np.exp(min(0.0, of_text - together) / SHARP)))


def _costs(ways: Ways) -> Floats:
    crossed, narrow, gaps, heights = ways.shapes.T
    of_glyph = WEIGHTS.per_gap * gaps + WEIGHTS.low * np.maximum(0, WEIGHTS.height - heights) ** 2
    of_cut = WEIGHTS.cut * (crossed > 0) + WEIGHTS.per_cut * crossed + WEIGHTS.per_narrow * narrow
    costs: Floats = of_cut + np.where(ways.counts > 0, of_glyph, WEIGHTS.left_out)
    return costs
