"""Charts: what is drawn where, and history of any kind."""

import math
import re

import numpy as np
import pytest
from html_tree import rows_of, tree_of

from fastmnist.evaluation import Evaluation
from fastmnist.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, curves, reliability

HISTORY = {"epoch": [1, 2, 3], "train_loss": [0.5, 0.25, 0.125], "train_accuracy": [0.9, 0.95, 0.975]}
HELD_OUT = {"validation_loss": [0.3, 0.2, 0.1], "validation_accuracy": [0.91, 0.96, 0.97]}


def tree(html):
    return tree_of(f"<div>{html}</div>".encode())


def points(element):
    return [tuple(map(float, place.split(","))) for place in element.get("points").split()]


def test_the_reliability_diagram_has_a_dot_and_an_interval_for_each_bin():
    bins = np.zeros((15, 3))
    bins[14], bins[7] = (100, 98, 95), (4, 2, 1)
    drawn = tree(reliability(Evaluation(0.0, np.eye(2, dtype=int), 0.0, np.zeros(0, np.uint8), bins=bins)))
    dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in drawn.iter("circle")]
    expected = [
        (LEFT + x * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y * (HEIGHT - TOP - BOTTOM))
        for x, y in ((0.5, 0.25), (0.98, 0.95))
    ]
    np.testing.assert_allclose(dots, expected, atol=0.06)
    for line, (x, y) in zip(
        (line for line in drawn.iter("polyline") if line.get("class") == "interval"), dots, strict=True
    ):
        (x_low, low), (x_high, high) = points(line)
        assert x_low == x_high == x
        assert high < y < low
    assert rows_of(drawn) == {
        "50.0 %": ["4", "25.0 %", "4.6 % to 69.9 %"],
        "98.0 %": ["100", "95.0 %", "88.8 % to 97.8 %"],
    }


@pytest.mark.parametrize("history", [HISTORY, HISTORY | HELD_OUT])
def test_curves_go_from_epoch_to_epoch(history):
    drawn = tree(curves(history))
    names = ["train", "validation"][: (len(history) - 1) // 2]
    lines = list(drawn.iter("polyline"))
    assert [line.get("class") for line in lines] == 2 * names
    for line in lines:
        places = points(line)
        assert len(places) == 3
        assert all(LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM for x, y in places)
        heights = [y for _, y in places]
        is_loss = lines.index(line) < len(names)
        assert heights == sorted(heights, reverse=not is_loss)  # up is less
    assert rows_of(drawn)["2"][:2] == ["0.250000", "0.950000"]
    assert [text.text for text in drawn.iter("text")].count("epoch") == 2


@pytest.mark.parametrize("scale", [1e-7, 1e-3, 1.0, 1e6])
@pytest.mark.parametrize("n_epochs", [2, 3, 200, 1000])
def test_axes_have_few_round_ticks_around_all_values(scale, n_epochs):
    losses = (scale * np.random.default_rng(n_epochs).random(n_epochs)).tolist()
    drawn = curves({"epoch": list(range(1, n_epochs + 1)), "train_loss": losses, "train_accuracy": [1.0] * n_epochs})
    lines = list(tree(drawn).iter("path"))
    assert 2 * 4 <= len(lines) <= 4 * 8
    assert not re.search(r"nan|inf", drawn)


HOSTILE = {
    "nothing": None,
    "text": "<script>",
    "a list": [1, 2],
    "one epoch": {name: column[:1] for name, column in HISTORY.items()},
    "no losses": {"epoch": [1, 2]},
    "another name": HISTORY | {"<b>": [1, 2, 3]},
    "unequal": HISTORY | {"train_loss": [1, 2]},
    "text in a column": HISTORY | {"train_loss": [1, 2, "<b>"]},
    "no column": HISTORY | {"train_loss": 7},
    "not a number": HISTORY | {"train_loss": [1, 2, math.nan]},
    "infinite": HISTORY | {"train_loss": [1, 2, math.inf]},
    "huge": HISTORY | {"train_loss": [1, 2, 10**400]},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_history_of_another_kind_is_none(name):
    assert curves(HOSTILE[name]) == ""
