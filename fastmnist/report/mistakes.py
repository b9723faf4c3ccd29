"""Which images a report shows: those of the confusion matrix's cells, the worst mistakes, labels that may be wrong."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmnist.evaluation import Evaluation
from fastmnist.model.network import Uint8

MOST_MISTAKES = 10_000  # pictures of them in one page
RIGHT = 200  # pictures of correct predictions, at least one of each class
MOST_LISTED = 48  # of the worst mistakes, and of the doubtful labels

Positions = NDArray[np.intp]


class Cell(NamedTuple):
    """Images of class `label` that are given class `prediction`, the number of classes for a refusal.

    `positions` are those that are shown: of mistakes the surest first, of correct predictions the least sure.
    """

    label: int
    prediction: int
    positions: Positions


def cells(labels: Uint8, figures: Evaluation, most: int = MOST_MISTAKES) -> list[Cell]:
    """Return the cells that have images, by label and then prediction.

    labels: (n,). Where there are more than `most` mistakes, each cell shows as many as any other, if it has them.
    """
    predictions, n_classes = figures.predictions, len(figures.confusion)
    is_wrong = predictions != labels
    cell_of = labels.astype(np.intp) * (n_classes + 1) + predictions
    sureness = np.where(is_wrong, -figures.confidences, figures.confidences)
    order = np.lexsort((sureness, cell_of))
    numbers, firsts = np.unique(cell_of[order], return_index=True)
    ranks = np.arange(len(order)) - np.repeat(firsts, np.diff([*firsts, len(order)]))
    is_shown = ~is_wrong[order] & (ranks < max(1, RIGHT // n_classes))
    wrong = np.flatnonzero(is_wrong[order])
    is_shown[wrong[np.argsort(ranks[wrong], kind="stable")[:most]]] = True
    parts = zip(np.split(order, firsts[1:]), np.split(is_shown, firsts[1:]), strict=True)
    found = zip(numbers.tolist(), parts, strict=True)
    return [
        Cell(number // (n_classes + 1), number % (n_classes + 1), positions[shown])
        for number, (positions, shown) in found
    ]


def worst(labels: Uint8, figures: Evaluation) -> Positions:
    """Return the positions of the mistakes, those with the largest loss first. labels: (n,)."""
    wrong = np.flatnonzero(figures.predictions != labels)
    return wrong[np.argsort(figures.label_probabilities[wrong], kind="stable")]


def doubtful_labels(labels: Uint8, figures: Evaluation) -> Positions:
    """Return the positions of the images whose label may be wrong, the most doubtful first. labels: (n,).

    They are given another class, as surely as images of that class are on average: confident learning (Northcutt, Jiang
    and Chuang 2021, Confident Learning: Estimating Uncertainty in Dataset Labels, section 3.1), of predictions alone.
    They are in the order of the margin between the two probabilities.
    """
    n_classes = len(figures.confusion)
    sums = np.bincount(labels, figures.label_probabilities, n_classes)
    usual = np.full(n_classes + 1, np.inf)  # a refusal is of no class
    np.divide(sums, figures.class_sizes, out=usual[:n_classes], where=figures.class_sizes > 0)
    is_doubtful = (figures.predictions != labels) & (figures.confidences >= usual[figures.predictions])
    doubtful = np.flatnonzero(is_doubtful)
    margins = figures.confidences[doubtful] - figures.label_probabilities[doubtful]
    return doubtful[np.argsort(-margins, kind="stable")]
