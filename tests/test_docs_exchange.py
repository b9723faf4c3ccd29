"""The code of docs/onnx.md and docs/pytorch.md runs as it stands."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from conftest import ROOT, cli_environment
from safetensors.numpy import save_file
from test_model_pytorch_file import state_dict

import fastmnist

HAS_PYTORCH = importlib.util.find_spec("torch") is not None


def blocks(page, language):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found
    return found


def run_all(command, code, folder):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run([*command, code], cwd=folder, env=cli_environment(PATH=path), capture_output=True, text=True)
    assert run.returncode == 0, f"{code}\n{run.stderr}"


def run_python(code, folder):
    """Run a block; what it says that an expression is has to be that."""
    shown = re.sub(r"^(\S.*?)  # (\[.*\])$", r"assert repr(\1) == repr(\2)", code, flags=re.MULTILINE)
    assert shown.count("assert") == code.count("  # [")
    run_all([sys.executable, "-W", "error", "-c"], shown, folder)


def test_onnx(small_model, tmp_path):
    (tmp_path / "mine.safetensors").write_bytes(small_model.read_bytes())
    (tmp_path / "photo.jpg").write_bytes((ROOT / "tests" / "seven.png").read_bytes())
    for code in blocks("onnx.md", "sh"):
        run_all(["sh", "-ec"], code, tmp_path)
    running, exporting = blocks("onnx.md", "python")
    assert "# ['7']" in running
    run_python(running, tmp_path)
    run_python(exporting, tmp_path)
    for name in ("model.onnx", "mine.onnx"):
        session = onnxruntime.InferenceSession(tmp_path / name, providers=["CPUExecutionProvider"])
        assert session.get_inputs()[0].shape == ["n", 1, 28, 28]


def test_converting(mnist_dir, tmp_path):
    (tmp_path / "data").symlink_to(mnist_dir)
    save_file(state_dict(), tmp_path / "net.safetensors")
    for code in blocks("pytorch.md", "sh"):
        run_all(["sh", "-ec"], code, tmp_path)
    by_the_command = (tmp_path / "mine.safetensors").read_bytes()
    (from_python,) = (code for code in blocks("pytorch.md", "python") if "torch" not in code)
    run_python(from_python, tmp_path)
    assert (tmp_path / "mine.safetensors").read_bytes() == by_the_command


@pytest.mark.skipif(not HAS_PYTORCH, reason="no PyTorch here")
def test_saving_in_pytorch(tmp_path):
    saving, converting = (code for code in blocks("pytorch.md", "python") if "torch" in code)
    made = (
        "from torch import nn\nnetwork = nn.Sequential(nn.Linear(784, 9), nn.ReLU(), nn.Linear(9, 10))\nimport torch\n"
    )
    run_python(made + saving + "torch.save(network.state_dict(), 'net.pt')", tmp_path)
    saved = fastmnist.convert(tmp_path / "net.safetensors", mean=0, std=1)
    (tmp_path / "net.safetensors").unlink()
    run_python(converting, tmp_path)
    converted = fastmnist.convert(tmp_path / "net.safetensors", mean=0, std=1)
    np.testing.assert_array_equal(converted.trained.parameters, saved.trained.parameters)
