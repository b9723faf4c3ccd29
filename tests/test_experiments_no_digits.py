"""What is no digit: every kind, as the shipped model learns them."""

import sys

import cv2
import numpy as np
import pytest

import fastmnist
from experiments import no_digits
from fastmnist.datasets.dataset import open_dataset
from fastmnist.errors import DataError
from fastmnist.images.mnist_form import in_mnist_form


@pytest.fixture(scope="module")
def some(digits):
    return digits[0][:200]


@pytest.mark.parametrize("kind", no_digits.KINDS)
def test_a_kind_gives_images_that_differ_and_are_the_same_for_equal_numbers(kind, some):
    images = [no_digits.no_digit(0, number, some, kind) for number in range(12)]
    assert all(image.shape == (28, 28) and image.dtype == np.uint8 for image in images)
    assert len({image.tobytes() for image in images}) > 8
    np.testing.assert_array_equal(images[3], no_digits.no_digit(0, 3, some, kind))
    assert (images[3] != no_digits.no_digit(1, 3, some, kind)).any()


def test_the_shares_are_all(some):
    assert sum(no_digits.KINDS.values()) == pytest.approx(1)


def test_what_is_scanned_is_in_mnists_form(some):
    kinds = [*no_digits.SCANNED, no_digits.apart]
    images = [no_digits.no_digit(0, number, some, kind) for kind in kinds for number in range(10)]
    assert in_mnist_form(np.array(images)).mean() > 0.9


def test_joined_digits_are_one_piece_of_two_or_three(some):
    n_touching = 0
    for seed in range(40):
        figure = no_digits.joined(np.random.default_rng(seed), some)
        n_touching += cv2.connectedComponents((figure > 100).astype(np.uint8))[0] == 2
    assert n_touching > 25  # of a 5 whose bar is apart no row is one piece


def test_of_each_joined_digit_two_thirds_are_seen():
    parts = [np.full((120, width), 255, np.uint8) for width in (30, 60)]
    assert no_digits._row(parts, -5).shape == (120, 85)
    assert no_digits._row(parts, -100).shape == (120, 80)


def test_a_half_is_a_half():
    for seed in range(20):
        figure = no_digits.half(np.random.default_rng(seed), np.zeros((0, 28, 28), np.uint8))
        assert figure.shape[0] < 0.75 * 2.2 * 140 / 2
        assert figure.max() == 255


def test_a_blot_is_no_upright_bar():
    for seed in range(30):
        blot = no_digits.blot(np.random.default_rng(seed), np.zeros((0, 28, 28), np.uint8))
        assert blot[0].max() == blot[-1].max() == 0
        _, _, width, height = cv2.boundingRect((blot > 0).astype(np.uint8))
        assert width > 0.4 * height


def test_what_the_normaliser_refuses_is_drawn_anew(some, monkeypatch):
    refused = []

    def refuse_twice(picture):
        if len(refused) < 2:
            refused.append(picture)
            raise DataError("no ink")
        return np.full((28, 28), 7, np.uint8)

    monkeypatch.setattr(no_digits, "normalize", refuse_twice)
    assert (no_digits.no_digit(0, 0, some, no_digits.letter) == 7).all()
    assert len(refused) == 2


def test_what_is_never_read_is_an_empty_image(some, monkeypatch):
    def refuse(picture):
        raise DataError("no ink")

    monkeypatch.setattr(no_digits, "normalize", refuse)
    assert not no_digits.no_digit(0, 0, some, no_digits.letter).any()


def test_the_file_has_the_images_in_order(small_set, tmp_path, monkeypatch, capsys):
    out = tmp_path / "others-idx3-ubyte"
    monkeypatch.setattr(sys, "argv", ["no_digits", str(small_set), str(out), "--count", "9"])
    no_digits.main()
    assert capsys.readouterr().out == f"9 images written to {out}\n"
    images = fastmnist.read_images(out, preprocess="none")
    of_the_set = open_dataset(small_set).load("train").pixels.reshape(-1, 28, 28)
    for number, image in enumerate(images):
        np.testing.assert_array_equal(image, no_digits.no_digit(no_digits.SEED, number, of_the_set))
    assert len(images) == 9
