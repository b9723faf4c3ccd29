"""Seams, labels, and the search for the best way, against plain counterparts that try everything."""

import itertools

import numpy as np
import pytest

from fastmnist.kernels.numbers.labels import measure, split, spread
from fastmnist.kernels.numbers.seams import find_seams
from fastmnist.kernels.numbers.search import add_all_ways, add_ways_of_text, find_best_way

SIDEWAYS = 0.1


def seams_of(ink, near=2, most=100.0):
    height, width = ink.shape
    costs, seams = np.empty(width, np.float32), np.full((width, height), -1, np.int32)
    n = find_seams(ink, near, np.float32(most), np.empty(ink.shape, np.float32), costs, seams)
    return costs, seams[:n]


def cost_of(ink, seam):
    return sum(ink[y, x] / 255 for y, x in enumerate(seam)) + SIDEWAYS * np.abs(np.diff(seam)).sum()


def cheapest_through(ink, column):
    """The cost of the cheapest seam through a column of the middle row: all are tried."""
    height, width = ink.shape
    seams = itertools.product(range(width), repeat=height)
    return min(
        cost_of(ink, seam) for seam in seams if seam[(height - 1) // 2] == column and all(abs(np.diff(seam)) <= 1)
    )


@pytest.mark.parametrize("shape", [(1, 5), (2, 4), (3, 5), (4, 4), (5, 4)])
def test_what_a_seam_costs_is_the_least_of_all(shape):
    ink = np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)
    costs, _ = seams_of(ink)
    expected = [cheapest_through(ink, column) for column in range(shape[1])]
    np.testing.assert_allclose(costs, expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 9), (2, 9), (7, 30), (40, 60)])
def test_seams_are_connected_cost_what_is_said_and_are_the_best_near_them(shape):
    ink = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    costs, seams = seams_of(ink, near=3)
    assert len(seams) > 0
    middle = (shape[0] - 1) // 2
    for seam in seams:
        assert (np.abs(np.diff(seam)) <= 1).all()
        assert (seam >= 0).all()
        assert (seam < shape[1]).all()
        assert cost_of(ink, seam) == pytest.approx(costs[seam[middle]], rel=1e-4)
        near = costs[max(0, seam[middle] - 3) : seam[middle] + 4]
        assert costs[seam[middle]] == near.min()
    assert (np.diff(seams[:, middle]) > 0).all()


def test_a_seam_that_crosses_too_much_is_none():
    ink = np.full((10, 9), 255, np.uint8)
    ink[:, 4] = 0
    costs, seams = seams_of(ink, most=0.5)
    assert seams.tolist() == [[4] * 10]
    assert costs[4] == 0
    assert len(seams_of(np.full((10, 9), 255, np.uint8), most=0.5)[1]) == 0


def test_a_wide_gap_has_one_seam_in_its_middle():
    ink = np.full((6, 21), 255, np.uint8)
    ink[:, 5:14] = 0
    assert [seam[2] for seam in seams_of(ink, near=1, most=0.5)[1]] == [9]


def test_labels_count_the_seams_to_the_left():
    rng = np.random.default_rng(2)
    own = rng.random((6, 12)) < 0.7
    seams = np.sort(rng.integers(0, 12, (3, 6)), axis=0).astype(np.int32)
    labels = np.empty(own.shape, np.int32)
    split(own, seams, labels)
    for y, x in np.ndindex(own.shape):
        assert labels[y, x] == ((seams[:, y] <= x).sum() if own[y, x] else -1)


def test_labels_are_measured():
    labels = np.random.default_rng(3).integers(-1, 4, (9, 7)).astype(np.int32)
    boxes = np.empty((5, 5), np.int32)
    measure(labels, boxes)
    for label in range(4):
        rows, columns = np.nonzero(labels == label)
        expected = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1, len(rows)]
        assert boxes[label].tolist() == expected
    assert boxes[4, 4] == 0


def test_labels_spread_over_ink_alone():
    labels = np.full((5, 9), -1, np.int32)
    labels[2, 1], labels[2, 7] = 4, 2
    ink = np.full((5, 9), 9, np.uint8)
    ink[:, 2] = 0
    spread(ink, labels, np.empty_like(labels), 2)
    assert (labels[:, 2] == -1).all()
    assert (labels[:, :2] == 4).all()
    assert (labels[:, 5:] == 2).all()
    assert (labels[:, 3:5] == -1).all()


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


@pytest.mark.parametrize("seed", range(6))
def test_the_sum_of_a_texts_ways_is_that_of_all_that_read_it(seed):
    rng = np.random.default_rng(seed)
    n_cuts, n_classes = int(rng.integers(2, 7)), 3
    starts, ends, _, counts = random_arcs(rng, n_cuts)
    scores = rng.normal(size=(len(starts), n_classes))
    total = {}
    for way in every_way(starts, ends, n_cuts):
        glyphs = [arc for arc in way if counts[arc]]
        left_out = sum(scores[arc, 0] for arc in way if not counts[arc])
        for text in itertools.product(range(n_classes), repeat=len(glyphs)):
            score = left_out + sum(scores[arc, label] for arc, label in zip(glyphs, text, strict=True))
            total[text] = total.get(text, 0.0) + np.exp(score)
    for text, expected in total.items():
        table = np.empty((n_cuts, len(text) + 1))
        found = add_ways_of_text(starts, ends, scores, counts, np.array(text, np.int64), table)
        assert found == pytest.approx(np.log(expected))
