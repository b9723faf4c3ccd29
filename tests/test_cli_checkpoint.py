"""Long runs of `fastmnist train`: stopped anyhow and resumed, they end in the same file."""

import csv
import json
import os
import signal

import cv2
import pytest
from test_cli_train import EVERYTHING, read_until, sha256

from fastmnist.datasets.dataset import open_dataset
from fastmnist.inputs.idx import read_images
from fastmnist.model.calibration import fit_temperature
from fastmnist.model.model_file import load_model
from fastmnist.training.recipes import RECIPES

SETTINGS = (*EVERYTHING.split(), "--epochs", "120")
CHECKPOINT = ("--checkpoint", "c.safetensors", "--history", "h.csv")


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return [{name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def test_a_run_stopped_in_any_way_and_resumed_gives_the_bytes_of_an_uninterrupted_one(
    run_cli, start_cli, small_set, tmp_path
):
    assert run_cli("train", small_set, *SETTINGS, "--output", "whole.safetensors", "--history", "whole.csv").code == 0
    arguments, resume = ("train", small_set, *SETTINGS, *CHECKPOINT), ()
    for sent, epoch in ((signal.SIGKILL, 4), (signal.SIGINT, 9), (signal.SIGTERM, 17), (signal.SIGKILL, 23)):
        process = start_cli(*arguments, *resume)
        read_until(process, b"epoch %d/" % epoch)
        process.send_signal(sent)
        process.communicate()
        assert process.returncode in (-signal.SIGKILL, 130, 143)
        resume = ("--resume",)
    assert [name for name in os.listdir(tmp_path) if name.endswith(".part")] == []
    run = run_cli(*arguments, *resume)
    assert run.code == 0
    assert "resuming after epoch " in run.stderr
    assert sha256(tmp_path / "model.safetensors") == sha256(tmp_path / "whole.safetensors")
    assert rows_of(tmp_path / "h.csv") == rows_of(tmp_path / "whole.csv")
    os.unlink(tmp_path / "model.safetensors")
    again = run_cli(*arguments, "--resume")
    assert again.code == 0
    assert "epoch 120/" not in again.stderr
    assert sha256(tmp_path / "model.safetensors") == sha256(tmp_path / "whole.safetensors")


def test_a_checkpoint_is_not_overwritten_unless_resumed(run_cli, small_set, tmp_path):
    short = ("train", small_set, "--epochs", "2", "--checkpoint", "c.safetensors")
    assert run_cli(*short).code == 0
    before = sha256(tmp_path / "c.safetensors")
    refused = run_cli(*short)
    assert (refused.code, len(refused.errors)) == (1, 1)
    assert "hint: add --resume to continue, or remove it" in refused.stderr.splitlines()
    other = run_cli(*short, "--resume", "--seed", "5")
    assert (other.code, len(other.errors)) == (1, 1)
    assert "c.safetensors: made with seed 0, expected seed 5" in other.errors[0]
    assert sha256(tmp_path / "c.safetensors") == before


def test_resume_is_right_the_first_time_too(run_cli, small_set, tmp_path):
    arguments = ("train", small_set, "--epochs", "2", "--checkpoint", "c.safetensors")
    first = run_cli(*arguments, "--resume", "-o", "first.safetensors")
    assert (first.code, first.errors) == (0, [])
    assert "c.safetensors: no checkpoint yet, starting from the first epoch" in first.stderr.splitlines()
    os.unlink(tmp_path / "c.safetensors")
    assert run_cli(*arguments, "-o", "plain.safetensors").code == 0
    assert sha256(tmp_path / "first.safetensors") == sha256(tmp_path / "plain.safetensors")


def test_resume_alone_is_wrong_usage(run_cli, small_set):
    run = run_cli("train", small_set, "--resume")
    assert run.code == 2
    assert "--resume needs --checkpoint" in run.stderr


def test_a_checkpoint_that_cannot_be_written_is_reported_before_training(run_cli, small_set):
    run = run_cli("train", small_set, "--checkpoint", "none/c.safetensors")
    assert (run.code, len(run.errors)) == (1, 1)
    assert "none/c.safetensors: cannot be written" in run.errors[0]
    assert "epoch" not in run.stderr


def test_all_settings_are_in_the_model_and_the_history(run_cli, small_set, tmp_path):
    run = run_cli("train", small_set, *EVERYTHING.split(), "--epochs", "3", "--history", "h.csv")
    assert run.code == 0
    recipe = json.loads(run_cli("info", "model.safetensors").stdout)["recipe"]
    expected = {
        "hidden": [60, 30], "epochs": 3, "schedule": "cosine", "warmup": 0.5, "momentum": 0.9, "nesterov": True,
        "label_smoothing": 0.1, "average": 0.5, "initial_scale": "he", "shuffle": True,
        "validation": 100,
    }  # fmt: skip
    assert {name: recipe[name] for name in expected} == expected
    strengths = {"rotation": 10, "scale": 0.1, "shear": 0.1, "translation": 1, "elastic": 1, "thickness": 0.2}
    assert recipe["augment"] | strengths == recipe["augment"]
    last = rows_of(tmp_path / "h.csv")[-1]
    loss, accuracy = float(last["validation_loss"]), 100 * float(last["validation_accuracy"])
    assert f"validation loss {loss:.4f}, accuracy {accuracy:.2f} %" in run.stderr
    model = load_model(tmp_path / "model.safetensors")
    assert model.metadata["validation_accuracy"] == float(last["validation_accuracy"])
    assert model.metadata["history"]["validation_loss"][-1] == float(last["validation_loss"])
    held_out = open_dataset(small_set).load("train")[:2]
    logits = model.trained.logits(held_out[0][900:])
    assert model.metadata["temperature"] == fit_temperature(logits, held_out[1][900:])
    assert "training 784-60-30-10 on 900 images" in run.stderr


def test_augmentation_can_be_changed_in_parts_and_switched_off(run_cli, small_set, tmp_path):
    for option, expected in (("none", None), ("rotation=3", 3)):
        assert run_cli("train", small_set, "--epochs", "1", "--augment", option).code == 0
        augment = load_model(tmp_path / "model.safetensors").metadata["recipe"].get("augment")
        assert (augment and augment["rotation"]) == expected
    assert len(augment) > 1


@pytest.mark.parametrize(
    ("option", "told"),
    [("rotation", "expected NAME=NUMBER"), ("spin=3", "expected one of rotation"), ("scale=x", "expected NAME=NUMBER")],
)
def test_augmentation_that_is_not_understood_is_wrong_usage(option, told, run_cli, small_set):
    run = run_cli("train", small_set, "--augment", option)
    assert run.code == 2
    assert told in run.stderr


def test_the_sheet_shows_images_and_copies_and_nothing_is_trained(run_cli, small_set, tmp_path):
    run = run_cli("train", small_set, "--show-augmented", "sheet.png", "--augment", "rotation=20")
    assert run.code == 0
    assert os.listdir(tmp_path) == ["sheet.png"]
    picture = cv2.imread(str(tmp_path / "sheet.png"), cv2.IMREAD_UNCHANGED)
    images = read_images(small_set / "train-images-idx3-ubyte")
    assert (picture[:28, :28] == images[0]).all()
    assert (picture[29:57, :28] == images[1]).all()
    assert (picture[:28, 29:57] != images[0]).any()


def test_help_tells_the_network_of_each_recipe(run_cli):
    lines = run_cli("train", "--help").stdout.decode().splitlines()
    told = dict(line.split()[:2] for line in lines[: lines.index("Data:")] if line.startswith("    "))
    expected = {
        name: "-".join(map(str, (784, *recipe.hidden, 10))) for name, recipe in RECIPES.items() if not recipe.keep
    }
    expected["tune"] = "same"  # of the model it begins with
    assert {name: told[name] for name in expected} == expected
