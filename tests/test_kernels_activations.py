"""ReLU, softmax, cross-entropy and their gradients, against the reference."""

import numpy as np
import pytest
from kernel_builds import ROUNDING, assert_sums_close, garbage, normal, padded, run_in_all_ways
from standalone_kernels import relu, relu_gradient, softmax, softmax_cross_entropy_gradient

from fastmnist.kernels import reference
from fastmnist.kernels.layout import registers_for

SHAPES = [(1, 1), (1, 16), (2, 15), (31, 17), (32, 10), (33, 33), (128, 100), (5, 256)]
shapes = pytest.mark.parametrize(("n_samples", "n"), SHAPES)


def example(n_samples, n):
    rng = np.random.default_rng([n_samples, n])
    activations, delta = normal(rng, n_samples, n), normal(rng, n_samples, n)
    activations[rng.random((n_samples, n)) < 0.2] = 0
    activations[rng.random((n_samples, n)) < 0.1] = -0.0
    return activations, delta


def assert_padding_is_zero(actual, n):
    numbers = np.isfinite(actual).all(axis=1)  # NaN divided by the sum is NaN, in the padding too
    assert (actual[numbers, n : 16 * registers_for(n)] == 0).all()


def run_softmax(logits):
    n = logits.shape[1]
    filled = padded(logits)
    actual = run_in_all_ways(softmax, (filled, n, garbage(*filled.shape)), outputs=[2])
    assert_padding_is_zero(actual, n)
    return actual[:, :n]


def run_cross_entropy(logits, labels, smoothing=0.0):
    n = logits.shape[1]
    filled = padded(logits)
    smoothing, labels = np.float32(smoothing), np.asarray(labels, np.uint8)
    arguments = (filled, n, labels, smoothing, garbage(len(logits)), garbage(*filled.shape))
    losses, actual = run_in_all_ways(softmax_cross_entropy_gradient, arguments, outputs=[4, 5])
    assert_padding_is_zero(actual, n)
    return losses, actual[:, :n]


def softmax_tolerance(logits):
    """How far a probability may be off, relative to it.

    x - maximum is rounded, which exp makes a relative error of its size; exp is right to 2 ulp (4 roundings); the sum
    over the row and the two operations after it round too.
    """
    span = np.abs(logits - logits.max(axis=1, keepdims=True)).astype(np.float64)
    return (span + 4 + logits.shape[1] + 4) * ROUNDING


@shapes
def test_relu_equals_the_oracle_bit_for_bit(n_samples, n):
    activations, _ = example(n_samples, n)
    expected = padded(reference.relu(activations))
    actual = run_in_all_ways(relu, (padded(activations),), outputs=[0])
    assert (actual == expected).all()
    assert not np.signbit(actual).any()


@shapes
def test_relu_gradient_and_its_column_sums_equal_the_oracle(n_samples, n):
    activations, delta = example(n_samples, n)
    filled = padded(activations)
    arguments = (filled, padded(delta), garbage(filled.shape[1]))
    actual, sums = run_in_all_ways(relu_gradient, arguments, outputs=[1, 2])
    expected = reference.relu_gradient(activations, delta)
    assert (actual == padded(expected)).all()
    exact = expected.astype(np.float64)
    assert_sums_close(sums[:n], exact.sum(axis=0), np.abs(exact).sum(axis=0), n_samples)
    assert (sums[n : 16 * (filled.shape[1] // 16)] == 0).all()


def test_relu_has_no_slope_at_zero():
    activations = padded(np.array([[0.0, -0.0, 1e-45, -1e-45, np.inf, -np.inf]], np.float32))
    delta = padded(np.full((1, 6), 3, np.float32))
    actual, sums = run_in_all_ways(relu_gradient, (activations, delta, garbage(16)), outputs=[1, 2])
    assert actual[0, :6].tolist() == sums[:6].tolist() == [0, 0, 3, 0, 3, 0]


def test_relu_keeps_nan():
    activations = np.array([[np.nan, 1.0, -1.0]], np.float32)
    actual = run_in_all_ways(relu, (padded(activations),), outputs=[0])
    assert np.isnan(actual[0, 0])
    assert actual[0, 1:3].tolist() == [1, 0]
    delta = padded(np.array([[1.0, np.nan, np.nan]], np.float32))
    actual, sums = run_in_all_ways(relu_gradient, (padded(activations), delta, garbage(16)), outputs=[1, 2])
    assert actual[0, 0] == 1
    assert np.isnan([actual[0, 1], sums[1]]).all()
    assert actual[0, 2] == sums[2] == 0


@pytest.mark.parametrize("scale", [1, 30])
@shapes
def test_softmax_equals_the_oracle(n_samples, n, scale):
    logits = scale * example(n_samples, n)[0]
    expected = reference.softmax(logits.astype(np.float64))
    actual = run_softmax(logits)
    # Below e ** -86 exp gives e ** -86: nothing beside a probability.
    assert (np.abs(actual - expected) <= softmax_tolerance(logits) * expected + 1e-37).all()


@pytest.mark.parametrize(("scale", "smoothing"), [(1, 0.0), (30, 0.0), (1, 0.1), (30, 0.9)])
@shapes
def test_cross_entropy_and_its_gradient_equal_the_oracle(n_samples, n, scale, smoothing):
    logits = scale * example(n_samples, n)[0]
    labels = np.random.default_rng(n).integers(n, size=n_samples, dtype=np.uint8)
    labels[-1] = n - 1
    losses, actual = run_cross_entropy(logits, labels, smoothing)
    exact = logits.astype(np.float64)
    expected = reference.softmax_cross_entropy_gradient(exact, labels, smoothing)
    right = np.eye(n)[labels] + smoothing / n
    tolerance = softmax_tolerance(logits) * (reference.softmax(exact) + right) / n_samples
    assert (np.abs(actual - expected) <= tolerance + 1e-37).all()
    expected = reference.cross_entropy(exact, labels)
    span = np.abs(exact - exact.max(axis=1, keepdims=True)).max(axis=1)
    assert (np.abs(losses - expected) <= (2 * span + n + 8) * ROUNDING).all()


@pytest.mark.parametrize("value", [-1e4, 0, 1e4, 3e38])
@pytest.mark.parametrize("n", [1, 10, 16, 17, 256])
def test_equal_logits_give_equal_probabilities(n, value):
    logits = np.full((3, n), value, np.float32)
    actual = run_softmax(logits)
    assert (actual == actual[0, 0]).all()
    assert actual[0, 0] == pytest.approx(1 / n, rel=(n + 8) * ROUNDING)
    losses, _ = run_cross_entropy(logits, [0, n // 2, n - 1])
    assert losses == pytest.approx([np.log(n)] * 3, rel=(n + 8) * ROUNDING, abs=0)


def test_extreme_logits_neither_overflow_nor_divide_by_zero():
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, 1e4], [3e38, -3e38, 0.0]], np.float32)
    actual = run_softmax(logits)
    assert actual == pytest.approx(np.array([[1, 0, 0], [0, 0, 1], [1, 0, 0]]), abs=1e-37)
    losses, actual = run_cross_entropy(logits[:2], [1, 2])
    assert losses.tolist() == [20000, 0]
    assert actual * 2 == pytest.approx(np.array([[1, -1, 0], [0, 0, 0]]), abs=1e-37)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 5, 19])
def test_a_nan_logit_shows_in_the_loss(place, poison):
    logits = example(3, 20)[0]
    logits[1, place] = poison
    losses, actual = run_cross_entropy(logits, [2, 2, 2])
    assert np.isfinite(losses).tolist() == [True, False, True]
    assert np.isfinite(actual).all(axis=1).tolist() == [True, False, True]
    assert np.isnan(run_softmax(logits)[1]).any()


def test_softmax_and_its_gradient_may_take_the_place_of_the_logits():
    logits = padded(example(4, 17)[0])
    labels = np.array([0, 15, 16, 3], np.uint8)
    _, expected = run_cross_entropy(logits[:, :17], labels)
    for kernel, arguments in ((softmax, ()), (softmax_cross_entropy_gradient, (labels, np.float32(0), garbage(4)))):
        place = logits.copy()
        kernel.serial(place, 17, *arguments, place, 1)
        wanted = expected if arguments else run_softmax(logits[:, :17])
        assert (place[:, :17] == wanted).all()


def test_an_empty_batch_gives_nothing():
    empty = garbage(0, 16)
    assert run_in_all_ways(relu, (empty,), outputs=[0]).size == 0
    assert run_in_all_ways(softmax, (empty, 10, empty), outputs=[2]).size == 0
    losses, delta = run_cross_entropy(np.zeros((0, 10), np.float32), [])
    assert losses.size == delta.size == 0
    delta, sums = run_in_all_ways(relu_gradient, (empty, empty, garbage(16)), outputs=[1, 2])
    assert (sums == 0).all()
