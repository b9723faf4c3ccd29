"""Peer: inference in NumPy float32, block by block."""

import numpy as np

from bench.peers.common import Bytes, Floats
from bench.peers.numpy_loop import blas_threads


class Predictor:
    """A network of plain matrix products."""

    def __init__(self, *, threads: int | None = None, batch_size: int = 1000) -> None:
        self.threads = threads
        self.batch_size = batch_size

    def prepare(self, weights: list[Floats], biases: list[Floats]) -> None:
        """Take the parameters, as float32."""
        self.weights = [w.astype(np.float32) for w in weights]
        self.biases = [b.astype(np.float32) for b in biases]

    def predict(self, pixels: Bytes) -> tuple[Bytes, Floats]:
        """Return every image's label and its probability."""
        labels = np.empty(len(pixels), np.uint8)
        confidences = np.empty(len(pixels), np.float32)
        with blas_threads(self.threads):
            for first in range(0, len(pixels), self.batch_size):
                batch = slice(first, first + self.batch_size)
                probabilities = self._probabilities(pixels[batch])
                labels[batch] = probabilities.argmax(axis=1)
                confidences[batch] = probabilities.max(axis=1)
        return labels, confidences

    def _probabilities(self, pixels: Bytes) -> Floats:
        activations: Floats = np.multiply(pixels, np.float32(1 / 255), dtype=np.float32)
        for w, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            activations = np.maximum(activations @ w + b, 0)
        logits = activations @ self.weights[-1] + self.biases[-1]
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: Floats = exponentials / exponentials.sum(axis=1, keepdims=True)
        return probabilities
