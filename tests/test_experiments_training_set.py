"""The digits that the shipped model is trained on, and those it was chosen by."""

import sys

import cv2
import numpy as np
import pytest

import fastmnist
from experiments import held_out, parts, training_set
from fastmnist.datasets.dataset import open_dataset
from fastmnist.errors import DataError
from fastmnist.images.mnist_form import in_mnist_form
from fastmnist.images.normalize import normalize

N = 120
EACH = training_set.COPIES + 1


@pytest.fixture(scope="module")
def together(digits):
    return training_set.with_copies(digits[0][:N])


def test_each_digit_is_followed_by_its_copies(together, digits):
    np.testing.assert_array_equal(together[::EACH], digits[0][:N])
    for position in (0, 7):
        copies = together[position * EACH + 1 : (position + 1) * EACH]
        np.testing.assert_array_equal(copies, training_set.copies_of(digits[0][position], position))


def test_copies_are_in_mnists_form_and_differ_from_the_digit_and_each_other(together, digits):
    assert in_mnist_form(together).mean() > 0.95
    assert (together[1::EACH] == digits[0][:N]).all(axis=(1, 2)).mean() < 0.05  # which the normaliser refused
    assert (training_set.copies_of(digits[0][0], 0) != training_set.copies_of(digits[0][0], 1)).any()


def test_processes_and_parts_change_nothing(together, digits, monkeypatch):
    monkeypatch.setattr(parts, "AT_A_TIME", 7)
    monkeypatch.setattr(parts, "available_cores", lambda: 3)
    np.testing.assert_array_equal(training_set.with_copies(digits[0][:30]), together[: 30 * EACH])


def test_what_the_normaliser_refuses_is_the_digit_itself():
    blank = np.zeros((28, 28), np.uint8)
    np.testing.assert_array_equal(training_set.copies_of(blank, 0), np.zeros((training_set.COPIES, 28, 28), np.uint8))


def test_strokes_grow_and_shrink_by_a_factor():
    bar = np.zeros((120, 120), np.uint8)
    bar[20:100, 50:70] = 255
    for factor in (0.6, 1.0, 1.5):
        across = np.count_nonzero(training_set._with_strokes(bar, factor)[60] > 127)
        assert across == pytest.approx(20 * factor, abs=3)


def test_drawn_digits_are_in_mnists_form_and_of_every_class_in_turn():
    drawn = training_set.drawn_digits(60)
    np.testing.assert_array_equal(drawn[7], training_set.drawn_digit(7))
    assert in_mnist_form(drawn).mean() > 0.95
    assert len({digit.tobytes() for digit in drawn}) == 60
    labels = fastmnist.load("shipped").predict(drawn).indices
    assert (labels == training_set.drawn_labels(60)).mean() > 0.9


def test_what_the_normaliser_refuses_is_drawn_anew(monkeypatch):
    refused = []

    def refuse_once(picture):
        if not refused:
            refused.append(picture)
            raise DataError("no ink")
        return np.full((28, 28), 7, np.uint8)

    monkeypatch.setattr(training_set, "normalize", refuse_once)
    assert (training_set.drawn_digit(3) == 7).all()
    assert len(refused) == 1


def test_the_folder_has_drawn_digits_digits_with_copies_and_the_test_set_as_it_was(
    small_set, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(training_set, "DRAWN", 25)
    monkeypatch.setattr(sys, "argv", ["training_set", str(small_set), str(tmp_path / "out")])
    training_set.main()
    assert capsys.readouterr().out.splitlines()[0].startswith(f"{25 + 1000 * EACH:,} train images")
    (pixels, labels), (made, made_labels) = (
        open_dataset(folder).load("train")[:2] for folder in (small_set, tmp_path / "out")
    )
    np.testing.assert_array_equal(made[:25].reshape(-1, 28, 28), training_set.drawn_digits(25))
    np.testing.assert_array_equal(made_labels[:25], training_set.drawn_labels(25))
    assert made_labels[:11].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1]
    np.testing.assert_array_equal(made[25::EACH], pixels)
    np.testing.assert_array_equal(made_labels[25:], labels.repeat(EACH))
    for expected, actual in zip(
        open_dataset(small_set).load("test")[:2], open_dataset(tmp_path / "out").load("test")[:2], strict=True
    ):
        np.testing.assert_array_equal(actual, expected)


def test_a_coarse_scan_has_8x8_pixels_and_still_shows_the_digit(digits):
    pictures = [held_out.coarse(digit, position) for position, digit in enumerate(digits[0][:20])]
    n_refused = 0
    for picture in pictures:
        assert picture.shape == (48, 48)
        assert cv2.resize(255 - picture, (8, 8), interpolation=cv2.INTER_AREA).max() > 100
        try:
            assert in_mnist_form(normalize(picture)[np.newaxis])[0]
        except DataError:
            n_refused += 1
    assert n_refused <= 2  # a digit that touches all sides of its picture may be taken for paper


def test_the_held_out_digits_are_the_last_of_the_training_set(small_set, monkeypatch):
    monkeypatch.setattr(held_out, "N_HELD_OUT", 30)
    images, labels = held_out.held_out(str(small_set))
    pixels, all_labels = open_dataset(small_set).load("train")[:2]
    np.testing.assert_array_equal(images.reshape(30, -1), pixels[970:])
    np.testing.assert_array_equal(labels, all_labels[970:])
    names = [(name, len(list(pictures))) for name, pictures in held_out.sets(images[:3])]
    assert names == [("clean", 3), ("all", 3), ("light-on-paper", 3), ("coarse", 3)]
