"""`fastmnist train`: the seed recipe's accuracy, equal bytes for equal runs, and a model file that is safe."""

import csv
import hashlib
import os
import pty
import re
import shutil
import signal
import subprocess

import numpy as np
import pytest
from conftest import cli_command, cli_environment

from fastmnist.datasets.dataset import open_dataset
from fastmnist.inputs.idx import write_images, write_labels
from fastmnist.model.calibration import fit_temperature
from fastmnist.model.model_file import load_model

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_seed_accuracy(seed_training):
    model = load_model(seed_training.model)
    assert model.metadata["test_accuracy"] >= 0.97
    assert f"test accuracy {100 * model.metadata['test_accuracy']:.2f} % on 10,000 images" in seed_training.run.stderr


def test_what_the_seed_training_tells(seed_training):
    lines = seed_training.run.stderr.splitlines()
    assert lines[0] == "training 784-100-10 on 60,000 images, recipe seed"
    epochs = [line for line in lines if line.startswith("epoch ")]
    figures = r"training loss \d\.\d{4}, accuracy \d\d\.\d\d %  \d+\.\d\d s  [\d,]+ images/s"
    assert all(re.fullmatch(rf"epoch {number}/10  {figures}", line) for number, line in enumerate(epochs, 1))
    assert len(epochs) == 10
    assert lines[-1] == "saved model.safetensors"
    assert seed_training.run.stdout == b""


@pytest.mark.parametrize(("options", "is_told"), [([], True), (["--augment", "none"], False)])
def test_figures_of_distorted_images_are_called_so(options, is_told, run_cli, small_set):
    run = run_cli("train", small_set, "--epochs", "1", "--validation", "100", *options)
    told = "training loss and accuracy are for distorted images, validation and test for the originals"
    assert (told in run.stderr.splitlines()) == is_told
    figures = r"loss \d\.\d{4}, accuracy \d+\.\d\d %"
    assert re.search(rf"^epoch 1/1  training {figures}  validation {figures}  ", run.stderr, re.MULTILINE)


def test_the_history_has_a_row_per_epoch(seed_training):
    with open(seed_training.history, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ["epoch", "seconds", "learning_rate", "train_loss", "train_accuracy"]
    assert list(rows[0]) == [*names, "validation_loss", "validation_accuracy"]
    assert {(row["learning_rate"], row["validation_loss"], row["validation_accuracy"]) for row in rows} == {
        ("0.100000", "", "")
    }
    assert [int(row["epoch"]) for row in rows] == list(range(1, 11))
    assert all(float(row["seconds"]) > 0 for row in rows)
    losses = [float(row["train_loss"]) for row in rows]
    assert losses == sorted(losses, reverse=True)
    metadata = load_model(seed_training.model).metadata
    assert f"{metadata['train_loss']:.6f}" == rows[-1]["train_loss"]
    assert f"{metadata['train_accuracy']:.6f}" == rows[-1]["train_accuracy"]
    stored = ("epoch", "train_loss", "train_accuracy")
    assert metadata["history"] == {name: [float(row[name]) for row in rows] for name in stored}


def test_the_metadata_says_how_the_model_was_made_and_nothing_of_when_and_where(seed_training):
    metadata = load_model(seed_training.model).metadata
    assert metadata["layer_sizes"] == [784, 100, 10]
    assert metadata["class_names"] == list("0123456789")
    assert metadata["recipe"]["name"] == "seed"
    assert metadata["recipe"]["epochs"] == 10
    assert set(metadata) == {
        "checksum",
        "class_names",
        "fastmnist_version",
        "format_version",
        "history",
        "layer_sizes",
        "preprocess",
        "recipe",
        "test_accuracy",
        "train_accuracy",
        "train_data_sha256",
        "train_loss",
    }


EVERYTHING = (
    "--hidden 60,30 --schedule cosine --warmup 0.5 --momentum 0.9 --nesterov --label-smoothing 0.1 "
    "--average 0.5 --initial-scale he --shuffle --validation 100 "
    "--augment rotation=10,scale=0.1,shear=0.1,translation=1,elastic=1,thickness=0.2"
)


@pytest.mark.parametrize(
    "settings", ["--recipe seed", "--recipe seed --hidden 300,100 --batch-size 48 --seed 7", EVERYTHING]
)
def test_any_number_of_threads_gives_the_same_file(settings, run_cli, small_set, tmp_path):
    sums = set()
    for threads in ("1", "2", "4", "2"):
        run = run_cli(
            "train", small_set, "--epochs", "3", *settings.split(), "--threads", threads, "-o", "model.safetensors"
        )
        assert run.code == 0
        sums.add(sha256(tmp_path / "model.safetensors"))
    assert len(sums) == 1


def test_another_seed_gives_another_file(run_cli, small_set, tmp_path):
    for seed in ("0", "1"):
        assert run_cli("train", small_set, "--epochs", "1", "--seed", seed, "--output", f"{seed}.safetensors").code == 0
    assert not np.array_equal(*(load_model(tmp_path / f"{seed}.safetensors").trained.parameters for seed in "01"))


def test_settings_reach_the_model(run_cli, small_set, tmp_path):
    options = "--hidden 20,30 --epochs 2 --batch-size 7 --learning-rate 0.05 --weight-decay 0 --seed 3 -o m.safetensors"
    assert run_cli("train", small_set, *options.split()).code == 0
    metadata = load_model(tmp_path / "m.safetensors").metadata
    assert metadata["layer_sizes"] == [784, 20, 30, 10]
    expected = {"hidden": [20, 30], "epochs": 2, "batch_size": 7, "learning_rate": 0.05, "weight_decay": 0, "seed": 3}
    assert {name: metadata["recipe"][name] for name in expected} == expected
    assert sorted(os.listdir(tmp_path)) == ["m.safetensors"]


def test_float16_weights_are_those_that_are_tested_calibrated_and_stored(run_cli, small_set, tmp_path):
    options = ["--epochs", "2", "--validation", "100"]
    run = run_cli("train", small_set, *options, "--float16")
    assert run.code == 0
    model, parameters = (
        load_model(tmp_path / "model.safetensors"),
        load_model(tmp_path / "model.safetensors").trained.parameters,
    )
    np.testing.assert_array_equal(parameters, parameters.astype(np.float16))
    pixels, labels = open_dataset(small_set).load("test")[:2]
    assert model.metadata["stored_as"] == "float16"
    assert model.metadata["test_accuracy"] == (model.network.predict(pixels)[0] == labels).mean()
    pixels, labels = (array[-100:] for array in open_dataset(small_set).load("train")[:2])
    assert model.metadata["validation_accuracy"] == (model.network.predict(pixels)[0] == labels).mean()
    assert model.metadata["temperature"] == fit_temperature(model.trained.logits(pixels), labels)
    assert run_cli("train", small_set, *options, "--output", "32.safetensors").code == 0
    whole = load_model(tmp_path / "32.safetensors")
    assert "stored_as" not in whole.metadata
    np.testing.assert_array_equal(whole.trained.parameters.astype(np.float16), parameters)


def test_a_folder_without_a_test_set_is_enough(run_cli, small_set, tmp_path):
    for name in (TRAIN_IMAGES, TRAIN_LABELS):
        shutil.copy(small_set / name, tmp_path)
    run = run_cli("train", ".", "--epochs", "1")
    assert run.code == 0
    assert "test accuracy" not in run.stderr
    assert load_model(tmp_path / "model.safetensors").metadata["test_accuracy"] is None


def cut(folder, name):
    os.truncate(folder / name, os.path.getsize(folder / name) - 1)


def append(folder, name):
    with open(folder / name, "ab") as file:
        file.write(b"\0")


def wrong_magic(folder, name):
    with open(folder / name, "r+b") as file:
        file.write(b"\0\0\x0d")


# What is done to a data set, and what the one error line has to say.
BAD_SETS = {
    "a truncated file": (lambda folder: cut(folder, TRAIN_IMAGES), "784015 bytes, expected exactly 784016"),
    "trailing bytes": (lambda folder: append(folder, TRAIN_IMAGES), "784017 bytes, expected exactly 784016"),
    "a wrong magic": (lambda folder: wrong_magic(folder, TRAIN_IMAGES), "32-bit float, magic 00000d03"),
    "a wrong size": (
        lambda folder: write_images(folder / TRAIN_IMAGES, np.zeros((1000, 14, 56), np.uint8)),
        "images of 14 x 56 pixels, expected 28 x 28",
    ),
    "fewer labels than images": (
        lambda folder: write_labels(folder / TRAIN_LABELS, np.zeros(999, np.uint8)),
        "1000 images, but DATA/train-labels-idx1-ubyte has 999 labels, expected the same number",
    ),
    "a label 10": (
        lambda folder: write_labels(folder / TRAIN_LABELS, np.full(1000, 10, np.uint8)),
        "label 10 at index 0, expected 0 to 9",
    ),
    "no images": (
        lambda folder: (
            write_images(folder / TRAIN_IMAGES, np.zeros((0, 28, 28), np.uint8)),
            write_labels(folder / TRAIN_LABELS, np.zeros(0, np.uint8)),
        ),
        "no images, expected at least one",
    ),
    "no labels file": (lambda folder: (folder / TRAIN_LABELS).unlink(), "no train-labels-idx1-ubyte; found"),
    "a bad test set": (
        lambda folder: write_labels(folder / TEST_LABELS, np.full(200, 11, np.uint8)),
        "t10k-labels-idx1-ubyte: label 11 at index 0, expected 0 to 9",
    ),
}


@pytest.mark.parametrize("fault", BAD_SETS)
def test_a_bad_data_set_is_one_error_line_and_the_old_model_stays(fault, run_cli, small_set, tmp_path):
    spoil, told = BAD_SETS[fault]
    data = tmp_path / "data"
    shutil.copytree(small_set, data)
    spoil(data)
    (tmp_path / "model.safetensors").write_bytes(b"old")
    run = run_cli("train", "data", "--history", "history.csv")
    assert run.code == 1
    assert run.stdout == b""
    assert len(run.errors) == 1
    assert all(line.startswith("hint: ") for line in run.stderr.splitlines()[1:])
    assert told.replace("DATA", "data") in run.stderr
    assert (tmp_path / "model.safetensors").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["data", "model.safetensors"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--output", "none/model.safetensors"], "none/model.safetensors: cannot be written"),
        (["--output", "."], "it is a folder"),
        (["--history", "none/history.csv"], "none/history.csv: No such file or directory"),
        (["--hidden", "100000,100000"], "expected at most"),
        (["--hidden", ",".join(["2"] * 30)], "31 layers, expected at most 19"),
    ],
)
def test_what_cannot_work_is_reported_before_any_training(options, told, run_cli, small_set, tmp_path):
    run = run_cli("train", small_set, *options)
    assert run.code == 1
    assert len(run.errors) == 1
    assert told in run.errors[0]
    assert "epoch" not in run.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--learning-rate", "nan", "nan: expected a number above 0"),
        ("--learning-rate", "0", "0: expected a number above 0"),
        ("--weight-decay", "-1", "-1: expected a number of at least 0"),
        ("--momentum", "1", "1: expected a number from 0 to below 1"),
        ("--epochs", "0", "0: expected a number of at least 1"),
        ("--batch-size", "65537", "65537: expected a number from 1 to 65536"),
        ("--hidden", "300,0", "300,0: expected a number from 1 to 100000"),
        ("--hidden", "300;100", "'300;100': expected sizes separated by commas"),
        ("--initial-scale", "she", "'she': expected a number or 'he'"),
        ("--schedule", "linear", "'linear' is not one of"),
        ("--augment", "rotation=181", "rotation 181: expected a number from 0 to 180"),
        ("--augment", "twist=1", "'twist': expected one of rotation, scale"),
        ("--class-names", "a", "1 names: expected 2 to 256"),
    ],
)
def test_a_setting_out_of_its_range_is_wrong_usage(option, value, told, run_cli, small_set, tmp_path):
    run = run_cli("train", small_set, option, value)
    assert run.code == 2
    assert f"Invalid value for '{option}': {told}" in run.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("--learning-rate 1e30 --batch-size 32", "the loss in epoch 1 overflowed"),
        ("--learning-rate 1e38 --batch-size 1000", "the loss in epoch 2 overflowed"),
        # One step only: no later loss shows what it did.
        ("--learning-rate 1e38 --batch-size 1000 --epochs 1", "the model's outputs are not finite"),
        ("--learning-rate 1e38 --batch-size 1000 --epochs 1 --weight-decay 1e30", "the weights in epoch 1 overflowed"),
    ],
)
def test_numbers_out_of_range_stop_training_and_keep_the_old_model(settings, told, run_cli, small_set, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"old")
    run = run_cli("train", small_set, "--recipe", "seed", *settings.split())
    assert run.code == 1
    assert len(run.errors) == 1
    assert told in run.errors[0]
    assert "nan" not in run.stderr.lower()
    assert (tmp_path / "model.safetensors").read_bytes() == b"old"


def test_a_save_that_fails_keeps_the_old_model(run_cli, small_set, tmp_path):
    limited = "ulimit -f 8; trap '' XFSZ; exec \"$@\""  # files of 8 blocks at most: a disk that is full
    (tmp_path / "model.safetensors").write_bytes(b"old")
    # The cache for compiled kernels is filled first: the limit is for the model.
    assert run_cli("train", small_set, "--epochs", "1", "--output", "other.safetensors").code == 0
    run = subprocess.run(
        ["bash", "-c", limited, "bash", *cli_command("train", small_set, "--epochs", "1")],
        cwd=tmp_path,
        env=cli_environment(),
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("fastmnist: error: model.safetensors: File too large")
    assert (tmp_path / "model.safetensors").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["model.safetensors", "other.safetensors"]


def read_until(process, beginning):
    """Read stderr up to a line that begins so."""
    for line in process.stderr:
        if line.startswith(beginning):
            return
    raise AssertionError(f"no line began with {beginning}")


def test_a_kill_during_training_leaves_the_old_model(start_cli, small_set, small_model, tmp_path):
    shutil.copy(small_model, tmp_path / "model.safetensors")
    process = start_cli("train", small_set, "--epochs", "1000000")
    read_until(process, b"epoch 3/")
    process.kill()
    process.wait()
    assert sha256(tmp_path / "model.safetensors") == sha256(small_model)
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_a_kill_about_the_time_of_saving_leaves_the_old_model_or_the_new_one(
    run_cli, start_cli, small_set, small_model, tmp_path
):
    assert run_cli("train", small_set, "--epochs", "1", "--output", "new.safetensors").code == 0
    whole = {sha256(small_model), sha256(tmp_path / "new.safetensors")}
    for _ in range(5):
        shutil.copy(small_model, tmp_path / "model.safetensors")
        process = start_cli("train", small_set, "--epochs", "1")
        read_until(process, b"test accuracy")
        process.kill()
        process.wait()
        assert sha256(tmp_path / "model.safetensors") in whole
        load_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_training_and_leaves_the_old_model(sent, code, start_cli, small_set, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"old")
    process = start_cli("train", small_set, "--epochs", "1000000", "--history", "history.csv")
    read_until(process, b"epoch 3/")
    process.send_signal(sent)
    stdout, stderr = process.communicate()
    assert process.returncode == code
    assert stdout == b""
    assert stderr.decode().splitlines()[-1] == f"fastmnist: stopped by {sent.name}"
    assert (tmp_path / "model.safetensors").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["history.csv", "model.safetensors"]
    assert len((tmp_path / "history.csv").read_text().splitlines()) >= 4


def test_the_progress_bar_is_on_stderr_and_only_on_a_terminal(small_set, run_cli, tmp_path):
    reader, terminal = pty.openpty()
    process = subprocess.Popen(
        cli_command("train", small_set, "--epochs", "2"),
        cwd=tmp_path,
        env=cli_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    try:
        while chunk := os.read(reader, 65536):
            shown += chunk
    except OSError:  # a terminal that nobody holds open any longer
        pass
    os.close(reader)
    assert process.communicate()[0] == b""
    assert process.returncode == 0
    assert b"training: 100%|" in shown
    assert b"| 2.00k/2.00k [" in shown
    assert b"epoch 2/2  training loss" in shown
    assert "training:" not in run_cli("train", small_set, "--epochs", "2").stderr
