"""The ways to cut a line into glyphs, and the best one, judged by what the network reads and how digits are placed."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.kernels.numbers.glyphs import find_arcs
from fastmnist.kernels.numbers.search import (
    add_all_ways,
    add_ways_of_text,
    find_best_way,
    find_best_way_of_text,
    weigh,
)
from fastmnist.kernels.numbers.texts import BEAM, find_likeliest_text
from fastmnist.numbers.cuts import Cuts
from fastmnist.numbers.glyphs import to_mnist_form, to_pieces
from fastmnist.numbers.lines import BROAD, LOW

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float32]

MOST_CUTS = 14  # from the start of a glyph to its end: a part as wide as a digit has this many cuts
MOST_OF_LINE = 2000  # cuts of a line, for time and memory that grow with their square: 100 MB
WIDEST = 1.6  # times the digits' height: the greatest width of a glyph that may be cut further
HIGHEST = 3.0  # likewise; a part of ink that is higher is not cut. Blots would be, into thousands of large pieces
MOST_LOST = 0.01  # of the digits' height squared: ink that is right of a glyph's start and left of its end at once
LEAST = 1e-9  # probability of anything
IS_NUMBER = 0.5  # of a line's glyphs are digits: it is a number


class Weights(NamedTuple):
    """What a way costs beside the networks' doubt, in natural logarithms; docs/numbers.md says how it was found.

    They make what rows say likeliest among all ways, so the share of the ways that read a text is how sure it is.
    """

    cut: float  # for each cut through ink; below 0 it is worth that,
    per_cut: float  # for what it cuts, as much as digits are high,
    per_gap: float  # for a gap within a glyph, as wide as digits are high
    low: float  # for a low glyph, times the square of what it lacks to
    height: float  # of the digits' height
    wide: float  # for a wide glyph, times the square of what it has more than
    width: float  # of the digits' height
    none: float  # for a piece of ink as a digit, beside what the network says: most pieces are none
    unknown: float  # for a glyph that is no digit,
    unknown_piece: float  # and as much again for a piece of ink that is none
    left_out: float  # for a mark,
    left_out_piece: float  # as much again for a piece of ink, which is none,
    per_left_out: float  # and for its box, in parts of the digits' height squared


# A line is read twice. What may be words is cut where nothing else is likely, so that an m is not 11 or 17; where at
# least half of that are digits, it is a number, in which digits that are joined are likelier than anything else.
CAREFUL = Weights(
    cut=-3.508,
    per_cut=2.489,
    per_gap=13.297,
    low=20.0,
    height=0.892,
    wide=4.501,
    width=0.237,
    none=9.28,
    unknown=-0.956,
    unknown_piece=7.259,
    left_out=3.974,
    left_out_piece=2.24,
    per_left_out=0.191,
)
IN_NUMBER = Weights(
    cut=-1.663,
    per_cut=0.608,
    per_gap=5.765,
    low=13.2,
    height=1.02,
    wide=9.449,
    width=0.167,
    none=6.306,
    unknown=3.316,
    unknown_piece=5.65,
    left_out=1.0,
    left_out_piece=6.2,
    per_left_out=15.0,
)


class Ways(NamedTuple):
    """All arcs between a line's cuts, in the order of their ends; a way is a row of them.

    starts, ends, counts: int64 (n,), see kernels/numbers/search.py; an arc without a glyph leaves a mark out.
    shapes: float64 (n, 4), the ink cut at its end, the gaps within, its height and its width, all in parts of the
    digits' height.
    glyphs: int32 (n, 6), see glyphs.py.
    is_cut: bool (n,), whether ink is cut at its start or its end.
    """

    starts: Integers
    ends: Integers
    counts: Integers
    shapes: Floats
    glyphs: npt.NDArray[np.int32]
    is_cut: npt.NDArray[np.bool_]


class Answers(NamedTuple):
    """What the networks say of each arc's glyph, float32 (n, n_classes + 1): each class, and last that it is none.

    alone: the one network that is asked of ink of its kind, whole or cut. together: both, where that one is in doubt of
    whole ink: the mean of their logarithms; `alone` itself on a line of which nothing is cut.
    """

    alone: Probabilities
    together: Probabilities


class Chosen(NamedTuple):
    """A way: its arcs that read a glyph, from left to right, what they may be, their text, and how sure that is.

    probabilities: float64 (n_glyphs, n_classes + 1), up to a common factor. labels: the classes that the text has.
    confidence: 0 to 1.
    """

    arcs: list[int]
    probabilities: Floats
    labels: list[int]
    confidence: float


def find_ways(cuts: Cuts, height: float) -> Ways:
    """Return all ways through the cuts of a line whose digits are `height` pixels high."""
    most = (MOST_CUTS + 1) * len(cuts.parts)
    glyphs, counts = np.empty((most, 6), np.int32), np.empty(most, np.int64)
    shapes, is_cut, gaps = np.empty((most, 4)), np.empty(most, np.bool_), np.empty(len(cuts.boxes) + 1)
    n = find_arcs(
        cuts.cores, cuts.boxes, cuts.parts, cuts.seams, cuts.lefts, cuts.crossed,
        height, MOST_CUTS, WIDEST, HIGHEST, MOST_LOST, LOW, BROAD, gaps, glyphs, counts, shapes, is_cut,
    )  # fmt: skip
    starts, ends = glyphs[:n, 0].astype(np.int64), glyphs[:n, 1].astype(np.int64)
    return Ways(starts, ends, counts[:n], shapes[:n], glyphs[:n], is_cut[:n])


def whole_glyphs(cuts: Cuts, ways: Ways, arcs: Integers) -> npt.NDArray[np.uint8]:
    """Return the glyphs of some arcs in MNIST's form, uint8 (n, 28, 28)."""
    return to_mnist_form(cuts.ink, cuts.part_of, cuts.parts, cuts.seams, ways.glyphs[arcs])


def pieces(cuts: Cuts, ways: Ways, arcs: Integers) -> npt.NDArray[np.uint8]:
    """Return the glyphs of some arcs and, paler, what is around them, uint8 (n, 28, 28)."""
    return to_pieces(cuts.ink, cuts.part_of, cuts.parts, cuts.seams, ways.glyphs[arcs])


def choose(
    ways: Ways,
    answers: Answers,
    length: tuple[int, int] | None = None,
    rarer: float = 1.0,
    is_in_box: bool = False,
) -> Chosen | None:
    """Return the best way, with at least length[0] and at most length[1] glyphs; None where there is no such way.

    Of a number, that is the best way that reads its likeliest text. `rarer`: how many times rarer digits are than the
    networks take them for. `is_in_box`: it is what stands in a printed box, one digit and not joined, so that both
    networks are asked at once and it is not read twice.
    """
    arcs = weighed(ways, answers.together if is_in_box else answers.alone, CAREFUL, rarer)
    way = _best_way(ways, arcs, length)
    if way is None:
        return None
    labels = arcs.doubted[way].argmax(axis=1)
    if not is_in_box and np.mean(labels < arcs.doubted.shape[1] - 1) >= IS_NUMBER:
        arcs = weighed(ways, answers.together, IN_NUMBER, rarer)
        labels = _likeliest_text(ways, arcs, length)
        way = _best_way_of(ways, arcs, labels)
    confidence = float(np.exp(log_share(ways, arcs, labels, length)))
    return Chosen(way.tolist(), arcs.doubted[way], labels.tolist(), confidence)


class Weighed(NamedTuple):
    """What arcs may be and what they cost, by some weights.

    doubted: float64 (n, n_classes + 1), what their glyphs may be. costs: float64 (n,). scores: float64, shaped like
    `doubted`, and of each arc's best class, best: float64 (n,), as in kernels/numbers/search.py.
    """

    doubted: Floats
    costs: Floats
    scores: Floats
    best: Floats


def weighed(ways: Ways, probabilities: Probabilities, weights: Weights, rarer: float = 1.0) -> Weighed:
    """Weigh the arcs by what networks say of their glyphs, float32 (n, n_classes + 1); `rarer` as in `choose`."""
    doubted, costs, best = np.empty(probabilities.shape), np.empty(len(ways.counts)), np.empty(len(ways.counts))
    weigh(ways.shapes, ways.counts, ways.is_cut, probabilities, tuple(weights), rarer, LEAST, doubted, costs, best)
    scores = np.where(ways.counts[:, None] > 0, np.log(doubted), 0.0) - costs[:, None]
    return Weighed(doubted, costs, scores, best)


def log_share(ways: Ways, arcs: Weighed, labels: Integers, length: tuple[int, int] | None = None) -> float:
    """Return the logarithm of the share that the ways that read a text have of all, those of the given length."""
    n_cuts, least, most = _limits(ways, length)
    each = np.where(ways.counts > 0, np.log(arcs.doubted.sum(axis=1)), 0.0) - arcs.costs
    together = add_all_ways(ways.starts, ways.ends, each, ways.counts, least, most, np.empty((n_cuts, most + 1)))
    return min(0.0, _sum_of(ways, arcs, labels) - float(together))


def _best_way(ways: Ways, arcs: Weighed, length: tuple[int, int] | None) -> Integers | None:
    """Return the arcs of the best way that read a glyph; see `choose`."""
    n_cuts, least, most = _limits(ways, length)
    table, before = np.empty((n_cuts, most + 1)), np.empty((n_cuts, most + 1), np.int64)
    way = np.empty(len(ways.counts), np.int64)
    n = find_best_way(ways.starts, ways.ends, arcs.best, ways.counts, least, most, table, before, way)
    return _glyphs_of(way[:n], ways) if n else None


def _glyphs_of(way: Integers, ways: Ways) -> Integers:
    """Return the arcs that read a glyph, from left to right, of those of a way, from the last."""
    return way[::-1][ways.counts[way[::-1]] > 0]


def _likeliest_text(ways: Ways, arcs: Weighed, length: tuple[int, int] | None) -> Integers:
    """Return the classes of the likeliest text, or of the best way's if the search misses that. There must be a way."""
    n_cuts, least, most = _limits(ways, length)
    room = BEAM * arcs.scores.shape[1] * n_cuts
    prefixes, found, found_sums = np.empty((room, 6), np.int32), np.empty(room, np.int32), np.empty(room)
    kept, sums, text = np.empty((n_cuts, BEAM), np.int32), np.empty((n_cuts, BEAM)), np.empty(n_cuts, np.int64)
    n = find_likeliest_text(
        ways.starts, ways.ends, arcs.scores, ways.counts, least, most, prefixes, kept, sums, found, found_sums, text
    )
    of_best_way = arcs.doubted[_best_way(ways, arcs, length)].argmax(axis=1)
    texts = [text[:n], of_best_way] if n else [of_best_way]
    return max(texts, key=lambda labels: _sum_of(ways, arcs, labels))


def _best_way_of(ways: Ways, arcs: Weighed, labels: Integers) -> Integers:
    """Return the arcs of the best way that reads a text."""
    n_cuts, _, _ = _limits(ways, None)
    table, before = np.empty((n_cuts, len(labels) + 1)), np.empty((n_cuts, len(labels) + 1), np.int64)
    way = np.empty(len(ways.counts), np.int64)
    n = find_best_way_of_text(ways.starts, ways.ends, arcs.scores, ways.counts, labels, table, before, way)
    return _glyphs_of(way[:n], ways)


def _sum_of(ways: Ways, arcs: Weighed, labels: Integers) -> float:
    """Return the logarithm of the sum of all ways that read a text."""
    table = np.empty((int(ways.ends[-1]) + 1, len(labels) + 1))
    return float(add_ways_of_text(ways.starts, ways.ends, arcs.scores, ways.counts, labels, table))


def _limits(ways: Ways, length: tuple[int, int] | None) -> tuple[int, int, int]:
    """Return how many cuts there are, and how many glyphs a way has, at least and at most."""
    n_cuts = int(ways.ends[-1]) + 1
    least, most = length or (1, n_cuts - 1)
    return n_cuts, min(least, n_cuts), min(most, n_cuts - 1)
