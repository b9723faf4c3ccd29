"""Kernels beside NumPy, and beside what the machine can do at most."""

import importlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.load import watched
from bench.peak import Peak, measure_peak
from bench.peers.common import Bytes, Floats
from bench.settings import Settings, WrongResultError, mnist
from bench.table import Table
from bench.timing import compare, measure
from fastmnist.kernels import activations, matmul, sparse
from fastmnist.kernels.jit import n_threads
from fastmnist.kernels.layout import aligned_zeros, row_width
from fastmnist.kernels.simd import LANES
from fastmnist.network import Network

BATCHES = (32, 128, 256)
SHAPES = ((784, 100), (784, 800), (800, 800), (300, 100))  # (n_in, n_out)
FLOPS_PER_ROUND = 2e9  # calls are repeated until they have done this much
SETTLE_SECONDS = 0.3  # OpenBLAS's threads spin long

oracle: Any = importlib.import_module("tests.oracle")  # by name, because it has no types


@dataclass(frozen=True)
class Case:
    """One kernel on one shape, ours and NumPy's; both return what they compute."""

    name: str
    flops: float
    ours: Callable[[], Floats]
    peer: Callable[[], Floats]
    expected: Floats


def run(settings: Settings) -> Iterator[Table]:
    """Yield the tables of the kernels."""
    peak = measure_peak(settings.repeats(5))
    yield _peak_table(peak)
    yield _products(settings, peak)
    yield _other_kernels(settings, peak)


def _peak_table(peak: Peak) -> Table:
    table = Table(f"This machine at most, {n_threads()} threads")
    table.add("multiply-adds in registers", peak.flops / 1e9, unit="GFLOP/s")
    table.add("reading memory", peak.read / 1e9, unit="GB/s")
    table.add("triad, a = b + s * c", peak.triad / 1e9, unit="GB/s", note="two arrays read, one written")
    return table


def _products(settings: Settings, peak: Peak) -> Table:
    """Compare the dense products with OpenBLAS's."""
    table = Table("Dense products, float32, beside NumPy (np.matmul with out=, all cores)")
    ratios = []
    for make in (_matmul, _input_gradient, _weight_gradient):
        of_kernel = []
        for n_samples in BATCHES[:1] if settings.smoke else BATCHES:
            for n_in, n_out in SHAPES[::3] if settings.smoke else SHAPES:
                case = make(n_samples, n_in, n_out)
                with watched(table):
                    of_kernel.append(_compare(case, settings, table, peak))
        table.add(f"{make.__name__[1:]}: geometric mean", None, ratio=_geometric_mean(of_kernel))
        ratios += of_kernel
    table.add("all products: geometric mean", None, ratio=_geometric_mean(ratios), note="goal 1.0 x")
    table.add("all products: smallest", None, ratio=min(ratios), note="goal 0.8 x")
    return table


def _compare(case: Case, settings: Settings, table: Table, peak: Peak) -> float:
    """Check and time one product; return the ratio."""
    check(case.name, case.ours(), case.expected)
    check(f"NumPy's {case.name}", case.peer(), case.expected)
    calls = max(3, int(FLOPS_PER_ROUND / case.flops))
    comparison = compare(
        case.ours, case.peer, repeats=settings.repeats(5), calls=calls, settle=0.1 if settings.smoke else SETTLE_SECONDS
    )
    ours, theirs = (case.flops / timing.median for timing in (comparison.ours, comparison.peer))
    note = f"{ours / 1e9:.0f} GFLOP/s, {ours / peak.flops:.0%} of the peak; NumPy {theirs / 1e9:.0f}"
    table.add_comparison(case.name, comparison, "us", note)
    return comparison.ratio


def check(name: str, result: Floats, expected: Floats, tolerance: float = 1e-4) -> None:
    """Raise WrongResultError unless result is expected, but for float32's rounding."""
    error = np.abs(result - expected).max() / np.abs(expected).max()
    if not error <= tolerance:  # not >, which is false for NaN
        raise WrongResultError(f"{name}: off by {error:.1e} of the largest element, expected {tolerance:.0e} at most")


def _matmul(n_samples: int, n_in: int, n_out: int) -> Case:
    inputs, weights = _random(n_samples, n_in), _random(n_in, n_out)
    biases, padded, out = _padded(np.zeros((1, n_out))), _padded(weights), _padded(np.zeros((n_samples, n_out)))
    plain_out = np.empty((n_samples, n_out), np.float32)

    def ours() -> Floats:
        matmul.matmul(inputs, padded, biases[0], out)
        return out[:, :n_out]

    expected = oracle.matmul(inputs, weights, np.zeros(n_out))
    name = f"matmul {n_samples} x {n_in} x {n_out}"
    return Case(name, 2.0 * inputs.size * n_out, ours, lambda: np.matmul(inputs, weights, out=plain_out), expected)


def _input_gradient(n_samples: int, n_in: int, n_out: int) -> Case:
    delta, weights = _random(n_samples, n_out), _random(n_in, n_out)
    padded_delta, out, plain_out = _padded(delta), _padded(np.zeros((n_samples, n_in))), np.empty((n_samples, n_in))
    plain_out = plain_out.astype(np.float32)
    padded = aligned_zeros(out.shape[1] * padded_delta.shape[1]).reshape(out.shape[1], -1)
    padded[:n_in, :n_out] = weights
    panels = matmul.make_panels(n_threads())

    def ours() -> Floats:
        matmul.matmul_input_gradient(padded_delta, padded, panels, out)
        return out[:, :n_in]

    expected = oracle.matmul_input_gradient(delta, weights)
    name = f"input gradient {n_samples} x {n_in} x {n_out}"
    return Case(name, 2.0 * delta.size * n_in, ours, lambda: np.matmul(delta, weights.T, out=plain_out), expected)


def _weight_gradient(n_samples: int, n_in: int, n_out: int) -> Case:
    inputs, delta = _random(n_samples, n_in), _random(n_samples, n_out)
    padded_delta, out = _padded(delta), _padded(np.zeros((n_in, n_out)))
    plain_out = np.empty((n_in, n_out), np.float32)

    def ours() -> Floats:
        matmul.matmul_weight_gradient(inputs, padded_delta, out)
        return out[:, :n_out]

    expected = oracle.matmul_weight_gradient(inputs, delta)
    name = f"weight gradient {n_samples} x {n_in} x {n_out}"
    return Case(name, 2.0 * inputs.size * n_out, ours, lambda: np.matmul(inputs.T, delta, out=plain_out), expected)


def _random(n_rows: int, n_columns: int) -> Floats:
    """Return the same numbers for the same shape."""
    values: Floats = np.random.default_rng(0).standard_normal((n_rows, n_columns), np.float32)
    return values


def _padded(rows: Floats) -> Floats:
    """Return rows of whole vectors, as the kernels have them."""
    padded: Floats = aligned_zeros(len(rows) * row_width(rows.shape[1]) * LANES).reshape(len(rows), -1)
    padded[:, : rows.shape[1]] = rows
    return padded


def _geometric_mean(ratios: list[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def _other_kernels(settings: Settings, peak: Peak) -> Table:
    """Time what is bound by memory or by searching, not by multiplying."""
    table = Table("Other kernels, beside NumPy")
    pixels = mnist(settings).pixels[:2048]
    repeats, calls = settings.repeats(5), 20 if settings.smoke else 500
    for case in (_relu(), _softmax_cross_entropy_gradient()):
        check(case.name, case.ours(), case.expected)
        check(f"NumPy's {case.name}", case.peer(), case.expected)
        with watched(table):
            comparison = compare(case.ours, case.peer, repeats=repeats, calls=calls)
            table.add_comparison(case.name, comparison, "us")
    with watched(table):
        _list_nonzeros(pixels, settings, table, peak)
    with watched(table):
        _first_layer(pixels, settings, table, peak)
    return table


def _relu() -> Case:
    """ReLU in place; the second time it changes nothing, and costs the same."""
    values = _random(256, 800)
    ours_values, peer_values = _padded(values), values.copy()

    def ours() -> Floats:
        activations.relu(ours_values)
        return ours_values[:, :800]

    peer = lambda: np.maximum(peer_values, 0, out=peer_values)  # noqa: E731
    return Case("ReLU 256 x 800", 0, ours, peer, oracle.relu(values))


def _softmax_cross_entropy_gradient() -> Case:
    logits, labels = _random(2048, 10), np.arange(2048).astype(np.uint8) % np.uint8(10)
    padded, losses, out = _padded(logits), np.empty(2048, np.float32), _padded(np.zeros((2048, 10)))

    def ours() -> Floats:
        activations.softmax_cross_entropy_gradient(padded, 10, labels, losses, out)
        return out[:, :10]

    def peer() -> Floats:
        gradient: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
        gradient /= gradient.sum(axis=1, keepdims=True)
        gradient[np.arange(2048), labels] -= 1
        gradient /= np.float32(2048)
        return gradient

    expected = oracle.softmax_cross_entropy_gradient(logits.astype(float), labels)
    return Case("softmax, cross-entropy and gradient 2048 x 10", 0, ours, peer, expected)


def _list_nonzeros(pixels: Bytes, settings: Settings, table: Table, peak: Peak) -> None:
    """Time the lists of non-zero pixels that a block of training begins with."""
    n_samples, n_in = pixels.shape
    rows, columns = sparse.make_row_lists(n_samples, n_in), sparse.make_column_lists(n_samples, n_in, 32)
    order = np.arange(n_samples)
    timing = measure(lambda: sparse.list_nonzeros(pixels, order, 32, rows, columns), repeats=settings.repeats(50))
    for sample in range(0, n_samples, 100):
        if (rows.columns[rows.starts[sample] : rows.ends[sample]] != pixels[sample].nonzero()[0]).any():
            raise WrongResultError(f"list_nonzeros: a wrong list of sample {sample}")
    moved = pixels.size + 2 * 8 * np.count_nonzero(pixels)  # a column and a value, in each of two lists
    rate = moved / timing.median
    note = (
        f"{rate / 1e9:.1f} GB/s, {rate / peak.triad:.0%} of the triad; {n_samples / timing.median / 1e6:.1f} M images/s"
    )
    table.add_timing(f"list non-zero pixels of {n_samples} digits", timing, "us", note)


def _first_layer(pixels: Bytes, settings: Settings, table: Table, peak: Peak) -> None:
    """Time the forward pass from uint8 that skips zeros, with a last layer that hardly counts."""
    n_samples, n_out = len(pixels), 800
    network = Network.random((784, n_out, 10), 0, 0.05)
    weights, floats = network.weights(0).copy(), pixels / np.float32(255)
    out = np.empty((n_samples, n_out), np.float32)
    all_weights, biases = ([f(layer) for layer in (0, 1)] for f in (network.weights, network.biases))
    check("first layer", network.logits(pixels), oracle.forward(all_weights, biases, pixels)[-1])
    comparison = compare(
        lambda: network.logits(pixels),
        lambda: np.matmul(floats, weights, out=out),
        repeats=settings.repeats(5),
        calls=10,
    )
    flops = 2.0 * n_out * np.count_nonzero(pixels) / comparison.ours.median
    dense = 2.0 * n_out * pixels.size / comparison.ours.median
    note = (
        f"{flops / 1e9:.0f} GFLOP/s on the non-zero pixels, {flops / peak.flops:.0%} of the peak; "
        f"as if {dense / 1e9:.0f} dense; NumPy: np.matmul of float32"
    )
    table.add_comparison(f"first layer {n_samples} x 784 x 800 from uint8, and 800 x 10", comparison, "us", note)
