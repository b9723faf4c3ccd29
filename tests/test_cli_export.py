"""`fastmnist export`: which model, which form, and what goes wrong."""

import os
import subprocess
import sys

import onnxruntime
import pytest
from conftest import HANGS_AFTER, cli_environment

from fastmnist.inputs.idx import write_images

SHIPPED = "shipped with fastmnist"


def input_shape(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).get_inputs()[0].shape


def test_a_model_is_exported_and_runs_elsewhere(run_cli, small_model, digits, tmp_path):
    run = run_cli("export", small_model, "-o", "m.onnx")
    assert (run.code, run.stdout) == (0, b"")
    assert run.stderr == f"model: {small_model}\nsaved m.onnx\n"
    write_images(tmp_path / "idx", digits[0][:50])
    rows = run_cli("predict", "idx", "--model", small_model, "--format", "kaggle").lines[1:]
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    labels, _ = session.run(None, {"pixels": digits[0][:50].reshape(-1, 784)})
    assert [f"{number},{label}" for number, label in enumerate(labels, 1)] == rows


def test_without_a_name_it_is_the_model_of_the_other_commands(run_cli, small_model, tmp_path):
    assert run_cli("export", "-o", "m.onnx").stderr == f"model: {SHIPPED}\nsaved m.onnx\n"
    shipped = (tmp_path / "m.onnx").read_bytes()
    run = run_cli("export", "-o", "m.onnx", env={"FASTMNIST_MODEL": str(small_model)})
    assert f"model: {small_model} ($FASTMNIST_MODEL)\n" in run.stderr
    assert (tmp_path / "m.onnx").read_bytes() != shipped
    run_cli("export", "shipped", "-q", "-o", "M.ONNX", env={"FASTMNIST_MODEL": str(small_model)})
    assert (tmp_path / "M.ONNX").read_bytes() == shipped


@pytest.mark.parametrize(("option", "shape"), [([], ["n", 784]), (["--input-shape", "n,1,28,28"], ["n", 1, 28, 28])])
def test_the_shape_of_the_input_can_be_chosen(option, shape, run_cli, small_model, tmp_path):
    assert run_cli("export", small_model, "-o", "m.onnx", *option).code == 0
    assert input_shape(tmp_path / "m.onnx") == shape


@pytest.mark.parametrize("output", ["m.pb", "m", ".onnx", "m.onnx/", "m\n.safetensors"])
def test_a_name_that_chooses_no_form_is_wrong_usage(output, run_cli, small_model, tmp_path):
    run = run_cli("export", small_model, "-o", output)
    assert (run.code, run.stdout) == (2, b"")
    assert "expected a name that ends in .onnx" in run.stderr
    assert os.listdir(tmp_path) == []


def test_wrong_usage(run_cli, small_model):
    for arguments in ([], ["-o", "m.onnx", "--input-shape", "784"], [small_model, small_model, "-o", "m.onnx"]):
        assert run_cli("export", *arguments).code == 2


def test_what_cannot_be_read_or_written_is_one_error_line(run_cli, small_model, tmp_path):
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "bad.safetensors").write_bytes(b"no model")
    for arguments, named in (
        (["missing.safetensors", "-o", "m.onnx"], "missing.safetensors: no such file"),
        (["bad.safetensors", "-o", "m.onnx"], "bad.safetensors: "),
        ([small_model, "-o", "nowhere/m.onnx"], "nowhere/m.onnx: "),
        ([small_model, "-o", "folder.onnx"], "folder.onnx: it is a folder"),
    ):
        run = run_cli("export", *arguments)
        assert (run.code, len(run.errors)) == (1, 1)
        assert run.errors[0].startswith(f"fastmnist: error: {named}")
    assert sorted(os.listdir(tmp_path)) == ["bad.safetensors", "folder.onnx"]


def test_a_full_disk_is_one_error_line(run_cli, small_model, tmp_path):
    (tmp_path / "full.onnx").symlink_to("/dev/full")
    run = run_cli("export", small_model, "-o", "full.onnx")
    assert (run.code, len(run.errors)) == (1, 1)
    assert run.errors[0].startswith("fastmnist: error: full.onnx: No space left on device")


def test_without_its_extra_it_says_how_to_get_it(small_model, tmp_path):
    script = "import sys; sys.modules['onnx'] = None; from fastmnist.cli.main import main; main()"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, "export", small_model, "-o", "m.onnx"],
        cwd=tmp_path, env=cli_environment(), capture_output=True, text=True, timeout=HANGS_AFTER,
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.splitlines()[1:] == [
        "fastmnist: error: m.onnx: an ONNX file, which needs the extra 'onnx': pip install 'fastmnist[onnx]'"
    ]
    assert os.listdir(tmp_path) == []
