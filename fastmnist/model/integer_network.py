"""A network that computes with integers: uint8 inputs and activations, int8 weights, int32 sums.

Each output has a scale for its weights, each hidden unit one for its activations (Krishnamoorthi 2018, Quantizing deep
convolutional networks for efficient inference, sections 2.1 and 3.1: after training, symmetric, per channel). Sums of
integers are exact, so every processor gives the same answers, byte for byte.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmnist.kernels import integer_inference
from fastmnist.kernels.integer_inference import Integers, classify_integers
from fastmnist.kernels.quads import LARGEST
from fastmnist.kernels.simd import LANES
from fastmnist.model.network import Float32, Network, Uint8, run_kernel

MOST_WEIGHT = 127  # of int8, with either sign
MOST_UNITS = 6_000  # in hidden layers: the header of a model file has a number for each; and sums must fit an int32
MOST_POWER = 100  # of two: float32 has 126
SAMPLE = 10_000  # images tell how large activations become
CHUNK = 1_000  # of them at a time: 16 MB for 1,024 units and as much for what they are computed from
LEAST, MOST = 1 / 16, 1e6  # activations: what is found is rounded up to sixteenths, whatever order sums were taken in


class Rounding(NamedTuple):
    """How activations become integers.

    powers: for each hidden layer, for each unit, the power of two that its activations are divided by.
    largest: for each hidden layer, how large they are then; that becomes 255, and so does what is larger.
    """

    powers: list[list[int]]
    largest: list[float]


class IntegerNetwork(Network):
    """What another network becomes with integers. It computes float32 inputs in float32, by its rounded weights.

    activation_steps: for each hidden layer, the size of the steps of its activations, of which there are 255.
    steps: for each layer, int8 (n_in, n_out): its weights are so many steps.
    step_sizes: for each layer, float32 (n_out,): the size of the steps of each output.

    To change any of these, or weights and biases, changes no prediction.
    """

    KERNEL = "classify_integers"

    def __init__(self, network: Network, rounding: Rounding, temperature: float = 1.0) -> None:
        """Make it, its logits divided by `temperature`. `network` has at most MOST_UNITS hidden units."""
        super().__init__(network.layer_sizes)
        self._made_of = network, rounding, temperature
        self.activation_steps = [largest / LARGEST for largest in rounding.largest]
        self.parameters[:] = network.parameters
        _divide_activations(self, rounding.powers)
        rounded = [_rounded(self.weights(layer)) for layer in range(self.n_layers)]
        self.steps, self.step_sizes = [steps for steps, _ in rounded], [sizes for _, sizes in rounded]
        for layer, (steps, sizes) in enumerate(rounded):
            with np.errstate(over="ignore"):  # what is infinite then, predictions notice
                self.weights(layer)[:] = steps * sizes
        self._integer_layers = integer_inference.make_layers(self.layer_sizes)
        self._integers = self._packed(temperature)

    def _packed(self, temperature: float) -> Integers:
        """Return what the kernel reads: scales turn sums into activations from 0 to 255, or into logits."""
        layers, last = self._integer_layers, self._integer_layers[-1]
        scales, biases = (np.zeros(last.scales + last.n_registers * LANES, np.float32) for _ in range(2))
        of_inputs = [1 / LARGEST, *self.activation_steps]
        of_outputs = [*of_inputs[1:], temperature]
        for index, layer in enumerate(layers):
            columns = slice(layer.scales, layer.scales + layer.n_out)
            with np.errstate(over="ignore"):
                scales[columns] = self.step_sizes[index].astype(np.float64) * of_inputs[index] / of_outputs[index]
                biases[columns] = self.biases(index).astype(np.float64) / of_outputs[index]
        weights = np.concatenate([integer_inference.packed(steps) for steps in self.steps])
        return Integers(np.array(layers, np.int64), weights, scales, biases)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what it was made of."""
        return IntegerNetwork, self._made_of

    def _run(self, n_parts: int, inputs: Uint8 | Float32, outputs: tuple[NDArray[Any], ...]) -> None:
        if inputs.dtype != np.uint8:
            super()._run(n_parts, inputs, outputs)
            return
        workspace = integer_inference.make_workspace(self._integer_layers, n_parts)
        run_kernel(classify_integers, n_parts, len(inputs), self._integers, inputs, workspace, *outputs)


def _divide_activations(network: Network, powers: list[list[int]]) -> None:
    """Divide each hidden unit's activations by a power of two: what goes into it; what goes out is multiplied.

    ReLU passes the factor on, so in float32 no answer changes.
    """
    for layer, of_units in enumerate(powers):
        factors = np.ldexp(np.float32(1), np.array(of_units, np.int32))
        with np.errstate(over="ignore"):
            network.weights(layer)[:] /= factors
            network.biases(layer)[:] /= factors
            network.weights(layer + 1)[:] *= factors[:, np.newaxis]


def _rounded(weights: Float32) -> tuple[NDArray[np.int8], Float32]:
    """Return weights (n_in, n_out) in steps, and the sizes of the steps: the largest of each output is 127 of them."""
    sizes = np.abs(weights).max(axis=0) / np.float32(MOST_WEIGHT)
    sizes[sizes == 0] = 1
    return np.rint(weights / sizes).astype(np.int8), sizes


def rounding_for(network: Network, pixels: Uint8) -> Rounding:
    """Return a rounding that makes all units' largest activations on images (n, n_in) alike, n at least 1.

    Equalised as in Nagel et al. 2019, Data-free quantization through weight equalization and bias correction, section
    4.1. 10,000 of the images, evenly spread, tell. In the shipped model, a few units become four times as large as most
    and more, on images of no digit. With one limit for a layer, above which 99 % of the images have nothing, it would
    take 70 % of inverted images of no digit for one, not 2 %.
    """
    powers, largest = [], []
    for of_units in _largest_of_units(network, pixels):
        is_active, of_layer = of_units > 0, np.zeros(len(of_units), np.int64)
        if is_active.any():
            exact = np.log2(of_units[is_active] / np.median(of_units[is_active]))
            of_layer[is_active] = np.clip(np.rint(exact), -MOST_POWER, MOST_POWER)
        powers.append(of_layer.tolist())
        found = np.ldexp(of_units, -of_layer).max() / LEAST
        largest.append(min(max(1, math.ceil(found)) * LEAST, MOST))
    return Rounding(powers, largest)


def _largest_of_units(network: Network, pixels: Uint8) -> list[NDArray[np.float64]]:
    """Return the largest activation of each unit, layer by layer."""
    sample = pixels[:: math.ceil(len(pixels) / SAMPLE)]
    largest = [np.zeros(size) for size in network.layer_sizes[1:-1]]
    for first in range(0, len(sample), CHUNK):
        values = sample[first : first + CHUNK] / float(LARGEST)
        for layer, of_units in enumerate(largest):
            values = np.maximum(values @ network.weights(layer).astype(np.float64) + network.biases(layer), 0)
            np.maximum(of_units, values.max(axis=0), out=of_units)
    return largest
