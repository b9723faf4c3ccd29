"""Products of wide layers in tiles of bfloat16, against float64."""

import numpy as np
import pytest
from kernel_builds import ROUNDING, normal

from fastmnist.kernels import amx, wide_layers
from fastmnist.kernels.forward import Parameters
from fastmnist.kernels.layout import Part, aligned_zeros, make_layers, part_bounds
from fastmnist.kernels.sgd import StepScalars
from fastmnist.kernels.simd import LANES
from fastmnist.kernels.wide_layers import are_wide, multiply_wide, room_for

SPLIT = 3 * 2**-16  # of a product whose operands are the sums of two bfloat16 each: its relative error
LEARNING_RATE, MOMENTUM, DECAY = 0.1, 0.9, 0.01
NEEDS_TILES = pytest.mark.skipif(
    not amx.HAS_BFLOAT16 or not amx.configuration()[0], reason="a processor without these tiles"
)
SHAPES = [(20, 17), (32, 32), (48, 16), (33, 64), (100, 70), (1, 1)]


class Network:
    """Layers, of which the second has weights, and a batch's outputs and deltas as the training loop has them."""

    def __init__(self, n_in, n_out, batch_size, n_samples, n_parts):
        self.layers, size = make_layers((8, n_in, n_out, 3))
        self.batch_size, self.n_samples, self.n_parts = batch_size, n_samples, n_parts
        self.values, self.velocities = aligned_zeros(size), aligned_zeros(size)
        rng = np.random.default_rng([n_in, n_out, n_samples])
        self.weights, self.biases, self.velocity = (
            normal(rng, n_in, n_out),
            normal(rng, n_out),
            normal(rng, n_in, n_out),
        )
        self.rows_of(self.values)[:], self.rows_of(self.velocities)[:] = self.weights, self.velocity
        layer = self.layers[1]
        self.values[layer.biases : layer.biases + n_out] = self.biases
        room = n_parts * batch_size * self.layers[-1].outputs
        self.activations, self.deltas = aligned_zeros(room), aligned_zeros(room)
        self.inputs = np.maximum(0, normal(rng, n_samples, n_in))
        self.delta, self.delta_before = normal(rng, n_samples, n_out), normal(rng, n_samples, n_in)
        self.fill(self.activations, self.layers[0], self.inputs)
        self.fill(self.deltas, layer, self.delta)
        self.fill(self.deltas, self.layers[0], self.delta_before)

    def rows_of(self, values):
        layer = self.layers[1]
        rows = values[layer.weights : layer.weights + layer.n_in * layer.stride].reshape(layer.n_in, layer.stride)
        return rows[:, : layer.n_out]

    def columns(self, buffer, layer):
        for number in range(self.n_parts):
            first, last = part_bounds_of(layer.n_registers, number, self.n_parts)
            stride = LANES * ((last - first) | 1)
            start = number * (len(buffer) // self.n_parts) + layer.outputs * self.batch_size
            rows = buffer[start : start + self.batch_size * stride].reshape(self.batch_size, stride)
            yield rows[: self.n_samples, : (last - first) * LANES]

    def fill(self, buffer, layer, values):
        padded = np.zeros((len(values), layer.n_registers * LANES), np.float32)
        padded[:, : values.shape[1]] = values
        column = 0
        for columns in self.columns(buffer, layer):
            columns[:] = padded[:, column : column + columns.shape[1]]
            column += columns.shape[1]

    def all_of(self, buffer, layer):
        return np.concatenate(list(self.columns(buffer, layer)), axis=1)

    def run(self, is_backward):
        memory = aligned_zeros(self.n_parts * room_for(self.layers, self.batch_size)).reshape(self.n_parts, -1)
        memory[:] = 1e30  # of earlier products
        for number in range(self.n_parts):
            multiply_wide(
                is_backward,
                Parameters(np.array(self.layers, np.int64), self.values, self.velocities),
                1,
                self.batch_size,
                self.n_samples,
                self.activations,
                self.deltas,
                amx.configuration(),
                memory,
                StepScalars(*np.array([LEARNING_RATE, MOMENTUM, DECAY], np.float32), True),
                Part(number, self.n_parts),
            )


def part_bounds_of(length, number, n_parts):
    return part_bounds.py_func(length, number, n_parts)


def assert_near(actual, expected, magnitudes, error=SPLIT):
    excess = np.abs(actual - expected) - error * magnitudes
    assert not (excess > 0).any(), f"off by {excess.max()} too much"


@NEEDS_TILES
@pytest.mark.parametrize(("batch_size", "n_samples"), [(64, 64), (40, 33), (16, 1)])
@pytest.mark.parametrize(("n_in", "n_out"), SHAPES)
def test_a_wide_layer_equals_float64_on_any_number_of_parts(n_in, n_out, batch_size, n_samples):
    results = []
    for n_parts in (1, 2, 3):
        network = Network(n_in, n_out, batch_size, n_samples, n_parts)
        layer, before = network.layers[1], network.layers[0]
        for is_backward in (False, True):
            network.run(is_backward)
        results.append(
            [
                network.all_of(network.activations, layer),
                network.all_of(network.deltas, before),
                network.values,
                network.velocities,
            ]
        )
        assert all(one.tobytes() == other.tobytes() for one, other in zip(results[0], results[-1], strict=True))
    outputs, delta, *_ = results[0]
    assert not outputs[:, n_out:].any()
    weights, inputs = network.weights.astype(np.float64), network.inputs.astype(np.float64)
    exact = 6 * (n_in + 3) * ROUNDING  # as many products as float32 has roundings
    magnitudes = abs(network.biases) + inputs @ abs(weights)
    assert_near(outputs[:, :n_out], inputs @ weights + network.biases, magnitudes, exact)
    of_delta = network.delta.astype(np.float64)
    expected = of_delta @ weights.T + network.delta_before
    assert_near(delta[:, :n_in], expected, 1 + abs(of_delta) @ abs(weights.T))
    step = inputs.T @ of_delta + DECAY * weights
    velocity = MOMENTUM * network.velocity.astype(np.float64) + step
    magnitudes = 1 + inputs.T @ abs(of_delta) + abs(network.velocity) + abs(weights)
    assert_near(network.rows_of(network.velocities), velocity, magnitudes)
    after = weights - LEARNING_RATE * (step + MOMENTUM * velocity)
    assert_near(network.rows_of(network.values), after, magnitudes)


@NEEDS_TILES
def test_only_large_layers_between_hidden_ones_are_wide():
    layers, _ = make_layers((784, 1024, 512, 511, 600, 10))
    assert are_wide(layers, 64) == [False, True, False, True, False]
    assert not any(are_wide(layers, 63))


def test_none_is_wide_where_the_process_may_not_use_tiles(monkeypatch):
    monkeypatch.setattr(wide_layers, "configuration", lambda: np.zeros(64, np.uint8))
    layers, _ = make_layers((784, 1024, 512, 10))
    assert not any(are_wide(layers, 128))
