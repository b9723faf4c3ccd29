"""Drawn hands: one slant, turn and stroke for all digits of a hand, another for another."""

import numpy as np

from experiments.own_hand import accuracy, drawn_hand, first_of_each
from fastmnist.api import load


def test_a_hand_writes_all_digits_alike_and_is_still_read(digits):
    images, labels = digits[0][:60].reshape(60, -1), digits[1][:60]
    twice = np.concatenate([images[:10], images[:10]]), np.concatenate([labels[:10], labels[:10]])
    hand = drawn_hand(*twice, 0)
    np.testing.assert_array_equal(hand.own, hand.others)
    np.testing.assert_array_equal(hand.own_labels, hand.other_labels)
    assert (drawn_hand(*twice, 1).own != hand.own).any()
    hands = [drawn_hand(images, labels, number) for number in range(3)]
    assert 0.3 < np.mean([accuracy(load("shipped"), hand.others, hand.other_labels) for hand in hands]) < 1


def test_own_digits_are_as_many_of_each_class():
    labels = np.random.default_rng(0).integers(0, 10, 500).astype(np.uint8)
    chosen = first_of_each(labels, 50)
    assert np.bincount(labels[chosen]).tolist() == [5] * 10
    assert (np.diff(chosen) > 0).all()
