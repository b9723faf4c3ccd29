"""Pieces of ink in lines: what is a digit, what is one in pieces, and what is a mark."""

import cv2
import numpy as np
import pytest
from drawn_numbers import ink_of, texts

from fastmnist.numbers.lines import Part, connected_parts, find_lines, hang_together

HEIGHT = 40
WHOLE = (0, 0, 20, HEIGHT)  # left, top, width, height
IN_TWO = (0, 20, 26, 15), (12, 0, 26, 14)  # the body and the bar of a 5
IN_THREE = (0, 0, 22, 15), (10, 16, 10, 10), (2, 28, 18, 12)
FLAT = (0, 14, 36, 14)


def lines_of(*figures, apart=50):
    """The lines of figures, boxes in pixels or some of them, so far apart; each as the boxes of its parts."""
    core = np.zeros((3 * HEIGHT, apart * len(figures) + 100), np.uint8)
    for place, figure in enumerate(figures):
        for left, top, width, height in [figure] if isinstance(figure[0], int) else figure:
            left, top = left + 20 + apart * place, top + 20
            core[top : top + height, left : left + width] = 1
    return [[part[1:5] for part in line.parts] for line in find_lines(connected_parts(core)[1])]


@pytest.mark.parametrize("figure", [IN_TWO, IN_THREE, FLAT])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_digit_in_low_pieces_belongs_to_its_number(figure, place):
    figures = [WHOLE] * 3
    figures.insert(place, figure)
    (line,) = lines_of(*figures)
    assert len(line) == 3 + (1 if figure is FLAT else len(figure))


def test_a_digit_in_low_pieces_may_stand_far_from_others():
    (line,) = lines_of(WHOLE, WHOLE, IN_TWO, apart=80)
    assert len(line) == 4


def test_it_holds_numbers_together():
    (line,) = lines_of(WHOLE, IN_TWO, WHOLE, apart=60)
    assert len(line) == 4
    assert len(lines_of(WHOLE, WHOLE, apart=120)) == 2


@pytest.mark.parametrize("mark", [(0, 34, 6, 12), (0, 18, 24, 5), (0, 34, 6, 6), ((0, 18, 24, 4), (0, 26, 24, 4))])
def test_marks_hold_nothing_together(mark):
    assert len(lines_of(WHOLE, mark, WHOLE, apart=60)) == 2


@pytest.mark.parametrize(
    "mark",
    [
        (0, 16, 32, 10),
        (0, 18, 50, 6),
        (0, 12, 24, 14),
        ((0, 18, 20, 4), (0, 26, 20, 4)),
        ((0, 14, 4, 4), (0, 34, 4, 4)),
    ],
    ids=["thick dash", "long dash", "slanted dash", "equals sign", "colon"],
)
def test_marks_beside_digits_stay_marks(mark):
    assert [len(line) for line in lines_of(WHOLE, mark, WHOLE, apart=90)] == [1, 1]


def test_small_digits_above_each_other_beside_large_ones_are_of_different_lines():
    above, below = (0, 0, 14, 18), (0, 23, 14, 18)  # less than half as high
    lines = lines_of(*[WHOLE] * 9, *[(above, below)] * 4, apart=30)
    assert sorted(len(line) for line in lines) == [4, 13]


def test_two_lines_of_small_print_are_no_digits():
    above, below = (0, 0, 10, 11), (0, 18, 10, 11)
    lines = lines_of(*[WHOLE] * 9, (0, 0, 1, 1), (0, 0, 1, 1), *[(above, below)] * 6)
    assert [len(line) for line in lines] == [9]


def test_low_digits_above_each_other_are_of_different_lines():
    above, below = (0, 0, 30, 26), (0, 34, 30, 26)
    figures = [(above, below)] * 3 + [(0, 0, 20, HEIGHT)] * 9
    assert sorted(len(line) for line in lines_of(*figures)) == [3, 12]


@pytest.mark.parametrize("text", ["22", "625"])
def test_flat_digits_are_read(text, some, model):
    canvas = np.zeros((80, 60 * len(text) + 40), np.uint8)
    for place, character in enumerate(text):
        size = (54, 22) if place else (40, 60)
        ink = cv2.resize(ink_of(some[character]), size, interpolation=cv2.INTER_AREA)
        canvas[10 : 10 + size[1], 10 + 60 * place : 10 + 60 * place + size[0]] = ink
    assert texts(model.read(255 - canvas)) == [text]


def test_pieces_hang_together_where_steps_lead_to_all():
    places = [(0, 0), (30, 30), (10, 12), (20, 20)]
    parts = [Part(n, x, y, x + 5, y + 5, 25) for n, (x, y) in enumerate(places)]
    assert hang_together(parts, 7)
    assert not hang_together(parts, 6)
    assert not hang_together([*parts, Part(9, 0, 43, 40, 50, 280)], 7)


def page_lines(*boxes):
    """The lines of boxes (left, top, width, height) on a page."""
    core = np.zeros((400, 400), np.uint8)
    for left, top, width, height in boxes:
        core[top : top + height, left : left + width] = 1
    return [[part[1:5] for part in line.parts] for line in find_lines(connected_parts(core)[1])]


ROWS = [(20 + 50 * place, 20 + 70 * row, 22, HEIGHT) for row in range(3) for place in range(3)]


@pytest.mark.parametrize("bracket", [(170, 10, 12, 200), (2, 15, 6, 190)])
def test_a_bracket_beside_several_lines_joins_none_and_is_no_number(bracket):
    assert page_lines(*ROWS) == page_lines(*ROWS, bracket)
    assert len(page_lines(*ROWS)) == 3


def test_a_large_digit_beside_several_lines_is_a_line_of_its_own():
    lines = page_lines(*ROWS, (190, 20, 90, 180))
    assert [(190, 20, 280, 200)] in lines
    assert len(lines) == 4


@pytest.mark.parametrize("width", [60, 12])
def test_large_digits_beside_several_lines_are_one_number_with_its_ones(width):
    large = [(170, 20, width, 180), (240, 25, 20, 170)]
    lines = page_lines(*ROWS, *large)
    assert [(left, top, left + across, top + down) for left, top, across, down in large] in lines
    assert len(lines) == 4


def test_a_tall_digit_of_a_line_stays_in_it():
    (line,) = page_lines(*ROWS[:3], (170, 10, 30, 120))
    assert len(line) == 4
