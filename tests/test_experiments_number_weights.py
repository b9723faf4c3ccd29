"""The weights of ways through a number: fitted to what was drawn."""

import numpy as np
import pytest

from experiments import number_weights, rows
from experiments.number_weights import OF_IN_NUMBER, Row, fitted, loss, row_of, samples
from fastmnist.images.decode import decode_picture
from fastmnist.numbers.ways import IN_NUMBER, Weights
from fastmnist.reading import readers_of


@pytest.fixture(scope="module")
def drawn(digits, model):
    """A few rows that touch, of test digits, cut and read once, and a row that is none."""
    some = rows.Digits(digits[0][:500], digits[1][:500])
    pictures = [(row.lines[0], row.rendering.content) for row in rows.draw("touching", some, 12)]
    read = [row_of(decode_picture(content, b"drawn"), text, readers_of(model)) for text, content in pictures]
    return {"plain touching": read, "letters": [Row("?", read[0].lines), Row("??", read[0].lines * 3)]}


def test_lines_count_as_their_sets_do(drawn):
    lines = list(samples(drawn, OF_IN_NUMBER, "together"))
    assert len(lines) == sum(len(row.lines) == 1 for row in drawn["plain touching"])
    assert sum(line.counts for line in lines) == pytest.approx(OF_IN_NUMBER["touching"])
    letters = list(samples(drawn, {"letters": 2.0, "touching": 0.0}, "alone"))
    assert [line.labels.tolist() for line in letters] == [[10]]
    assert letters[0].told == 0


def test_in_boxes_both_networks_are_asked(digits, model):
    some = rows.Digits(digits[0][:500], digits[1][:500])
    pictures = [(row.lines[0], row.rendering.content) for row in rows.draw("boxed", some, 20)]
    read = [row_of(decode_picture(content, b"drawn"), text, readers_of(model)) for text, content in pictures]
    in_doubt = [line for row in read for line in row.lines if (np.diff(line.answers, axis=0) != 0).any()]
    assert all(line.is_in_box for line in in_doubt)
    for is_in_box in (True, False):
        line = in_doubt[0]._replace(is_in_box=is_in_box)
        (sample,) = samples({"plain boxed": [Row("7", [line])]}, {"boxed": 1.0}, "alone")
        answers = line.answers.together if is_in_box else line.answers.alone
        np.testing.assert_array_equal(sample.probabilities, answers)
        assert sample.length == ((1, 1) if is_in_box else None)


def test_marks_stand_where_they_do_beside_digits():
    drawn_marks = [number_weights.mark(np.random.default_rng(seed)) for seed in range(60)]
    tops = np.array([np.nonzero(image)[0].min() for image in drawn_marks])
    heights = np.array([np.ptp(np.nonzero(image)[0]) + 1 for image in drawn_marks])
    assert all(image.shape == (28, image.shape[1]) and 2 <= image.shape[1] <= 22 for image in drawn_marks)
    assert {"above": (tops < 6).any(), "below": (tops > 19).any()} == {"above": True, "below": True}
    assert heights.max() <= 16  # a colon, lower than a digit


def test_fitted_weights_make_what_was_drawn_likelier(drawn):
    lines = list(samples(drawn, OF_IN_NUMBER, "together"))
    start = IN_NUMBER._replace(per_cut=3.0, wide=0.0)
    now = fitted(start, lines)
    assert loss(np.array(now), lines) < 0.9 * loss(np.array(start), lines)
    for name, value in now._asdict().items():
        least = -number_weights.MOST if name in number_weights.MAY_BE_WORTH else 0.0
        assert least <= value <= number_weights.MOST


def test_a_text_that_no_way_reads_counts_no_more_than_so_much(drawn):
    line = next(samples(drawn, OF_IN_NUMBER, "together"))
    too_long = line._replace(labels=np.zeros(99, np.int64), counts=1.0)
    assert loss(np.array(Weights(*IN_NUMBER)), [too_long]) == pytest.approx(-number_weights.UNREADABLE)
