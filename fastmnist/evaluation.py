"""Evaluation of a network on labelled images: accuracy, loss, confusions, calibration, per-class figures."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmnist.errors import ModelError
from fastmnist.model.network import Float32, Network, Uint8

CHUNK = 8192  # samples per forward pass: bounds the memory of the activations
N_BINS = 15  # of confidences, as in Guo et al. 2017
TOP = 10  # confusions that are listed
NORMAL_975 = 1.959964  # the 97.5 % quantile of the normal distribution, for a 95 % interval


@dataclass(frozen=True)
class Evaluation:
    """The figures of one evaluation.

    `confusion[true, predicted]` counts samples, int64 (n_classes, n_classes). `refused`, int64 (n_classes,), counts the
    samples of each true class that the model takes for no digit, which is wrong; None for a model that can't refuse.
    `predictions` (n_samples,) are the predicted classes, n_classes for a refusal.
    `n_errors` counts the images that can't be read and are left out.
    `loss` is the mean cross-entropy, over all outputs.
    `calibration_error` is the expected calibration error: samples are binned by confidence, in bins of equal width, and
    |mean confidence - accuracy| is averaged over the bins, weighted by the number of samples in each (Guo et al. 2017,
    eq. 3). A refusal has no confidence and is in no bin; if there are only refusals, the error is 0.
    `bins`, float64 (N_BINS, 3), has a row for each of these bins: its number of samples, the sum of their
    confidences, and how many of them are correct.
    `confidences`, float32 (n_samples,), are the probabilities of the predictions, and `label_probabilities`, likewise,
    those of the true classes.
    """

    loss: float
    confusion: NDArray[np.int64]
    calibration_error: float
    predictions: Uint8
    n_errors: int = 0
    refused: NDArray[np.int64] | None = None
    bins: NDArray[np.float64] = field(default_factory=lambda: np.zeros((N_BINS, 3)))
    confidences: Float32 = field(default_factory=lambda: np.zeros(0, np.float32))
    label_probabilities: Float32 = field(default_factory=lambda: np.zeros(0, np.float32))

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
    def accuracy_interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the accuracy on all images of this kind, of which these are a sample."""
        return wilson_interval(self.accuracy, self.n_samples)

    @property
    def precision(self) -> NDArray[np.float64]:
        """Per class: the share of the samples given its label that are correct; 0 if there are none."""
        return _share(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def recall(self) -> NDArray[np.float64]:
        """Per class: the share of its samples that are given its label; 0 if it has no samples."""
        return _share(np.diag(self.confusion), self.class_sizes)

    @property
    def f1(self) -> NDArray[np.float64]:
        """Per class: the harmonic mean of precision and recall."""
        return _share(2 * np.diag(self.confusion), self.confusion.sum(axis=0) + self.class_sizes)

    @property
    def reliability(self) -> list[dict[str, float]]:
        """For each bin that has samples, lowest first: how many, their mean confidence, and their accuracy."""
        return [
            {"n_samples": int(n), "confidence": confidences / n, "accuracy": correct / n}
            for n, confidences, correct in self.bins.tolist()
            if n
        ]

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
        """Return the figures for JSON; `refused` is included only for a model that can refuse."""
        return {
            "n_samples": self.n_samples,
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "loss": self.loss,
            "calibration_error": self.calibration_error,
            "reliability": self.reliability,
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


def wilson_interval(share: float, n_samples: int) -> tuple[float, float]:
    """Return the 95 % confidence interval, lowest and highest, of a share measured on n_samples, at least 1.

    It is Wilson's interval (1927, Probable Inference, the Law of Succession, and Statistical Inference), which also
    holds for few samples and for shares near 1.
    """
    weight = NORMAL_975**2 / n_samples
    half = math.sqrt(weight * (share * (1 - share) + weight / 4))
    low, high = share + weight / 2 - half, share + weight / 2 + half
    return max(0.0, low / (1 + weight)), min(1.0, high / (1 + weight))


def evaluate(network: Network, pixels: Uint8 | Float32, labels: Uint8, *, can_refuse: bool = False) -> Evaluation:
    """Evaluate `network` on pixels (n_samples, n_in), n_samples at least 1, and labels (n_samples,).

    If it `can_refuse`, its last output is not a class: all labels are below it, and an image that gets it is refused.

    Raises ModelError for a network whose weights are so large that its outputs are not finite.
    """
    n_classes = network.n_classes - can_refuse
    counts = np.zeros((n_classes, network.n_classes), np.int64)
    predictions = np.empty(len(pixels), np.uint8)
    confidences, label_probabilities = np.empty((2, len(pixels)), np.float32)
    loss, sums = 0.0, np.zeros((N_BINS, 3))
    for first in range(0, len(pixels), CHUNK):
        chunk = slice(first, first + CHUNK)
        logits = network.logits(pixels[chunk])
        if not np.isfinite(logits).all():
            raise ModelError("the model's outputs are not finite: its weights are too large; train a new one")
        log_probabilities = logits - np.logaddexp.reduce(logits.astype(np.float64), axis=1, keepdims=True)
        expected, predicted = labels[chunk], logits.argmax(axis=1)
        np.add.at(counts, (expected, predicted), 1)
        predictions[chunk] = predicted
        rows = np.arange(len(predicted))
        of_labels, of_predictions = log_probabilities[rows, expected], np.exp(log_probabilities[rows, predicted])
        loss -= float(of_labels.sum())
        label_probabilities[chunk], confidences[chunk] = np.exp(of_labels), of_predictions
        answered = predicted < n_classes
        sums += _bins(of_predictions[answered], (predicted == expected)[answered])
    confusion, refused = counts[:, :n_classes], counts[:, n_classes:].sum(axis=1)
    calibration_error = float(np.abs(sums[:, 1] - sums[:, 2]).sum() / max(1, confusion.sum()))
    return Evaluation(
        loss / len(pixels),
        confusion,
        calibration_error,
        predictions,
        refused=refused if can_refuse else None,
        bins=sums,
        confidences=confidences,
        label_probabilities=label_probabilities,
    )


def _bins(confidences: NDArray[np.float64], is_correct: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return `Evaluation.bins` for samples with these confidences (n,)."""
    bins = np.minimum((confidences * N_BINS).astype(int), N_BINS - 1)
    return np.stack([np.bincount(bins, weights, N_BINS) for weights in (None, confidences, is_correct)], axis=1)
