"""Digits of displays, whose holes are rectangular: no boxes; and boxes that look like them."""

import cv2
import numpy as np
import pytest
from drawn_numbers import ink_of

from fastmnist.numbers.cells import Cell
from fastmnist.numbers.displays import MOST_NEAR, _has_level_neighbour

HEIGHT, STEP, MARGIN = 100, 90, 45  # pixels: of a figure, from one to the next, around all
WIDTH, STROKE, GAP = HEIGHT // 2, 9, 5
SLANT = 0.1
ENDS = {  # of each segment: x and y, in halves of the height
    "a": (0, 0, 1, 0), "b": (1, 0, 1, 1), "c": (1, 1, 1, 2), "d": (0, 2, 1, 2),
    "e": (0, 1, 0, 2), "f": (0, 0, 0, 1), "g": (0, 1, 1, 1),
}  # fmt: skip
LIT = {"0": "abcdef", "2": "abged", "3": "abgcd", "4": "fgbc", "5": "afgcd", "8": "abcdefg", "9": "abcdfg"}


def display(text, unlit=None, paper=160, ink=40):
    """A number on a display; `unlit` is the shade of the segments that are not lit, None if they can't be seen."""
    picture = np.full((HEIGHT + 2 * MARGIN, STEP * len(text) + 2 * MARGIN), paper, np.uint8)
    for number, character in enumerate(text):
        for name, ends in ENDS.items():
            shade = ink if name in LIT[character] else unlit
            if shade is not None:
                cv2.line(picture, *segment(ends, MARGIN + number * STEP), shade, STROKE, cv2.LINE_AA)
    return picture


def segment(ends, left):
    x, y, to_x, to_y = (half * HEIGHT // 2 for half in ends)
    x, to_x, y, to_y = (x + GAP, to_x - GAP, y, y) if y == to_y else (x, x, y + GAP, to_y - GAP)
    return [(round(left + a + SLANT * (HEIGHT - b)), MARGIN + b) for a, b in ((x, y), (to_x, to_y))]


def read(model, picture):
    return [number.text for page in model.read([picture]) for number in page.numbers]


@pytest.mark.parametrize("text", ["8203", "3090", "98428", "4088"])
def test_a_display_is_a_number(text, model):
    assert read(model, display(text)) == [text]


@pytest.mark.parametrize("text", ["2340", "9842", "333", "85"])
def test_unlit_segments_do_not_matter(text, model):
    assert read(model, display(text, unlit=145)) == [text]


def slim_boxes(some, text, side=(80, 50)):
    """Printed boxes higher than wide; a dash in the text is a line through a box."""
    height, width = side
    picture = np.full((height + 2 * MARGIN, (width + 8) * len(text) + 2 * MARGIN), 250, np.uint8)
    for number, character in enumerate(text):
        left, top = MARGIN + number * (width + 8), MARGIN
        cv2.rectangle(picture, (left, top), (left + width, top + height), 60, 3)
        if character == "-":
            cv2.line(picture, (left, top + height // 2), (left + width, top + height // 2), 40, 3)
        elif character != " ":
            ink = 255 - cv2.resize(ink_of(some[character]), None, fx=1.6, fy=1.6, interpolation=cv2.INTER_CUBIC)
            y, x = top + (height - ink.shape[0]) // 2, left + (width - ink.shape[1]) // 2
            part = picture[y : y + ink.shape[0], x : x + ink.shape[1]]
            np.minimum(part, ink, out=part)
    return picture


@pytest.mark.parametrize(
    ("text", "expected"), [("5 3", ["5 3"]), ("41  ", ["41"]), ("   ", []), ("---", []), ("27--", ["27"])]
)
def test_slim_boxes_are_no_digits_empty_or_struck_out(text, expected, some, model):
    assert [found.rstrip() for found in read(model, slim_boxes(some, text))] == expected


def test_a_box_that_a_digit_touches_does_not_make_the_empty_ones_digits(digits, model):
    picture = slim_boxes({}, "    ")
    ink = 255 - cv2.resize(ink_of(digits[0][53]), (54, 66), interpolation=cv2.INTER_CUBIC)  # an 8 as wide as its box
    part = picture[MARGIN + 7 : MARGIN + 73, MARGIN - 2 : MARGIN + 52]
    np.minimum(part, ink, out=part)
    assert "".join(read(model, picture)).strip() == "8"


@pytest.mark.parametrize(("n_bars", "is_figure"), [(3, True), (MOST_NEAR, True), (MOST_NEAR + 1, False)])
def test_what_stands_among_more_bars_than_a_number_has_is_no_figure(n_bars, is_figure):
    around = Cell(1000, 0, 1050, 1000)
    bars = np.array([(1100 + 2 * bar, 0, 1101 + 2 * bar, 1000) for bar in range(n_bars)])
    assert _has_level_neighbour(around, bars) == is_figure
