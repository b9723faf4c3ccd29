"""Numbers much lower than others on their page, and marks, which are as low."""

import cv2
import numpy as np
import pytest
from drawn_numbers import ink_of, row, texts


def put(picture, ink, top, left):
    part = picture[top : top + len(ink), left : left + ink.shape[1]]
    np.minimum(part, ink, out=part)


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.4])
def test_small_numbers_below_a_large_one_are_read(scale, some, model):
    picture = np.full((420, 520), 255, np.uint8)
    put(picture, row(some, "42", scale=4.0, margin=5), 10, 40)
    for place, text in enumerate(("317", "5086", "29")):
        put(picture, row(some, text, scale=scale, margin=5), 160 + 70 * place, 60)
    assert texts(model.read(picture)) == ["42", "317", "5086", "29"]


def test_raised_small_digits_are_a_number_of_their_own(some, model):
    picture = np.full((200, 420), 255, np.uint8)
    put(picture, row(some, "12", scale=4.0, margin=5), 40, 20)
    put(picture, row(some, "95", scale=1.2, margin=5), 50, 240)
    assert texts(model.read(picture)) == ["12", "95"]


@pytest.mark.parametrize("character", ["2", "7"])
def test_a_flat_digit_of_a_small_number_is_not_lost(character, some, model):
    picture = np.full((320, 520), 255, np.uint8)
    put(picture, row(some, "36", scale=4.0, margin=5), 10, 40)
    small = cv2.resize(ink_of(some[character]), (24, 18), interpolation=cv2.INTER_AREA)
    put(picture, row(some, "80 45", scale=1.2, margin=5, gap=4), 200, 60)
    put(picture, 255 - small, 209, 123)
    large, small = texts(model.read(picture))
    assert large == "36"
    assert (len(small), small[:2], small[3:]) == (5, "80", "45")


def test_dots_and_dashes_of_that_size_are_marks(some, model):
    picture = np.full((200, 700), 255, np.uint8)
    put(picture, row(some, "4836", scale=3.0, margin=5), 40, 20)
    bare = texts(model.read(picture))
    for x in range(140, 320, 60):
        cv2.circle(picture, (x, 170), 6, 0, -1)
        cv2.ellipse(picture, (x, 20), (5, 8), 0, 0, 360, 0, -1)
        cv2.line(picture, (x + 20, 20), (x + 34, 20), 0, 10)
    for x in (60, 70, 560, 580):  # quotes, and two dots
        cv2.line(picture, (x, 130), (x, 144), 0, 4)
        cv2.circle(picture, (x, 170), 6, 0, -1)
    assert texts(model.read(picture)) == bare == ["4836"]
