"""What lies between the cuts of drawn rows: images that are named after what was drawn."""

import numpy as np
import pytest

from experiments import glyphs, no_digits, parts
from fastmnist.numbers.cuts import cut as find_cuts
from fastmnist.numbers.finding import find_numbers
from fastmnist.numbers.ways import find_ways


@pytest.fixture(scope="module")
def some(digits):
    """Some test digits, uint8 (n, 28, 28), and their labels."""
    return digits[0][:500], digits[1][:500].astype(np.uint8)


def test_a_row_gives_the_same_glyphs_each_time(some):
    first, second = (glyphs.glyphs_of(3, *some) for _ in range(2))
    assert len(first[0]) == len(first[1]) > 0
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert glyphs.glyphs_of(4, *some)[0].shape != first[0].shape


def test_what_is_named_a_digit_looks_like_it_and_the_others_do_not(some, model):
    found = [glyphs.glyphs_of(number, *some) for number in range(60)]
    images, names = (np.concatenate(each) for each in zip(*found, strict=True))
    is_digit = names < glyphs.NO_DIGIT
    read = model.for_pieces.probabilities(np.ascontiguousarray(images)).argmax(axis=1)
    assert set(names) == set(range(11))
    assert (read[is_digit] == names[is_digit]).mean() > 0.85
    assert 0.4 < is_digit.sum() / (~is_digit).sum() < 0.6


def names_of(gap, some):
    """What is between the cuts of digits that stand so many pixels apart, as name -> how much of the row it covers."""
    digits, labels = some
    figures = [digits[np.flatnonzero(labels == 8)[0]][:, 6:22], digits[np.flatnonzero(labels == 1)[0]][:, 10:19]]
    layers = np.zeros((2, 36, 60), np.uint8)
    left = 4
    for layer, figure in zip(layers, figures, strict=True):
        layer[4:32, left : left + figure.shape[1]] = figure
        left += figure.shape[1] + gap
    large = layers.repeat(3, axis=1).repeat(3, axis=2)
    inked = find_numbers(255 - np.pad(large.max(axis=0), 20))
    figure_of = np.pad(large.argmax(axis=0).astype(np.uint8), 20)
    whole = np.bincount(figure_of[inked.page.ink > 127], minlength=2)
    ((segment,),) = inked.numbers
    cuts = find_cuts(segment.line, inked.page.ink, inked.part_of)
    ways = find_ways(cuts, segment.line.height)
    names = glyphs._names(cuts, ways.starts, ways.ends, figure_of, whole, np.array([8, 1]))
    return ways, names, len(cuts.parts) - 1


def test_all_of_a_digit_is_it_and_both_together_are_none(some):
    ways, names, last = names_of(4, some)
    assert inked_names(ways, names, 0, last) == [glyphs.NO_DIGIT]
    assert names[ways.starts == 0].tolist().count(8) >= 1
    assert names[ways.ends == last].tolist().count(1) >= 1
    assert {1, 8, glyphs.NO_DIGIT} <= set(names) <= {-1, 1, 8, glyphs.NO_DIGIT}


def inked_names(ways, names, start, end):
    return names[(ways.starts == start) & (ways.ends == end)].tolist()


def test_of_each_class_a_few_are_taken():
    rng = np.random.default_rng(0)
    names = rng.choice([-1, 3, 7, glyphs.NO_DIGIT], 400)
    chosen = glyphs._some(names, 15, rng)
    assert (np.diff(chosen) > 0).all()
    assert np.bincount(names[chosen], minlength=11).tolist() == [0, 0, 0, 6, 0, 0, 0, 6, 0, 0, 15]
    assert len(glyphs._some(np.full(9, -1), 15, rng)) == 0


def test_rows_are_drawn_in_parts_after_what_is_none_otherwise(some, monkeypatch):
    monkeypatch.setattr(parts, "AT_A_TIME", 2)
    images, names = glyphs.draw(*some, count=3, n_others=3)
    of_rows, names_of_rows = (
        np.concatenate(each) for each in zip(*(glyphs.glyphs_of(n, *some) for n in range(3)), strict=True)
    )
    np.testing.assert_array_equal(images[:3], no_digits.no_digits(range(3), some[0]))
    np.testing.assert_array_equal(images[3:], of_rows)
    np.testing.assert_array_equal(names, [glyphs.NO_DIGIT] * 3 + names_of_rows.tolist())
