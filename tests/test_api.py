"""The library: what it takes, what it gives, and that the commands do the same."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from conftest import ROOT, cli_environment, random_network
from test_cli_predict import write_pngs

import fastmnist
from fastmnist.inputs.idx import write_images, write_labels
from fastmnist.training.recipes import SEED

SHORT = {"recipe": "seed", "epochs": 1, "hidden": (8,)}


@pytest.fixture(scope="module")
def model():
    return fastmnist.load("shipped")


@pytest.fixture(scope="module")
def seven(digits):
    """A test digit, as pixels."""
    return digits[0][0]


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
    "NaN": (np.full((28, 28), np.nan), "an array of float64 from nan to nan"),
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


@pytest.mark.parametrize("threads", [1, 2])
def test_any_number_of_threads_gives_the_same(threads, model, digits):
    assert model.predict(digits[0], threads=threads).probabilities.tobytes() == (
        model.predict(digits[0]).probabilities.tobytes()
    )


def test_load_takes_the_environments_model_else_the_shipped_one(monkeypatch, small_model, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not looked at")
    monkeypatch.delenv("FASTMNIST_MODEL", raising=False)
    assert fastmnist.load().trained.layer_sizes == (784, 1024, 512, 10)
    monkeypatch.setenv("FASTMNIST_MODEL", str(small_model))
    assert fastmnist.load().trained.layer_sizes == (784, 8, 10)
    assert fastmnist.load("shipped").trained.layer_sizes == (784, 1024, 512, 10)
    with pytest.raises(fastmnist.ModelError, match="not a sound"):
        fastmnist.load(tmp_path / "model.safetensors")


# Training


def test_train_writes_the_same_bytes_as_the_command(run_cli, small_set, tmp_path):
    assert run_cli("train", small_set, "--epochs", "2", "--validation", "100", "-o", tmp_path / "c").code == 0
    epochs = []
    model = fastmnist.train(small_set, epochs=2, validation=100, on_epoch=epochs.append)
    model.save(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()
    assert [epoch.epoch for epoch in epochs] == [1, 2]
    assert fastmnist.load(tmp_path / "a").predict(small_set / "t10k-images-idx3-ubyte").probabilities.tobytes() == (
        model.predict(small_set / "t10k-images-idx3-ubyte").probabilities.tobytes()
    )


def test_arrays_train_the_same_model_as_their_idx_files(digits, tmp_path):
    images, labels = digits[0][:300], digits[1][:300]
    for split, part in (("train", slice(200)), ("t10k", slice(200, None))):
        write_images(tmp_path / f"{split}-images-idx3-ubyte", images[part])
        write_labels(tmp_path / f"{split}-labels-idx1-ubyte", labels[part])
    fastmnist.train(tmp_path, **SHORT).save(tmp_path / "idx")
    expected = (tmp_path / "idx").read_bytes()
    test = images[200:], labels[200:]
    names = [str(label) for label in labels[:200]]
    for given in (images[:200], images[:200].reshape(-1, 784) / 255):
        for given_labels in (labels[:200], labels[:200].astype(np.int64), labels[:200].tolist(), names):
            fastmnist.train(given, given_labels, test=test, **SHORT).save(tmp_path / "arrays")
            assert (tmp_path / "arrays").read_bytes() == expected


def test_pictures_and_names_of_classes_are_trained_on(digits, tmp_path):
    write_pngs(tmp_path, digits[0][:40])
    paths = sorted(tmp_path.iterdir())
    names = ["even" if label % 2 == 0 else "odd" for label in digits[1][:40]]
    model = fastmnist.train(paths, names, recipe="default", hidden=(16,), epochs=40)
    assert (model.class_names, model.preprocess) == (["even", "odd"], "auto")
    assert (model.predict(paths).labels == names).mean() > 0.9
    figures = fastmnist.evaluate(model, paths, names)
    assert figures.accuracy == (model.predict(paths).labels == names).mean()
    other = fastmnist.train(paths, names, class_names=["odd", "even"], **SHORT)
    assert other.class_names == ["odd", "even"]


def test_a_folder_of_classes_is_what_the_command_makes_of_it(digits, run_cli, tmp_path):
    for label in (3, 5):
        write_pngs(tmp_path / "set" / str(label), digits[0][digits[1] == label][:30])
    assert run_cli("train", tmp_path / "set", "--recipe", "seed", "-o", tmp_path / "c").code == 0
    model = fastmnist.train(tmp_path / "set", recipe="seed")
    model.save(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()
    shown = json.loads(run_cli("evaluate", tmp_path / "set", "--model", tmp_path / "c", "--json").stdout)
    assert {"class_names": ["3", "5"], **fastmnist.evaluate(model, tmp_path / "set").as_dict()} == shown
    written = rows_written(run_cli("predict", "--model", tmp_path / "c", tmp_path / "set"))
    assert rows_of(model.predict(tmp_path / "set")) == written


def test_a_run_that_was_interrupted_is_resumed_to_the_same_model(small_set, tmp_path):
    def stop(epoch):
        if epoch.epoch == 1:
            raise KeyboardInterrupt

    settings = {"recipe": "seed", "hidden": (8,), "epochs": 3, "checkpoint": tmp_path / "c"}
    with pytest.raises(KeyboardInterrupt):
        fastmnist.train(small_set, **settings, on_epoch=stop)
    with pytest.raises(fastmnist.TrainingError, match="there is a checkpoint already"):
        fastmnist.train(small_set, **settings)
    epochs = []
    resumed = fastmnist.train(small_set, **settings, resume=True, on_epoch=epochs.append)
    assert [epoch.epoch for epoch in epochs] == [2, 3]
    whole = fastmnist.train(small_set, **{**settings, "checkpoint": None})
    assert resumed.trained.parameters.tobytes() == whole.trained.parameters.tobytes()
    with pytest.raises(fastmnist.TrainingError, match="no checkpoint named"):
        fastmnist.train(small_set, resume=True)


def test_a_recipe_of_ones_own_and_settings_by_name(digits):
    images, labels = digits[0][:50], digits[1][:50]
    own = fastmnist.train(images, labels, recipe=replace(SEED, name="mine", hidden=(9, 8), epochs=2, batch_size=7))
    assert own.origin["recipe"]["name"] == "mine"
    named = fastmnist.train(images, labels, recipe="seed", hidden=[9, 8], epochs=np.int64(2), batch_size=7)
    assert named.trained.parameters.tobytes() == own.trained.parameters.tobytes()
    bent = fastmnist.train(images, labels, **SHORT, augment={"rotation": 9.0})
    assert bent.origin["recipe"]["augment"] == {"rotation": 9.0, "smoothness": 5.0}
    assert fastmnist.train(images, labels, recipe="seed", epochs=1, hidden=6).trained.layer_sizes == (784, 6, 10)


BAD_SETTINGS = {
    "an unknown recipe": ({"recipe": "bset"}, "recipe 'bset', expected one of seed, default, best"),
    "an unknown setting": ({"epoch": 3}, "a setting 'epoch', expected one of name, hidden, epochs"),
    "an unknown strength": ({"augment": {"rotate": 3}}, "a setting 'rotate', expected one of rotation"),
    "a fraction of epochs": ({"epochs": 2.5}, "epochs 2.5: expected a whole number"),
    "words for a number": ({"learning_rate": "fast"}, "learning rate 'fast': expected a number"),
    "True for a number": ({"batch_size": True}, "batch size True: expected a whole number"),
    "1 for True": ({"shuffle": 1}, "shuffle 1: expected True or False"),
    "words for sizes": ({"hidden": "100"}, "hidden '100': expected a tuple of whole numbers"),
    "fractions for sizes": ({"hidden": (10.5,)}, r"hidden \(10.5,\): expected a tuple of whole numbers"),
    "out of range": ({"momentum": 2}, "momentum 2: expected a number from 0 to below 1"),
    "all held out": ({"validation": 50}, "50 of 50 images held out"),
}


@pytest.mark.parametrize("fault", BAD_SETTINGS)
def test_settings_that_cannot_work_are_errors(fault, digits):
    settings, message = BAD_SETTINGS[fault]
    with pytest.raises(fastmnist.TrainingError, match=message):
        fastmnist.train(digits[0][:50], digits[1][:50], **settings)


BAD_LABELS = {
    "too few": (lambda labels: labels[:-1], "50 images and 49 labels, expected as many"),
    "a matrix": (lambda labels: labels.reshape(5, 10), r"labels of shape \(5, 10\), expected \(n,\)"),
    "not classes": (lambda labels: labels + 1, r"label 10 at index \d+, expected 0 to 9"),
    "negative": (lambda labels: labels.astype(int) - 1, "label -1 at index 3, expected 0 to 9"),
    "far off": (lambda labels: labels.astype(int) + 256, "label 263 at index 0, expected 0 to 9"),
    "fractions": (lambda labels: labels / 2, "labels of dtype float64, expected whole numbers or class names"),
}


@pytest.mark.parametrize("fault", BAD_LABELS)
def test_labels_that_do_not_fit_are_errors(fault, digits, model):
    spoil, message = BAD_LABELS[fault]
    for call in (fastmnist.train, lambda images, labels: fastmnist.evaluate(model, images, labels)):
        with pytest.raises(fastmnist.DataError, match=message):
            call(digits[0][:50], spoil(digits[1][:50]))


def test_names_that_are_not_classes_are_errors(digits, model):
    with pytest.raises(fastmnist.DataError, match="a label 'seven', expected one of the classes 0, 1, 2"):
        fastmnist.evaluate(model, digits[0][:2], ["seven", "2"])
    with pytest.raises(fastmnist.DataError, match="a class called '=1'"):
        fastmnist.train(digits[0][:2], ["=1", "2"])
    with pytest.raises(fastmnist.DataError, match="1 class names, expected 2 to 256"):
        fastmnist.train(digits[0][:2], ["a", "a"])
    with pytest.raises(fastmnist.DataError, match="ndarray without labels"):
        fastmnist.train(digits[0][:2])


def test_training_refuses_images_that_cannot_be_read_and_evaluating_counts_them(model, seven, tmp_path):
    images, labels = [seven, b"no picture", seven], [7, 7, 7]
    with pytest.raises(
        fastmnist.DataError,
        match=r"1 of 3 images of the train set can't be read, expected all of them.*<bytes>: no pict",
    ):
        fastmnist.train(images, labels)
    with pytest.raises(fastmnist.DataError, match="1 of 3 images of the test set can't be read"):
        fastmnist.train([seven], [7], test=(images, labels))
    figures = fastmnist.evaluate(model, images, labels)
    assert (figures.n_samples, figures.n_errors, figures.accuracy) == (2, 1, 1.0)
    with pytest.raises(fastmnist.DataError, match="none of 1 images can be read"):
        fastmnist.evaluate(model, [b"no picture"], [7])


def test_evaluate_is_what_the_command_prints(model, mnist_dir, digits, run_cli):
    shown = json.loads(run_cli("evaluate", mnist_dir, "--model", "shipped", "--json").stdout)
    for figures in (fastmnist.evaluate(model, mnist_dir), fastmnist.evaluate(model, *digits)):
        assert {"class_names": model.class_names, **figures.as_dict()} == shown


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
    assert notes == [f"{tmp_path}: holds no images", "ignored 1 file without an image suffix"]


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
        "train_own_folders.py": (["own", "m"], r"(epoch \d+: .*\n){20}m: 0, 1; accuracy 100\.0%"),
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
    with pytest.raises(fastmnist.ModelError, match="not numbers"):
        huge.predict(seven)
