"""The library: what `predict` takes and gives, that the command does the same, and what using it leaves alone."""

import copy
import csv
import io
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT, cli_environment, random_network
from test_cli_predict import write_pngs

import fastmnist
from fastmnist.inputs.idx import write_images, write_labels

SHORT = {"recipe": "seed", "epochs": 1, "hidden": (8,)}


def as_png(picture):
    return cv2.imencode(".png", picture)[1].tobytes()


def rows_of(result):
    """What the command writes of a result: label and confidence with six decimals."""
    return [
        (label, "" if error else f"{confidence:.6f}")
        for label, confidence, error in zip(result.labels, result.confidences, result.errors, strict=True)
    ]


def rows_written(run):
    return [(row["label"], row["confidence"]) for row in csv.DictReader(io.StringIO(run.stdout.decode()))]


def test_all_test_digits_are_named_as_the_command_names_them(model, digits, mnist_dir, run_cli):
    path = mnist_dir / "t10k-images-idx3-ubyte"
    run = run_cli("predict", "--model", "shipped", path, "--probabilities")
    written = list(csv.DictReader(io.StringIO(run.stdout.decode())))
    for result in (model.predict(digits[0]), model.predict(path)):
        assert rows_of(result) == rows_written(run)
        assert result.positions == list(range(10_000))
        assert [f"{probability:.6f}" for probability in result.probabilities[77]] == list(written[77].values())[-10:]
    parts = list(model.predict_files(path))
    assert [len(part) for part in parts] == [4096, 4096, 1808]
    assert np.concatenate([part.indices for part in parts]).tolist() == result.indices.tolist()


def test_files_are_named_as_the_command_names_them(model, digits, run_cli, tmp_path):
    write_pngs(tmp_path / "in", digits[0][:200])
    (tmp_path / "in" / "broken.png").write_bytes(b"x")
    run = run_cli("predict", "--model", "shipped", tmp_path / "in")
    result = model.predict(tmp_path / "in")
    assert rows_of(result) == rows_written(run)
    assert (len(result), result.errors[-1]) == (201, run.errors[0].removeprefix("fastmnist: error: "))
    assert result.paths == [os.path.join(tmp_path / "in", name) for name in sorted(os.listdir(tmp_path / "in"))]
    assert result.positions == [None] * 201


def test_an_image_that_cannot_be_read_is_a_row_with_an_error(model, seven, tmp_path):
    blank = np.zeros((50, 40), np.uint8)
    result = model.predict([tmp_path / "missing.png", seven, b"no picture", blank])
    assert result.labels.tolist() == ["", "7", "", ""]
    assert result.indices.tolist() == [-1, 7, -1, -1]
    assert np.isnan(result.confidences).tolist() == [True, False, True, True]
    assert np.isnan(result.probabilities).all(axis=1).tolist() == [True, False, True, True]
    assert result.paths == [str(tmp_path / "missing.png"), "<array>", "<bytes>", "<array>"]
    missing, none, damaged, without_ink = result.errors
    assert none is None
    assert missing.startswith(f"{tmp_path}/missing.png: No such file or directory")
    assert damaged.startswith("<bytes>: no picture that can be read")
    assert without_ink.startswith("<array>: no ink found")


def test_a_result_is_a_value_of_its_own(model, seven):
    for images in (seven, [seven, seven]):
        model.predict(images).class_names.reverse()
    assert model.predict(seven).class_names == list("0123456789")


def test_the_dtypes_are_those_it_names(model, seven):
    result = model.predict(seven)
    assert (result.indices.dtype, result.confidences.dtype, result.probabilities.dtype) == (
        np.intp,
        np.float32,
        np.float32,
    )
    assert result.labels.dtype.kind == "U"
    assert result.probabilities.shape == (1, 10)
    assert result.probabilities.sum() == pytest.approx(1, abs=1e-5)


def photo(seven):
    """Dark ink on light paper, in colour, RGB."""
    grey = 220 - cv2.resize(seven, (112, 112), interpolation=cv2.INTER_AREA)[:, :, None] * np.array([0.8, 0.7, 0.6])
    return np.pad(grey, ((20, 30), (40, 20), (0, 0)), mode="edge").astype(np.uint8)


def test_a_picture_is_the_same_as_a_path_as_bytes_and_as_an_array(model, seven, tmp_path):
    grey = cv2.cvtColor(photo(seven), cv2.COLOR_RGB2GRAY)
    (tmp_path / "p.png").write_bytes(as_png(grey))
    expected = model.predict(str(tmp_path / "p.png"))
    assert expected.labels.tolist() == ["7"]
    for given in (tmp_path / "p.png", as_png(grey), grey, [grey], grey / 255, np.asfortranarray(grey)):
        assert model.predict(given).probabilities.tobytes() == expected.probabilities.tobytes()


def test_colours_are_red_green_blue(model, seven):
    picture = photo(seven)
    expected = model.predict(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    assert model.predict(picture).probabilities.tobytes() == expected.probabilities.tobytes()
    assert model.predict(picture / 255).probabilities.tobytes() == expected.probabilities.tobytes()


def test_many_images_are_taken_as_they_are_and_a_single_one_like_a_picture(model, digits):
    images = digits[0][:9]
    shifted = np.roll(images, 5, axis=2)
    expected = model.predict(shifted)
    assert model.predict(shifted.reshape(9, 784)).probabilities.tobytes() == expected.probabilities.tobytes()
    assert model.predict(shifted.reshape(9, 784) / 255).probabilities.tobytes() == expected.probabilities.tobytes()
    single = model.predict(list(shifted))
    assert single.probabilities.tobytes() == model.predict(shifted, preprocess="mnist").probabilities.tobytes()
    assert single.probabilities.tobytes() != expected.probabilities.tobytes()
    alone = model.predict(list(shifted), preprocess="none")
    assert alone.probabilities.tobytes() == expected.probabilities.tobytes()


def test_784_columns_are_images_even_where_they_could_be_a_picture(model, seven):
    assert len(model.predict(seven.reshape(1, 784))) == 1
    assert len(model.predict(np.repeat(seven.reshape(1, 784), 30, axis=0))) == 30


def test_what_is_given_is_not_changed(model, digits):
    images = np.roll(digits[0][:20], 5, axis=2)
    before = images.copy()
    model.predict(images, preprocess="mnist")
    fastmnist.read_images(images, preprocess="mnist")
    fastmnist.train(images, digits[1][:20], **SHORT, preprocess="mnist")
    assert (images == before).all()


@pytest.mark.parametrize(
    "none", [[], np.zeros((0, 784), np.uint8), np.zeros((0, 28, 28)), [np.zeros((0, 784))]], ids=str
)
def test_no_images_are_no_rows(none, model):
    result = model.predict(none)
    assert len(result) == len(result.labels) == len(result.errors) == 0
    assert result.probabilities.shape == (0, 10)
    assert fastmnist.read_images(none).shape == (0, 28, 28)


UNFIT = {
    "a number": (3, "an image of type int, expected paths, bytes of pictures, or arrays"),
    "None in a list": ([None], "an image of type NoneType"),
    "a list of numbers": ([[0] * 784], "an image of type list"),
    "one dimension": (np.zeros(784, np.uint8), r"an array of shape \(784,\), expected \(n, 784\), \(n, 28, 28\)"),
    "four channels": (np.zeros((9, 9, 4), np.uint8), r"an array of shape \(9, 9, 4\)"),
    "four dimensions": (np.zeros((2, 28, 28, 1), np.uint8), r"an array of shape \(2, 28, 28, 1\)"),
    "no pixels": (np.zeros((0, 9), np.uint8), r"an array of shape \(0, 9\)"),
    "whole numbers": (np.zeros((28, 28), np.int64), "an array of dtype int64, expected uint8, or floats from 0 to 1"),
    "truth values": (np.zeros((28, 28), bool), "an array of dtype bool"),
    "objects": (np.zeros((28, 28), object), "an array of dtype object"),
    "floats up to 255": (np.full((28, 28), 255.0), "an array of float64 from 255 to 255, expected values from 0 to 1"),
    "negative floats": (np.full((28, 28), -1.0), "an array of float64 from -1 to -1"),
    "NaN": (np.full((28, 28), np.nan), "an array of float64 with NaN, expected"),
    "a little above 1": (np.full((28, 28), np.float32(1.0000001)), "from 1.00000012 to 1.00000012, expected"),
    "a masked array": (np.ma.zeros((28, 28), np.uint8), "a masked array, expected one without a mask"),
    "complex numbers": (np.zeros((28, 28), complex), "an array of dtype complex128"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_what_is_not_an_image_is_an_error_that_says_what_was_found(kind, model):
    images, message = UNFIT[kind]
    for call in (model.predict, fastmnist.read_images):
        with pytest.raises(fastmnist.DataError, match=message):
            call(images)


def test_an_unknown_preprocessing_is_an_error(model, seven):
    for call in (model.predict, fastmnist.read_images):
        with pytest.raises(fastmnist.DataError, match="preprocess 'mnits', expected one of auto, mnist, none"):
            call(seven, preprocess="mnits")
    with pytest.raises(fastmnist.DataError, match="preprocess 'mnits', expected one of auto, mnist, none"):
        fastmnist.train([seven], [7], preprocess="mnits")


def test_read_images_gives_what_the_model_sees_and_raises_for_a_bad_image(model, seven, tmp_path):
    (tmp_path / "p.png").write_bytes(as_png(photo(seven)))
    seen = fastmnist.read_images(tmp_path / "p.png")
    assert (seen.shape, seen.dtype) == ((1, 28, 28), np.uint8)
    expected = model.predict(tmp_path / "p.png").probabilities
    assert model.predict(seen).probabilities.tobytes() == expected.tobytes()
    with pytest.raises(fastmnist.DataError, match=r"p\.png: No such|none\.png: No such"):
        fastmnist.read_images([tmp_path / "p.png", tmp_path / "none.png"])


def test_a_dash_is_a_file_of_that_name(model, seven, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-").write_bytes(as_png(seven))
    assert model.predict("-").labels.tolist() == ["7"]
    assert [part.labels.tolist() for part in model.predict_files(["-"])] == [["7"]]


def test_threads_below_one_are_an_error(model, seven):
    with pytest.raises(fastmnist.DataError, match="threads 0, expected at least 1"):
        model.predict(seven, threads=0)
    with pytest.raises(fastmnist.DataError, match="threads 0, expected at least 1"):
        fastmnist.evaluate(model, [seven], ["7"], threads=0)


@pytest.mark.parametrize("threads", ["2", 2.0, [2]])
def test_threads_that_are_no_whole_number_are_an_error(threads, model, seven):
    message = re.escape(f"threads {threads!r}, expected a whole number, at least 1")
    for method in (model.predict, model.read, model.predict_files, model.read_files):
        with pytest.raises(fastmnist.DataError, match=message):
            list(method(seven, threads=threads))
    assert model.predict(seven, threads=np.int64(1)).labels == model.predict(seven).labels


def test_a_model_is_shown_in_one_line(model):
    shown = "<Model 784-1024-512-11, classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), can refuse, preprocess auto, test accuracy"
    accuracy, checksum = 100 * model.test_accuracy, model.checksum[:12]
    assert repr(model) == f"{shown} {accuracy:.2f} %, checksum {checksum}>"
    assert repr(pickle.loads(pickle.dumps(model))) == repr(copy.deepcopy(model)) == repr(model)
    assert model == copy.copy(model)
    names = [f"class {number}" for number in range(20)]
    other = fastmnist.Model(random_network((784, 8, 20)), names, "none")
    assert repr(other) == "<Model 784-8-20, 20 classes, can't refuse, preprocess none>"


@pytest.mark.parametrize("threads", [1, 2])
def test_any_number_of_threads_gives_the_same(threads, model, digits):
    assert model.predict(digits[0], threads=threads).probabilities.tobytes() == (
        model.predict(digits[0]).probabilities.tobytes()
    )


def test_load_takes_the_environments_model_else_the_shipped_one(monkeypatch, small_model, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not looked at")
    monkeypatch.delenv("FASTMNIST_MODEL", raising=False)
    assert fastmnist.load().trained.layer_sizes == (784, 1024, 512, 11)
    monkeypatch.setenv("FASTMNIST_MODEL", str(small_model))
    assert fastmnist.load().trained.layer_sizes == (784, 8, 10)
    assert fastmnist.load("shipped").trained.layer_sizes == (784, 1024, 512, 11)
    with pytest.raises(fastmnist.ModelError, match="not a valid"):
        fastmnist.load(tmp_path / "model.safetensors")
    (tmp_path / "shipped").write_bytes(small_model.read_bytes())
    assert fastmnist.load(Path("shipped")).trained.layer_sizes == (784, 8, 10)


# In a process of a user's own


SCRIPT = """
import fastmnist
from pathlib import Path

model: fastmnist.Model = fastmnist.load("{model}")
result = model.predict(["{image}", Path("{image}")])
label: str = str(result.labels[0])
for part in model.predict_files(["{image}"]):
    assert part.errors == [None]
trained = fastmnist.train("{data}", recipe="seed", hidden=(4,), epochs=1, on_epoch=lambda epoch: None)
figures: fastmnist.Evaluation = fastmnist.evaluate(trained, "{data}")
accuracy: float = figures.accuracy
trained.save("mine.safetensors")
seen = fastmnist.read_images("{image}").sum()
recipe = fastmnist.Recipe
"""


@pytest.fixture
def script(small_set, small_model, tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(model=small_model, image=ROOT / "tests" / "seven.png", data=small_set))
    return path


def test_mypy_strict_accepts_a_users_script(script, tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout


WATCH = """
import os, signal, sys, threading, warnings
def state():
    numba = sys.modules.get("numba")
    return (
        dict(os.environ), list(warnings.filters), [signal.getsignal(n) for n in (2, 14, 15)], os.getcwd(),
        sys.excepthook, threading.active_count(), sorted(os.listdir(".")),
        numba and (numba.config.THREADING_LAYER_PRIORITY, numba.config.CACHE_DIR, numba.get_num_threads()),
    )
before = state()
import fastmnist
assert not {"numpy", "numba", "cv2", "click"} & set(sys.modules)
assert state() == before
import numba
before = state()
with open(sys.argv[1]) as file:
    exec(compile(file.read(), "script", "exec"))
os.unlink("mine.safetensors")
after = state()
assert after == before, [pair for pair in zip(before, after) if pair[0] != pair[1]]
"""


def test_using_it_prints_nothing_and_changes_nothing(script, tmp_path):
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", WATCH, script], cwd=tmp_path, env=cli_environment(), capture_output=True
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


def test_what_a_user_should_know_is_logged(model, tmp_path, notes):
    (tmp_path / "notes.txt").touch()
    assert len(model.predict(tmp_path)) == 0
    assert notes == [
        f"{tmp_path}: holds no images; IDX files, arrays, tables, zip and Parquet files must be named directly",
        "ignored 1 file without an image suffix",
    ]


def test_an_attribute_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'fastmnist' has no attribute 'lod'"):
        fastmnist.lod()
    assert all(getattr(fastmnist, name) is not None for name in fastmnist.__all__)


@pytest.mark.parametrize("example", sorted(os.listdir(ROOT / "examples")))
def test_the_examples_run(example, digits, small_set, tmp_path):
    write_pngs(tmp_path / "own" / "0", digits[0][digits[1] == 0][:20])
    write_pngs(tmp_path / "own" / "1", digits[0][digits[1] == 1][:20])
    big = tmp_path / "big"
    big.mkdir()
    write_images(big / "train-images-idx3-ubyte", np.repeat(digits[0], 2, axis=0))
    write_labels(big / "train-labels-idx1-ubyte", np.repeat(digits[1], 2))
    arguments, expected = {
        "predict_photo.py": (
            [ROOT / "tests" / "seven.png", "none.png"],
            r"seven\.png: 7 \(99\.\d%\)\nnone\.png: No such",
        ),
        "train_own_folders.py": (["own", "m"], r"(epoch \d+: .*\n){20}m: 0, 1\naccuracy 100\.0% \("),
        "compare_recipes.py": (["big"], r"(\(.*\): \d\d\.\d\d% of 10,000 images held out\n){3}"),
    }[example]
    run = subprocess.run(
        [sys.executable, ROOT / "examples" / example, *arguments],
        cwd=tmp_path,
        env=cli_environment(),
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert re.search(expected, run.stdout), run.stdout


def test_a_network_whose_outputs_are_not_numbers_is_an_error(seven, tmp_path):
    network = random_network()
    network.parameters *= 1e30
    huge = fastmnist.Model(network, list("0123456789"), "auto")
    with pytest.raises(fastmnist.ModelError, match="not finite"):
        huge.predict(seven)


def test_a_path_with_a_nul_is_an_error_of_its_own(model, tmp_path):
    assert "embedded null" in model.predict("a\0.png").errors[0]
    with pytest.raises(fastmnist.ModelError, match="no such file"):
        fastmnist.load("a\0")
    with pytest.raises(fastmnist.OutputError, match="a name with a NUL"):
        model.save(f"{tmp_path}/a\0")
    with pytest.raises(fastmnist.DataError):
        fastmnist.train("a\0")


def test_text_that_is_no_path_is_an_error_of_ours(model, tmp_path):
    for name in ("\ud800.png", ["a.png", "\ud800.png"]):
        with pytest.raises(fastmnist.DataError, match="surrogates not allowed, expected a path"):
            model.predict(name)


def test_all_errors_can_be_named():
    assert issubclass(fastmnist.RemoteError, fastmnist.FastmnistError)
    assert issubclass(fastmnist.MissingExtraError, (fastmnist.FastmnistError, ImportError))
