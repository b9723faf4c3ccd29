"""A network and its trainer: what they hold, what they refuse, what they leave to the kernels."""

from itertools import pairwise

import numpy as np
import pytest
from conftest import random_network

from fastmnist.kernels import inference, jit, reference
from fastmnist.model.network import MAX_CLASSES, Network
from fastmnist.threads import Pace
from fastmnist.training.trainer import Trainer, check_labels


def make_pixels(n_samples, n_in=784, seed=0):
    return np.random.default_rng(seed).integers(256, size=(n_samples, n_in), dtype=np.uint8)


@pytest.mark.parametrize("layer_sizes", [(784, 100, 10), (3, 1, 1), (64, 16, 17, MAX_CLASSES)])
def test_parameters_are_seen_layer_by_layer_and_overlap_nowhere(layer_sizes):
    network = Network(layer_sizes)
    assert network.n_layers == len(layer_sizes) - 1
    assert (network.n_in, network.n_classes) == (layer_sizes[0], layer_sizes[-1])
    assert not network.parameters.any()
    for layer in range(network.n_layers):
        weights, biases = network.weights(layer), network.biases(layer)
        assert weights.shape == layer_sizes[layer : layer + 2]
        assert biases.shape == layer_sizes[layer + 1 : layer + 2]
        weights += 1
        biases += 1
    n_parameters = sum((a + 1) * b for a, b in pairwise(layer_sizes))
    assert np.count_nonzero(network.parameters == 1) == n_parameters
    assert np.count_nonzero(network.parameters) == n_parameters


@pytest.mark.parametrize(
    "layer_sizes",
    [(), (784,), (784, 10), (784, 0, 10), (0, 5, 10), (784, 100, 0), (784, -1, 10), (784, 5, MAX_CLASSES + 1)],
)
def test_impossible_layer_sizes_are_refused(layer_sizes):
    with pytest.raises(ValueError, match="one or more hidden layers"):
        Network(layer_sizes)


def test_random_weights_are_a_pure_function_of_the_seed():
    network, other = Network.random((784, 100, 10), 5), Network.random((784, 100, 10), 5)
    assert network.parameters.tobytes() == other.parameters.tobytes()
    assert network.parameters.tobytes() != Network.random((784, 100, 10), 6).parameters.tobytes()
    expected = 0.01 * np.random.RandomState(5).standard_normal((784, 100))
    assert (network.weights(0) == expected.astype(np.float32)).all()
    assert not network.biases(0).any()


def test_the_scale_is_that_of_the_random_weights():
    for scale in (0.01, 2.0):
        assert Network.random((784, 100, 10), 0, scale).weights(0).std() == pytest.approx(scale, rel=0.01)


@pytest.mark.skipif(jit.n_threads() < 2, reason="needs two threads")
@pytest.mark.parametrize(("n_samples", "build"), [(0, "serial"), (1, "serial"), (8, "serial"), (9, "parallel")])
def test_few_images_need_no_parallel_build(n_samples, build, monkeypatch):
    network, used = random_network(), []
    for name in ("serial", "parallel"):
        monkeypatch.setattr(inference.classify, name, lambda *_, name=name: used.append(name))
    network.predict(make_pixels(n_samples))
    assert used == [build]


@pytest.mark.parametrize("as_floats", [False, True])
@pytest.mark.parametrize("layer_sizes", [(784, 100, 10), (20, 30, 7, 3)])
def test_logits_labels_and_confidences_are_the_oracles(layer_sizes, as_floats):
    network, inputs = random_network(layer_sizes), make_pixels(70, layer_sizes[0])
    if as_floats:
        inputs = inputs.astype(np.float32) / 255
    layers = range(network.n_layers)
    weights, biases = [network.weights(layer) for layer in layers], [network.biases(layer) for layer in layers]
    expected = reference.forward(weights, biases, inputs)[-1]
    assert network.logits(inputs) == pytest.approx(expected, rel=1e-5, abs=1e-5 * np.abs(expected).max())
    labels, confidences = network.predict(inputs)
    assert (labels == expected.argmax(axis=1)).all()
    assert confidences == pytest.approx(reference.softmax(expected).max(axis=1), rel=1e-4)


def test_no_inputs_give_no_predictions():
    network = random_network()
    assert network.logits(make_pixels(0)).shape == (0, 10)
    assert [array.size for array in network.predict(make_pixels(0))] == [0, 0]


def test_predicting_changes_neither_inputs_nor_parameters():
    network, inputs = random_network(), make_pixels(65)
    parameters, before = network.parameters.tobytes(), inputs.tobytes()
    network.predict(inputs)
    assert network.parameters.tobytes() == parameters
    assert inputs.tobytes() == before


BAD_INPUTS = [
    make_pixels(784)[0],
    make_pixels(2, 783),
    make_pixels(2, 785),
    make_pixels(2).reshape(2, 28, 28),
    make_pixels(2).astype(np.float64),
    make_pixels(2).astype(np.int64),
    make_pixels(4)[::2],
    make_pixels(2).copy(order="F"),
]


@pytest.mark.parametrize("inputs", BAD_INPUTS, ids=lambda inputs: f"{inputs.dtype}-{inputs.shape}-{inputs.strides}")
def test_inputs_that_a_kernel_would_misread_are_refused(inputs):
    network = random_network()
    trainer = Trainer(network, 1, 0.0, 4)
    labels, order = np.zeros(len(inputs), np.uint8), np.arange(len(inputs))
    parameters = network.parameters.tobytes()
    for use in (network.logits, network.predict, lambda inputs: trainer.train(inputs, labels, order, 0.1, 0.0)):
        with pytest.raises(ValueError, match="inputs of"):
            use(inputs)
    assert network.parameters.tobytes() == parameters


BAD_LABELS = [
    np.array([0, 10], np.uint8),
    np.array([255, 0], np.uint8),
    np.array([0, 1], np.int64),
    np.array([0, 1, 2], np.uint8),
    np.array([0], np.uint8),
    np.array([[0, 1]], np.uint8),
]


@pytest.mark.parametrize("labels", BAD_LABELS, ids=str)
def test_labels_that_are_not_classes_are_refused_before_a_kernel_runs(labels):
    network = random_network()
    parameters = network.parameters.tobytes()
    with pytest.raises(ValueError, match="expected"):
        Trainer(network, 2, 0.0, 2).train(make_pixels(2), labels, np.arange(2), 0.1, 0.0)
    assert network.parameters.tobytes() == parameters


def test_each_class_may_be_a_label():
    check_labels(np.array([0, 9], np.uint8), 2, 10)
    check_labels(np.zeros(0, np.uint8), 0, 10)
    check_labels(np.array([255], np.uint8), 1, 256)


@pytest.mark.parametrize("order", [[0, 3], [-1, 0], [0, 1, 2, 0, 1]], ids=str)
def test_an_order_of_samples_that_are_not_there_or_too_many_is_refused(order):
    network = random_network()
    parameters = network.parameters.tobytes()
    with pytest.raises(ValueError, match="indices, expected at most 4, each from 0 to 2"):
        Trainer(network, 2, 0.0, 4).train(make_pixels(3), np.zeros(3, np.uint8), np.array(order), 0.1, 0.0)
    assert network.parameters.tobytes() == parameters


def train(momentum=0.9):
    """Train a small network for eight calls; return all bytes that it makes."""
    network = random_network((784, 33, 17, 10))
    trainer = Trainer(network, 32, momentum, 64)
    pixels, labels = make_pixels(512), make_pixels(1, 512)[0] % np.uint8(10)
    orders = np.split(np.random.default_rng(1).permutation(512), 8)
    figures = [trainer.train(pixels, labels, order, 0.1, 0.001) for order in orders]
    return network.parameters.tobytes(), trainer.velocities.tobytes(), figures


def test_the_pace_never_changes_results(monkeypatch):
    results = []
    for ways in ([1], [jit.n_threads()], [1, jit.n_threads()]):
        monkeypatch.setattr(Pace, "choose", lambda pace, ways=ways: ways[len(pace._seconds) % len(ways)])
        monkeypatch.setattr(Pace, "record", lambda pace, *_: pace._seconds.update({len(pace._seconds): 0}))
        results.append(train())
    assert results[1:] == results[:1] * 2
    assert np.isfinite([loss for loss, _ in results[0][2]]).all()


def test_the_pace_is_told_what_each_call_costs_but_the_first_which_may_compile(monkeypatch):
    told = []
    monkeypatch.setattr(Pace, "record", lambda _, threads, cost: told.append((threads, cost)))
    train()
    assert [threads for threads, _ in told] == [jit.n_threads()] * 7
    assert all(0 < cost < 10 for _, cost in told)


def test_velocities_live_on_from_call_to_call_and_only_where_there_is_momentum():
    assert np.frombuffer(train(0.9)[1], np.float32).any()
    assert train(0.0)[1] == b""
