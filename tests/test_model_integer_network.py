"""A network that computes with integers, beside the one that it was made of."""

import json
import pickle

import numpy as np
import pytest
from conftest import random_network

import fastmnist
from fastmnist.datasets.dataset import open_dataset
from fastmnist.errors import TrainingError
from fastmnist.kernels import jit, reference
from fastmnist.model import integer_network
from fastmnist.model.calibration import fit_temperature
from fastmnist.model.integer_network import LEAST, MOST_UNITS, IntegerNetwork, Rounding, rounding_for
from fastmnist.model.model_file import Model, load_model
from fastmnist.model.network import Network


def hidden_activations(network, pixels):
    layers = range(network.n_layers)
    weights, biases = [network.weights(layer) for layer in layers], [network.biases(layer) for layer in layers]
    return reference.forward(weights, biases, pixels)[:-1]


@pytest.fixture(scope="module")
def pixels(digits):
    return digits[0][:2000].reshape(-1, 784)


@pytest.fixture(scope="module")
def network():
    return random_network((784, 100, 40, 10))


def unscaled(network, largest):
    """A rounding that leaves all units as large as they are."""
    return Rounding([[0] * size for size in network.layer_sizes[1:-1]], largest)


@pytest.fixture(scope="module")
def by_integers(network, pixels):
    return IntegerNetwork(network, rounding_for(network, pixels))


def test_its_logits_are_off_by_little(network, by_integers, pixels):
    exact = network.logits(pixels)
    difference = by_integers.logits(pixels) - exact
    assert 0 < np.abs(difference).mean() < 0.02 * exact.std()


def test_the_shipped_network_reads_what_it_would_in_float32(digits):
    model, images = fastmnist.load("shipped"), digits[0].reshape(-1, 784)
    assert (model.network.predict(images)[0] == model.trained.predict(images)[0]).mean() >= 0.9995


def test_the_shipped_network_refuses_what_it_would_in_float32(digits):
    """Some units grow large on dense images of no digit only; if they were limited, most would get a label."""
    model, inverted = fastmnist.load("shipped"), 255 - digits[0][:2000].reshape(-1, 784)
    refused, refused_in_float32 = (
        (network.predict(inverted)[0] == 10).mean() for network in (model.network, model.trained)
    )
    assert refused > refused_in_float32 - 0.05 > 0.8


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_answers_are_the_same_in_batches_of_any_size_and_on_any_number_of_threads(n_threads, by_integers, pixels):
    expected = by_integers.logits(pixels)
    with jit.using_threads(n_threads):
        assert by_integers.logits(pixels).tobytes() == expected.tobytes()
        assert by_integers.logits(pixels[:7]).tobytes() == expected[:7].tobytes()
        assert by_integers.logits(pixels[3:1500]).tobytes() == expected[3:1500].tobytes()


def test_pixels_may_lie_anywhere_in_memory(by_integers, pixels):
    unaligned = np.empty(pixels.size + 1, np.uint8)[1:].reshape(pixels.shape)
    unaligned[:] = pixels
    assert by_integers.logits(unaligned).tobytes() == by_integers.logits(pixels).tobytes()


def test_weights_are_whole_numbers_of_steps_which_float32_inputs_are_computed_with(network, by_integers, pixels):
    factors = [np.ones(784), *(2.0 ** np.array(of_layer) for of_layer in by_integers._made_of[1].powers), np.ones(10)]
    for layer in range(network.n_layers):
        steps, sizes = by_integers.steps[layer], by_integers.step_sizes[layer]
        exact = network.weights(layer) * factors[layer][:, np.newaxis] / factors[layer + 1]
        assert (np.abs(steps).max(axis=0) == 127).all()
        assert (by_integers.weights(layer) == steps * sizes).all()
        assert (np.abs(by_integers.weights(layer) - exact) <= 0.501 * sizes).all()
        assert (by_integers.biases(layer) == network.biases(layer) / factors[layer + 1]).all()
    rounded = Network(network.layer_sizes)
    rounded.parameters[:] = by_integers.parameters
    inputs = pixels.astype(np.float32) / 255
    assert by_integers.logits(inputs).tobytes() == rounded.logits(inputs).tobytes()


def test_a_temperature_divides_the_logits_and_changes_no_label(network, by_integers, pixels):
    calibrated = IntegerNetwork(network, by_integers._made_of[1], temperature=2.5)
    np.testing.assert_allclose(2.5 * calibrated.logits(pixels), by_integers.logits(pixels), rtol=1e-5, atol=1e-5)
    assert (calibrated.predict(pixels)[0] == by_integers.predict(pixels)[0]).all()


def test_a_pickled_copy_gives_the_same_bytes(by_integers, pixels):
    copy = pickle.loads(pickle.dumps(by_integers))
    assert copy.logits(pixels).tobytes() == by_integers.logits(pixels).tobytes()
    assert (copy.weights(1) == by_integers.weights(1)).all()


def test_units_without_weights_give_their_biases(pixels):
    network = Network((784, 3, 2))
    network.biases(0)[:] = 1, 2, -1
    network.weights(1)[:] = np.eye(3, 2)
    network.biases(1)[:] = 0.25
    logits = IntegerNetwork(network, unscaled(network, [2.0])).logits(pixels[:5])
    np.testing.assert_allclose(logits, np.tile([1.25, 2.25], (5, 1)), atol=0.01)


def test_weights_of_any_size_are_taken(pixels):
    network = random_network()
    expected = IntegerNetwork(network, unscaled(network, [2.0])).predict(pixels)[0]
    network.weights(0)[:] *= 1e-20
    network.biases(0)[:] *= 1e-20
    network.weights(1)[:] *= 1e20
    assert (IntegerNetwork(network, unscaled(network, [1e-20 * 2])).predict(pixels)[0] == expected).mean() > 0.9
    network.weights(1)[:] = np.finfo(np.float32).max
    assert not np.isfinite(IntegerNetwork(network, unscaled(network, [1e6])).logits(pixels)).all()


def test_no_sum_overflows():
    assert max(MOST_UNITS, 784) * 255 * 127 < 2**31


def unequal():
    """A network whose hidden units are of different size, one of them never active."""
    network = random_network((784, 20, 12, 10))
    for layer in (0, 1):
        sizes = 2.0 ** np.random.default_rng(layer).integers(-5, 6, network.layer_sizes[layer + 1])
        network.weights(layer)[:] *= sizes.astype(np.float32)
        network.biases(layer)[:] *= sizes.astype(np.float32)
    network.weights(0)[:, 7], network.biases(0)[7] = 0, -1
    return network


def test_a_rounding_makes_units_alike(pixels):
    network = unequal()
    powers, largest = rounding_for(network, pixels)
    for of_layer, value, activations in zip(powers, largest, hidden_activations(network, pixels), strict=True):
        before = activations.max(axis=0)
        after = before / 2.0 ** np.array(of_layer)
        assert after[before > 0].max() < 2.001 * after[before > 0].min()
        assert before.max() > 8 * before[before > 0].min()
        assert after.max() <= value < after.max() + LEAST
        assert value % LEAST == 0
    assert powers[0][7] == 0


def test_powers_of_two_change_no_answer_in_float32(pixels):
    network, exact = unequal(), unequal()
    integer_network._divide_activations(network, rounding_for(network, pixels).powers)
    assert (network.parameters != exact.parameters).any()
    assert network.logits(pixels).tobytes() == exact.logits(pixels).tobytes()


def test_integers_of_units_that_are_alike_are_nearer(pixels):
    network, exact = unequal(), unequal().logits(pixels)
    largest = [float(np.ceil(activations.max())) for activations in hidden_activations(network, pixels)]
    as_it_was = np.abs(IntegerNetwork(network, unscaled(network, largest)).logits(pixels) - exact).mean()
    alike = IntegerNetwork(network, rounding_for(network, pixels))
    assert np.abs(alike.logits(pixels) - exact).mean() < 0.7 * as_it_was


def test_a_hidden_layer_that_is_never_active_has_a_step_all_the_same(pixels):
    assert rounding_for(Network((784, 5, 2)), pixels[:1]) == ([[0] * 5], [LEAST])


def test_only_so_many_images_are_looked_at(pixels):
    many = np.repeat(pixels[:7], 2000, axis=0)
    many[1::2] = 255  # every other one is left out of 14,000
    assert rounding_for(unequal(), many) == rounding_for(unequal(), pixels[:7])


def test_training_for_integers_tests_and_calibrates_integers(run_cli, small_set, tmp_path):
    options = ["--epochs", "2", "--hidden", "50,30", "--validation", "100"]
    run = run_cli("train", small_set, *options, "--int8")
    model = load_model(tmp_path / "model.safetensors")
    assert isinstance(model.network, IntegerNetwork)
    pixels, labels = open_dataset(small_set).load("test")[:2]
    assert model.metadata["test_accuracy"] == (model.network.predict(pixels)[0] == labels).mean()
    pixels, labels = (array[-100:] for array in open_dataset(small_set).load("train")[:2])
    assert model.metadata["temperature"] == fit_temperature(model.uncalibrated.logits(pixels), labels)
    assert run.stderr.splitlines()[-1] == "saved model.safetensors"
    assert json.loads(run_cli("info", "--json").stdout)["int8"] == model.metadata["int8"]
    assert model.metadata["int8"]["largest"] == model.rounding.largest
    assert run_cli("train", small_set, *options, "-o", "float32.safetensors").code == 0
    exact = load_model(tmp_path / "float32.safetensors")
    assert (exact.trained.parameters == model.trained.parameters).all()
    assert exact.rounding is None
    assert type(exact.network) is Network


def test_a_model_for_integers_predicts_the_same_wherever_it_is_loaded(digits, tmp_path):
    images, labels = digits
    model = fastmnist.train(images[:500], labels[:500], epochs=1, int8=True)
    model.save(tmp_path / "m.safetensors")
    result, expected = fastmnist.load(tmp_path / "m.safetensors").predict(images), model.predict(images)
    assert (result.indices == expected.indices).all()
    assert (result.confidences == expected.confidences).all()


def test_more_units_than_a_file_has_room_for_are_refused_before_training(digits):
    with pytest.raises(TrainingError, match="6,001 hidden units, expected at most 6,000 for integers"):
        fastmnist.train(digits[0][:50], digits[1][:50], hidden=(1, 6000), int8=True, on_epoch=pytest.fail)


def test_a_fine_tuned_model_rounds_as_the_one_that_it_comes_from(digits):
    images, labels = digits
    shipped = fastmnist.load("shipped")
    tuned = fastmnist.train(images[:20], labels[:20], start=shipped, epochs=1, int8=True)
    assert tuned.rounding == shipped.rounding
    assert (tuned.predict(images[:500]).indices == shipped.predict(images[:500]).indices).mean() > 0.99
    assert fastmnist.train(images[:20], labels[:20], start=shipped, epochs=1).rounding is None


def test_a_plain_model_has_no_integers():
    assert "int8" not in Model(random_network(), list("0123456789"), "auto").metadata
