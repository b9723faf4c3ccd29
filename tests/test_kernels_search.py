"""The search for the best way through a line, and for its likeliest text, against trying every way."""

import itertools

import numpy as np
import pytest

from fastmnist.kernels.numbers.search import add_all_ways, add_ways_of_text, find_best_way, find_best_way_of_text
from fastmnist.kernels.numbers.texts import BEAM, RARE, find_likeliest_text


def random_arcs(rng, n_cuts):
    arcs = [(start, end) for end in range(1, n_cuts) for start in range(end) if end - start <= 3]
    arcs = [arc for arc in arcs if rng.random() < 0.8 or arc[1] - arc[0] == 1]
    starts, ends = np.array(arcs, np.int64).T.copy()
    counts = (rng.random(len(arcs)) < 0.8).astype(np.int64)
    return starts, ends, rng.normal(size=len(arcs)), counts


def every_way(starts, ends, n_cuts, cut=0):
    if cut == n_cuts - 1:
        yield []
    for arc in np.flatnonzero(starts == cut):
        for rest in every_way(starts, ends, n_cuts, ends[arc]):
            yield [int(arc), *rest]


@pytest.mark.parametrize("length", [(1, 99), (2, 2), (3, 5), (0, 0), (9, 9)])
@pytest.mark.parametrize("seed", range(6))
def test_the_best_way_and_the_sum_of_all_are_those_of_trying_every_way(seed, length):
    rng = np.random.default_rng(seed)
    n_cuts = int(rng.integers(2, 9))
    starts, ends, scores, counts = random_arcs(rng, n_cuts)
    least, most = length[0], min(length[1], n_cuts - 1)
    ways = [way for way in every_way(starts, ends, n_cuts) if least <= counts[way].sum() <= most]
    table, before = np.empty((n_cuts, max(0, most) + 1)), np.empty((n_cuts, max(0, most) + 1), np.int64)
    found = np.empty(len(starts), np.int64)
    n = find_best_way(starts, ends, scores, counts, least, most, table, before, found)
    if not ways or least > most:
        assert n == 0
        return
    assert found[:n][::-1].tolist() == max(ways, key=lambda way: scores[way].sum())
    together = add_all_ways(starts, ends, scores, counts, least, most, table)
    assert together == pytest.approx(np.log(sum(np.exp(scores[way].sum()) for way in ways)))


def ways_of_texts(starts, ends, counts, scores, n_cuts):
    """All ways that read each text, and their scores."""
    ways = {}
    for way in every_way(starts, ends, n_cuts):
        glyphs = [arc for arc in way if counts[arc]]
        left_out = sum(scores[arc, 0] for arc in way if not counts[arc])
        for text in itertools.product(range(scores.shape[1]), repeat=len(glyphs)):
            score = left_out + sum(scores[arc, label] for arc, label in zip(glyphs, text, strict=True))
            ways.setdefault(text, []).append((score, way))
    return ways


@pytest.mark.parametrize("seed", range(6))
def test_the_ways_of_a_text_are_all_that_read_it(seed):
    rng = np.random.default_rng(seed)
    n_cuts = int(rng.integers(2, 7))
    starts, ends, _, counts = random_arcs(rng, n_cuts)
    scores = rng.normal(size=(len(starts), 3))
    for text, ways in ways_of_texts(starts, ends, counts, scores, n_cuts).items():
        labels, table = np.array(text, np.int64), np.empty((n_cuts, len(text) + 1))
        found = add_ways_of_text(starts, ends, scores, counts, labels, table)
        assert found == pytest.approx(np.log(sum(np.exp(score) for score, _ in ways)))
        before, way = np.empty(table.shape, np.int64), np.empty(len(starts), np.int64)
        n = find_best_way_of_text(starts, ends, scores, counts, labels, table, before, way)
        assert way[:n][::-1].tolist() == max(ways)[1]


def likeliest_text(arcs, scores, length=(1, 99)):
    starts, ends, counts = arcs
    n_cuts = int(ends.max()) + 1
    room = BEAM * scores.shape[1] * n_cuts
    prefixes, found, found_sums = np.empty((room, 6), np.int32), np.empty(room, np.int32), np.empty(room)
    kept, sums, text = np.empty((n_cuts, BEAM), np.int32), np.empty((n_cuts, BEAM)), np.empty(n_cuts, np.int64)
    n = find_likeliest_text(starts, ends, scores, counts, *length, prefixes, kept, sums, found, found_sums, text)
    return tuple(text[:n].tolist())


@pytest.mark.parametrize("length", [(1, 99), (2, 2), (1, 1), (9, 9)])
@pytest.mark.parametrize("seed", range(8))
def test_the_likeliest_text_is_that_of_trying_every_way(seed, length):
    rng = np.random.default_rng(seed)
    n_cuts = int(rng.integers(2, 5))  # few texts: all prefixes are kept
    starts, ends, costs, counts = random_arcs(rng, n_cuts)
    scores = np.where(counts[:, None], np.log(rng.dirichlet((1, 1), size=len(starts))), 0) - costs[:, None]
    ways = ways_of_texts(starts, ends, counts, scores, n_cuts)
    sums = {text: sum(np.exp(score) for score, _ in some) for text, some in ways.items()}
    sums = {text: total for text, total in sums.items() if length[0] <= len(text) <= length[1]}
    expected = max(sums, key=sums.__getitem__) if sums else ()
    assert likeliest_text((starts, ends, counts), scores, length) == expected


def beam_search(arcs, scores, least, most):
    """The likeliest text, of the likeliest prefixes up to each cut: with dictionaries."""
    starts, ends, counts = arcs
    last = int(ends.max())
    kept = {0: {(): 0.0}}
    for end in range(1, last + 1):
        sums = {}
        for arc in np.flatnonzero(ends == end):
            labels = np.flatnonzero(scores[arc] >= scores[arc].max() - RARE).tolist() if counts[arc] else [None]
            for (text, so_far), label in itertools.product(kept[starts[arc]].items(), labels):
                longer = text if label is None else (*text, label)
                if least - (last - end) <= len(longer) <= most:
                    more = so_far + scores[arc, label or 0]
                    sums[longer] = np.logaddexp(sums.get(longer, -np.inf), more)
        kept[end] = dict(sorted(sums.items(), key=lambda item: -item[1])[:BEAM])
    return next(iter(kept[last]), ())


@pytest.mark.parametrize("length", [(1, 99), (1, 3), (14, 14), (20, 99)])
@pytest.mark.parametrize("seed", range(10))
def test_the_likeliest_prefixes_are_kept_up_to_each_cut(seed, length):
    rng = np.random.default_rng(seed)
    starts, ends, costs, counts = random_arcs(rng, 30)
    scores = np.where(counts[:, None], np.log(rng.dirichlet([0.3] * 4, size=len(starts)) + 1e-4), 0) - costs[:, None]
    arcs = starts, ends, counts
    expected = beam_search(arcs, scores, *length)
    assert not expected or length[0] <= len(expected) <= length[1]
    assert expected or length != (1, 99)
    assert likeliest_text(arcs, scores, length) == expected


def test_many_ways_to_read_a_text_outweigh_the_best_way_to_read_another():
    starts, ends, counts = np.zeros(4, np.int64), np.ones(4, np.int64), np.ones(4, np.int64)
    scores = np.log([(0.9, 0.1), (0.3, 0.7), (0.3, 0.7), (0.3, 0.7)])
    assert likeliest_text((starts, ends, counts), scores) == (1,)


def test_texts_that_are_too_short_take_no_place_from_longer_ones():
    starts, ends, counts = np.array([0, 0, 1]), np.array([1, 2, 2]), np.ones(3, np.int64)
    scores = np.log([[0.9] + [0.01] * 10, [1 / 11] * 11, [0.9] + [0.01] * 10]) - [[2], [0], [2]]
    assert likeliest_text((starts, ends, counts), scores, (2, 2)) == (0, 0)
