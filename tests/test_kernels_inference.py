"""From inputs to logits, labels and confidences in one pass, against the reference."""

import numpy as np
import pytest
from conftest import random_network
from kernel_builds import FOREIGN, ROUNDING, classified, normal, sparse_pixels

from fastmnist.kernels import reference
from fastmnist.kernels.forward import Parameters
from fastmnist.kernels.inference import BLOCK, classify, make_workspace
from fastmnist.kernels.sparse import SPARSE_SHARE
from fastmnist.model.network import NO_VELOCITIES, Network, pad_inputs

LAYER_SIZES = [
    (64, 1, 1),
    (65, 15, 2),
    (100, 16, 17),
    (100, 17, 33, 3),
    (127, 129, 256),
    (128, 48, 15, 16, 10),
    (1, 5, 3),  # fewer inputs than a mask has bits
    (10, 5, 3),
    (63, 17, 3),
]
if not FOREIGN:
    LAYER_SIZES += [(784, 100, 10), (784, 300, 100, 10), (784, 800, 800, 10)]
DTYPES = [np.uint8] if FOREIGN else [np.uint8, np.float32]  # each is compiled anew
BATCHES = [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 33]


def parameters_of(network):
    layers = range(network.n_layers)
    return [network.weights(layer) for layer in layers], [network.biases(layer) for layer in layers]


def make_inputs(n_samples, n_in, dtype=np.uint8):
    rng = np.random.default_rng([n_samples, n_in])
    return sparse_pixels(rng, n_samples, n_in) if dtype == np.uint8 else normal(rng, n_samples, n_in)


def run(network, inputs, n_logits, n_probabilities):
    """Labels, confidences, logits and probabilities of all builds on 1 to 4 parts."""
    parameters = Parameters(network.layout, network.parameters, NO_VELOCITIES)
    padded = pad_inputs(inputs)

    def arguments(n_parts):
        return parameters, padded, make_workspace(network.layers, n_parts)

    return classified(classify, arguments, len(inputs), n_logits, n_probabilities)


def run_logits(network, inputs):
    return run(network, inputs, network.n_classes, 0)[2]


def run_classify(network, inputs):
    """Labels, confidences and probabilities; that they agree, and are the same when requested alone, is checked."""
    labels, confidences, logits, probabilities = run(network, inputs, network.n_classes, network.n_classes)
    assert np.array_equal(
        np.take_along_axis(probabilities, labels[:, None].astype(np.intp), 1)[:, 0], confidences, equal_nan=True
    )
    for n_logits, n_probabilities in ((0, 0), (network.n_classes, 0), (0, network.n_classes)):
        alone = run(network, inputs, n_logits, n_probabilities)
        assert alone[0].tobytes() == labels.tobytes()
        assert alone[1].tobytes() == confidences.tobytes()
        assert alone[2].tobytes() == (logits.tobytes() if n_logits else b"")
        assert alone[3].tobytes() == (probabilities.tobytes() if n_probabilities else b"")
    return labels, confidences, probabilities


def tolerances(network, inputs):
    """How far each logit may be off: the roundings of each layer's sums, passed on by the layers above.

    The absolute values of the weights pass on the error of the inputs, and add (n_in + 4) roundings of the terms.
    """
    weights, biases = parameters_of(network)
    magnitudes, error = np.abs(reference.as_unit(inputs)), 0.0
    for layer_weights, layer_biases in zip(weights, biases, strict=True):
        passed_on = error @ np.abs(layer_weights) if np.ndim(error) else 0.0
        magnitudes = reference.matmul(magnitudes, np.abs(layer_weights), np.abs(layer_biases))
        error = passed_on + (len(layer_weights) + 4) * ROUNDING * magnitudes
    return error


def assert_equals_oracle(network, inputs):
    expected = reference.forward(*parameters_of(network), inputs)[-1]
    actual, tolerance = run_logits(network, inputs), tolerances(network, inputs)
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    assert (np.abs(actual - expected) <= tolerance).all()
    labels, _, probabilities = run_classify(network, inputs)
    assert (labels == actual.argmax(axis=1)).all()
    expected = reference.softmax(actual.astype(np.float64))
    assert probabilities == pytest.approx(expected, rel=float(8 + network.n_classes + np.ptp(actual)) * ROUNDING)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer_sizes", LAYER_SIZES)
def test_logits_labels_and_confidences_equal_the_oracle(layer_sizes, dtype):
    network = random_network(layer_sizes, seed=len(layer_sizes))
    assert_equals_oracle(network, make_inputs(33, layer_sizes[0], dtype))


@pytest.mark.parametrize("n_samples", BATCHES)
def test_any_number_of_samples(n_samples):
    assert_equals_oracle(random_network((100, 17, 10)), make_inputs(n_samples, 100))


def test_no_samples():
    network = random_network((100, 17, 10))
    assert run_logits(network, make_inputs(0, 100)).shape == (0, 10)
    labels, confidences, _ = run_classify(network, make_inputs(0, 100))
    assert labels.size == confidences.size == 0


@pytest.mark.parametrize("value", [0, 255])
def test_blank_and_full_images(value):
    network = random_network((100, 17, 10))
    assert_equals_oracle(network, np.full((3, 100), value, np.uint8))


def test_a_sample_gives_the_same_bytes_among_samples_with_few_active_units_and_with_many():
    network = random_network((100, 200, 70, 10))
    network.biases(0)[:] = -1e-6  # no unit is active where all pixels are 0
    inputs = np.zeros((2 * BLOCK, 100), np.uint8)
    inputs[0] = inputs[BLOCK:] = make_inputs(1, 100)
    is_active = reference.forward(*parameters_of(network), inputs)[0] > 0
    assert is_active[:BLOCK].mean() < SPARSE_SHARE < is_active[BLOCK:].mean()
    logits = run_logits(network, inputs)
    assert logits[0].tobytes() == logits[BLOCK].tobytes()
    assert_equals_oracle(network, inputs)


def test_a_sample_gives_the_same_bytes_wherever_it_stands():
    network, inputs = random_network((100, 33, 17, 10)), make_inputs(BLOCK + 9, 100)
    together = run_logits(network, inputs)
    for sample in (0, 7, 8, BLOCK - 1, BLOCK, BLOCK + 8):
        alone = run_logits(network, inputs[sample : sample + 1].copy())
        assert alone.tobytes() == together[sample : sample + 1].tobytes()


@pytest.mark.parametrize("n_classes", [1, 2, 10, 16, 17, 256])
def test_the_first_of_equal_logits_wins(n_classes):
    network = Network((64, 3, n_classes))
    labels, confidences, _ = run_classify(network, make_inputs(5, 64))
    assert labels.tolist() == [0] * 5
    assert confidences == pytest.approx([1 / n_classes] * 5, rel=(n_classes + 8) * ROUNDING)
    network.biases(1)[n_classes // 2 :] = 1
    assert run_classify(network, make_inputs(5, 64))[0].tolist() == [n_classes // 2] * 5
    network.biases(1)[-1] = 2
    assert run_classify(network, make_inputs(5, 64))[0].tolist() == [n_classes - 1] * 5


@pytest.mark.parametrize("size", [1e4, 3e38])
def test_extreme_logits_give_a_confidence_of_one(size):
    network = Network((64, 3, 10))
    network.biases(1)[:] = -size
    network.biases(1)[4] = size
    labels, confidences, _ = run_classify(network, make_inputs(3, 64))
    assert labels.tolist() == [4] * 3
    assert confidences.tolist() == [1] * 3


@pytest.mark.skipif(FOREIGN, reason="float32 inputs are compiled anew")
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_nan_input_spoils_only_its_own_sample(poison):
    network, inputs = random_network((100, 17, 10)), make_inputs(9, 100, np.float32)
    expected = run_logits(network, inputs)
    inputs[8, 99] = poison
    actual = run_logits(network, inputs)
    assert not np.isfinite(actual[8]).any()
    assert actual[:8].tobytes() == expected[:8].tobytes()
    assert np.isnan(run_classify(network, inputs)[1]).tolist() == [False] * 8 + [True]
