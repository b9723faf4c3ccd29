"""The oracle itself: against finite differences and one example worked by hand."""

import itertools

import numpy as np
import pytest

from fastmnist.kernels import reference


def example(layer_sizes, n_samples, seed):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=shape) for shape in itertools.pairwise(layer_sizes)]
    biases = [rng.normal(size=n) for n in layer_sizes[1:]]
    return weights, biases, rng.normal(size=(n_samples, layer_sizes[0])), rng.integers(layer_sizes[-1], size=n_samples)


@pytest.mark.parametrize("layer_sizes", [(3, 2), (4, 5, 3), (6, 5, 4, 3)])
def test_gradient_equals_finite_differences(layer_sizes):
    weights, biases, inputs, labels = example(layer_sizes, 7, seed=1)
    expected = [*weights, *biases]
    actual = [part for kind in reference.gradient(weights, biases, inputs, labels, 0.3) for part in kind]
    for parameter, gradient in zip(expected, actual, strict=True):
        for position in np.ndindex(parameter.shape):
            value, step = parameter[position], 1e-6
            parameter[position] = value + step
            above = reference.loss(weights, biases, inputs, labels, 0.3)
            parameter[position] = value - step
            below = reference.loss(weights, biases, inputs, labels, 0.3)
            parameter[position] = value
            assert gradient[position] == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-8)


def test_one_example_worked_by_hand():
    # Input 255 -> 1. Hidden: 1*2 - 1 = 1 and 1*(-3) + 0 = -3 -> 0. Logits: 1*1 + 0 = 1 and 1*(-1) + 2 = 1.
    weights = [np.array([[2.0, -3.0]]), np.array([[1.0, -1.0], [5.0, 5.0]])]
    biases = [np.array([-1.0, 0.0]), np.array([0.0, 2.0])]
    inputs, labels = np.array([[255]], np.uint8), np.array([0])
    hidden, logits = reference.forward(weights, biases, inputs)
    assert hidden.tolist() == [[1, 0]]
    assert logits.tolist() == [[1, 1]]
    assert reference.loss(weights, biases, inputs, labels, 0.0) == pytest.approx(np.log(2))
    weights_gradient, biases_gradient = reference.gradient(weights, biases, inputs, labels, 0.1)
    # delta = (0.5 - 1, 0.5); the second hidden unit is off, so its gradient is the decay alone.
    assert biases_gradient[1] == pytest.approx([-0.5, 0.5])
    assert weights_gradient[1] == pytest.approx(np.array([[-0.5 + 0.1, 0.5 - 0.1], [0.5, 0.5]]))
    assert biases_gradient[0] == pytest.approx([-1, 0])
    assert weights_gradient[0] == pytest.approx(np.array([[-1 + 0.2, -0.3]]))


def test_softmax_survives_extreme_logits():
    logits = np.array([[1000.0, 0.0, -1000.0]])
    assert reference.softmax(logits).tolist() == [[1, 0, 0]]
    assert reference.cross_entropy(logits, np.array([2])).tolist() == [2000]
