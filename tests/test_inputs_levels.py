"""Images of another scale or polarity than MNIST's, in IDX files, arrays and tables: said and put right, or left."""

import json
import subprocess

import numpy as np
import pytest
from conftest import cli_command, cli_environment, noted
from test_cli_predict_output import write_table
from test_inputs_npz import rows_of

import fastmnist
from fastmnist.datasets.dataset import open_dataset
from fastmnist.inputs.idx import write_images, write_labels
from fastmnist.inputs.levels import Levels, levels_of
from fastmnist.inputs.selection import Selection

FORMS = ["a.csv", "a-idx3-ubyte", "a-idx3-ubyte.gz", "a.npy", "a.npz"]


def write(path, images):
    if path.suffix == ".csv":
        write_table(path, images)
    elif path.suffix == ".npy":
        np.save(path, images)
    elif path.suffix == ".npz":
        np.savez(path, images)
    else:
        write_images(path, images)
    return str(path)


def odd(images, white=255, is_inverted=False):
    scaled = ((images.astype(int) * white + 127) // 255).astype(np.uint8)
    return white - scaled if is_inverted else scaled


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("white", [1, 15, 16, 100, 255])
@pytest.mark.parametrize("is_inverted", [False, True])
def test_scale_and_polarity_are_told_and_put_right(form, white, is_inverted, digits, tmp_path):
    images = digits[0][:150]
    path = write(tmp_path / form, odd(images, white, is_inverted))
    rows, notes = rows_of(path, preprocess="auto")
    error = np.abs(np.array([row[2] for row in rows]).astype(int) - images.reshape(-1, 784)).max()
    assert error <= 128 / white
    assert len(notes) == (white < 255) + is_inverted
    if white < 255:
        assert f"values from 0 to {white}: scaled to 255" in notes[0]
    if is_inverted:
        assert "dark ink on light: inverted" in notes[-1]


@pytest.mark.parametrize("form", FORMS)
def test_preprocess_none_changes_nothing(form, digits, tmp_path):
    images = odd(digits[0][:20], 16, True)
    rows, notes = rows_of(write(tmp_path / form, images), preprocess="none")
    np.testing.assert_array_equal(np.array([row[2] for row in rows]), images.reshape(-1, 784))
    assert notes == []


@pytest.mark.parametrize("form", FORMS)
def test_the_first_images_of_the_file_decide_for_every_shard_and_batch(form, digits, tmp_path):
    images = digits[0][:300].copy()
    images[:100] = odd(images[:100], 1)
    images[100:] = 1  # these alone would look like another scale: they are white
    path = write(tmp_path / form, images)
    whole, _ = rows_of(path, preprocess="auto")
    assert whole[299][2].min() == 255
    for settings in ({"batch_size": 7}, {"selection": Selection(3, 3)}, {"selection": Selection(2, 3)}):
        rows, notes = rows_of(path, preprocess="auto", **settings)
        assert len(notes) == 1
        for row in rows:
            np.testing.assert_array_equal(row[2], whole[row[1]][2])


def test_a_stream_of_idx_images_is_judged_without_losing_one(digits, tmp_path, small_model):
    images = odd(digits[0][:130], 1)
    write_images(tmp_path / "a-idx3-ubyte", images)
    runs = [
        subprocess.run(
            cli_command("predict", name, "--model", small_model),
            cwd=tmp_path,
            env=cli_environment(),
            input=(tmp_path / "a-idx3-ubyte").read_bytes(),
            capture_output=True,
        )
        for name in ("-", "a-idx3-ubyte")
    ]
    for run, name in zip(runs, ("<stdin>", "a-idx3-ubyte"), strict=True):
        assert run.returncode == 0
        assert f"{name}: values from 0 to 1: scaled to 255" in run.stderr.decode()
    rows = [[line.split(b",")[1:] for line in run.stdout.splitlines()] for run in runs]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 131


def test_images_of_both_polarities_are_left_and_said(digits, tmp_path):
    images = digits[0][:40].copy()
    images[::2] = 255 - images[::2]
    rows, notes = rows_of(write(tmp_path / "a.npy", images), preprocess="auto")
    np.testing.assert_array_equal(np.array([row[2] for row in rows]), images.reshape(-1, 784))
    assert len(notes) == 1
    assert "`preprocess` mnist normalises each one separately" in notes[0]
    rows, notes = rows_of(write(tmp_path / "a.npy", images), preprocess="mnist")
    assert notes == []


@pytest.mark.parametrize(("white", "is_inverted"), [(16, False), (255, True), (16, True)])
def test_an_array_is_read_as_the_idx_file_that_holds_it(white, is_inverted, digits, tmp_path):
    images = odd(digits[0][:5000], white, is_inverted)
    images[100:] = odd(digits[0][100:5000], white)  # the first 100 decide, in every batch
    write_images(tmp_path / "a-idx3-ubyte", images)
    for preprocess in ("auto", "none"):
        with noted() as of_file:
            expected = fastmnist.read_images(tmp_path / "a-idx3-ubyte", preprocess=preprocess)
        with noted() as of_array:
            actual = fastmnist.read_images(images, preprocess=preprocess)
        np.testing.assert_array_equal(actual, expected)
        assert of_array == [note.replace(f"{tmp_path}/a-idx3-ubyte", "<array>") for note in of_file]
        assert len(of_array) == ((white < 255) + is_inverted) * (preprocess == "auto")


def test_predict_and_evaluate_see_the_same_in_an_array(digits):
    images, labels = odd(digits[0][:200], 16, True), digits[1][:200]
    before, model = images.copy(), fastmnist.load("shipped")
    result = model.predict(images)
    assert (images == before).all()
    assert np.mean(result.labels == labels.astype(str)) == fastmnist.evaluate(model, images, labels).accuracy > 0.95


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((0, 784), np.uint8),
        np.zeros((5, 784), np.uint8),
        np.full((5, 784), 255, np.uint8) * (np.arange(784) % 2).astype(np.uint8),
        np.random.default_rng(0).integers(0, 256, (200, 784), dtype=np.uint8),
        np.random.default_rng(0).integers(0, 129, (200, 784), dtype=np.uint8),
    ],
    ids=["none", "black", "stripes", "noise", "dim noise"],
)
def test_what_is_no_other_scale_or_polarity_is_not_taken_for_one(images):
    assert levels_of(images, "auto") == Levels()


def test_evaluate_and_train_from_a_model_see_what_predict_sees(run_cli, small_model, digits, tmp_path):
    images, labels = digits[0][:60], digits[1][:60]
    for name, written in (("plain", images), ("odd", odd(images, 16, True))):
        (tmp_path / name).mkdir()
        for half in ("train", "t10k"):
            write_images(tmp_path / name / f"{half}-images-idx3-ubyte", written)
            write_labels(tmp_path / name / f"{half}-labels-idx1-ubyte", labels)
    figures = []
    for name in ("plain", "odd"):
        run = run_cli("evaluate", name, "--json", "--model", small_model)
        assert run.code == 0, run.stderr
        figures.append(json.loads(run.stdout))
        assert ("inverted" in run.stderr) == (name == "odd")
    assert abs(figures[0]["loss"] - figures[1]["loss"]) < 0.02
    with noted() as notes:
        adapted = open_dataset(tmp_path / "odd").load("train", preprocess="auto")
        as_it_is = open_dataset(tmp_path / "odd").load("train")
    assert len(notes) == 2
    assert np.abs(adapted.pixels.astype(int) - images.reshape(-1, 784)).max() <= 8
    np.testing.assert_array_equal(as_it_is.pixels, odd(images, 16, True).reshape(-1, 784))
    assert as_it_is.preprocess == "none"
