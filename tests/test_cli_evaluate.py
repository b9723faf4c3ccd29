"""`fastmnist evaluate` and `fastmnist info`."""

import csv
import json
import os
import shutil

import cv2
import numpy as np
import pytest
from conftest import TERMINAL, random_network, screen, shown_on_terminal
from test_cli_train import BAD_SETS, TRAIN_IMAGES, TRAIN_LABELS
from test_model_calibration import expected_calibration_error

from fastmnist.inputs.idx import read_images, read_labels
from fastmnist.model.model_file import Model, load_model, save_model


@pytest.fixture
def figures(run_cli, seed_training, mnist_dir):
    run = run_cli("evaluate", "--model", seed_training.model, mnist_dir, "--json")
    assert run.code == 0, run.stderr
    return json.loads(run.stdout)


def test_figures_agree_with_those_of_the_predictions(figures, run_cli, seed_training, mnist_dir, digits):
    rows = csv.DictReader(
        run_cli("predict", "--model", seed_training.model, mnist_dir / "t10k-images-idx3-ubyte").lines
    )
    predicted = np.array([int(row["label"]) for row in rows])
    labels = digits[1]
    confusion = [[int(((labels == true) & (predicted == said)).sum()) for said in range(10)] for true in range(10)]
    assert figures["confusion"] == confusion
    assert figures["n_samples"] == 10_000
    assert figures["accuracy"] == (labels == predicted).mean() >= 0.97
    for digit in range(10):
        right = ((labels == digit) & (predicted == digit)).sum()
        precision, recall = right / (predicted == digit).sum(), right / (labels == digit).sum()
        assert figures["precision"][digit] == pytest.approx(precision)
        assert figures["recall"][digit] == pytest.approx(recall)
        assert figures["f1"][digit] == pytest.approx(2 * precision * recall / (precision + recall))


def test_the_calibration_error_is_that_of_the_confidences_that_predict_writes(run_cli, small_set, tmp_path):
    model = Model(random_network(), list("0123456789"), "auto", temperature=3.0)
    save_model(tmp_path / "warm.safetensors", model)
    images = small_set / "t10k-images-idx3-ubyte"
    rows = list(csv.DictReader(run_cli("predict", "--model", "warm.safetensors", images).lines))
    confidences = np.array([float(row["confidence"]) for row in rows])
    is_right = np.array([int(row["label"]) for row in rows]) == read_labels(small_set / "t10k-labels-idx1-ubyte")
    shown = json.loads(run_cli("evaluate", "--model", "warm.safetensors", small_set, "--json").stdout)
    assert shown["calibration_error"] == pytest.approx(expected_calibration_error(confidences, is_right), abs=1e-6)


def test_accuracy_is_the_one_that_training_stored(figures, run_cli, seed_training):
    shown = run_cli("info", seed_training.model)
    assert json.loads(shown.stdout)["test_accuracy"] == figures["accuracy"]


def test_the_report_shows_the_same_figures(figures, run_cli, seed_training, mnist_dir):
    run = run_cli("evaluate", "--model", seed_training.model, mnist_dir)
    lines = run.lines
    assert lines[0] == (
        f"accuracy {100 * figures['accuracy']:.2f} % (10,000 images)   loss {figures['loss']:.4f}   "
        f"calibration error {figures['calibration_error']:.4f}"
    )
    table = {line.split()[0]: line.split()[1:] for line in lines[3:13]}
    for digit in range(10):
        shown = [f"{figures[kind][digit]:.4f}" for kind in ("precision", "recall", "f1")]
        assert table[str(digit)] == [*shown, str(sum(figures["confusion"][digit]))]
    matrix = lines.index("most frequent confusions") - 11
    assert [[int(cell) for cell in line.split()[1:]] for line in lines[matrix : matrix + 10]] == figures["confusion"]
    told = [f"{true} read as {said}: {count}" for true, said, count in figures["top_confusions"]]
    assert lines[-10:] == told


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_on_a_terminal_zeros_are_dots_and_colours_are_wanted_ones(environment, run_cli, small_set, tmp_path):
    network = random_network()
    network.parameters[:] = 0
    network.biases(1)[3] = 1
    save_model(tmp_path / "three.safetensors", Model(network, list("0123456789"), "auto"))
    command = ["evaluate", "--model", "three.safetensors", small_set]
    confusion = json.loads(run_cli(*command, "--json").stdout)["confusion"]
    code, text = shown_on_terminal(*command, cwd=tmp_path, stdout=TERMINAL, **environment)
    assert code == 0
    assert ("\033[" in text) == (not environment)
    lines = screen(text)
    matrix = lines.index("confusion matrix: a row per true class, a column per predicted class") + 2
    cells = [[0 if cell == "." else int(cell) for cell in line.split()[1:]] for line in lines[matrix : matrix + 10]]
    assert cells == confusion
    assert all("0" not in line.split()[1:] for line in lines[matrix : matrix + 10])
    most = max((count, -true) for true, row in enumerate(confusion) for said, count in enumerate(row) if true != said)
    assert lines[lines.index("most frequent confusions") + 1] == f"{-most[1]} read as 3   {most[0]} times"


def test_a_class_that_is_never_predicted_has_figures_of_0(run_cli, small_set, tmp_path):
    network = random_network()
    network.parameters[:] = 0
    network.biases(1)[3] = 1
    save_model(tmp_path / "three.safetensors", Model(network, list("0123456789"), "auto"))
    run = run_cli("evaluate", "--model", "three.safetensors", small_set, "--json")
    assert run.code == 0
    shown = json.loads(run.stdout)
    assert [digit for digit in range(10) if shown["recall"][digit]] == [3]
    assert shown["precision"][5] == shown["recall"][5] == shown["f1"][5] == 0
    assert shown["loss"] == pytest.approx(np.log(np.e + 9) - shown["recall"][3] * shown["accuracy"], rel=1e-5)


def test_misread_images_are_written_and_named_by_truth_and_guess(run_cli, small_set, small_model, tmp_path):
    images = read_images(small_set / "t10k-images-idx3-ubyte")
    labels = read_labels(small_set / "t10k-labels-idx1-ubyte")
    run = run_cli("evaluate", "--model", small_model, small_set, "--errors", "wrong")
    assert run.code == 0
    predicted, _ = load_model(small_model).network.predict(images.reshape(-1, 784))
    expected = {f"{n:05d}-true-{labels[n]}-read-{predicted[n]}.png" for n in np.flatnonzero(predicted != labels)}
    assert set(os.listdir(tmp_path / "wrong")) == expected
    assert f"{len(expected)} misclassified images written to wrong" in run.stderr
    for name in expected:
        picture = cv2.imread(str(tmp_path / "wrong" / name), cv2.IMREAD_UNCHANGED)
        assert (picture == images[int(name[:5])]).all()
    again = run_cli("evaluate", "--model", small_model, small_set, "--errors", "wrong")
    assert (again.code, again.stdout, len(again.errors)) == (1, b"", 1)
    assert "wrong: not empty" in again.errors[0]


def test_the_training_set_is_not_a_test_set(run_cli, small_set, small_model, tmp_path):
    for name in (TRAIN_IMAGES, TRAIN_LABELS):
        shutil.copy(small_set / name, tmp_path)
    run = run_cli("evaluate", "--model", small_model, ".")
    assert (run.code, run.stdout, len(run.errors)) == (1, b"", 1)
    assert "no t10k-images-idx3-ubyte and no t10k-labels-idx1-ubyte" in run.errors[0]


@pytest.mark.parametrize("fault", sorted(set(BAD_SETS) - {"a bad test set"}))
def test_a_bad_test_set_is_one_error_line_and_no_result(fault, run_cli, small_set, small_model, tmp_path):
    """The faults of training sets, in a set whose training files are taken for its test files."""
    spoil, told = BAD_SETS[fault]
    data = tmp_path / "data"
    data.mkdir()
    for name in (TRAIN_IMAGES, TRAIN_LABELS):
        shutil.copy(small_set / name, data)
    spoil(data)
    for name in os.listdir(data):
        os.rename(data / name, data / name.replace("train", "t10k"))
    run = run_cli("evaluate", "--model", small_model, "data")
    assert (run.code, run.stdout, len(run.errors)) == (1, b"", 1)
    assert told.replace("DATA", "data").replace("train", "t10k") in run.errors[0]


def test_nan_outputs_are_an_error_not_a_result(run_cli, small_set, tmp_path):
    network = random_network()
    network.parameters[:] *= np.float32(1e37)
    save_model(tmp_path / "huge.safetensors", Model(network, list("0123456789"), "auto"))
    run = run_cli("evaluate", "--model", "huge.safetensors", small_set)
    assert (run.code, run.stdout, len(run.errors)) == (1, b"", 1)
    assert "outputs are not finite" in run.errors[0]


def test_info_prints_the_metadata_as_json(run_cli, small_model):
    run = run_cli("info", small_model)
    assert run.code == 0
    metadata = json.loads(run.stdout)
    assert metadata["layer_sizes"] == [784, 8, 10]
    assert metadata["format_version"] == 2


def test_info_of_no_file_is_that_of_the_model_in_use(run_cli, small_model):
    named = run_cli("info", small_model)
    found = run_cli("info", env={"FASTMNIST_MODEL": str(small_model)})
    assert found.stdout == named.stdout
    assert "($FASTMNIST_MODEL)" in found.stderr


def test_shipped_is_a_word_and_a_file_of_that_name_is_a_path(run_cli, small_model, tmp_path):
    shutil.copy(small_model, tmp_path / "shipped")
    packaged, own = run_cli("info", "shipped").stdout, run_cli("info", small_model).stdout
    assert packaged != own
    assert run_cli("info", "./shipped").stdout == own
    for command in (["info"], ["doctor"]):
        run = run_cli(*command, env={"FASTMNIST_MODEL": "shipped"})
        assert "shipped with fastmnist" in run.stderr + run.stdout.decode()
    assert run_cli("info", env={"FASTMNIST_MODEL": "shipped"}).stdout == packaged
