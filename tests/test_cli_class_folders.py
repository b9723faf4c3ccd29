"""`train`, `evaluate` and `predict` on folders of images that are named by their classes."""

import csv
import json
import shutil

import cv2
import numpy as np
import pytest
from test_cli_predict import png

from fastmnist.inputs.idx import write_images, write_labels
from fastmnist.model.model_file import load_model

# With so few images one of the seeds 0 to 2 leaves the network where it began: half of them right.
EPOCHS = ("--epochs", "20", "--seed", "1")


def write_classes(folder, images, names):
    """Write each image (28, 28) into the folder of its class, named by its position."""
    for position, (image, name) in enumerate(zip(images, names, strict=True)):
        path = folder / name / f"{position:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(image))


def drawn_shapes(n, seed):
    """n circles and squares in outline, light on black, of any size near the middle: (n, 28, 28), and their names."""
    rng = np.random.default_rng(seed)
    images, names = np.zeros((n, 28, 28), np.uint8), ["circle", "square"] * (n // 2)
    for image, name in zip(images, names, strict=True):
        (x, y), radius = rng.integers(13, 16, 2).tolist(), int(rng.integers(6, 11))
        if name == "circle":
            cv2.circle(image, (x, y), radius, 255, 2)
        else:
            cv2.rectangle(image, (x - radius, y - radius), (x + radius, y + radius), 255, 2)
    return images, names


@pytest.fixture
def shapes(tmp_path):
    write_classes(tmp_path / "shapes" / "train", *drawn_shapes(400, seed=0))
    write_classes(tmp_path / "shapes" / "test", *drawn_shapes(100, seed=1))
    return tmp_path / "shapes"


def test_a_set_of_shapes_trains_evaluates_and_predicts_its_names(run_cli, shapes, tmp_path):
    trained = run_cli("train", "shapes", *EPOCHS)
    assert trained.code == 0, trained.stderr
    assert trained.stderr.splitlines()[0] == "training 784-320-160-2 on 400 images, recipe default"
    metadata = load_model(tmp_path / "model.safetensors").metadata
    assert metadata["class_names"] == ["circle", "square"]
    assert metadata["test_accuracy"] >= 0.95
    evaluated = run_cli("evaluate", "shapes", "--json")
    figures = json.loads(evaluated.stdout)
    assert evaluated.code == 0
    assert figures["class_names"] == ["circle", "square"]
    assert (figures["accuracy"], figures["n_samples"]) == (metadata["test_accuracy"], 100)
    rows = list(csv.DictReader(run_cli("predict", "shapes/test").lines))
    right = [row["path"].split("/")[2] == row["label"] for row in rows]
    assert sum(right) / 100 == figures["accuracy"]
    assert {row["label"] for row in rows} == {"circle", "square"}
    assert "circle" in run_cli("evaluate", "shapes").lines[3]


def test_digits_in_folders_train_a_model_that_reads_pictures_of_any_size(run_cli, digits, tmp_path):
    images, labels = (array[:3000] for array in digits)
    names = [str(label) for label in labels]
    write_classes(tmp_path / "own", images[:2000], names[:2000])
    large = [255 - cv2.resize(image, (60, 60)) for image in images[2000:]]  # dark on light
    write_classes(tmp_path / "others", large, names[2000:])
    assert run_cli("train", "own").code == 0
    metadata = load_model(tmp_path / "model.safetensors").metadata
    assert (metadata["test_accuracy"], metadata["preprocess"]) == (None, "auto")
    figures = json.loads(run_cli("evaluate", "others", "--json").stdout)
    assert figures["accuracy"] >= 0.85
    assert [sum(row) for row in figures["confusion"]] == np.bincount(labels[2000:], minlength=10).tolist()


def test_equal_folders_give_equal_models_for_any_number_of_threads(run_cli, shapes, tmp_path):
    for threads in ("1", "2"):
        assert (
            run_cli("train", "shapes", "--epochs", "2", "--threads", threads, "--output", f"{threads}.safetensors").code
            == 0
        )
    assert (tmp_path / "1.safetensors").read_bytes() == (tmp_path / "2.safetensors").read_bytes()


def test_how_the_images_were_preprocessed_is_stored(run_cli, shapes, small_set, tmp_path):
    for data, chosen in (("shapes", "none"), (small_set, "mnist")):
        assert run_cli("train", data, "--preprocess", chosen, "--epochs", "1").code == 0
        assert load_model(tmp_path / "model.safetensors").metadata["preprocess"] == chosen
    assert run_cli("train", small_set, "--epochs", "1").code == 0
    assert load_model(tmp_path / "model.safetensors").metadata["preprocess"] == "auto"


@pytest.mark.parametrize("split", ["train", "test"])
def test_bad_images_are_named_each_and_no_model_is_trained(run_cli, shapes, tmp_path, split):
    (tmp_path / "model.safetensors").write_bytes(b"old")
    for name in ("circle/bad.png", "square/worse.png"):
        (shapes / split / name).write_bytes(b"x")
    run = run_cli("train", "shapes")
    assert run.code == 1
    *named, last = run.errors
    assert [line.split(": ")[2] for line in named] == [
        f"shapes/{split}/circle/bad.png",
        f"shapes/{split}/square/worse.png",
    ]
    whole, name = (402, "training") if split == "train" else (102, "test")
    assert f"shapes: 2 of {whole} images of the {name} set can't be read" in last
    hint = "hint: replace or remove them, or leave them out with --skip-unreadable"
    assert run.stderr.splitlines() == [*run.errors, hint]
    assert (tmp_path / "model.safetensors").read_bytes() == b"old"


def test_evaluate_leaves_bad_images_out_and_says_so(run_cli, shapes, tmp_path):
    assert run_cli("train", "shapes", *EPOCHS).code == 0
    whole = json.loads(run_cli("evaluate", "shapes", "--json").stdout)
    (shapes / "test" / "circle" / "bad.png").write_bytes(b"x")
    run = run_cli("evaluate", "shapes", "--json")
    assert (run.code, len(run.errors)) == (1, 1)
    assert "shapes/test/circle/bad.png: " in run.errors[0]
    assert json.loads(run.stdout) == {**whole, "n_errors": 1}
    assert "(100 images, 1 more can't be read)" in run_cli("evaluate", "shapes").lines[0]


def test_a_set_of_bad_images_alone_is_not_a_result(run_cli, small_model, tmp_path):
    for name in "01":
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "bad.png").write_bytes(b"x")
    run = run_cli("evaluate", "--model", small_model, "set")
    assert (run.code, run.stdout, len(run.errors)) == (1, b"", 3)
    assert "set: none of the 2 images can be read" in run.errors[-1]


def test_folders_that_are_not_classes_of_the_model_are_refused_with_both_listed(run_cli, shapes, small_model):
    run = run_cli("evaluate", "--model", small_model, "shapes")
    assert (run.code, run.stdout, len(run.errors)) == (1, b"", 1)
    assert "class folders circle, square, expected some of the classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in run.errors[0]


def test_other_folders_in_the_test_set_are_refused_before_training(run_cli, shapes):
    (shapes / "test" / "square").rename(shapes / "test" / "star")
    run = run_cli("train", "shapes")
    assert (run.code, len(run.errors)) == (1, 1)
    assert "shapes/test: class folders circle, star, expected some of the classes circle, square" in run.errors[0]
    assert "epoch" not in run.stderr


def test_class_names_name_the_labels_of_idx_files(run_cli, digits, tmp_path):
    images, labels = (array[:200] for array in digits)
    write_images(tmp_path / "train-images-idx3-ubyte", images)
    write_labels(tmp_path / "train-labels-idx1-ubyte", (labels % 2).astype(np.uint8))
    assert run_cli("train", ".", "--class-names", "even,odd", *EPOCHS).code == 0
    assert load_model(tmp_path / "model.safetensors").network.n_classes == 2
    rows = list(csv.DictReader(run_cli("predict", "train-images-idx3-ubyte").lines))
    right = [row["label"] == ("odd" if label % 2 else "even") for row, label in zip(rows, labels, strict=True)]
    assert sum(right) >= 180


@pytest.mark.parametrize("names", ["", "one", "a,a", "a,,b", "=1,b", "-,b", ",".join(map(str, range(257)))])
def test_names_that_can_be_no_classes_are_a_usage_error(run_cli, small_set, names):
    run = run_cli("train", small_set, "--class-names", names)
    assert (run.code, run.stdout) == (2, b"")
    assert "Invalid value for '--class-names'" in run.stderr


def test_class_names_order_the_folders(run_cli, shapes, tmp_path):
    shutil.rmtree(shapes / "test")
    assert run_cli("train", "shapes", "--class-names", "square,circle", "--epochs", "1").code == 0
    assert load_model(tmp_path / "model.safetensors").class_names == ["square", "circle"]
