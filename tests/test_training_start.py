"""Training a model further: where it begins, which classes it has, how much it forgets."""

import json
import logging
import os

import cv2
import numpy as np
import pytest
from conftest import random_network

import fastmnist
from fastmnist.model.model_file import Model, load_model, save_model
from fastmnist.model.network import Network
from fastmnist.training.start import begin_with, mean_with

DIGITS = [str(digit) for digit in range(10)]


def test_a_network_begins_with_anothers_parameters_and_may_have_more_classes():
    start, network = random_network((784, 20, 3)), Network.random((784, 20, 5), 1)
    before = network.weights(1).copy()
    begin_with(network, start)
    np.testing.assert_array_equal(network.weights(0), start.weights(0))
    np.testing.assert_array_equal(network.weights(1)[:, :3], start.weights(1))
    np.testing.assert_array_equal(network.weights(1)[:, 3:], before[:, 3:])
    for other in ((784, 20, 2), (784, 21, 5), (784, 20, 5, 5)):
        with pytest.raises(ValueError, match="layers"):
            begin_with(Network(other), start)


@pytest.mark.parametrize("keep", [0.0, 0.25, 1.0])
def test_the_mean_of_two_networks_is_that_of_their_weights(keep):
    start, network = random_network((784, 20, 3), 1), random_network((784, 20, 5), 2)
    for layer in range(2):
        start.biases(layer)[:] = 1
    mean = mean_with(network, start, keep)
    np.testing.assert_allclose(
        mean.weights(0), keep * start.weights(0) + (1 - keep) * network.weights(0), rtol=1e-5, atol=1e-7
    )
    np.testing.assert_allclose(mean.biases(1)[:3], keep + (1 - keep) * network.biases(1)[:3], rtol=1e-5)
    np.testing.assert_array_equal(mean.weights(1)[:, 3:], network.weights(1)[:, 3:])


@pytest.fixture(scope="module")
def start():
    """A model of ten digits that knows nothing, with a temperature."""
    return Model(random_network((784, 20, 17, 10), 3), DIGITS, "mnist", temperature=0.5)


@pytest.fixture
def own(tmp_path, digits):
    """Class folders with 40 pictures of digits."""
    for number, (digit, label) in enumerate(zip(digits[0][:40], digits[1][:40], strict=True)):
        folder = tmp_path / "own" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{number:02}.png"), digit)
    return tmp_path / "own"


def test_a_model_trained_further_has_its_layers_classes_and_preprocessing(start, own):
    model = fastmnist.train(own, start=start, epochs=1)
    assert model.trained.layer_sizes == start.trained.layer_sizes
    assert (model.class_names, model.preprocess, model.temperature) == (DIGITS, "mnist", 0.5)
    assert model.origin["recipe"]["name"] == "tune"
    assert model.origin["recipe"]["hidden"] == [20, 17]
    assert len(model.origin["start_sha256"]) == 64
    assert (model.trained.parameters != start.trained.parameters).any()


def test_keeping_nearly_all_changes_nearly_nothing(start, own):
    kept, changed = (fastmnist.train(own, start=start, epochs=2, keep=keep).trained.parameters for keep in (0.999, 0.0))
    far, near = (np.abs(parameters - start.trained.parameters).max() for parameters in (changed, kept))
    assert 0 < near < 0.002 * far


def test_new_classes_come_after_those_of_the_model(start, own):
    (own / "7").rename(own / "x")
    (own / "9").rename(own / "a")
    model = fastmnist.train(own, start=start, epochs=80, learning_rate=0.05, keep=0, augment={"elastic": 0})
    assert model.class_names == [*DIGITS, "a", "x"]
    right = [
        path.split("/")[-2] == label
        for result in model.predict_files([own])
        for path, label in zip(result.paths, result.labels, strict=True)
    ]
    assert np.mean(right) > 0.9


def test_more_classes_than_a_label_has_room_for_are_refused(start, digits):
    names = [f"n{number}" for number in range(247)]
    with pytest.raises(fastmnist.DataError, match="257 class names, expected 2 to 256"):
        fastmnist.train(digits[0][:247], names, start=start, epochs=1)


def test_pictures_of_some_of_the_classes_are_enough(start, own):
    for name in "012345":
        (own / name).rename(own.parent / name)
    assert fastmnist.train(own, start=start, epochs=1).class_names == DIGITS


def test_the_command_writes_what_the_library_returns(start, own, run_cli, tmp_path):
    save_model(tmp_path / "start.safetensors", start)
    run = run_cli("train", "own", "--from", "start.safetensors", "--epochs", "3", "-o", "command.safetensors")
    assert run.code == 0, run.stderr
    assert "training 784-20-17-10 on 40 images, recipe tune" in run.stderr
    fastmnist.train(own, start=tmp_path / "start.safetensors", epochs=3).save(tmp_path / "library.safetensors")
    assert (tmp_path / "command.safetensors").read_bytes() == (tmp_path / "library.safetensors").read_bytes()


def test_it_is_resumed_from_the_same_model_only(start, own, run_cli, tmp_path):
    save_model(tmp_path / "start.safetensors", start)
    other = Model(random_network((784, 20, 17, 10), 4), DIGITS, "mnist")
    save_model(tmp_path / "other.safetensors", other)
    settings = ("--epochs", "3", "--checkpoint", "c")
    assert run_cli("train", "own", "--from", "start.safetensors", *settings, "-o", "whole.safetensors").code == 0
    resumed = run_cli("train", "own", "--from", "start.safetensors", *settings, "--resume", "-o", "resumed.safetensors")
    assert resumed.code == 0, resumed.stderr
    assert (tmp_path / "whole.safetensors").read_bytes() == (tmp_path / "resumed.safetensors").read_bytes()
    run = run_cli("train", "own", "--from", "other.safetensors", *settings, "--resume")
    assert run.code == 1
    assert "made from a different model" in run.stderr


def test_the_shipped_model_learns_a_hand_and_forgets_next_to_nothing(digits):
    images, labels = digits
    slant = np.float32([[1, 1.8, -1.8 * 13.5], [0, 1, 0]])
    hand = np.stack([cv2.warpAffine(image, slant, (28, 28)) for image in images[:1000]])
    own, others = slice(0, 100), slice(500, 1000)
    model = fastmnist.train(hand[own], labels[own], start="shipped")
    shipped = fastmnist.load("shipped")
    before, after = (fastmnist.evaluate(each, hand[others], labels[others]).accuracy for each in (shipped, model))
    assert after > before + 0.15
    assert fastmnist.evaluate(model, images, labels).accuracy >= 0.995


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--from", "missing.safetensors"), "missing.safetensors: no such file"),
        (("--from", "shipped", "--hidden", "9"), "its own hidden layers\nhint: leave out --hidden or --from"),
        (("--keep", "0.5"), "default (keep 0.5): no model to start from, expected one\nhint: name one with --from"),
        (("--recipe", "tune"), "tune (keep 0.15): no model to start from, expected one\nhint: name one with --from"),
    ],
)
def test_what_cannot_work_is_one_error_line(options, told, own, run_cli):
    run = run_cli("train", "own", *options)
    assert (run.code, len(run.errors)) == (1, 1)
    assert told in run.stderr


def test_a_keep_of_1_is_wrong_usage(own, run_cli):
    assert run_cli("train", "own", "--from", "shipped", "--keep", "1").code == 2


def test_corrections_flow_back(own, run_cli, tmp_path):
    assert run_cli("predict", "own", "--model", "shipped", "-o", "corrected.csv").code == 0
    run = run_cli("train", "corrected.csv", "--from", "shipped", "--epochs", "2")
    assert run.code == 0, run.stderr
    info = json.loads(run_cli("info", "model.safetensors").stdout)
    assert info["recipe"]["name"] == "tune"
    assert load_model(tmp_path / "model.safetensors").class_names == DIGITS


def test_new_classes_are_named(own, start, caplog):
    (own / "x").mkdir()
    os.rename(own / "7" / min(os.listdir(own / "7")), own / "x" / "1.png")
    with caplog.at_level(logging.INFO, "fastmnist"):
        model = fastmnist.train(own, start=start, recipe="tune", epochs=1)
    assert model.class_names == [*DIGITS, "x"]
    assert "new classes: x" in caplog.messages
    caplog.clear()
    with caplog.at_level(logging.INFO, "fastmnist"):
        fastmnist.train(own, start=model, recipe="tune", epochs=1)
    assert not any("new classes" in message for message in caplog.messages)
