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


def test_in_boxes_both_networks_are_asked(drawn):
    rows_in_doubt = [row for row in drawn["plain touching"] if (np.diff(row.lines[0].answers, axis=0) != 0).any()]
    (line,) = rows_in_doubt[0].lines
    for is_in_box in (True, False):
        row = Row("7", [line._replace(is_in_box=is_in_box)])
        (sample,) = samples({"plain boxed": [row]}, {"boxed": 1.0}, "alone")
        answers = line.answers.together if is_in_box else line.answers.alone
        np.testing.assert_array_equal(sample.probabilities, answers)
        assert sample.length == ((1, 1) if is_in_box else None)


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
