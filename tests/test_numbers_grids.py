"""Grids of nearly square boxes with one or two digits in each, and forms, which have one digit in each box."""

import cv2
import numpy as np
import pytest
from drawn_numbers import boxed, ink_of, texts

from fastmnist.numbers.cells import Cell
from fastmnist.numbers.grids import grids_of, looks_like_pair
from fastmnist.numbers.lines import Part

MARGIN = 30
WEEKS = [[*"   1234"], [*"56789", "10", "11"], [str(n) for n in range(12, 19)], ["19", "20", *" " * 5]]
NUMBERS = [text for week in WEEKS for text in week if text != " "]


def grid(some, rows, width=64, height=60, size=0.5, gap=5, line=1, shade=120, lift=0):
    """Boxes with a number in each; `size`: of digits beside a box; `lift`: every other number is higher."""
    picture = np.full((len(rows) * height + 2 * MARGIN, len(rows[0]) * width + 2 * MARGIN), 240, np.uint8)
    for y in range(len(rows)):
        for x, text in enumerate(rows[y]):
            top, left = MARGIN + y * height, MARGIN + x * width
            cv2.rectangle(picture, (left, top), (left + width, top + height), shade, line)
            if text != " ":
                ink = number_ink(some, text, gap, size * height, width - 10)
                top += (height - len(ink)) // 2 + lift * (-1) ** x
                left += (width - ink.shape[1]) // 2
                part = picture[top : top + len(ink), left : left + ink.shape[1]]
                np.minimum(part, 240 - (ink * 0.8).astype(np.uint8), out=part)
    return picture


def number_ink(some, text, gap, height, most_width):
    digits = [cv2.resize(ink_of(some[character]), None, fx=height / 20, fy=height / 20) for character in text]
    ink = np.zeros((max(map(len, digits)), sum(digit.shape[1] + gap for digit in digits) - gap), np.uint8)
    left = 0
    for digit in digits:
        part = ink[len(ink) - len(digit) :, left : left + digit.shape[1]]
        np.maximum(part, digit, out=part)
        left += digit.shape[1] + gap
    fit = min(1, most_width / ink.shape[1])
    return cv2.resize(ink, None, fx=fit, fy=fit, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("width", [54, 64, 80])
@pytest.mark.parametrize("size", [0.4, 0.6])
@pytest.mark.parametrize("degrees", [0, 1.5])
def test_calendars_have_a_number_in_each_box(width, size, degrees, some, model):
    picture = grid(some, WEEKS, width=width, size=size)
    turn = cv2.getRotationMatrix2D((picture.shape[1] / 2, picture.shape[0] / 2), degrees, 1)
    turned = cv2.warpAffine(picture, turn, picture.shape[::-1], borderValue=240)
    (page,) = model.read(turned)
    assert [number.text for number in page.numbers] == NUMBERS
    assert [number.line for number in page.numbers] == [0] * 4 + [1] * 7 + [2] * 7 + [3] * 2


def test_numbers_high_and_low_in_their_boxes_are_read_in_the_boxes_order(some, model):
    assert texts(model.read(grid(some, WEEKS, size=0.4, lift=15))) == NUMBERS


def test_digits_that_touch_in_boxes_are_two(some, model):
    date = ["17", "14", "41"]
    assert texts(model.read(grid(some, [date], width=76, gap=-2, line=2))) == date


@pytest.mark.parametrize(
    ("form", "expected"),
    [([["3", "17", "8"]], ["3?8"]), ([[*"405278"], ["3", "17", *"69", "14", "2"]], ["405278", "3?69?2"])],
    ids=["one in three", "two in twelve"],
)
def test_few_boxes_of_two_digits_are_unknown_in_a_form(form, expected, some, model):
    assert texts(model.read(grid(some, form))) == expected


def test_broken_digits_in_a_calendar_are_one_number_each(some, model):
    picture = grid(some, WEEKS, size=0.7)
    for left in range(MARGIN + 4 * 64, MARGIN + 7 * 64, 64):
        picture[MARGIN + 30 : MARGIN + 35, left + 4 : left + 60] = 240
    assert texts(model.read(picture)) == NUMBERS


def test_single_digits_with_nothing_below_are_one_number(some, model):
    assert texts(model.read(grid(some, [[*"1234567"]]))) == ["1234567"]


def test_digits_in_two_pieces_are_no_pairs(some, model):
    picture = boxed(some, "0000")
    for left in range(20, 260, 60):
        picture[24:76, left + 34 : left + 38] = 255
    assert texts(model.read(picture)) == ["0000"]


def test_a_large_grid_of_thin_pale_lines_is_no_shade(some, model):
    rows = [[*"40517286"] for _ in range(8)]
    assert texts(model.read(grid(some, rows, shade=180))) == ["40517286"] * 8


def test_rows_that_share_most_columns_are_one_grid():
    def boxes(lefts, top):
        return [Cell(left, top, left + 50, top + 50) for left in lefts]

    rows = [boxes([0, 52, 104], 0), boxes([0, 52, 104, 156], 52), boxes([30, 82, 134], 104), boxes([0, 52], 260)]
    assert grids_of(rows) == [[0, 1], [2], [3]]
    assert grids_of([boxes([52], 104), boxes([0, 52], 52), boxes([0], 0)]) == [[0, 1, 2]]
    assert grids_of([]) == []


def test_pairs_are_two_pieces_side_by_side_or_a_wide_one():
    cell = Cell(0, 0, 60, 60)

    def is_pair(*boxes):
        return looks_like_pair(cell, [Part(n, *box, 100) for n, box in enumerate(boxes)])

    assert is_pair((5, 20, 20, 50), (25, 22, 45, 52))
    assert is_pair((5, 20, 20, 50), (25, 22, 45, 52), (22, 50, 24, 52))  # and a point
    assert is_pair((10, 20, 45, 50))
    assert not is_pair((10, 20, 35, 50))
    assert not is_pair((5, 20, 20, 50), (25, 22, 45, 39))  # much lower
    assert not is_pair((10, 5, 40, 28), (12, 30, 42, 52))  # above each other
    assert not is_pair((5, 20, 15, 50), (20, 20, 30, 50), (40, 20, 50, 50))
