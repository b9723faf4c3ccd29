"""Kernels against NumPy, and against the machine's peak."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bench import augmentation, first_layer
from bench.checks import check
from bench.load import undisturbed
from bench.peak import Peak, measure_peak
from bench.peers.common import Floats
from bench.settings import Settings
from bench.table import Table
from bench.timing import WAKE_SECONDS, compare
from fastmnist.kernels import reference
from fastmnist.kernels.jit import n_threads
from fastmnist.kernels.layout import aligned_zeros, registers_for
from fastmnist.kernels.simd import LANES
from tests import standalone_kernels

BATCHES = (32, 128, 256)
SHAPES = ((784, 100), (784, 800), (800, 800), (300, 100))  # (n_in, n_out)
FLOPS_PER_ROUND = 2e9  # calls are repeated until they have done this much
SETTLE_SECONDS = 0.3  # OpenBLAS's threads spin long


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
    peak, table = _peak(settings)
    yield table
    yield _products(settings, peak)
    yield _other_kernels(settings)
    yield first_layer.make_table(settings, peak)
    yield augmentation.make_table(settings)


def _peak(settings: Settings) -> tuple[Peak, Table]:
    table = Table(f"This machine at most, {n_threads()} threads")
    for _ in undisturbed(table, settings):
        peak = measure_peak(settings.repeats(9))
        table.add("multiply-adds in registers", peak.flops / 1e9, unit="GFLOP/s")
        table.add("reading memory", peak.read / 1e9, unit="GB/s")
        table.add("triad, a = b + s * c", peak.triad / 1e9, unit="GB/s", note="two arrays read, one written")
    return peak, table


def _products(settings: Settings, peak: Peak) -> Table:
    """Compare the dense products with OpenBLAS's."""
    table = Table("Dense products, float32, beside NumPy (np.matmul with out=, all cores)")
    ratios = []
    for make in (_matmul, _input_gradient, _weight_gradient):
        of_kernel = []
        for n_samples in BATCHES[:1] if settings.smoke else BATCHES:
            for n_in, n_out in SHAPES[::3] if settings.smoke else SHAPES:
                case = make(n_samples, n_in, n_out)
                for _ in undisturbed(table, settings):
                    ratio = _compare(case, settings, table, peak)
                of_kernel.append(ratio)
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
        case.ours,
        case.peer,
        repeats=settings.repeats(5),
        calls=calls,
        settle=0.1 if settings.smoke else SETTLE_SECONDS,
        wake=WAKE_SECONDS,
    )
    ours, theirs = (case.flops / timing.median for timing in (comparison.ours, comparison.peer))
    note = f"{ours / 1e9:.0f} GFLOP/s, {ours / peak.flops:.0%} of the peak; NumPy {theirs / 1e9:.0f}"
    table.add_comparison(case.name, comparison, "us", note)
    return comparison.ratio


def _matmul(n_samples: int, n_in: int, n_out: int) -> Case:
    inputs, weights = _random(n_samples, n_in), _random(n_in, n_out)
    biases, padded, out = _padded(np.zeros((1, n_out))), _padded(weights), _padded(np.zeros((n_samples, n_out)))
    plain_out = np.empty((n_samples, n_out), np.float32)

    def ours() -> Floats:
        standalone_kernels.matmul(inputs, padded, biases[0], out)
        return out[:, :n_out]

    expected = reference.matmul(inputs, weights, np.zeros(n_out))
    name = f"matmul {n_samples} x {n_in} x {n_out}"
    return Case(name, 2.0 * inputs.size * n_out, ours, lambda: np.matmul(inputs, weights, out=plain_out), expected)


def _input_gradient(n_samples: int, n_in: int, n_out: int) -> Case:
    delta, weights = _random(n_samples, n_out), _random(n_in, n_out)
    padded_delta, out, plain_out = _padded(delta), _padded(np.zeros((n_samples, n_in))), np.empty((n_samples, n_in))
    plain_out = plain_out.astype(np.float32)
    padded = aligned_zeros(out.shape[1] * padded_delta.shape[1]).reshape(out.shape[1], -1)
    padded[:n_in, :n_out] = weights
    panels = standalone_kernels.make_panels(n_threads())

    def ours() -> Floats:
        standalone_kernels.matmul_input_gradient(0, padded_delta, padded, panels, out)
        return out[:, :n_in]

    expected = reference.matmul_input_gradient(delta, weights)
    name = f"input gradient {n_samples} x {n_in} x {n_out}"
    return Case(name, 2.0 * delta.size * n_in, ours, lambda: np.matmul(delta, weights.T, out=plain_out), expected)


def _weight_gradient(n_samples: int, n_in: int, n_out: int) -> Case:
    inputs, delta = _random(n_samples, n_in), _random(n_samples, n_out)
    padded_delta, out = _padded(delta), _padded(np.zeros((n_in, n_out)))
    plain_out = np.empty((n_in, n_out), np.float32)

    def ours() -> Floats:
        standalone_kernels.matmul_weight_gradient(inputs, padded_delta, out)
        return out[:, :n_out]

    expected = reference.matmul_weight_gradient(inputs, delta)
    name = f"weight gradient {n_samples} x {n_in} x {n_out}"
    return Case(name, 2.0 * inputs.size * n_out, ours, lambda: np.matmul(inputs.T, delta, out=plain_out), expected)


def _random(n_rows: int, n_columns: int) -> Floats:
    """Return the same numbers for the same shape."""
    values: Floats = np.random.default_rng(0).standard_normal((n_rows, n_columns), np.float32)
    return values


def _padded(rows: Floats) -> Floats:
    """Return rows of whole vectors, as the kernels have them."""
    padded: Floats = aligned_zeros(len(rows) * registers_for(rows.shape[1]) * LANES).reshape(len(rows), -1)
    padded[:, : rows.shape[1]] = rows
    return padded


def _geometric_mean(ratios: list[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def _other_kernels(settings: Settings) -> Table:
    """Compare what is bound by memory, or by the exponential function."""
    table = Table("Other kernels, beside NumPy")
    for case in (_relu(), _softmax_cross_entropy_gradient()):
        check(case.name, case.ours(), case.expected)
        check(f"NumPy's {case.name}", case.peer(), case.expected)
        for _ in undisturbed(table, settings):
            calls = 20 if settings.smoke else 500
            comparison = compare(case.ours, case.peer, repeats=settings.repeats(5), calls=calls, wake=WAKE_SECONDS)
            table.add_comparison(case.name, comparison, "us")
    return table


def _relu() -> Case:
    """ReLU in place; the second time it changes nothing, and costs the same."""
    values = _random(256, 800)
    ours_values, peer_values = _padded(values), values.copy()

    def ours() -> Floats:
        standalone_kernels.relu(ours_values)
        return ours_values[:, :800]

    peer = lambda: np.maximum(peer_values, 0, out=peer_values)  # noqa: E731
    return Case("ReLU 256 x 800", 0, ours, peer, reference.relu(values))


def _softmax_cross_entropy_gradient() -> Case:
    logits, labels = _random(2048, 10), np.arange(2048).astype(np.uint8) % np.uint8(10)
    padded, losses, out = _padded(logits), np.empty(2048, np.float32), _padded(np.zeros((2048, 10)))

    def ours() -> Floats:
        standalone_kernels.softmax_cross_entropy_gradient(padded, 10, labels, np.float32(0), losses, out)
        return out[:, :10]

    def peer() -> Floats:
        gradient: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
        gradient /= gradient.sum(axis=1, keepdims=True)
        gradient[np.arange(2048), labels] -= 1
        gradient /= np.float32(2048)
        return gradient

    expected = reference.softmax_cross_entropy_gradient(logits.astype(float), labels)
    return Case("softmax, cross-entropy and gradient 2048 x 10", 0, ours, peer, expected)
