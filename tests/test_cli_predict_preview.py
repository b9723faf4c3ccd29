import os
import re
import signal
import subprocess

import cv2
import numpy as np
import pytest
from conftest import contents, shown_on_terminal

from fastmnist.images.normalize import normalize
from fastmnist.inputs.idx import write_images


@pytest.fixture
def pictures(digits, tmp_path):
    """A folder with a digit in MNIST's form, one that is large and dark on light, and a file that is no picture."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    large = cv2.resize(255 - digits[0][1], (140, 140))
    cv2.imwrite(str(folder / "a.png"), digits[0][0])
    (folder / "b.png").write_bytes(b"no picture")
    cv2.imwrite(str(folder / "c d.png"), large)
    return digits[0][0], normalize(large)


def test_what_the_model_sees_is_written_as_png_named_by_row_and_file(run_cli, pictures, small_model, tmp_path):
    run = run_cli("predict", "pictures", "--model", small_model, "--dump-preprocessed", "seen")
    assert run.code == 1
    names = ["0000001-a.png.png", "0000003-c_d.png.png"]
    assert sorted(os.listdir(tmp_path / "seen")) == [*names, "0000003-c_d.png.read.png"]
    how = cv2.imread(str(tmp_path / "seen" / "0000003-c_d.png.read.png"))
    assert how.shape == (280, 560, 3)
    assert ((how[:, :280] == (0, 0, 220)).all(axis=2)).sum() > 200  # the digit's box
    for name, expected in zip(names, pictures, strict=True):
        np.testing.assert_array_equal(cv2.imread(str(tmp_path / "seen" / name), cv2.IMREAD_GRAYSCALE), expected)
    again = run_cli("predict", "pictures", "--model", small_model, "--dump-preprocessed", "seen")
    assert again.errors == ["fastmnist: error: seen: not empty, expected a new folder for pictures; name another one"]


def test_pictures_are_not_written_where_they_would_be_read(run_cli, pictures, small_model, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "pictures")
    for folder in ("pictures/seen", "link/seen", "pictures"):
        run = run_cli("predict", "pictures", "--model", small_model, "--dump-preprocessed", folder)
        assert (run.code, run.stdout) == (2, b"")
        assert f"--dump-preprocessed {folder} lies in pictures" in run.stderr
    assert sorted(os.listdir(tmp_path / "pictures")) == ["a.png", "b.png", "c d.png"]


def test_resumed_runs_and_shards_share_a_folder(run_cli, start_cli, pictures, digits, small_model, tmp_path):
    write_images(tmp_path / "idx", digits[0][:3])
    inputs = ["pictures", "idx", "pictures"]
    options = ["--model", small_model, "-o", "out.csv", "--dump-preprocessed"]
    run_cli("predict", *inputs, *options, "whole")
    whole, rows = contents(tmp_path / "whole"), (tmp_path / "out.csv").read_bytes()
    assert len(whole) == 9
    for shard in ("1/2", "2/2"):
        run_cli("predict", *inputs, *options, "shared", "--shard", shard)
    assert contents(tmp_path / "shared") == whole

    process = start_cli("predict", "--files-from", "-", *options, "seen", stdin=subprocess.PIPE)
    os.write(process.stdin.fileno(), b"pictures\nidx\n")  # the list stays open: the run waits for more
    while not (tmp_path / "seen" / "0000006-idx.png").exists():  # the pictures have their rows by then
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGINT)
    assert "to continue, run the same command with --resume" in process.communicate()[1].decode()
    assert sorted(os.listdir(tmp_path / "seen")) == sorted(whole)[:6]
    assert "not empty" in run_cli("predict", *inputs, *options, "seen").stderr
    run = run_cli("predict", *inputs, *options, "seen", "--resume")
    assert re.search("resuming after [36] rows", run.stderr)
    assert contents(tmp_path / "seen") == whole
    assert (tmp_path / "out.csv").read_bytes() == rows


def test_no_terminal_is_drawn_on_where_there_is_none(run_cli, pictures, small_model):
    run = run_cli("predict", "pictures", "--model", small_model, "--show", "2")
    assert "--show draws only on a terminal" in run.stderr
    assert "▀" not in run.stderr


def test_digits_are_drawn_on_a_terminal_with_three_guesses(pictures, small_model, tmp_path):
    code, text = shown_on_terminal("predict", "pictures", "--model", small_model, "--show", "2", cwd=tmp_path)
    assert code == 1
    assert text.count("▀") == 2 * 28 * 14
    for name in ("pictures/a.png", "pictures/c d.png"):
        line = next(line for line in text.splitlines() if f"{name}:  " in line)
        assert line.count("%") == 3
    assert "Traceback" not in text
    assert text.count("ink on") == 1  # how the second was read; the first was not touched
    assert "dark ink on light paper, 140x140 pixels read as" in text


def test_preprocessing_is_the_models_unless_another_is_asked_for(run_cli, pictures, small_model, tmp_path):
    usual = run_cli("predict", "pictures", "--model", small_model)
    assert "--preprocess" not in usual.stderr
    none = run_cli("predict", "pictures", "--model", small_model, "--preprocess", "none")
    assert "--preprocess none instead of auto, which the model was trained with" in none.stderr.splitlines()
    assert none.lines[1] == usual.lines[1]
    assert none.lines[3] == "pictures/c d.png,,,"
    assert any("is 140x140 pixels, expected 28x28" in line for line in none.errors)
