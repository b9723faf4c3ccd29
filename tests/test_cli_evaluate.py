"""`fastmnist evaluate` and `fastmnist info`."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
from conftest import random_network
from test_cli_train import BAD_SETS, TRAIN_IMAGES, TRAIN_LABELS

from fastmnist.model_file import save_model


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


def test_accuracy_is_the_one_that_training_stored(figures, run_cli, seed_training):
    shown = run_cli("info", seed_training.model)
    assert json.loads(shown.stdout)["test_accuracy"] == figures["accuracy"]


def test_the_report_shows_the_same_figures(figures, run_cli, seed_training, mnist_dir):
    run = run_cli("evaluate", "--model", seed_training.model, mnist_dir)
    lines = run.lines
    assert lines[0] == f"accuracy {figures['accuracy']:.2%} (10,000 images)   loss {figures['loss']:.4f}"
    table = {line.split()[0]: line.split()[1:] for line in lines[3:13]}
    for digit in range(10):
        shown = [f"{figures[kind][digit]:.4f}" for kind in ("precision", "recall", "f1")]
        assert table[str(digit)] == [*shown, str(sum(figures["confusion"][digit]))]
    assert [[int(cell) for cell in line.split()[1:]] for line in lines[-10:]] == figures["confusion"]


def test_a_class_that_is_never_predicted_has_figures_of_0(run_cli, small_set, tmp_path):
    network = random_network()
    network.parameters[:] = 0
    network.biases(1)[3] = 1
    save_model(tmp_path / "three.npz", network, {"class_names": list("0123456789")})
    run = run_cli("evaluate", "--model", "three.npz", small_set, "--json")
    assert run.code == 0
    shown = json.loads(run.stdout)
    assert [digit for digit in range(10) if shown["recall"][digit]] == [3]
    assert shown["precision"][5] == shown["recall"][5] == shown["f1"][5] == 0
    assert shown["loss"] == pytest.approx(np.log(np.e + 9) - shown["recall"][3] * shown["accuracy"], rel=1e-5)


def test_the_training_set_is_no_test_set(run_cli, small_set, small_model, tmp_path):
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


def test_outputs_that_are_no_numbers_are_an_error_not_a_result(run_cli, small_set, tmp_path):
    network = random_network()
    network.parameters[:] *= np.float32(1e37)
    save_model(tmp_path / "huge.npz", network, {"class_names": list("0123456789")})
    run = run_cli("evaluate", "--model", "huge.npz", small_set)
    assert (run.code, run.stdout, len(run.errors)) == (1, b"", 1)
    assert "outputs are no numbers" in run.errors[0]


def test_info_prints_the_metadata_as_json(run_cli, small_model):
    run = run_cli("info", small_model)
    assert run.code == 0
    metadata = json.loads(run.stdout)
    assert metadata["layer_sizes"] == [784, 8, 10]
    assert metadata["format_version"] == 1


def test_info_of_no_file_is_that_of_the_model_in_use(run_cli, small_model):
    named = run_cli("info", small_model)
    found = run_cli("info", env={"FASTMNIST_MODEL": str(small_model)})
    assert found.stdout == named.stdout
    assert "($FASTMNIST_MODEL)" in found.stderr
