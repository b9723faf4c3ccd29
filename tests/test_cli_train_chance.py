"""Training that learnt nothing says so, and images that can't be read are left out where that is asked for."""

import os

import cv2
import numpy as np
import pytest

from fastmnist.inputs.idx import write_images, write_labels
from fastmnist.model.model_file import load_model
from fastmnist.model.network import Network
from fastmnist.training.chance import why_no_better

AT_CHANCE = (
    "--learning-rate 4 --momentum 0.9",
    "--initial-scale 1 --learning-rate 3 --batch-size 10 --hidden 30",
    "--hidden 100,100,100,100,100,100,100,100",
)
SEED = ("--recipe", "seed", "--epochs", "2")


@pytest.mark.parametrize("settings", AT_CHANCE)
def test_training_that_learnt_nothing_is_one_line_and_a_model(settings, run_cli, small_set, tmp_path):
    run = run_cli("train", small_set, *SEED, *settings.split())
    assert run.code == 0, run.stderr
    told = [line for line in run.stderr.splitlines() if "learnt nothing" in line]
    assert len(told) == 1
    assert "of the training images right, and" in told[0]
    assert "try a smaller --learning-rate" in told[0]
    assert load_model(tmp_path / "model.safetensors")


def test_it_takes_no_other_models_place_unless_it_is_told_to(run_cli, small_set, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"hours of work")
    run = run_cli("train", small_set, *SEED, *AT_CHANCE[0].split())
    assert run.code == 1
    assert "learnt nothing" in run.stderr
    assert run.stderr.splitlines()[-2:] == [
        "fastmnist: error: model.safetensors: already holds a model, which is kept",
        "hint: name another file with --output to save this one",
    ]
    assert (tmp_path / "model.safetensors").read_bytes() == b"hours of work"
    run = run_cli("train", small_set, *SEED, *AT_CHANCE[0].split(), "-o", "model.safetensors")
    assert run.code == 0
    assert load_model(tmp_path / "model.safetensors")


def test_training_that_learnt_says_nothing(run_cli, small_set):
    run = run_cli("train", small_set, "--epochs", "3")
    assert run.code == 0
    assert "learnt nothing" not in run.stderr


def test_one_class_is_nothing_to_learn(run_cli, digits, tmp_path):
    write_images(tmp_path / "train-images-idx3-ubyte", digits[0][:50])
    write_labels(tmp_path / "train-labels-idx1-ubyte", np.full(50, 3, np.uint8))
    run = run_cli("train", ".", *SEED)
    assert run.code == 0
    assert "the network has learnt nothing: all training images are of class 3; check the labels" in run.stderr


class Says(Network):
    """A network that gives the labels it is told, whatever it sees."""

    def __init__(self, labels):
        super().__init__((784, 1, 10))
        self.labels = labels

    def predict(self, inputs):
        assert inputs.shape == (len(self.labels), 784)
        return self.labels, np.ones(len(self.labels), np.float32)


def complaint(predicted, labels, **how):
    labels = np.array(labels, np.uint8)
    return why_no_better(
        Says(np.array(predicted, np.uint8)), np.zeros((len(labels), 784), np.uint8), labels, "0123456789", **how
    )


def test_chance_is_the_commonest_class_within_its_noise():
    labels = np.repeat(np.arange(10), 100)  # chance: 10 %, 0.95 % standard deviation
    wrong = (labels + 1) % 10
    for n_right, is_chance in ((0, True), (128, True), (129, False), (1000, False)):
        predicted = np.where(np.arange(1000) < n_right, labels, wrong)
        assert (complaint(predicted, labels) is not None) == is_chance
    uneven = np.array([0] * 900 + [1] * 100)
    assert "90.0 % of the training images right, and 90.0 % of them are of one class" in complaint(uneven * 0, uneven)
    assert complaint(uneven, uneven) is None
    assert complaint([1], [1]) is not None
    assert complaint([0, 1], [0, 1]) is None  # few images are enough if they are right
    few = np.array([7] * 17 + [1] * 2 + [4])
    assert complaint(few, few) is None
    assert complaint(np.where(few == 4, 7, few), few) is None
    assert complaint([7] * 19 + [4], few) is not None
    one_more = [7] * 17 + [1] + [7] * 2
    assert complaint(one_more, few) is not None
    assert complaint(one_more, few, has_start=True) is None


@pytest.fixture
def folders(tmp_path, digits):
    """Class folders with a file that is no picture."""
    for i in range(20):
        folder = tmp_path / "own" / str(digits[1][i] % 2)
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(os.fspath(folder / f"{i}.png"), digits[0][i])
    (tmp_path / "own" / "0" / "bad.png").write_bytes(b"no picture")
    return tmp_path / "own"


def test_unreadable_images_are_left_out_named_and_counted(folders, run_cli, tmp_path):
    run = run_cli("train", "own", "--epochs", "2")
    assert run.code == 1
    assert "1 of 21 images of the training set can't be read" in run.stderr
    assert "hint: replace or remove them, or leave them out with --skip-unreadable" in run.stderr.splitlines()
    run = run_cli("train", "own", "--epochs", "2", "--skip-unreadable", "-o", "some.safetensors")
    assert run.code == 0, run.stderr
    assert "own/0/bad.png: no picture that can be read" in run.stderr
    assert "own: 1 of 21 images of the training set can't be read and are left out" in run.stderr
    (folders / "0" / "bad.png").unlink()
    assert run_cli("train", "own", "--epochs", "2", "-o", "all.safetensors").code == 0
    some, every = (load_model(tmp_path / f"{name}.safetensors").network.parameters for name in ("some", "all"))
    assert some.tobytes() == every.tobytes()
