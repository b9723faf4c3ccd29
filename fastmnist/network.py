"""A fully connected network: layer sizes, parameters, forward pass, gradient and training steps.

The only caller of the network kernels; it checks shapes and dtypes once, so that they need not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fastmnist.kernels import training_loop
from fastmnist.kernels.activations import predict_labels, softmax_cross_entropy_gradient

Float32 = NDArray[np.float32]
Uint8 = NDArray[np.uint8]

MAX_CLASSES = 256  # labels are uint8


@dataclass(frozen=True)
class StepSettings:
    """What one SGD step needs to know."""

    batch_size: int
    learning_rate: float
    weight_decay: float


class Network:
    """Dense layers with ReLU between them and softmax at the end.

    `layer_sizes` is (n_in, hidden..., n_classes). All parameters lie in one flat float32 buffer,
    `parameters`; `layout` (n_layers, 4) int64 has each layer's n_in, n_out, and the offsets of its weights
    and biases in that buffer.
    """

    def __init__(self, layer_sizes: Sequence[int]) -> None:
        """Make a network with all parameters 0. Raises ValueError for impossible layer sizes."""
        self.layer_sizes = tuple(int(size) for size in layer_sizes)
        if len(self.layer_sizes) < 2 or min(self.layer_sizes) < 1 or self.layer_sizes[-1] > MAX_CLASSES:
            raise ValueError(f"layer sizes {self.layer_sizes}: expected two or more, the last up to {MAX_CLASSES}")
        self.layout = np.zeros((len(self.layer_sizes) - 1, 4), np.int64)
        offset = 0
        for layer, (n_in, n_out) in enumerate(pairwise(self.layer_sizes)):
            self.layout[layer] = n_in, n_out, offset, offset + n_in * n_out
            offset += n_in * n_out + n_out
        self.parameters: Float32 = np.zeros(offset, np.float32)

    @classmethod
    def random(cls, layer_sizes: Sequence[int], seed: int, scale: float = 0.01) -> "Network":
        """Return a network with weights scale * N(0, 1) and biases 0.

        RandomState's stream is frozen, so a seed means the same weights with every version of NumPy.
        """
        network = cls(layer_sizes)
        rng = np.random.RandomState(seed)
        for layer in range(network.n_layers):
            weights = network.weights(layer)
            weights[:] = scale * rng.standard_normal(weights.shape)
        return network

    @property
    def n_layers(self) -> int:
        """The number of layers that have weights."""
        return len(self.layout)

    @property
    def n_in(self) -> int:
        """The number of inputs (784 for MNIST)."""
        return self.layer_sizes[0]

    @property
    def n_classes(self) -> int:
        """The number of classes (10 for MNIST)."""
        return self.layer_sizes[-1]

    def weights(self, layer: int, buffer: Float32 | None = None) -> Float32:
        """Return one layer's weights, a (n_in, n_out) view of `parameters` or of a buffer laid out like it."""
        n_in, n_out, first, _ = self.layout[layer]
        return (self.parameters if buffer is None else buffer)[first : first + n_in * n_out].reshape(n_in, n_out)

    def biases(self, layer: int, buffer: Float32 | None = None) -> Float32:
        """Return one layer's biases, a (n_out,) view of `parameters` or of a buffer laid out like it."""
        _, n_out, _, first = self.layout[layer]
        return (self.parameters if buffer is None else buffer)[first : first + n_out]

    def logits(self, inputs: Uint8 | Float32) -> Float32:
        """Return the last layer's outputs (n_samples, n_classes) for inputs (n_samples, n_in)."""
        self._check_inputs(inputs)
        n_samples = len(inputs)
        activations = np.empty(n_samples * sum(self.layer_sizes[1:]), np.float32)
        training_loop.forward(self.parameters, self.layout, inputs, activations)
        return activations[len(activations) - n_samples * self.n_classes :].reshape(n_samples, self.n_classes)

    def predict(self, inputs: Uint8 | Float32) -> tuple[Uint8, Float32]:
        """Return each sample's most probable class (n_samples,) and its probability (n_samples,)."""
        logits = self.logits(inputs)
        labels, confidences = np.empty(len(logits), np.uint8), np.empty(len(logits), np.float32)
        predict_labels(logits, labels, confidences)
        return labels, confidences

    def losses(self, inputs: Uint8 | Float32, labels: Uint8) -> Float32:
        """Return each sample's cross-entropy (n_samples,), without the L2 term."""
        self._check_labels(labels, len(inputs))
        logits = self.logits(inputs)
        losses = np.empty(len(logits), np.float32)
        softmax_cross_entropy_gradient(logits, labels, losses, np.empty_like(logits))
        return losses

    def train_batches(self, inputs: Uint8 | Float32, labels: Uint8, step: StepSettings) -> tuple[float, int]:
        """Train on `inputs` (n_samples, n_in) in their order, one SGD step for each batch.

        Returns the sum of the samples' cross-entropies and the number of right answers, each taken before
        its batch's step. The last batch may be smaller.
        """
        self._check_inputs(inputs)
        self._check_labels(labels, len(inputs))
        totals = np.zeros(2, np.float64)
        workspace = np.empty((2, step.batch_size * sum(self.layer_sizes[1:])), np.float32)
        training_loop.train_batches(
            self.parameters,
            self.layout,
            inputs,
            labels,
            step.batch_size,
            np.float32(step.learning_rate),
            np.float32(step.weight_decay),
            np.empty_like(self.parameters),
            workspace,
            totals,
        )
        return float(totals[0]), int(totals[1])

    def _check_inputs(self, inputs: Uint8 | Float32) -> None:
        if inputs.ndim != 2 or inputs.shape[1] != self.n_in:
            raise ValueError(f"inputs of shape {inputs.shape}: expected (n_samples, {self.n_in})")
        if inputs.dtype not in (np.uint8, np.float32) or not inputs.flags.c_contiguous:
            raise ValueError(f"inputs of dtype {inputs.dtype}: expected C-contiguous uint8 or float32")

    def _check_labels(self, labels: Uint8, n_samples: int) -> None:
        """Raise ValueError for a label that is no class: in a kernel it would be a write out of bounds."""
        if labels.shape != (n_samples,) or labels.dtype != np.uint8:
            raise ValueError(f"labels {labels.shape} {labels.dtype}: expected ({n_samples},) uint8")
        if n_samples and labels.max() >= self.n_classes:
            raise ValueError(f"label {labels.max()}: expected 0 to {self.n_classes - 1}")
