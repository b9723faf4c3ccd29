"""Where strokes may part, against plain counterparts that try everything."""

import itertools

import cv2
import numpy as np
import pytest

from fastmnist.kernels.numbers.seams import find_seams, keep_unlike
from fastmnist.kernels.numbers.valleys import ASIDE, LEAN, find_valley_seams

SIDEWAYS = 0.1


def seams_of(ink, near=2, most=100.0, row=None):
    height, width = ink.shape
    row = (height - 1) // 2 if row is None else row
    costs, seams = np.empty(width, np.float32), np.full((width, height), -1, np.int32)
    n = find_seams(ink, row, near, np.float32(most), np.empty(ink.shape, np.float32), costs, seams)
    return costs, seams[:n]


def cost_of(ink, seam):
    return sum(ink[y, x] / 255 for y, x in enumerate(seam)) + SIDEWAYS * np.abs(np.diff(seam)).sum()


def cheapest_through(ink, row, column):
    """The cost of the cheapest seam through a column of a row: all are tried."""
    height, width = ink.shape
    seams = itertools.product(range(width), repeat=height)
    return min(cost_of(ink, seam) for seam in seams if seam[row] == column and all(abs(np.diff(seam)) <= 1))


@pytest.mark.parametrize(
    ("shape", "row"), [((1, 5), 0), ((2, 4), 1), ((3, 5), 0), ((4, 4), 3), ((5, 4), 2), ((5, 3), 1)]
)
def test_what_a_seam_costs_is_the_least_of_all(shape, row):
    ink = np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)
    costs, _ = seams_of(ink, row=row)
    expected = [cheapest_through(ink, row, column) for column in range(shape[1])]
    np.testing.assert_allclose(costs, expected, rtol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(1, 9), (2, 9), (7, 30), (40, 60)])
def test_seams_are_connected_cost_what_is_said_and_are_the_best_near_them(shape, share):
    ink = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    middle = round(share * (shape[0] - 1))
    costs, seams = seams_of(ink, near=3, row=middle)
    assert len(seams) > 0
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


def between(own, one, other):
    """How much of `own` lies between two seams."""
    columns = np.arange(own.shape[1])
    return int((own & ((columns <= one[:, None]) != (columns <= other[:, None]))).sum())


def left_of_columns(own):
    """How many pixels of `own` are left of each column, in every row, and last how many there are."""
    return np.pad(own.cumsum(axis=1, dtype=np.int32), ((0, 0), (1, 0)))


@pytest.mark.parametrize("least", [1, 6, 20])
def test_seams_that_part_the_same_ink_are_kept_once(least):
    rng = np.random.default_rng(2)
    own = rng.random((6, 12)) < 0.7
    seams = rng.integers(-1, 12, (40, 6)).astype(np.int32)
    seams[11] = seams[3]
    costs = np.arange(40, dtype=np.float32)
    found, found_costs = seams.copy(), costs.copy()
    n = keep_unlike(left_of_columns(own), found, found_costs, 2, 30, least)
    kept = [0, 1]  # those before are not asked
    sides = np.full((2, 6), [[-1], [11]])
    for new in range(2, 30):
        if all(between(own, seams[new], other) >= least for other in [*seams[kept], *sides]):
            kept.append(new)
    assert 2 < len(kept) < 30
    assert found_costs[:n].tolist() == kept
    np.testing.assert_array_equal(found[:n], seams[kept])
    np.testing.assert_array_equal(found[30:], seams[30:])


def valley_seams_of(ink, most, room=500):
    height, width = ink.shape
    seams, costs = np.full((room, height), -7, np.int32), np.empty(room, np.float32)
    wet, valleys = np.empty((2, height + 2, width + 2), np.uint8), np.empty((2, width * height, 2), np.int32)
    n = find_valley_seams(ink, most, wet, valleys, seams, costs)
    assert (seams[n + 1 :] == -7).all()  # the one after the last may have been begun
    return seams[:n], costs[:n]


def water_from_above(paper):
    """Where water goes, found by spreading until nothing changes."""
    wet, before = np.zeros_like(paper), None
    wet[0] = True
    while before is None or (wet != before).any():
        before = wet.copy()
        for down, aside in ((0, 1), (0, -1), (1, 0), (1, 1), (1, -1)):
            from_there = np.zeros_like(wet)
            from_there[down:, max(0, aside) : wet.shape[1] + min(0, aside)] = wet[
                : len(wet) - down, max(0, -aside) : wet.shape[1] - max(0, aside)
            ]
            wet |= from_there & paper
    return wet


def valleys_in(wet):
    """The rows and columns where water rests, beside what flows down at the sides."""
    found = []
    for y, x in np.argwhere(wet[:-1, :-1] & ~wet[:-1, 1:]):  # the last of each pool
        first = x - next(n for n in range(x + 1) if n == x or not wet[y, x - n - 1])
        if first > 0 and not wet[y + 1, first - 1 : x + 2].any():
            found.append((y, (first + x) // 2))
    return found


def along_water(wet, y, x):
    """The columns of the nearest water in each row above from which water flows on, from row y up."""
    columns = []
    for row in range(y - 1, 0, -1):
        _, pools = cv2.connectedComponents(wet[row + 1 : row + 2].astype(np.uint8))
        flows = np.convolve(pools[0] == pools[0, x], np.ones(3), "same") > 0
        there = np.flatnonzero(wet[row] & flows)
        x = there[np.abs(there - x).argmin()]
        columns.append(x)
    return columns[::-1]


@pytest.mark.parametrize(("shape", "most"), [((24, 30), 9.0), ((12, 50), 100.0), ((40, 9), 100.0), ((3, 3), 100.0)])
def test_valley_seams_follow_water_and_cross_what_is_between(shape, most):
    n_found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        ink = np.where(cv2.GaussianBlur(rng.random(shape), (0, 0), 1.3) > 0.53, rng.integers(128, 256, shape), 0)
        paper = np.pad(ink == 0, 1, constant_values=True)
        wet, wet_below = water_from_above(paper), water_from_above(paper[::-1])
        expected = []
        for top, first in valleys_in(wet):
            for from_last, last in valleys_in(wet_below):
                bottom = shape[0] + 1 - from_last
                if bottom <= top or abs(last - first) > LEAN * (bottom - top) + ASIDE:
                    continue
                rows = np.arange(top, bottom + 1)
                lean = (last - first) / (bottom - top)
                straight = np.rint(first + lean * (rows - top)).astype(int)
                cost = ink[rows - 1, straight - 1].sum() / 255 * np.hypot(1, lean)
                if cost <= most:
                    above = along_water(wet, top, first)
                    below = along_water(wet_below, shape[0] + 1 - bottom, last)[::-1]
                    expected.append((*np.clip([*above, *straight, *below], 1, shape[1]) - 1, cost))
        seams, costs = valley_seams_of(ink.astype(np.uint8), most)
        assert sorted(map(tuple, seams.tolist())) == sorted(seam[:-1] for seam in expected)
        np.testing.assert_allclose(np.sort(costs), sorted(seam[-1] for seam in expected), rtol=1e-5)
        n_found += len(expected)
    assert n_found > 0 or shape == (3, 3)


def test_strokes_that_have_merged_are_parted_from_valley_to_valley():
    ink = np.zeros((40, 60), np.uint8)
    for x in (20, 34):  # two leaning strokes, as wide as they are apart, that are one from row 10 to row 30
        cv2.line(ink, (x + 10, 0), (x - 10, 39), 255, 9)
    ink[10:31] = cv2.morphologyEx(ink[10:31], cv2.MORPH_CLOSE, np.ones((1, 15), np.uint8))
    seams, costs = valley_seams_of(ink, 100.0)
    assert len(seams) == 1
    middle = 27 - (np.arange(10, 31) - 19.5) * 20 / 39
    assert np.abs(seams[0, 10:31] - middle).max() <= 2
    assert costs[0] > 20


def test_no_more_valley_seams_than_there_is_room_for():
    comb = np.zeros((9, 81), np.uint8)
    comb[4], comb[:, ::4] = 255, 255
    assert len(valley_seams_of(comb, 100.0)[0]) > 50
    assert len(valley_seams_of(comb, 100.0, room=7)[0]) == 7
