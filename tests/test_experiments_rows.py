"""Numbers drawn from digits: the texts are those of the pictures, and equal numbers give equal pictures."""

import csv
import sys

import cv2
import numpy as np
import pytest

from experiments import rows


@pytest.fixture(scope="module")
def known(digits):
    return rows.Digits(digits[0][:300], digits[1][:300])


@pytest.mark.parametrize("name", rows.ROWS)
def test_a_set_is_always_the_same(name, known):
    first, again = (list(rows.draw(name, known, 5, threads)) for threads in (1, 3))
    assert first == again
    assert len({picture.rendering.content for picture in first}) == 5
    for picture in first:
        decoded = cv2.imdecode(np.frombuffer(picture.rendering.content, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert decoded.size > 0
        lengths = [len(line) for line in picture.lines]
        assert all(1 <= length <= rows.MOST_DIGITS for length in lengths)
        assert 3 <= len(lengths) <= 8 if name == "page" else len(lengths) == 1


def test_gaps_are_those_between_the_inks_boxes():
    bar = np.zeros((28, 28), np.uint8)
    bar[4:24, 12:16] = 255
    digits = rows.Digits(bar[np.newaxis], np.array([1], np.uint8))
    rng = np.random.default_rng(0)
    for gap in (3, 9):
        ink = rows._row(digits, rng, (gap, gap), 1.0, 3).ink
        assert ink.shape[1] == 3 * 4 + 2 * gap
    assert rows._row(digits, rng, (-3, -3), 1.0, 3).ink.shape[1] == 3 * 4 - 2 * 3


def test_the_folder_has_the_pictures_and_their_texts(small_set, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["rows", str(small_set), str(tmp_path / "out"), "--set", "page", "--count", "2"])
    rows.main()
    with (tmp_path / "out" / "numbers.csv").open(newline="") as table:
        found = list(csv.DictReader(table))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0000.jpg", "0001.jpg", "numbers.csv"]
    assert {row["path"] for row in found} == {"0000.jpg", "0001.jpg"}
    assert all(row["text"].isdecimal() for row in found)
    assert [row["line"] for row in found if row["path"] == "0000.jpg"][:3] == ["0", "1", "2"]
