"""A fully connected network: layer sizes, parameters, forward pass.

The only caller of the inference kernels; it checks shapes and dtypes once, so that they need not.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmnist.kernels import inference, jit
from fastmnist.kernels.forward import Parameters
from fastmnist.kernels.lanes import MASK_BITS
from fastmnist.kernels.layout import aligned_zeros, make_layers
from fastmnist.shapes import MAX_CLASSES

Float32 = NDArray[np.float32]
Uint8 = NDArray[np.uint8]
Order = NDArray[np.int64]

FEW = 8  # samples are not shared between threads: halves of a tile take as long as a whole one

NO_VELOCITIES: Float32 = np.zeros(0, np.float32)


class Network:
    """Dense layers with ReLU between them and softmax at the end.

    `layer_sizes` is (n_in, hidden..., n_classes), with one hidden layer or more; "no digit" is a class here. All
    parameters lie in one flat float32 buffer, `parameters`, as `layers` says (kernels/layout.py): rows are zero-padded
    to whole vectors, so use `weights` and `biases` to look at them.

    Any number of threads may call a network at once, and so may forked children: a call has its own working memory.
    Networks can be copied and pickled; the copy has parameters of its own, also where it is loaded memory-mapped.
    """

    KERNEL = "classify"  # predicts, by its name in the cache

    def __init__(self, layer_sizes: Sequence[int]) -> None:
        """Make a network with all parameters 0. Raises ValueError for impossible layer sizes."""
        self.layer_sizes = tuple(int(size) for size in layer_sizes)
        if len(self.layer_sizes) < 3 or min(self.layer_sizes) < 1 or self.layer_sizes[-1] > MAX_CLASSES:
            raise ValueError(
                f"layer sizes {self.layer_sizes}: expected inputs, one or more hidden layers and up to "
                f"{MAX_CLASSES} classes"
            )
        self.layers, size = make_layers(self.layer_sizes)
        self.layout: Order = np.array(self.layers, np.int64)
        self.parameters: Float32 = aligned_zeros(size)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the sizes and the parameters; where the parameters lie in memory is decided when they are loaded."""
        return _restored, (self.layer_sizes, self.parameters)

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
        return len(self.layers)

    @property
    def n_in(self) -> int:
        """The number of inputs (784 for MNIST)."""
        return self.layer_sizes[0]

    @property
    def n_classes(self) -> int:
        """The number of outputs: 10 for MNIST, one more where the model can refuse."""
        return self.layer_sizes[-1]

    def weights(self, layer: int) -> Float32:
        """Return one layer's weights, a (n_in, n_out) view of `parameters`."""
        n_in, n_out = self.layer_sizes[layer : layer + 2]
        stride, first = self.layers[layer].stride, self.layers[layer].weights
        return self.parameters[first : first + n_in * stride].reshape(n_in, stride)[:, :n_out]

    def biases(self, layer: int) -> Float32:
        """Return one layer's biases, a (n_out,) view of `parameters`."""
        first = self.layers[layer].biases
        return self.parameters[first : first + self.layers[layer].n_out]

    def logits(self, inputs: Uint8 | Float32) -> Float32:
        """Return the last layer's outputs (n_samples, n_classes) for inputs (n_samples, n_in)."""
        return self._classify(inputs, n_logits=self.n_classes)[2]

    def predict(self, inputs: Uint8 | Float32) -> tuple[Uint8, Float32]:
        """Return each sample's most probable class (n_samples,) and its probability (n_samples,)."""
        return self._classify(inputs)[:2]

    def confidences(self, images: Uint8, n_classes: int) -> Float32:
        """Return the probability of the most probable of the first `n_classes` classes for images (n, 28, 28)."""
        most: Float32 = self.probabilities_of_few(images)[:, :n_classes].max(axis=1)
        return most

    def probabilities_of_few(self, images: Uint8) -> Float32:
        """Return the probabilities of all classes for a few images (n, 28, 28), computed in the thread that calls."""
        with jit.using_threads(1):  # waking threads from many others took 40 ms
            return self.predict_probabilities(images.reshape(len(images), -1))[2]

    def predict_probabilities(self, inputs: Uint8 | Float32) -> tuple[Uint8, Float32, Float32]:
        """Return what `predict` does, and the probabilities of all classes (n_samples, n_classes)."""
        labels, confidences, _, probabilities = self._classify(inputs, n_probabilities=self.n_classes)
        return labels, confidences, probabilities

    def _classify(
        self, inputs: Uint8 | Float32, n_logits: int = 0, n_probabilities: int = 0
    ) -> tuple[Uint8, Float32, Float32, Float32]:
        """Return labels, confidences, logits and probabilities, in working memory of this call."""
        check_inputs(inputs, self.n_in)
        n_samples = len(inputs)
        n_parts = 1 if n_samples <= FEW else jit.n_threads()
        outputs = (
            np.empty(n_samples, np.uint8),
            np.empty(n_samples, np.float32),
            np.empty((n_samples, n_logits), np.float32),
            np.empty((n_samples, n_probabilities), np.float32),
        )
        self._run(n_parts, inputs, outputs)
        return outputs

    def _run(self, n_parts: int, inputs: Uint8 | Float32, outputs: tuple[NDArray[Any], ...]) -> None:
        """Fill the outputs."""
        parameters = Parameters(self.layout, self.parameters, NO_VELOCITIES)
        workspace = inference.make_workspace(self.layers, n_parts)
        run_kernel(inference.classify, n_parts, len(inputs), parameters, pad_inputs(inputs), workspace, *outputs)


def run_kernel(kernel: jit.Kernel, n_parts: int, n_samples: int, *arguments: Any) -> None:
    """Run a kernel that classifies `n_samples`."""
    if n_samples <= FEW:
        kernel.in_one_part(*arguments)
    else:
        kernel.with_parts(n_parts, *arguments)


def _restored(layer_sizes: tuple[int, ...], parameters: Float32) -> Network:
    """Return a pickled network."""
    network = Network(layer_sizes)
    network.parameters[:] = parameters
    return network


def check_inputs(inputs: Uint8 | Float32, n_in: int) -> None:
    """Raise ValueError unless inputs are C-contiguous (n_samples, n_in) uint8 or float32."""
    if inputs.ndim != 2 or inputs.shape[1] != n_in:
        raise ValueError(f"inputs of shape {inputs.shape}: expected (n_samples, {n_in})")
    if inputs.dtype not in (np.uint8, np.float32) or not inputs.flags.c_contiguous:
        raise ValueError(f"inputs of dtype {inputs.dtype}: expected C-contiguous uint8 or float32")


def pad_inputs(inputs: Uint8 | Float32) -> Uint8 | Float32:
    """Return at least as many numbers as a mask of the kernels has bits: rows of zeros follow where there are fewer."""
    if inputs.size >= MASK_BITS:
        return inputs
    n_in = inputs.shape[1]
    padded = np.zeros((-(-MASK_BITS // n_in), n_in), inputs.dtype)
    padded[: len(inputs)] = inputs
    return padded
