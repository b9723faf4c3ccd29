"""The line that names the model: which, why that one, how good it is, and where the shipped one is better."""

import pytest
from conftest import random_network
from test_cli_predict import write_pngs

from fastmnist.datasets.dataset import open_dataset
from fastmnist.model.model_file import MNIST_SHA256, SHIPPED, Model, load_model, save_model
from fastmnist.training.loop import sha256_of

ADVICE = "; the shipped model reaches {:.2f} % on the same test set: --model shipped"


@pytest.fixture
def model_line(run_cli, digits, tmp_path):
    """The first line of `predict` with a model of this origin in the folder."""
    write_pngs(tmp_path / "images", digits[0][:1])

    def first_line(origin, *options):
        model = Model(random_network(), list("0123456789"), "auto", origin=origin)
        save_model(tmp_path / "model.safetensors", model)
        run = run_cli("predict", "images", *options)
        assert run.code == 0
        return run.stderr.splitlines()[0]

    return first_line


def test_mnist_is_known(mnist_dir):
    assert sha256_of(*open_dataset(mnist_dir).load("train")[:2]) == MNIST_SHA256


def test_it_says_where_the_shipped_model_is_better_and_how_to_get_it(model_line):
    advice = ADVICE.format(100 * load_model(SHIPPED).test_accuracy)
    worse = {"test_accuracy": 0.9914, "train_data_sha256": MNIST_SHA256}
    assert model_line(worse) == f"model: model.safetensors (in this folder), test accuracy 99.14 %{advice}"
    named = model_line(worse, "--model", "model.safetensors")
    assert named == f"model: model.safetensors (--model), test accuracy 99.14 %{advice}"


def test_a_better_model_and_one_of_another_test_set_are_only_told_how_good_they_are(model_line):
    for origin in (
        {"test_accuracy": 0.9999, "train_data_sha256": MNIST_SHA256},
        {"test_accuracy": 0.9999, "train_data_sha256": "0" * 64},
        {"test_accuracy": 0.9999},
    ):
        assert model_line(origin) == "model: model.safetensors (in this folder), test accuracy 99.99 %"


@pytest.mark.parametrize("share", [None, "\033[2J", 7.0, -0.5, True, [0.5], {}])
def test_what_is_no_accuracy_is_not_told(share, model_line):
    origin = {"test_accuracy": share, "train_data_sha256": MNIST_SHA256}
    assert model_line(origin) == "model: model.safetensors (in this folder)"


def test_the_shipped_model_says_how_good_it_is_and_no_more(model_line):
    accuracy = 100 * load_model(SHIPPED).test_accuracy
    line = model_line({"test_accuracy": 0.5}, "--model", "shipped")
    assert line == f"model: shipped with fastmnist, test accuracy {accuracy:.2f} %"
