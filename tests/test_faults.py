"""The n-th write, fsync, rename or read fails, for n = 1, 2, ... until the command gets through.

Each time: nothing is lost that was reported done, no file is half-written under its final name, and a second run, on
a machine that is well again, ends as if nothing had happened.
"""

import os
import re

import numpy as np
import pytest
from faults import Fault, each_fault, install, run_in_process
from test_cli_predict import write_pngs
from test_cli_predict_output import write_table

from fastmnist.inputs.idx import write_images
from fastmnist.model.model_file import load_model

loops = pytest.mark.parametrize(("kind", "stays"), each_fault())


@pytest.fixture
def run(monkeypatch, capfd, tmp_path, small_model):
    """Run `fastmnist ARGUMENTS` in this process and in tmp_path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTMNIST_MODEL", str(small_model))

    def run_it(*arguments, fault=None):
        code, _, told = run_in_process(monkeypatch, capfd, *arguments, fault=fault)
        errors = [line for line in told if line.startswith("fastmnist: error: ")]
        assert all(line.isprintable() for line in told)
        return code, errors, told

    return run_it


def faults(kind, stays):
    """Yield faults until one has nothing left to break; there must be some."""
    n = 0
    while True:
        n += 1
        assert n < 200, "no end of faults"
        fault = Fault(kind, n, stays=stays)
        yield fault
        if not fault.came:
            assert n > 1, f"no {kind} at all: the loop tests nothing"
            return


@loops
def test_train(kind, stays, run, small_set, tmp_path):
    arguments = [
        "train",
        small_set,
        "--epochs",
        "1",
        "--hidden",
        "4",
        "--output",
        "new.safetensors",
        "--history",
        "h.csv",
    ]
    assert run(*arguments)[0] == 0
    expected = (tmp_path / "new.safetensors").read_bytes()
    for fault in faults(kind, stays):
        (tmp_path / "new.safetensors").write_bytes(b"old")
        code, errors, told = run(*arguments, fault=fault)
        reported = any(line.startswith("saved ") for line in told)
        content = (tmp_path / "new.safetensors").read_bytes()
        assert content == expected if code == 0 or reported else content in (b"old", expected)
        assert (code, len(errors)) == ((1, 1) if code else (0, 0)), told
        assert sorted(os.listdir(tmp_path)) == ["h.csv", "new.safetensors"]
        assert run(*arguments)[0] == 0
        assert (tmp_path / "new.safetensors").read_bytes() == expected
    load_model(tmp_path / "new.safetensors")


@loops
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_predict_to_a_file(form, kind, stays, run, digits, tmp_path):
    write_images("idx", digits[0][:5000])
    write_images("zipped.gz", digits[0][:20])
    write_pngs(tmp_path / "images", digits[0][:6])
    write_table(tmp_path / "table.csv", digits[0][:4])
    arguments = ["predict", "idx", "zipped.gz", "images", "table.csv", "--format", form, "-o", "out"]
    assert run(*arguments)[0] == 0
    expected = (tmp_path / "out").read_bytes()
    inputs = sorted([*os.listdir(tmp_path)])
    for fault in faults(kind, stays):
        (tmp_path / "out").write_bytes(b"old")
        code, errors, told = run(*arguments, fault=fault)
        content = (tmp_path / "out").read_bytes()
        if kind == "read":  # an input can't be read: its rows are kept, without labels, and all others are right
            assert (content == expected) == (code == 0)
            assert_rows_right_or_empty(content, expected, errors)
        else:
            assert content == (expected if code == 0 else b"old")
            assert (code, len(errors)) == ((1, 1) if code else (0, 0)), told
        left = set(os.listdir(tmp_path)) - set(inputs)
        assert left in (set(), {"out.part", "out.part.json"})
        assert ("out.part" in left) == any("out.part keeps the rows so far" in line for line in told)
        assert run(*arguments, "--resume")[0] == 0
        assert (tmp_path / "out").read_bytes() == expected
        assert sorted(os.listdir(tmp_path)) == inputs


def assert_rows_right_or_empty(content, expected, errors):
    """Rows without a label, as many as errors; the others are as expected."""
    empty = re.compile(rb'.*(,,|"label": null, "confidence": null, "error": ".+"})\n')
    rows, right = content.splitlines(keepends=True), set(expected.splitlines(keepends=True))
    n_empty = sum(empty.fullmatch(row) is not None for row in rows)
    assert n_empty == len(errors)
    assert all(row in right or empty.fullmatch(row) for row in rows)


@loops
def test_resume(kind, stays, run, digits, tmp_path):
    """A fault while an interrupted run is gone on with."""
    write_images("idx", digits[0][:9000])
    arguments = ["predict", "idx", "-o", "out"]
    assert run(*arguments)[0] == 0
    expected = (tmp_path / "out").read_bytes()
    half = expected[: len(expected) // 2]
    os.unlink("out")
    code, _, _ = run(*arguments, fault=Fault("write", 4, stays=True))
    assert code == 1
    about = (tmp_path / "out.part.json").read_bytes()
    for fault in faults(kind, stays):
        (tmp_path / "out.part").write_bytes(half)
        (tmp_path / "out.part.json").write_bytes(about)
        code, errors, told = run(*arguments, "--resume", fault=fault)
        if (tmp_path / "out").exists():
            assert kind == "read" or (tmp_path / "out").read_bytes() == expected
            assert (code == 0) == ((tmp_path / "out").read_bytes() == expected)
        else:
            assert code == 1
        assert (code, len(errors)) == ((1, 1) if code else (0, 0)), told
        code, errors, told = run(*arguments, "--resume")
        assert code == 0, told
        assert (tmp_path / "out").read_bytes() == expected
        assert sorted(os.listdir(tmp_path)) == ["idx", "out"]
        os.unlink("out")


def test_writing_an_idx_file(monkeypatch, tmp_path):
    """It is no command's, and may leave a part; it may never call that done."""
    for n in range(1, 10):
        fault = Fault("write", n)
        with monkeypatch.context() as patch:
            install(patch, fault)
            try:
                write_images(tmp_path / "idx", np.zeros((50, 28, 28), np.uint8))
            except OSError:
                assert fault.came
            else:
                assert not fault.came
                return
    pytest.fail("no end of faults")
