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
from fastmnist.numbers.lines import LOW

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float32]

MOST_CUTS = 14  # from the start of a glyph to its end: a part as wide as a digit has this many cuts
MOST_OF_LINE = 2000  # cuts of a line, for time and memory that grow with their square: 100 MB
WIDEST = 1.6  # times the digits' height: the greatest width of a glyph that may be cut further
HIGHEST = 3.0  # likewise; a part of ink that is higher is not cut. Blots would be, into thousands of large pieces
MOST_LOST = 0.01  # of the digits' height squared: ink that is right of a glyph's start and left of its end at once
# Ways share their glyphs, so a sum over all ways counts the doubt about a glyph many times. Hence the odds of a text's
# share are multiplied by this, fitted to rows of training digits in other hands: with the neat last digits of MNIST's
# training set as they are it would be 7.5, which makes texts in anyone's handwriting 2 to 8 % too sure. Logistic
# regression would also raise them to the power of 1.1, which is left out.
ODDS = 2.9
LEAST = 1e-9  # probability of anything


class Weights(NamedTuple):
    """What a way costs beside the networks' doubt, in natural logarithms; chosen on training digits."""

    cut: float  # for each cut through ink; below 0 it is worth that,
    per_cut: float  # for what it cuts, as much as digits are high,
    per_narrow: float  # and for the width that what is cut lacks to two digits', in parts of their height
    per_gap: float  # for a gap within a glyph, as wide as digits are high
    low: float  # for a low glyph, times the square of what it lacks to
    height: float  # of the digits' height
    wide: float  # for a wide glyph, times the square of what it has more than
    width: float  # of the digits' height
    none: float  # for a piece of ink as a digit, beside what the network says: most pieces are none
    unknown: float  # for a glyph that is no digit,
    unknown_piece: float  # and as much again for a piece of ink that is none
    left_out: float  # for a mark


# A line is read twice. What may be words is cut where nothing else is likely, so that an m is not 11 or 17; where at
# least half of that are digits, it is a number, in which digits that are joined are likelier than anything else.
CAREFUL = Weights(
    cut=0.041,
    per_cut=0.724,
    per_narrow=1.422,
    per_gap=14.004,
    low=20.0,
    height=0.69,
    wide=0.0,
    width=1.0,
    none=1.168,
    unknown=0.419,
    unknown_piece=0.3,
    left_out=0.118,
)
IN_NUMBER = Weights(
    cut=-0.165,
    per_cut=1.415,
    per_narrow=0.516,
    per_gap=4.866,
    low=6.682,
    height=0.842,
    wide=4.26,
    width=0.762,
    none=1.069,
    unknown=0.597,
    unknown_piece=6.428,
    left_out=1.105,
)


class Ways(NamedTuple):
    """All arcs between a line's cuts, in the order of their ends; a way is a row of them.

    starts, ends, counts: int64 (n,), see kernels/numbers/search.py; an arc without a glyph leaves a mark out.
    shapes: float64 (n, 5), the ink cut at its end, what the part cut there lacks in width, the gaps within, its height
    and its width, all in parts of the digits' height.
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
    whole ink: the mean of their logarithms.
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
    shapes, is_cut, gaps = np.empty((most, 5)), np.empty(most, np.bool_), np.empty(len(cuts.boxes) + 1)
    n = find_arcs(
        cuts.cores, cuts.boxes, cuts.parts, cuts.seams, cuts.lefts, cuts.crossed, cuts.narrow,
        height, MOST_CUTS, WIDEST, HIGHEST, MOST_LOST, LOW, gaps, glyphs, counts, shapes, is_cut,
    )  # fmt: skip
    starts, ends = glyphs[:n, 0].astype(np.int64), glyphs[:n, 1].astype(np.int64)
    return Ways(starts, ends, counts[:n], shapes[:n], glyphs[:n], is_cut[:n])


def whole_glyphs(cuts: Cuts, ways: Ways, arcs: Integers) -> npt.NDArray[np.uint8]:
    """Return the glyphs of some arcs in MNIST's form, uint8 (n, 28, 28)."""
    return to_mnist_form(cuts.ink, cuts.part_of, cuts.parts, cuts.seams, ways.glyphs[arcs])


def pieces(cuts: Cuts, ways: Ways, arcs: Integers) -> npt.NDArray[np.uint8]:
    """Return the glyphs of some arcs and, paler, what is around them, uint8 (n, 28, 28)."""
    return to_pieces(cuts.ink, cuts.part_of, cuts.parts, cuts.seams, ways.glyphs[arcs])


def choose(ways: Ways, answers: Answers, length: tuple[int, int] | None = None, rarer: float = 1.0) -> Chosen | None:
    """Return the best way, with at least length[0] and at most length[1] glyphs; None where there is no such way.

    Of a number, that is the best way that reads its likeliest text. `rarer`: how many times rarer digits are than the
    networks take them for.
    """
    way = _best_way(ways, answers.alone, CAREFUL, length, rarer)
    if way is not None and way.is_number():
        way = _best_way(ways, answers.together, IN_NUMBER, length, rarer)
        way = way and _of_likeliest_text(ways, way, length)
    if way is None:
        return None
    return Chosen(way.arcs.tolist(), way.doubted[way.arcs], way.labels.tolist(), _confidence(ways, way, length))


class _Way(NamedTuple):
    """A way: its arcs that read a glyph, and what it reads them as; of all arcs, what they may be, and what they cost.

    scores: float64 (n, n_classes + 1), the logarithms of what arcs may be, less what they cost, as in search.py.
    """

    arcs: Integers
    labels: Integers
    doubted: Floats
    costs: Floats
    scores: Floats

    def is_number(self) -> bool:
        """Return whether at least half of its glyphs are digits."""
        return bool(np.mean(self.labels < self.doubted.shape[1] - 1) >= 0.5)


def _best_way(
    ways: Ways, probabilities: Probabilities, weights: Weights, length: tuple[int, int] | None, rarer: float
) -> _Way | None:
    """Return the best way by these weights; see `choose`."""
    n_arcs, (n_cuts, least, most) = len(ways.counts), _limits(ways, length)
    doubted, costs, scores = np.empty(probabilities.shape), np.empty(n_arcs), np.empty(n_arcs)
    weigh(ways.shapes, ways.counts, ways.is_cut, probabilities, tuple(weights), rarer, LEAST, doubted, costs, scores)
    table, before = np.empty((n_cuts, most + 1)), np.empty((n_cuts, most + 1), np.int64)
    way = np.empty(n_arcs, np.int64)
    n = find_best_way(ways.starts, ways.ends, scores, ways.counts, least, most, table, before, way)
    if n == 0:
        return None
    arcs = _glyphs_of(way[:n], ways)
    scores = np.where(ways.counts[:, None] > 0, np.log(doubted), 0.0) - costs[:, None]
    return _Way(arcs, doubted[arcs].argmax(axis=1), doubted, costs, scores)


def _glyphs_of(way: Integers, ways: Ways) -> Integers:
    """Return the arcs that read a glyph, from left to right, of those of a way, from the last."""
    return way[::-1][ways.counts[way[::-1]] > 0]


def _of_likeliest_text(ways: Ways, way: _Way, length: tuple[int, int] | None) -> _Way:
    """Return the best way that reads the likeliest text, or the one that `way` reads if the search misses that."""
    n_cuts, least, most = _limits(ways, length)
    room = BEAM * way.scores.shape[1] * n_cuts
    prefixes, found, found_sums = np.empty((room, 6), np.int32), np.empty(room, np.int32), np.empty(room)
    kept, sums, text = np.empty((n_cuts, BEAM), np.int32), np.empty((n_cuts, BEAM)), np.empty(n_cuts, np.int64)
    n = find_likeliest_text(
        ways.starts, ways.ends, way.scores, ways.counts, least, most, prefixes, kept, sums, found, found_sums, text
    )
    texts = [text[:n], way.labels] if n else [way.labels]
    labels = max(texts, key=lambda labels: _sum_of(ways, way.scores, labels))
    table, before = np.empty((n_cuts, len(labels) + 1)), np.empty((n_cuts, len(labels) + 1), np.int64)
    arcs = np.empty(len(ways.counts), np.int64)
    n = find_best_way_of_text(ways.starts, ways.ends, way.scores, ways.counts, labels, table, before, arcs)
    return way._replace(arcs=_glyphs_of(arcs[:n], ways), labels=labels)


def _sum_of(ways: Ways, scores: Floats, labels: Integers) -> float:
    """Return the logarithm of the sum of all ways that read a text."""
    table = np.empty((int(ways.ends[-1]) + 1, len(labels) + 1))
    return float(add_ways_of_text(ways.starts, ways.ends, scores, ways.counts, labels, table))


def _limits(ways: Ways, length: tuple[int, int] | None) -> tuple[int, int, int]:
    """Return how many cuts there are, and how many glyphs a way has, at least and at most."""
    n_cuts = int(ways.ends[-1]) + 1
    least, most = length or (1, n_cuts - 1)
    return n_cuts, least, min(most, n_cuts - 1)


def _confidence(ways: Ways, way: _Way, length: tuple[int, int] | None) -> float:
    """Return how sure it is that the text of a way is right, from the share of the ways that read it, of all."""
    n_cuts, least, most = _limits(ways, length)
    each = np.where(ways.counts > 0, np.log(way.doubted.sum(axis=1)), 0.0) - way.costs
    together = add_all_ways(ways.starts, ways.ends, each, ways.counts, least, most, np.empty((n_cuts, most + 1)))
    share = np.exp(min(0.0, _sum_of(ways, way.scores, way.labels) - together))
    return float(ODDS * share / (ODDS * share + 1 - share))
