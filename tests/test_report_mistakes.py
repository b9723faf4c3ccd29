"""Which images a report shows."""

import numpy as np
import pytest

from fastmnist.evaluation import Evaluation
from fastmnist.report.mistakes import RIGHT, cells, doubtful_labels, worst


def figures_of(labels, predictions, confidences, label_probabilities, n_classes=2):
    counts = np.zeros((n_classes, n_classes + 1), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return Evaluation(
        0.0, counts[:, :n_classes], 0.0, np.array(predictions, np.uint8), refused=counts[:, n_classes],
        confidences=np.array(confidences, np.float32), label_probabilities=np.array(label_probabilities, np.float32),
    )  # fmt: skip


LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1], np.uint8)
PREDICTIONS = [0, 0, 1, 1, 1, 0, 2, 1]
CONFIDENCES = [0.9, 0.7, 0.6, 0.95, 0.8, 0.75, 0.5, 0.99]
OF_LABELS = [0.9, 0.7, 0.4, 0.05, 0.8, 0.25, 0.1, 0.99]


def shown(found):
    return {(cell.label, cell.prediction): cell.positions.tolist() for cell in found}


def test_mistakes_are_shown_the_surest_first_and_the_others_the_least_sure():
    figures = figures_of(LABELS, PREDICTIONS, CONFIDENCES, OF_LABELS)
    assert shown(cells(LABELS, figures)) == {(0, 0): [1, 0], (0, 1): [3, 2], (1, 0): [5], (1, 1): [4, 7], (1, 2): [6]}


def test_where_there_are_too_many_mistakes_the_cells_share_the_pictures():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3, dtype=np.uint8), [1000, 40, 3])
    predictions = np.array([1, 2, 0], np.uint8)[labels]
    figures = figures_of(labels, predictions, rng.random(1043), rng.random(1043), 3)
    assert {key: len(value) for key, value in shown(cells(labels, figures, 100)).items()} == {
        (0, 1): 57, (1, 2): 40, (2, 0): 3,
    }  # fmt: skip
    positions = shown(cells(labels, figures, 100))[0, 1]
    assert positions == np.argsort(-figures.confidences[:1000])[:57].tolist()


def test_of_right_ones_some_are_shown_of_each_class():
    labels = np.repeat(np.arange(2, dtype=np.uint8), 500)
    figures = figures_of(labels, labels, np.linspace(1, 0.5, 1000), np.linspace(1, 0.5, 1000))
    found = shown(cells(labels, figures))
    assert found == {
        (0, 0): list(range(499, 499 - RIGHT // 2, -1)), (1, 1): list(range(999, 999 - RIGHT // 2, -1)),
    }  # fmt: skip


def test_the_worst_mistakes_are_those_with_the_largest_loss():
    assert worst(LABELS, figures_of(LABELS, PREDICTIONS, CONFIDENCES, OF_LABELS)).tolist() == [3, 6, 5, 2]


def test_a_label_is_doubtful_where_another_class_is_as_sure_as_usual():
    """Means by hand: class 0 (0.9 + 0.7 + 0.4 + 0.05) / 4 = 0.5125, class 1 (0.8 + 0.25 + 0.1 + 0.99) / 4 = 0.535."""
    figures = figures_of(LABELS, PREDICTIONS, CONFIDENCES, OF_LABELS)
    assert doubtful_labels(LABELS, figures).tolist() == [3, 5, 2]
    surer = figures_of(LABELS, PREDICTIONS, [0.9, 0.7, 0.53, 0.95, 0.8, 0.51, 0.5, 0.99], OF_LABELS)
    assert doubtful_labels(LABELS, surer).tolist() == [3]


@pytest.mark.parametrize("n", [1, 5])
def test_nothing_is_found_where_all_is_right(n):
    labels = np.zeros(n, np.uint8)
    figures = figures_of(labels, labels, np.ones(n), np.ones(n))
    assert worst(labels, figures).tolist() == doubtful_labels(labels, figures).tolist() == []
    assert shown(cells(labels, figures)) == {(0, 0): list(range(n))}


def test_a_class_without_images_is_no_reason_to_doubt():
    labels = np.zeros(3, np.uint8)
    figures = figures_of(labels, [1, 1, 2], [0.99, 0.9, 0.9], [0.01, 0.1, 0.1])
    assert doubtful_labels(labels, figures).tolist() == []
