"""Words in pictures of numbers: letters among letters are no digits, digits among digits are."""

import cv2
import numpy as np
import pytest
from drawn_numbers import row, texts

from fastmnist.numbers import reading
from fastmnist.numbers.words import EXPECTED, rarer_digits
from fastmnist.shapes import NO_DIGIT_SHARE


def words(*lines):
    """Words in black on white, in a font."""
    picture = np.full((120 * len(lines) + 40, 900), 255, np.uint8)
    for place, line in enumerate(lines):
        cv2.putText(picture, line, (30, 120 * (place + 1)), cv2.FONT_HERSHEY_COMPLEX, 3, 0, 6, cv2.LINE_AA)
    return picture


def test_digits_are_rarer_the_more_is_none():
    of = [rarer_digits([True] * none + [False] * (6 - none)) for none in range(7)]
    assert of[:3] == [1, 1, 1]  # a letter or two in a number
    assert of == sorted(of)
    odds = (6 + EXPECTED * NO_DIGIT_SHARE) / (EXPECTED - EXPECTED * NO_DIGIT_SHARE)
    assert of[6] == pytest.approx(odds * (1 - NO_DIGIT_SHARE) / NO_DIGIT_SHARE)
    assert rarer_digits([]) == 1
    assert rarer_digits([True] * 60) > of[6] > rarer_digits([True]) > 1


@pytest.mark.parametrize("lines", [["Telegram", "Brief"], ["Grete", "Tanne", "Band"]])
def test_letters_among_letters_are_digits_less_often(lines, model, monkeypatch):
    def n_digits():
        (page,) = model.read(words(*lines))
        return sum(character != "?" for number in page.numbers for character in number.text)

    found = n_digits()
    monkeypatch.setattr(reading, "rarer_digits", lambda are_none: 1.0)
    assert found < n_digits()


def test_a_number_beside_words_is_read(some, model):
    picture, number = words("Rente"), row(some, "4051")
    picture = np.vstack([picture, np.pad(number, ((0, 0), (0, 900 - number.shape[1])), constant_values=255)])
    assert texts(model.read(picture))[-1] == "4051"
