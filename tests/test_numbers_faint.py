"""Digits in fainter ink than the rest."""

import numpy as np
import pytest
from drawn_numbers import row, texts

from fastmnist.numbers import faint
from fastmnist.numbers.faint import with_faint_strokes
from fastmnist.numbers.page import find_ink


def fainter(picture, share):
    return np.rint(255 - share * (255.0 - picture)).astype(np.uint8)


def noisy(picture):
    noise = np.random.default_rng(0).normal(0, 2, picture.shape)
    return np.clip(0.94 * picture + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("share", [0.25, 0.35, 0.45])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_fainter_digit_is_read(place, share, some, model):
    text = "40573"
    parts = [row(some, digit, margin=0) for digit in text]
    parts[place] = fainter(parts[place], share)
    assert texts(model.read(noisy(np.pad(np.hstack(parts), 40, constant_values=255)))) == [text]


@pytest.mark.parametrize("share", [0.25, 0.35, 0.45])
def test_a_line_in_pencil_between_lines_in_ink_is_read(share, some, model):
    lines = [row(some, text) for text in ("4057", "9316", "2084")]
    lines[1] = fainter(lines[1], share)
    width = max(line.shape[1] for line in lines)
    page = np.vstack([np.pad(line, ((0, 0), (0, width - line.shape[1])), constant_values=255) for line in lines])
    assert texts(model.read(noisy(page))) == ["4057", "9316", "2084"]


def test_what_is_faint_and_no_stroke_of_a_number_stays_as_it_is(some):
    ink = find_ink(row(some, "4057", margin=60)).ink
    height, unchanged = 40.0, ink.copy()
    assert with_faint_strokes(ink, height) is ink
    unchanged[5:45, 5:8] = 90  # upright, far from all
    unchanged[120:160, 120:160] = 90  # a blot
    unchanged[5:90, 300:303] = 90  # high
    unchanged[150:158, 200:204] = 90  # a speck
    assert with_faint_strokes(unchanged, height) is unchanged
    changed = unchanged.copy()
    changed[125:165, 100:104] = changed[125:165, 60:64] = 90  # two ones
    raised = with_faint_strokes(changed, height)
    assert raised[125:165, [100, 60]].min() == 255
    np.testing.assert_array_equal(np.where(changed != unchanged, unchanged, raised), unchanged)


def test_a_pattern_of_many_faint_strokes_stays_as_it_is(some, monkeypatch):
    ink = find_ink(row(some, "4057", margin=60)).ink.copy()
    ink[120:160, 60:64] = ink[120:160, 70:74] = ink[120:160, 80:84] = 90
    assert with_faint_strokes(ink, 40.0) is not ink
    monkeypatch.setattr(faint, "MOST_PARTS", 2)
    assert with_faint_strokes(ink, 40.0) is ink
