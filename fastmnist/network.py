"""A fully connected network: layer sizes, parameters, forward pass, gradient and training steps.

The only caller of the network kernels; it checks shapes and dtypes once, so that they need not.
"""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastmnist.kernels import inference, jit, sparse, training_loop
from fastmnist.kernels.forward import Parameters
from fastmnist.kernels.lanes import MASK_BITS
from fastmnist.kernels.layout import aligned_zeros, make_layers
from fastmnist.kernels.sgd import StepScalars
from fastmnist.threads import Pace

Float32 = NDArray[np.float32]
Uint8 = NDArray[np.uint8]
Order = NDArray[np.int64]

MAX_CLASSES = 256  # labels are uint8
NO_VELOCITIES: Float32 = np.zeros(0, np.float32)


class Network:
    """Dense layers with ReLU between them and softmax at the end.

    `layer_sizes` is (n_in, hidden..., n_classes), with one hidden layer or more. All parameters lie in one flat
    float32 buffer, `parameters`, as `layout` says (kernels/layout.py): rows are filled up with zeros to whole
    vectors, so use `weights` and `biases` to look at them.
    """

    def __init__(self, layer_sizes: Sequence[int]) -> None:
        """Make a network with all parameters 0. Raises ValueError for impossible layer sizes."""
        self.layer_sizes = tuple(int(size) for size in layer_sizes)
        if len(self.layer_sizes) < 3 or min(self.layer_sizes) < 1 or self.layer_sizes[-1] > MAX_CLASSES:
            raise ValueError(
                f"layer sizes {self.layer_sizes}: expected inputs, one or more hidden layers and up to "
                f"{MAX_CLASSES} classes"
            )
        # The kernels look at 64 inputs at a time; where there are fewer, the rest are zeros.
        self.layout, size = make_layers((max(self.n_in, MASK_BITS), *self.layer_sizes[1:]))
        self.parameters: Float32 = aligned_zeros(size)
        self._space = inference.make_space(self.layout, jit.n_threads())

    @classmethod
    def random(cls, layer_sizes: Sequence[int], seed: int, scale: float | None = 0.01) -> "Network":
        """Return a network with weights scale * N(0, 1) and biases 0.

        Without a scale each layer gets sqrt(2 / n_in), which keeps the size of activations (He et al. 2015).

        RandomState's stream is frozen, so a seed means the same weights with every version of NumPy.
        """
        network = cls(layer_sizes)
        rng = np.random.RandomState(seed)
        for layer in range(network.n_layers):
            weights = network.weights(layer)
            layer_scale = np.sqrt(2 / len(weights)) if scale is None else scale
            weights[:] = layer_scale * rng.standard_normal(weights.shape)
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

    def weights(self, layer: int) -> Float32:
        """Return one layer's weights, a (n_in, n_out) view of `parameters`."""
        n_in, n_out = self.layer_sizes[layer : layer + 2]
        stride, first = self.layout[layer, 3:5]
        return self.parameters[first : first + n_in * stride].reshape(n_in, stride)[:, :n_out]

    def biases(self, layer: int) -> Float32:
        """Return one layer's biases, a (n_out,) view of `parameters`."""
        n_out, first = self.layout[layer, 1], self.layout[layer, 5]
        return self.parameters[first : first + n_out]

    def logits(self, inputs: Uint8 | Float32) -> Float32:
        """Return the last layer's outputs (n_samples, n_classes) for inputs (n_samples, n_in)."""
        logits = np.empty((len(inputs), self.n_classes), np.float32)
        inference.compute_logits(*self._inference_arguments(inputs), logits)
        return logits

    def predict(self, inputs: Uint8 | Float32) -> tuple[Uint8, Float32]:
        """Return each sample's most probable class (n_samples,) and its probability (n_samples,)."""
        labels, confidences, _ = self._classify(inputs, 0)
        return labels, confidences

    def predict_probabilities(self, inputs: Uint8 | Float32) -> tuple[Uint8, Float32, Float32]:
        """Return what `predict` does, and the probabilities of all classes (n_samples, n_classes)."""
        return self._classify(inputs, self.n_classes)

    def _classify(self, inputs: Uint8 | Float32, n_probabilities: int) -> tuple[Uint8, Float32, Float32]:
        labels, confidences = np.empty(len(inputs), np.uint8), np.empty(len(inputs), np.float32)
        probabilities = np.empty((len(inputs), n_probabilities), np.float32)
        inference.classify(*self._inference_arguments(inputs), labels, confidences, probabilities)
        return labels, confidences, probabilities

    def _inference_arguments(self, inputs: Uint8 | Float32) -> tuple[object, ...]:
        check_inputs(inputs, self.n_in)
        order = np.arange(len(inputs), dtype=np.int64)
        parameters = Parameters(self.layout, self.parameters, NO_VELOCITIES)
        return parameters, pad_inputs(inputs), order, self._space


class Trainer:
    """Trains a network, up to `max_samples` samples a call; holds the velocities and the working memory."""

    def __init__(
        self,
        network: Network,
        batch_size: int,
        momentum: float,
        max_samples: int,
        *,
        nesterov: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        """Take a network to train in place. `max_samples` is a multiple of `batch_size`.

        `label_smoothing` is the share of each label that is spread over all classes, from 0 to below 1.
        """
        self.network, self.batch_size, self.momentum, self.max_samples = network, batch_size, momentum, max_samples
        self.nesterov, self.label_smoothing = nesterov, label_smoothing
        self.velocities: Float32 = aligned_zeros(network.parameters.size if momentum else 0)
        n_in = max(network.n_in, MASK_BITS)
        self._rows = sparse.make_row_lists(max_samples, n_in)
        self._columns = sparse.make_column_lists(max_samples, n_in, batch_size)
        self._space = training_loop.make_workspace(network.layout, batch_size, jit.n_threads(), momentum)
        self._pace = Pace(jit.n_threads())

    def train(
        self,
        inputs: Uint8 | Float32,
        labels: Uint8,
        order: Order,
        learning_rate: float,
        weight_decay: float,
    ) -> tuple[float, int]:
        """Train on the samples `order` (n,) of `inputs` (n_samples, n_in), one SGD step for each batch of them.

        Returns the sum of the samples' cross-entropies and the number of right answers, each taken before its
        batch's step. The last batch may be smaller.
        """
        check_inputs(inputs, self.network.n_in)
        check_labels(labels, len(inputs), self.network.n_classes)
        if len(order) > self.max_samples or (len(order) and (order.min() < 0 or order.max() >= len(inputs))):
            raise ValueError(f"an order of {len(order)} samples: expected up to {self.max_samples}, all of them there")
        self._space.totals[:] = 0
        inputs = pad_inputs(inputs)
        sparse.list_nonzeros(inputs, order, self.batch_size, self._rows, self._columns)
        threads, start = self._pace.choose(), time.perf_counter()
        training_loop.train_batches.with_threads(
            threads,
            Parameters(self.network.layout, self.network.parameters, self.velocities),
            self._rows,
            self._columns,
            labels[order],
            self.batch_size,
            self._space,
            StepScalars(
                np.float32(learning_rate),
                np.float32(self.momentum),
                np.float32(weight_decay),
                self.nesterov,
                np.float32(self.label_smoothing),
            ),
        )
        if len(order):
            self._pace.record(threads, (time.perf_counter() - start) / len(order))
        return float(self._space.totals[0]), int(self._space.totals[1])

    def state(self) -> dict[str, Float32]:
        """Return all that training has changed, as views: what was copied out and in again trains on alike."""
        return {
            "parameters": self.network.parameters,
            "velocities": self.velocities,
            "first_velocities": self._space.first_velocities,
        }


def check_inputs(inputs: Uint8 | Float32, n_in: int) -> None:
    """Raise ValueError unless inputs are C-contiguous (n_samples, n_in) uint8 or float32."""
    if inputs.ndim != 2 or inputs.shape[1] != n_in:
        raise ValueError(f"inputs of shape {inputs.shape}: expected (n_samples, {n_in})")
    if inputs.dtype not in (np.uint8, np.float32) or not inputs.flags.c_contiguous:
        raise ValueError(f"inputs of dtype {inputs.dtype}: expected C-contiguous uint8 or float32")


def pad_inputs(inputs: Uint8 | Float32) -> Uint8 | Float32:
    """Return inputs that are at least as wide as the masks of the kernels, with zeros where there were none."""
    if inputs.shape[1] >= MASK_BITS:
        return inputs
    padded = np.zeros((len(inputs), MASK_BITS), inputs.dtype)
    padded[:, : inputs.shape[1]] = inputs
    return padded


def check_labels(labels: Uint8, n_samples: int, n_classes: int) -> None:
    """Raise ValueError for a label that is no class: in a kernel it would be a write out of bounds."""
    if labels.shape != (n_samples,) or labels.dtype != np.uint8:
        raise ValueError(f"labels {labels.shape} {labels.dtype}: expected ({n_samples},) uint8")
    if n_samples and labels.max() >= n_classes:
        raise ValueError(f"label {labels.max()}: expected 0 to {n_classes - 1}")
