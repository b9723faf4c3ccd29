"""The first layer, which skips the pixels that are 0: its parts beside dense products of NumPy."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numba import prange

from bench.checks import check
from bench.load import undisturbed
from bench.peak import Peak
from bench.peers.common import Bytes, Floats
from bench.settings import Settings, WrongResultError, mnist
from bench.table import Table
from bench.timing import WAKE_SECONDS, Comparison, compare, measure
from fastmnist.kernels import reference
from fastmnist.kernels.dense_batches import DenseParts
from fastmnist.kernels.forward import Parameters, columns_of, forward_csr
from fastmnist.kernels.jit import inlined, kernel, n_threads
from fastmnist.kernels.layout import Part, layer_at, row_stride
from fastmnist.kernels.sgd import StepScalars
from fastmnist.kernels.simd import LANES
from fastmnist.kernels.training_loop import step_first
from fastmnist.kernels.workspace import Batches, Training, make_workspace
from fastmnist.model.network import NO_VELOCITIES, Network
from fastmnist.training.blocks import Blocks

N_SAMPLES = 2048
SHAPES = ((32, 100), (128, 800))  # (batch size, units)
SCALARS = StepScalars(np.float32(0.01), np.float32(0), np.float32(0.001))
NO_LABELS = np.zeros(0, np.uint8)
NOT_DENSE = DenseParts(0, 0)  # the digits' batches are lists


class Layer:
    """A first layer with the data of the training kernels, and the same for NumPy."""

    def __init__(self, pixels: Bytes, batch_size: int, n_out: int) -> None:
        n_samples, n_in = pixels.shape
        network = Network.random((n_in, n_out, 10), 0, 0.05)
        self.pixels, self.batch_size = pixels, batch_size
        self.floats = np.multiply(pixels, np.float32(1 / 255), dtype=np.float32)
        self.weights = network.weights(0).copy()
        self.delta: Floats = np.random.default_rng(0).standard_normal((batch_size, n_out), np.float32)
        self.out = np.empty_like(self.delta)
        self.flops = 2.0 * n_out * np.count_nonzero(pixels)

        block = Blocks(n_in, batch_size, n_samples).of(pixels, np.arange(n_samples))
        self.workspace = make_workspace(network.layers, batch_size, n_threads(), momentum=0)
        # Panels of 16 columns, which follow each other.
        self.panels = self.workspace.first_weights.reshape(-1, n_in, LANES)
        padded = np.zeros((n_in, len(self.panels) * LANES), np.float32)
        padded[:, :n_out] = self.weights
        for columns, rows in self.columns_of(self.workspace.deltas):
            rows[:] = self.delta[:, columns]
        self.panels[:] = padded.reshape(n_in, -1, LANES).transpose(1, 0, 2)
        parameters = Parameters(network.layout, network.parameters, NO_VELOCITIES)
        self.arguments = parameters, *block, batch_size, self.workspace

    def columns_of(self, outputs: Floats) -> Iterator[tuple[slice, Floats]]:
        """Yield each part's columns of the activations or of the deltas (batch_size, n_out): which, and a view."""
        n_out, n_parts = self.out.shape[1], n_threads()
        bounds = [part * len(self.panels) // n_parts for part in range(n_parts + 1)]
        for (first, last), room in zip(pairwise(bounds), outputs.reshape(n_parts, -1), strict=True):
            if first == last:
                continue
            columns = slice(first * LANES, min(last * LANES, n_out))
            stride = row_stride((last - first) * LANES)
            rows: Floats = room[: self.batch_size * stride].reshape(self.batch_size, -1)
            yield columns, rows[:, : columns.stop - columns.start]

    @property
    def n_batches(self) -> int:
        """How many whole batches there are."""
        return len(self.pixels) // self.batch_size

    def stepped_weights(self) -> Floats:
        """Return the weights as the kernels have left them."""
        n_in, n_out = self.weights.shape
        rows: Floats = self.panels.transpose(1, 0, 2).reshape(n_in, -1)
        return rows[:, :n_out]


def make_table(settings: Settings, peak: Peak) -> Table:
    """Return the table: compression, forward pass and step of training; forward pass of inference."""
    pixels = mnist(settings).pixels[:N_SAMPLES]
    table = Table(f"First layer from uint8, {N_SAMPLES} digits, beside NumPy's dense products of float32")
    for _ in undisturbed(table, settings):
        _compress(pixels, table, settings, peak)
    for batch_size, n_out in SHAPES:
        for compare_part in (_compare_forward, _compare_step):
            for _ in undisturbed(table, settings):
                compare_part(Layer(pixels, batch_size, n_out), table, settings, peak)
    for _ in undisturbed(table, settings):
        _compare_inference(pixels, table, settings, peak)
    return table


def _compress(pixels: Bytes, table: Table, settings: Settings, peak: Peak) -> None:
    """Time the compression that a block of training begins with."""
    n_samples, n_in = pixels.shape
    blocks, order = Blocks(n_in, 32, n_samples), np.arange(n_samples)
    timing = measure(
        lambda: blocks.of(pixels, order),
        repeats=settings.repeats(200),
        warmup=settings.repeats(200),
    )
    csr = blocks.of(pixels, order).csr
    for sample in range(n_samples):
        if (csr.indices[csr.starts[sample] : csr.ends[sample]] != pixels[sample].nonzero()[0]).any():
            raise WrongResultError(f"compress: a wrong row of sample {sample}")
    rate = (pixels.size + 2 * 8 * np.count_nonzero(pixels)) / timing.median  # an index and a value, twice
    per_image = timing.median / n_samples
    note = f"{rate / 1e9:.1f} GB/s, {rate / peak.triad:.0%} of the triad; {per_image * 1e9:.0f} ns an image"
    table.add_timing("CSR and CSC of the pixels, batch 32", timing, "us", note)


def _compare_forward(layer: Layer, table: Table, settings: Settings, peak: Peak) -> None:
    """Compare the forward pass of training, which walks the CSR."""
    _forward(*layer.arguments, 1)
    expected = reference.matmul(layer.pixels[: layer.batch_size], layer.weights, np.zeros(1))
    for columns, rows in layer.columns_of(layer.workspace.activations):
        check("first layer, forward", rows, expected[:, columns])

    def peer() -> None:
        for first in range(0, len(layer.pixels), layer.batch_size):
            np.matmul(layer.floats[first : first + layer.batch_size], layer.weights, out=layer.out)

    _add("forward", layer, lambda: _forward(*layer.arguments, layer.n_batches), peer, table, settings, peak)


def _compare_step(layer: Layer, table: Table, settings: Settings, peak: Peak) -> None:
    """Compare the weight gradient with the step that is fused into it."""
    _step(*layer.arguments, 1)
    gradient = reference.matmul_weight_gradient(layer.pixels[: layer.batch_size], layer.delta)
    expected = layer.weights - SCALARS.learning_rate * (gradient + SCALARS.weight_decay * layer.weights)
    check("first layer, step", layer.stepped_weights(), expected)
    weights, gradient = layer.weights.copy(), np.empty_like(layer.weights)

    def peer() -> None:
        for first in range(0, len(layer.pixels), layer.batch_size):
            np.matmul(layer.floats[first : first + layer.batch_size].T, layer.delta, out=gradient)
            np.add(gradient, SCALARS.weight_decay * weights, out=gradient)
            np.subtract(weights, SCALARS.learning_rate * gradient, out=weights)

    _add("weight step", layer, lambda: _step(*layer.arguments, layer.n_batches), peer, table, settings, peak)


def _compare_inference(pixels: Bytes, table: Table, settings: Settings, peak: Peak) -> None:
    """Compare a network of little but a first layer."""
    n_out = 800
    network = Network.random((pixels.shape[1], n_out, 10), 0, 0.05)
    weights, biases = ([get(layer).copy() for layer in (0, 1)] for get in (network.weights, network.biases))
    check("first layer, inference", network.logits(pixels), reference.forward(weights, biases, pixels)[-1])
    floats, out = np.multiply(pixels, np.float32(1 / 255), dtype=np.float32), np.empty((len(pixels), n_out), np.float32)
    comparison = compare(
        lambda: network.logits(pixels),
        lambda: np.matmul(floats, weights[0], out=out),
        repeats=settings.repeats(5),
        calls=10,
        wake=WAKE_SECONDS,
    )
    note = _rates(2.0 * n_out * np.count_nonzero(pixels), comparison, peak)
    table.add_comparison(f"inference, 784 x {n_out} and {n_out} x 10", comparison, "us", note)


def _add(
    name: str,
    layer: Layer,
    ours: Callable[[], None],
    peer: Callable[[], None],
    table: Table,
    settings: Settings,
    peak: Peak,
) -> None:
    """Time one part over all batches and add its row."""
    comparison = compare(ours, peer, repeats=settings.repeats(5), calls=10, wake=WAKE_SECONDS)
    n_in, n_out = layer.weights.shape
    note = _rates(layer.flops, comparison, peak)
    table.add_comparison(f"{name}, batches of {layer.batch_size} x {n_in} x {n_out}", comparison, "us", note)


def _rates(flops: float, comparison: Comparison, peak: Peak) -> str:
    """Say how fast the multiplications with non-zero pixels go."""
    rate = flops / comparison.ours.median
    return f"{rate / 1e9:.0f} GFLOP/s on the non-zero pixels, {rate / peak.flops:.0%} of the peak"


@kernel
def _forward(
    parameters: Any, csr: Any, _csc: Any, _tiles: Any, batch_size: int, workspace: Any, n_batches: int, n_parts: int
) -> None:
    for index in prange(n_parts):
        _forward_part(parameters, csr, batch_size, workspace, n_batches, np.intp(index), n_parts)


@inlined
def _forward_part(
    parameters: Any, csr: Any, batch_size: int, workspace: Any, n_batches: int, part: int, n_parts: int
) -> None:
    out = columns_of(workspace.activations, layer_at(parameters.layout, 0), batch_size, Part(part, n_parts))
    for batch in range(n_batches):
        forward_csr(
            parameters,
            workspace.first_weights,
            csr,
            batch * batch_size,
            batch_size,
            workspace.cursors[part],
            out,
        )


@kernel
def _step(
    parameters: Any, csr: Any, csc: Any, tiles: Any, batch_size: int, workspace: Any, n_batches: int, n_parts: int
) -> None:
    for index in prange(n_parts):
        _step_part(parameters, csr, csc, tiles, batch_size, workspace, n_batches, np.intp(index), n_parts)


@inlined
def _step_part(
    parameters: Any,
    csr: Any,
    csc: Any,
    tiles: Any,
    batch_size: int,
    workspace: Any,
    n_batches: int,
    index: int,
    n_parts: int,
) -> None:
    training = Training(parameters, Batches(csr, csc, tiles, NO_LABELS, batch_size), workspace, SCALARS, NOT_DENSE)
    for batch in range(n_batches):
        step_first(training, batch, batch_size, Part(index, n_parts))
