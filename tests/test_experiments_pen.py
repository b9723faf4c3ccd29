"""Figures that a pen draws: what a line of text means, and that each time is a little different."""

import numpy as np
import pytest

from experiments import pen
from experiments.figures import DIGITS, LETTERS, SIGNS

FIGURES = [way for table in (DIGITS, LETTERS, SIGNS) for ways in table.values() for way in ways]


@pytest.fixture
def steady(monkeypatch):
    """A hand that writes every figure alike, upright."""
    for name, value in {"SLANT": 0, "TURN": 0, "STRETCH": 1, "JITTER": 0, "PENS": (9, 9)}.items():
        monkeypatch.setattr(pen, name, value)


def test_every_figure_is_drawn_and_cut_to_its_ink():
    for number, figure in enumerate(FIGURES):
        picture = pen.drawn(figure, np.random.default_rng(number))
        assert picture.dtype == np.uint8
        for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
            assert edge.max() > 100
        assert 0.01 < (picture > 127).mean() < 0.9


def test_a_figure_is_the_same_for_equal_draws_and_differs_for_others():
    first, again, other = (pen.drawn(DIGITS["2"][0], np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).any()


def test_a_line_has_the_pens_width_and_a_figure_the_boxs_height(steady):
    line = pen.drawn("50,0 50,140", np.random.default_rng(0))
    assert line.shape[0] == pytest.approx(140 + 9, abs=3)
    assert np.count_nonzero(line[70] > 127) == pytest.approx(9, abs=2)


def test_a_corner_is_sharp_and_other_points_are_round(steady):
    def length(figure):
        return np.count_nonzero(pen.drawn(figure, np.random.default_rng(0)) > 127)

    sharp, round_ = "0,0 100,0! 100,140", "0,0 100,0 100,140"
    np.testing.assert_allclose(pen._curve(pen._points(sharp)).max(axis=0), [100, 140])
    assert pen._curve(pen._points(round_))[:, 0].max() > 101  # it swings out before it turns
    assert length(sharp) != length(round_)


def test_a_shaken_corner_stays_one():
    points = pen._points("0,0 50,0! 50,50! 99,99")
    moved = pen._shaken(points, np.random.default_rng(1))
    np.testing.assert_array_equal((moved[1:] == moved[:-1]).all(axis=1), (points[1:] == points[:-1]).all(axis=1))
    assert (moved != points).all()


def test_strokes_are_apart(steady):
    picture = pen.drawn("0,0 0,140 | 80,0 80,140", np.random.default_rng(0))
    assert picture[70, picture.shape[1] // 2] == 0
    assert picture[70, 4] == picture[70, -5] == 255


def test_scribbling_differs_each_time():
    shapes = {pen.scribble(np.random.default_rng(seed)).shape for seed in range(5)}
    assert len(shapes) == 5
