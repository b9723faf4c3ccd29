"""Counter-based random numbers: the published sequence, and numbers that look like chance."""

import numpy as np
import pytest
from vector_functions import compiled

from fastmnist.kernels import reference_augment
from fastmnist.kernels.randomness import subkey, uniform

# The first outputs of SplitMix64 with the seed 1234567, as its author's C code gives them.
PUBLISHED = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]


@compiled
def fill(key, words, numbers):
    for n in range(len(words)):
        words[n] = subkey(key, n)
        numbers[n] = uniform(key, n)


def drawn(key, n):
    words, numbers = np.zeros(n, np.uint64), np.zeros(n, np.float32)
    fill(np.uint64(key), words, numbers)
    return words, numbers


def test_a_keys_subkeys_are_the_published_sequence():
    assert drawn(1234567, 5)[0].tolist() == PUBLISHED
    assert [reference_augment.splitmix(1234567, n) for n in range(5)] == PUBLISHED


@pytest.mark.parametrize("key", [0, 1, 2**63, 2**64 - 1])
def test_numbers_are_the_oracles_bit_for_bit(key):
    words, numbers = drawn(key, 100)
    assert words.tolist() == [reference_augment.splitmix(key, n) for n in range(100)]
    assert numbers.tolist() == [reference_augment.uniform(key, n) for n in range(100)]


def test_numbers_are_spread_evenly_and_know_nothing_of_their_neighbours():
    numbers = np.concatenate([drawn(key, 1000)[1] for key in range(100)])
    assert -1 <= numbers.min() < -0.999
    assert 0.999 < numbers.max() < 1
    counts = np.histogram(numbers, bins=20, range=(-1, 1))[0]
    assert np.abs(counts - 5000).max() < 5 * np.sqrt(5000)
    for distance in (1, 2, 1000):  # within a key, and from key to key
        assert abs(np.corrcoef(numbers[distance:], numbers[:-distance])[0, 1]) < 5 / np.sqrt(len(numbers))
