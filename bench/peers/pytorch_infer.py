"""Peer: inference in PyTorch, block by block."""

import numpy as np

from bench.peers.common import Bytes, Floats
from bench.peers.pytorch import build


class Predictor:
    """A PyTorch module in inference mode."""

    def __init__(self, *, threads: int = 2, batch_size: int = 1000) -> None:
        self.threads = threads
        self.batch_size = batch_size

    def prepare(self, weights: list[Floats], biases: list[Floats]) -> None:
        """Build the module."""
        import torch

        torch.set_num_threads(self.threads)
        parameters = [w.astype(np.float32) for w in weights], [b.astype(np.float32) for b in biases]
        self.model = build(parameters).eval()

    def predict(self, pixels: Bytes) -> tuple[Bytes, Floats]:
        """Return every image's label and its probability."""
        import torch

        labels = np.empty(len(pixels), np.uint8)
        confidences = np.empty(len(pixels), np.float32)
        with torch.inference_mode():
            for first in range(0, len(pixels), self.batch_size):
                batch = slice(first, first + self.batch_size)
                inputs = torch.from_numpy(pixels[batch]).float().div_(255)
                best = torch.softmax(self.model(inputs), dim=1).max(dim=1)
                labels[batch] = best.indices.numpy()
                confidences[batch] = best.values.numpy()
        return labels, confidences
