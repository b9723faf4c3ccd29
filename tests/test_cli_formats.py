"""The same data in every form that people have: the same model, the same figures, the same rows."""

import gzip
import json
import os
import pickle
import struct
import zipfile

import cv2
import numpy as np
import pytest
from conftest import noted
from test_cli_predict_output import write_table
from test_inputs_parquet import write_parquet

import fastmnist
from fastmnist.datasets.dataset import open_dataset
from fastmnist.errors import DataError
from fastmnist.inputs.idx import write_images, write_labels

SETTINGS = {"hidden": (4,), "epochs": 1, "validation": 20}


@pytest.fixture(scope="module")
def halves(digits):
    """Training images and labels, test images and labels."""
    images, labels = digits
    return images[:200], labels[:200], images[200:260], labels[200:260]


def write_idx(folder, train_images, train_labels, test_images=None, test_labels=None):
    folder.mkdir()
    write_images(folder / "train-images-idx3-ubyte.gz", train_images)
    write_labels(folder / "train-labels-idx1-ubyte", train_labels)
    if test_images is not None:
        write_images(folder / "t10k-images-idx3-ubyte", test_images)
        write_labels(folder / "t10k-labels-idx1-ubyte", test_labels)
    return folder


def keras(folder, *arrays, save=np.savez_compressed):
    save(folder / "mnist.npz", **dict(zip(("x_train", "y_train", "x_test", "y_test"), arrays, strict=True)))
    return folder / "mnist.npz"


def of_floats(folder, train_images, train_labels, test_images, test_labels):
    return keras(
        folder,
        train_images.reshape(-1, 784) / 255,
        train_labels.astype(np.int64),
        test_images.astype(np.float32),
        test_labels,
        save=np.savez,
    )


def medmnist(folder, train_images, train_labels, test_images, test_labels):
    np.savez(
        folder / "medmnist.npz",
        train_images=train_images,
        train_labels=train_labels[:, np.newaxis],
        val_images=test_images[:5],
        val_labels=test_labels[:5, np.newaxis],
        test_images=test_images,
        test_labels=test_labels[:, np.newaxis],
    )
    return folder / "medmnist.npz"


def kmnist(folder, *arrays):
    names = ("kmnist-train-imgs", "kmnist-train-labels", "kmnist-test-imgs", "kmnist-test-labels")
    for name, array in zip(names, arrays, strict=True):
        np.savez_compressed(folder / f"{name}.npz", array)
    return folder


def npy(folder, *arrays):
    for name, array in zip(("X_train", "y_train", "X_test", "y_test"), arrays, strict=True):
        np.save(folder / f"{name}.npy", array)
    return folder


def channels(folder, train_images, train_labels, test_images, test_labels):
    for name, images in (("train", train_images), ("t10k", test_images)):
        header = bytes((0, 0, 8, 4)) + struct.pack(">4I", len(images), 28, 28, 1)
        (folder / f"{name}-images-idx4-ubyte").write_bytes(header + images.tobytes())
    write_labels(folder / "train-labels-idx1-ubyte", train_labels)
    write_labels(folder / "t10k-labels-idx1-ubyte", test_labels)
    return folder


def qmnist(folder, train_images, train_labels, test_images, test_labels):
    for name, images, labels in (("train", train_images, train_labels), ("test", test_images, test_labels)):
        write_images(folder / f"qmnist-{name}-images-idx3-ubyte.gz", images)
        rows = np.zeros((len(labels), 8), ">i4")
        rows[:, 0] = labels
        rows[:, 2] = 70_000
        content = bytes((0, 0, 0x0C, 2)) + struct.pack(">2I", *rows.shape) + rows.tobytes()
        (folder / f"qmnist-{name}-labels-idx2-int.gz").write_bytes(gzip.compress(content))
    return folder


def hugging_face(folder, train_images, train_labels, test_images, test_labels):
    for shard, part in enumerate((slice(0, 70), slice(70, None))):
        write_parquet(folder / f"train-0000{shard}-of-00002.parquet", train_images[part], train_labels[part])
    write_parquet(folder / "test-00000-of-00001.parquet", test_images, test_labels)
    return folder


BOTH_HALVES = [keras, of_floats, medmnist, kmnist, npy, channels, qmnist, hugging_face]


def images_and_labels(folder, images, labels):
    np.savez(folder / "training.npz", images=images, labels=labels)
    return folder / "training.npz"


def unnamed(folder, images, labels):
    np.savez(folder / "a.npz", images, labels)
    return folder / "a.npz"


def table(folder, images, labels):
    write_table(folder / "train.csv", images, labels)
    return folder / "train.csv"


def table_called_txt(folder, images, labels):
    write_table(folder / "train.txt", images, labels)
    return folder / "train.txt"


def parquet(folder, images, labels):
    return write_parquet(folder / "own.parquet", images, labels)


ONE_HALF = [images_and_labels, unnamed, table, table_called_txt, parquet]


def model_bytes(data, path):
    model = fastmnist.train(os.fspath(data), **SETTINGS)
    model.save(path)
    return model.metadata["train_data_sha256"], path.read_bytes()


@pytest.mark.parametrize("form", BOTH_HALVES, ids=lambda form: form.__name__)
def test_both_halves_in_every_form_train_the_same_model(form, halves, tmp_path):
    expected = model_bytes(write_idx(tmp_path / "idx", *halves), tmp_path / "expected.safetensors")
    (tmp_path / "form").mkdir()
    assert model_bytes(form(tmp_path / "form", *halves), tmp_path / "actual.safetensors") == expected


@pytest.mark.parametrize("form", ONE_HALF, ids=lambda form: form.__name__)
def test_one_half_in_every_form_trains_the_same_model(form, halves, tmp_path):
    expected = model_bytes(write_idx(tmp_path / "idx", *halves[:2]), tmp_path / "expected.safetensors")
    (tmp_path / "form").mkdir()
    assert model_bytes(form(tmp_path / "form", *halves[:2]), tmp_path / "actual.safetensors") == expected


def class_folders(folder, images, labels, top=""):
    for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        path = folder / top / str(label) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return folder


def zipped(folder, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


@pytest.mark.parametrize("tops", [("train", "test"), ("set/training", "set/testing"), ("", None), ("digits", None)])
def test_class_folders_in_a_zip_file_train_the_same_model(tops, halves, tmp_path):
    train, test = tops
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    for folder, is_packed in ((plain, False), (packed, True)):
        class_folders(folder, *halves[:2], top=train if is_packed else os.path.basename(train).replace("digits", ""))
        if test is not None:
            class_folders(folder, *halves[2:], top=test if is_packed else os.path.basename(test))
    expected = model_bytes(plain, tmp_path / "expected.safetensors")
    assert model_bytes(zipped(packed, tmp_path / "a.zip"), tmp_path / "actual.safetensors") == expected


def test_every_command_reads_every_form(run_cli, small_model, halves, tmp_path):
    write_idx(tmp_path / "idx", *halves)
    (tmp_path / "npy").mkdir()
    npy(tmp_path / "npy", *halves)
    keras(tmp_path, *halves)
    zipped(class_folders(tmp_path / "folders", *halves[2:]), tmp_path / "folders.zip")
    env = {"FASTMNIST_MODEL": str(small_model)}

    def evaluated(data):
        run = run_cli("evaluate", data, "--json", env=env)
        assert run.code == 0, run.stderr
        return json.loads(run.stdout)

    def predicted(data):
        run = run_cli("predict", data, env=env)
        assert (run.code, run.errors) == (0, [])
        return [line.split(",")[2:] for line in run.lines]

    (tmp_path / "hf").mkdir()
    hugging_face(tmp_path / "hf", *halves)
    expected = evaluated("idx")
    assert evaluated("mnist.npz") == evaluated("npy") == evaluated("hf") == expected
    assert evaluated("folders.zip") == evaluated("folders")
    expected = predicted("idx/t10k-images-idx3-ubyte")
    assert predicted("mnist.npz") == predicted("mnist.npz:x_test") == predicted("npy/X_test.npy") == expected
    assert predicted("hf/test-00000-of-00001.parquet") == expected
    assert predicted("folders.zip") == predicted("folders")
    assert predicted("mnist.npz:x_train") == predicted("idx/train-images-idx3-ubyte.gz")
    run = run_cli("predict", "mnist.npz", env=env)
    assert "mnist.npz: reading its test half, x_test; for the training half name mnist.npz:x_train" in run.stderr


def test_a_corrected_table_of_pictures_in_a_zip_file_is_trained_on(run_cli, small_model, halves, tmp_path):
    zipped(class_folders(tmp_path / "folders", *halves[2:]), tmp_path / "own.zip")
    run = run_cli("predict", "own.zip", "--model", small_model, "-o", "own.csv")
    assert run.code == 0, run.stderr
    run = run_cli("train", "own.csv", "--hidden", "4", "--epochs", "1")
    assert run.code == 0, run.stderr
    assert "on 60 images" in run.stderr


def read(path, split="train", **settings):
    with noted() as notes:
        return open_dataset(path).load(split, **settings), notes


@pytest.mark.parametrize("side", [8, 20, 32, 64])
def test_squares_of_another_size_are_scaled_as_pictures_are(side, halves, tmp_path):
    scaled = np.stack([cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in halves[0][:40]])
    folder = write_idx(tmp_path / "idx", scaled, halves[1][:40])
    np.savez(tmp_path / "a.npz", x=scaled, y=halves[1][:40])
    expected = fastmnist.read_images([np.ascontiguousarray(image) for image in scaled])
    for path in (folder, tmp_path / "a.npz"):
        images, _ = read(path, threads=2)
        assert images.preprocess == "auto"
        assert (images.labels == halves[1][:40]).all()
        np.testing.assert_array_equal(images.pixels.reshape(-1, 28, 28), expected)
    np.testing.assert_array_equal(fastmnist.read_images(str(tmp_path / "a.npz")), expected)
    np.testing.assert_array_equal(fastmnist.read_images(str(folder / "train-images-idx3-ubyte.gz")), expected)


def test_squares_that_hold_no_digit_or_may_not_be_scaled_are_errors(run_cli, small_model, halves, tmp_path):
    scaled = np.stack([cv2.resize(image, (20, 20)) for image in halves[0][:4]])
    scaled[2] = 0
    folder = write_idx(tmp_path / "idx", scaled, halves[1][:4])
    images, notes = read(folder)
    assert len(images.labels) == 3
    assert len(images.errors) == len(notes) == 1
    assert "train-images-idx3-ubyte.gz: image 2: no ink" in images.errors[0]
    env = {"FASTMNIST_MODEL": str(small_model)}
    run = run_cli("predict", folder / "train-images-idx3-ubyte.gz", env=env)
    assert (run.code, len(run.lines), len(run.errors)) == (1, 5, 1)
    run = run_cli("predict", "idx/train-images-idx3-ubyte.gz", "--preprocess", "none", env=env)
    assert (run.code, run.lines[1:]) == (1, ["idx/train-images-idx3-ubyte.gz,,,"])
    assert "is 20x20 pixels, expected 28x28; resize it or, if it shows a digit, use --preprocess auto" in run.errors[0]
    with pytest.raises(DataError, match="is 20x20 pixels, expected 28x28"):
        read(folder, preprocess="none")


@pytest.mark.parametrize("command", ["predict", "train", "evaluate"])
@pytest.mark.parametrize(
    ("name", "make", "lines"),
    [
        ("mnist.pkl.gz", lambda data: gzip.compress(data), "pickle.load(gzip.open('mnist.pkl.gz'), encoding='latin1')"),
        ("mnist.pkl", lambda data: data, "pickle.load(open('mnist.pkl', 'rb'), encoding='latin1')"),
        ("no_suffix", lambda data: data, "pickle.load(open('no_suffix', 'rb')"),
        ("training.pt", lambda data: b"PK\3\4", "images, labels, *_ = torch.load('training.pt')"),
    ],
)
def test_a_pickle_is_refused_with_the_python_that_converts_it(
    command, name, make, lines, run_cli, small_model, halves, tmp_path
):
    (tmp_path / name).write_bytes(make(pickle.dumps((halves[:2], halves[:2], halves[2:]))))
    run = run_cli(command, name, env={"FASTMNIST_MODEL": str(small_model)})
    assert (run.code, len(run.errors)) == (1, 1)
    assert run.errors[0].startswith(f"fastmnist: error: {name}: a ")
    assert lines in run.stderr


def test_the_python_that_converts_a_pickle_does_so(halves, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist.pkl.gz").write_bytes(gzip.compress(pickle.dumps((halves[:2], halves[2:], halves[2:]))))
    with pytest.raises(DataError) as error:
        open_dataset("mnist.pkl.gz")
    exec(str(error.value).partition("with Python: ")[2])  # noqa: S102 (it is what the user is told to run)
    for split, labels in (("train", halves[1]), ("test", halves[3])):
        assert (read("mnist.npz", split)[0].labels == labels).all()


def test_loose_pictures_are_to_be_put_into_folders(run_cli, halves, tmp_path):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"scan{number}.JPG"), halves[0][number])
    run = run_cli("train", tmp_path)
    assert (run.code, len(run.errors)) == (1, 1)
    assert (
        "scan0.JPG, scan1.JPG and 1 more outside class folders, expected a folder of pictures for each class"
        in run.stderr
    )
    assert "hint: put the pictures of each digit into a folder named after it, 0/ to 9/" in run.stderr.splitlines()
    run = run_cli("train", "scan0.JPG")
    assert "scan0.JPG: a file, expected a folder with IDX files or a folder of pictures for each class" in run.stderr
    zipped(tmp_path, tmp_path.with_suffix(".zip"))
    run = run_cli("train", tmp_path.with_suffix(".zip"))
    assert "no folders of pictures, expected one for each class (0/ to 9/)" in run.stderr


def test_labels_above_9_name_class_names(run_cli, halves, tmp_path):
    letters = np.tile(np.arange(1, 27, dtype=np.uint8), 4)
    write_images(tmp_path / "emnist-letters-train-images-idx3-ubyte", halves[0][:104])
    write_labels(tmp_path / "emnist-letters-train-labels-idx1-ubyte", letters)
    run = run_cli("train", tmp_path, "--hidden", "4", "--epochs", "1")
    assert (run.code, len(run.errors)) == (1, 1)
    assert "label 10 at index 9, expected 0 to 9" in run.stderr
    names = run.stderr.splitlines()[-1].partition("--class-names ")[2]
    assert names == "none,A,B,C,D,E,F,G,H,I,J,K,L,M,N,O,P,Q,R,S,T,U,V,W,X,Y,Z"
    run = run_cli("train", tmp_path, "--hidden", "4", "--epochs", "1", "--class-names", names)
    assert run.code == 0, run.stderr


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize(
    ("name", "arrays", "found"),
    [
        ("a.npz", {"x_train": 3, "x_test": 3}, "a.npz: only x_t"),
        ("a.npz", {"arr_0": 3}, "a.npz: only arr_0, expected images and labels in one .npz file"),
        ("a.npz", {"one": 3}, "a.npz: one, expected x_test, test_images, images or arr_0"),
        ("a.npz", {"x": 3, "y": [1, 2]}, "a.npz:x: 3 images, but a.npz:y has 2 labels"),
        ("a.npz", {"x": 0, "y": []}, "a.npz: no images"),
        ("a.npz", {"x": 3, "y": [1, 2, 10]}, "a.npz:y: label 10 at index 2, expected 0 to 9"),
        ("a.npy", {"": 3}, "a.npy: one array, expected images and labels in one .npz file"),
        ("none.npz", {}, "none.npz: No such file"),
    ],
)
def test_arrays_that_are_no_data_set_are_one_error_line(command, name, arrays, found, run_cli, small_model, tmp_path):
    contents = {
        key: np.zeros((value, 28, 28), np.uint8) if isinstance(value, int) else np.array(value, int)
        for key, value in arrays.items()
    }
    if name == "a.npz":
        np.savez(tmp_path / name, **contents)
    elif name == "a.npy":
        np.save(tmp_path / name, contents[""])
    run = run_cli(command, name, env={"FASTMNIST_MODEL": str(small_model)})
    assert (run.code, run.stdout, len(run.errors)) == (1, b"", 1)
    assert run.errors[0].startswith(f"fastmnist: error: {found}")


@pytest.mark.parametrize(("command", "half"), [("train", "test"), ("evaluate", "train")])
def test_a_half_that_is_not_there_is_missed(command, half, run_cli, small_model, halves, tmp_path):
    np.savez(tmp_path / "a.npz", **{f"x_{half}": halves[0], f"y_{half}": halves[1]})
    run = run_cli(command, "a.npz", env={"FASTMNIST_MODEL": str(small_model)})
    assert (run.code, len(run.errors)) == (1, 1)
    missing = {"test": "train", "train": "test"}[half]
    assert f"a.npz: no x_{missing} or {missing}_images" in run.stderr
