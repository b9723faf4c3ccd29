"""The ways to cut a line into glyphs, and the best of them: as the network reads it, and as digits stand."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.kernels.numbers.glyphs import find_glyphs
from fastmnist.kernels.numbers.search import add_all_ways, add_ways_of_text, find_best_way
from fastmnist.numbers.cuts import Cuts
from fastmnist.numbers.glyphs import to_mnist_form, to_pieces
from fastmnist.numbers.lines import LOW

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MOST_CUTS = 14  # from the start of a glyph to its end: that many lie in a part that is as wide as a digit
WIDEST = 1.6  # times the digits' height: glyphs that may be cut further are at most so wide
MOST_LOST = 0.01  # of the digits' height squared: ink that is right of a glyph's start and left of its end at once
# Ways share their glyphs, so that a sum over all counts the doubt of each many times. With scores to that power, and
# its root of the share, the confidences of 1,000 rows of training digits are off by 0.05 in the mean, those of as many
# in another hand by 0.13; plainly by 0.18 and 0.15, with the power 3 by 0.02 and 0.22.
SHARP = 2
LEAST = 1e-9  # probability of anything


class Weights(NamedTuple):
    """What a way costs beside the network's doubt, in natural logarithms; chosen on training digits."""

    cut: float = 0.01  # for each cut through ink,
    per_cut: float = 0.977  # for what it cuts, as much as digits are high,
    per_narrow: float = 0.86  # and for the width that what is cut lacks to two digits', in parts of their height
    per_gap: float = 6.481  # for a gap within a glyph, as wide as digits are high
    low: float = 20.0  # for a low glyph, times the square of what it lacks to
    height: float = 0.69  # of the digits' height
    none: float = 1.168  # for a piece of ink as a digit, beside what the network says: most pieces are none
    unknown: float = 0.6  # for a glyph that is no digit
    left_out: float = 0.58  # for a mark


WEIGHTS = Weights()


class Ways(NamedTuple):
    """All arcs between a line's cuts, in the order of their ends; a way is a row of them.

    starts, ends, counts: int64 (n,), see kernels/numbers/search.py; an arc without a glyph leaves a mark out.
    shapes: float64 (n, 4), the ink cut at its end, what the part cut there lacks in width, the gaps within, and its
    height, all in parts of the digits' height.
    glyphs: int32 (n, 6), see glyphs.py.
    is_cut: bool (n,), whether ink is cut at its start or its end.
    """

    starts: Integers
    ends: Integers
    counts: Integers
    shapes: Floats
    glyphs: npt.NDArray[np.int32]
    is_cut: npt.NDArray[np.bool_]


class Chosen(NamedTuple):
    """The arcs of the best way that read a glyph, from left to right, and how sure their text is, 0 to 1.

    It is the share of the ways that read the same text, of all.
    """

    arcs: list[int]
    confidence: float


def find_ways(cuts: Cuts, height: float) -> Ways:
    """Return all ways through the cuts of a line whose digits are so high."""
    glyphs = np.empty((MOST_CUTS * len(cuts.parts), 6), np.int32)
    n = find_glyphs(
        cuts.cores,
        cuts.boxes,
        cuts.parts,
        cuts.seams,
        cuts.lefts,
        MOST_CUTS,
        WIDEST * height,
        MOST_LOST * height * height,
        glyphs,
    )
    start, end, top, _, bottom, _ = glyphs[:n].T
    is_mark = (end == start + 1) & (bottom - top < LOW * height)  # it may be left out, as a point or a dash is
    arcs = np.concatenate([np.flatnonzero(is_mark), np.arange(n)])
    counts = np.repeat(np.array([0, 1]), [is_mark.sum(), n])
    order = np.argsort(end[arcs], kind="stable")
    arcs, counts = arcs[order], counts[order]
    gaps, is_seam = _gaps(cuts), _is_seam(cuts)
    shapes = np.stack(
        [cuts.crossed[end], cuts.narrow[end], (gaps[end, 0] - gaps[start, 1]) / height, (bottom - top) / height], axis=1
    )[arcs]
    shapes[counts == 0, 2:] = 0.0
    is_cut = (is_seam[start] | is_seam[end])[arcs]
    return Ways(start[arcs].astype(np.int64), end[arcs].astype(np.int64), counts, shapes, glyphs[arcs], is_cut)


def _is_seam(cuts: Cuts) -> npt.NDArray[np.bool_]:
    """Return which cuts go through ink."""
    return cuts.seams[:, 0] >= 0


def _gaps(cuts: Cuts) -> Floats:
    """Return how wide all gaps are up to the last part left of each cut, and to the first right of it: (n, 2)."""
    lefts, rights = cuts.boxes[:, 1], cuts.boxes[:, 3]
    behind = np.maximum.accumulate(rights)
    total = np.concatenate([[0], np.cumsum(np.maximum(0, lefts[1:] - behind[:-1])), [0]])
    return np.stack([total[np.maximum(0, cuts.parts - ~_is_seam(cuts))], total[cuts.parts]], axis=1).astype(np.float64)


def whole_glyphs(cuts: Cuts, ways: Ways, arcs: Integers) -> npt.NDArray[np.uint8]:
    """Return the glyphs of some arcs in MNIST's form, uint8 (n, 28, 28)."""
    return to_mnist_form(cuts.ink, cuts.part_of, cuts.parts, cuts.seams, ways.glyphs[arcs])


def pieces(cuts: Cuts, ways: Ways, arcs: Integers) -> npt.NDArray[np.uint8]:
    """Return the glyphs of some arcs and, paler, what is around them, uint8 (n, 28, 28)."""
    return to_pieces(cuts.ink, cuts.part_of, cuts.parts, cuts.seams, ways.glyphs[arcs])


def with_doubt(ways: Ways, probabilities: npt.NDArray[np.float32]) -> Floats:
    """Return what the networks say of glyphs, (n, n_classes + 1), with doubt of both kinds.

    A piece is less likely a digit than they say; and no digit costs what it lacks to a number, which has digits.
    """
    doubted = np.maximum(probabilities.astype(np.float64), LEAST)
    doubted[ways.is_cut, -1] *= np.exp(WEIGHTS.none)
    doubted /= doubted.sum(axis=1, keepdims=True)
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
