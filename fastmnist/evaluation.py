"""How good a network is on labelled images: accuracy, loss, confusion matrix, per-class figures."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmnist.errors import ModelError
from fastmnist.network import Float32, Network, Uint8

CHUNK = 8192  # samples per forward pass: bounds the memory of the activations


@dataclass(frozen=True)
class Evaluation:
    """The figures of one evaluation; `confusion[true, predicted]` counts samples."""

    loss: float
    confusion: NDArray[np.int64]

    @property
    def n_samples(self) -> int:
        """How many samples were evaluated."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def precision(self) -> NDArray[np.float64]:
        """Per class: the right ones among the samples given that label; 0 where none was."""
        return _share(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def recall(self) -> NDArray[np.float64]:
        """Per class: the samples of the class given its label; 0 where the class has none."""
        return _share(np.diag(self.confusion), self.confusion.sum(axis=1))

    @property
    def f1(self) -> NDArray[np.float64]:
        """Per class: the harmonic mean of precision and recall."""
        return _share(2 * np.diag(self.confusion), self.confusion.sum(axis=0) + self.confusion.sum(axis=1))

    def as_dict(self) -> dict[str, Any]:
        """Return the same figures for JSON."""
        return {
            "n_samples": self.n_samples,
            "accuracy": self.accuracy,
            "loss": self.loss,
            "precision": self.precision.tolist(),
            "recall": self.recall.tolist(),
            "f1": self.f1.tolist(),
            "confusion": self.confusion.tolist(),
        }


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _cross_entropies(logits: Float32, labels: Uint8) -> NDArray[np.float64]:
    """Return -log softmax(logits)[label] of each row, in float64."""
    exact = logits.astype(np.float64)
    normalizers: NDArray[np.float64] = np.logaddexp.reduce(exact, axis=1)
    return normalizers - exact[np.arange(len(labels)), labels]


def evaluate(network: Network, pixels: Uint8 | Float32, labels: Uint8) -> Evaluation:
    """Return the figures of `network` on pixels (n_samples, n_in), n_samples at least 1, and labels (n_samples,).

    Raises ModelError for a network whose weights are so large that its outputs are no numbers.
    """
    confusion = np.zeros((network.n_classes, network.n_classes), np.int64)
    loss = 0.0
    for first in range(0, len(pixels), CHUNK):
        chunk = slice(first, first + CHUNK)
        logits = network.logits(pixels[chunk])
        if not np.isfinite(logits).all():
            raise ModelError("the model's outputs are no numbers: its weights are too large; train a new one")
        np.add.at(confusion, (labels[chunk], logits.argmax(axis=1)), 1)
        loss += float(_cross_entropies(logits, labels[chunk]).sum())
    return Evaluation(loss / len(pixels), confusion)
