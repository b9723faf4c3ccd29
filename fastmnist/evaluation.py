"""How good a network is on labelled images: accuracy, loss, confusions, calibration, per-class figures."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmnist.errors import ModelError
from fastmnist.model.network import Float32, Network, Uint8

CHUNK = 8192  # samples per forward pass: bounds the memory of the activations
N_BINS = 15  # of confidences, as in Guo et al. 2017
TOP = 10  # confusions that are named


@dataclass(frozen=True)
class Evaluation:
    """The figures of one evaluation.

    `confusion[true, predicted]` counts samples, int64 (n_classes, n_classes). `refused`, int64 (n_classes,), counts
    those of each true class that the model takes for no digit, which is wrong; None for a model that can't
    refuse. `predictions` (n_samples,) are the predicted classes, n_classes for a refusal.
    `n_errors` counts images that can't be read and are left out.
    `loss` is the mean cross-entropy, over all outputs.
    `calibration_error` is the expected one: samples are put into bins of equal width by their confidence, and the
    bins' |mean confidence - accuracy| averaged, weighted by their numbers of samples (Guo et al. 2017, eq. 3). A
    refusal has no confidence and is in no bin; where there are refusals alone it is 0.
    """

    loss: float
    confusion: NDArray[np.int64]
    calibration_error: float
    predictions: Uint8
    n_errors: int = 0
    refused: NDArray[np.int64] | None = None

    @property
    def n_samples(self) -> int:
        """How many samples were evaluated."""
        return int(self.class_sizes.sum())

    @property
    def n_refused(self) -> int:
        """How many of them were taken for no digit."""
        return 0 if self.refused is None else int(self.refused.sum())

    @property
    def class_sizes(self) -> NDArray[np.int64]:
        """Per class: how many of its samples were evaluated."""
        answered: NDArray[np.int64] = self.confusion.sum(axis=1)
        return answered if self.refused is None else answered + self.refused

    @property
    def accuracy(self) -> float:
        """The share of correct predictions."""
        return float(np.trace(self.confusion) / self.n_samples)

    @property
    def precision(self) -> NDArray[np.float64]:
        """Per class: the share of correct ones among the samples given that label; 0 where there are none."""
        return _share(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def recall(self) -> NDArray[np.float64]:
        """Per class: the share of its samples that are given its label; 0 where the class has none."""
        return _share(np.diag(self.confusion), self.class_sizes)

    @property
    def f1(self) -> NDArray[np.float64]:
        """Per class: the harmonic mean of precision and recall."""
        return _share(2 * np.diag(self.confusion), self.confusion.sum(axis=0) + self.class_sizes)

    @property
    def top_confusions(self) -> list[tuple[int, int, int]]:
        """The most frequent mistakes as (true class, predicted class, count), the most frequent first.

        The predicted class of a refusal is n_classes.
        """
        mistakes = self.confusion - np.diag(np.diag(self.confusion))
        if self.refused is not None:
            mistakes = np.column_stack([mistakes, self.refused])
        order = np.argsort(-mistakes, axis=None, kind="stable")[:TOP]
        pairs = zip(*np.unravel_index(order, mistakes.shape), strict=True)
        cells = [(int(true), int(predicted), int(mistakes[true, predicted])) for true, predicted in pairs]
        return [cell for cell in cells if cell[2]]

    def as_dict(self) -> dict[str, Any]:
        """Return the same figures for JSON; `refused` is there for a model that can refuse."""
        return {
            "n_samples": self.n_samples,
            "accuracy": self.accuracy,
            "loss": self.loss,
            "calibration_error": self.calibration_error,
            "precision": self.precision.tolist(),
            "recall": self.recall.tolist(),
            "f1": self.f1.tolist(),
            "confusion": self.confusion.tolist(),
            **({} if self.refused is None else {"refused": self.refused.tolist()}),
            "top_confusions": [list(cell) for cell in self.top_confusions],
            "n_errors": self.n_errors,
        }


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def evaluate(network: Network, pixels: Uint8 | Float32, labels: Uint8, *, can_refuse: bool = False) -> Evaluation:
    """Return the figures of `network` on pixels (n_samples, n_in), n_samples at least 1, and labels (n_samples,).

    Where it `can_refuse`, its last output is no class: labels are below it, and an image it is given to is refused.

    Raises ModelError for a network whose weights are so large that its outputs are not numbers.
    """
    n_classes = network.n_classes - can_refuse
    counts = np.zeros((n_classes, network.n_classes), np.int64)
    predictions = np.empty(len(pixels), np.uint8)
    loss, excess = 0.0, np.zeros(N_BINS)
    for first in range(0, len(pixels), CHUNK):
        chunk = slice(first, first + CHUNK)
        logits = network.logits(pixels[chunk])
        if not np.isfinite(logits).all():
            raise ModelError("the model's outputs are not numbers: its weights are too large; train a new one")
        log_probabilities = logits - np.logaddexp.reduce(logits.astype(np.float64), axis=1, keepdims=True)
        expected, predicted = labels[chunk], logits.argmax(axis=1)
        np.add.at(counts, (expected, predicted), 1)
        predictions[chunk] = predicted
        rows = np.arange(len(predicted))
        loss -= float(log_probabilities[rows, expected].sum())
        answered = np.flatnonzero(predicted < n_classes)
        confidences = np.exp(log_probabilities[answered, predicted[answered]])
        bins = np.minimum((confidences * N_BINS).astype(int), N_BINS - 1)
        excess += np.bincount(bins, confidences - (predicted == expected)[answered], N_BINS)
    confusion, refused = counts[:, :n_classes], counts[:, n_classes:].sum(axis=1)
    calibration_error = float(np.abs(excess).sum() / max(1, confusion.sum()))
    return Evaluation(
        loss / len(pixels),
        confusion,
        calibration_error,
        predictions,
        refused=refused if can_refuse else None,
    )
