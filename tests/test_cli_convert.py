"""`fastmnist convert`: a PyTorch network's weights become a model that the other commands use."""

import json
import os

import numpy as np
import pytest
from safetensors.numpy import save_file
from test_model_pytorch_file import state_dict, their_probabilities

from fastmnist.inputs.idx import write_images
from fastmnist.model.model_file import load_model

NORMALIZE = ["--mean", "0.1307", "--std", "0.3081"]


@pytest.fixture
def net(tmp_path):
    """The tensors of net.safetensors."""
    tensors = state_dict((784, 20, 20, 10), ["fc1", "fc2", "out"])
    save_file(tensors, tmp_path / "net.safetensors")
    return tensors


def test_the_model_predicts_what_the_network_says(run_cli, net, digits, tmp_path):
    run = run_cli("convert", "net.safetensors", "-o", "m.safetensors", *NORMALIZE)
    assert (run.code, run.stdout) == (0, b"")
    assert run.stderr == "layers fc1, fc2, out: 784-20-20-10\nsaved m.safetensors\n"
    write_images(tmp_path / "idx", digits[0][:50])
    run = run_cli("predict", "idx", "--model", "m.safetensors", "--format", "jsonl", "--probabilities")
    shown = [list(json.loads(line)["probabilities"].values()) for line in run.lines]
    expected = their_probabilities(net, ["fc1", "fc2", "out"], digits[0][:50].reshape(-1, 784), 0.1307, 0.3081)
    np.testing.assert_allclose(shown, expected, atol=1e-5)


def test_classes_may_have_names(run_cli, tmp_path):
    save_file(state_dict((784, 20, 3)), tmp_path / "net.safetensors")
    arguments = ["net.safetensors", "-o", "m.safetensors", "--mean", "0", "--std", "1"]
    assert run_cli("convert", *arguments, "--class-names", "a,b,c").code == 0
    assert load_model(tmp_path / "m.safetensors").class_names == ["a", "b", "c"]
    run = run_cli("convert", *arguments, "--class-names", "a,b")
    assert (run.code, len(run.errors)) == (1, 1)
    assert "net.safetensors: 3 outputs, expected one for each of 2 class names" in run.errors[0]


@pytest.mark.parametrize("given", [[], NORMALIZE[:2], NORMALIZE[2:]])
def test_the_normalisation_is_asked_for(given, run_cli, net, tmp_path):
    run = run_cli("convert", "net.safetensors", "-o", "m.safetensors", *given)
    assert run.code == 2
    assert "--mean and --std are required, expected the values given to transforms.Normalize" in run.stderr
    assert os.listdir(tmp_path) == ["net.safetensors"]


def test_what_cannot_be_converted_is_one_error_line_and_leaves_the_old_model(run_cli, net, tmp_path):
    (tmp_path / "m.safetensors").write_bytes(b"old")
    (tmp_path / "net.pt").write_bytes(b"PK\x03\x04" + b"net/data.pkl")
    save_file({**net, "conv1.weight": np.zeros((8, 1, 3, 3), np.float32)}, tmp_path / "conv.safetensors")
    for name, std, message in (
        ("missing.safetensors", "1", "missing.safetensors: no such file, expected PyTorch weights"),
        ("net.pt", "1", "net.pt: a pickle, as torch.save writes it"),
        ("conv.safetensors", "1", "conv.safetensors: conv1.weight (8, 1, 3, 3) is a convolution"),
        ("net.safetensors", "0", "mean 0.5 and std 0.0, expected finite numbers, std above 0"),
    ):
        run = run_cli("convert", name, "-o", "m.safetensors", "--mean", "0.5", "--std", std)
        assert (run.code, len(run.errors)) == (1, 1)
        assert run.errors[0].startswith(f"fastmnist: error: {message}")
    assert (tmp_path / "m.safetensors").read_bytes() == b"old"
    assert run_cli("convert", "net.safetensors", "-o", "nowhere/m", *NORMALIZE).code == 1
