"""A table that `predict` wrote, corrected by hand, is a training and a test set."""

import csv
import gzip
import json
import os

import cv2
import numpy as np
import pytest

from fastmnist.datasets import corrected as module
from fastmnist.datasets.dataset import open_dataset
from fastmnist.errors import DataError
from fastmnist.inputs.idx import write_images, write_labels
from fastmnist.model.model_file import load_model

EPOCHS = ("--epochs", "2")


@pytest.fixture
def pictures(tmp_path, digits):
    """A folder of 30 digits as PNG, and an IDX file of 40 more."""
    (tmp_path / "in").mkdir()
    for i in range(30):
        cv2.imwrite(os.fspath(tmp_path / "in" / f"{i:02}.png"), digits[0][i])
    write_images(tmp_path / "more.idx", digits[0][30:70])
    return digits[0][:70].reshape(70, 784), digits[1][:70]


@pytest.fixture
def corrected(pictures, run_cli, small_model, tmp_path):
    """The table of both, as `predict` writes it, with the right labels."""
    run = run_cli("predict", "in", "more.idx", "--model", small_model, "-o", "corrected.csv")
    assert run.code == 0, run.stderr
    with open(tmp_path / "corrected.csv", newline="") as file:
        rows = list(csv.reader(file))
    for row, label in zip(rows[1:], pictures[1].tolist(), strict=True):
        row[2] = str(label)
    write(tmp_path / "corrected.csv", rows)
    return rows


def write(path, rows, delimiter=","):
    with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


def loaded(path):
    images = open_dataset(path).load("train")
    return images, {pixels.tobytes(): images.class_names[label] for pixels, label in zip(*images[:2], strict=True)}


def expected(pictures, rows=slice(None)):
    return {pixels.tobytes(): str(label) for pixels, label in zip(pictures[0][rows], pictures[1][rows], strict=True)}


def test_it_trains_and_evaluates(pictures, corrected, run_cli, small_model, tmp_path):
    run = run_cli("train", "corrected.csv", *EPOCHS)
    assert run.code == 0, run.stderr
    assert "on 70 images" in run.stderr
    assert load_model(tmp_path / "model.safetensors").class_names == list("0123456789")
    write_images(tmp_path / "t10k-images-idx3-ubyte", pictures[0].reshape(-1, 28, 28))
    write_labels(tmp_path / "t10k-labels-idx1-ubyte", pictures[1])
    runs = [run_cli("evaluate", data, "--model", small_model, "--json") for data in ("corrected.csv", ".")]
    table, idx = (json.loads(run.stdout) for run in runs)
    assert table["accuracy"] == idx["accuracy"]
    assert table["confusion"] == idx["confusion"]


@pytest.mark.usefixtures("corrected")
def test_its_images_are_those_of_its_rows(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert loaded("corrected.csv")[1] == expected(pictures)


def test_rows_without_a_label_are_left_out_and_counted(pictures, corrected, tmp_path, monkeypatch, run_cli, caplog):
    for row in corrected[11:]:
        row[2] = " "
    write(tmp_path / "some.csv", corrected)
    monkeypatch.chdir(tmp_path)
    assert loaded("some.csv")[1] == expected(pictures, slice(0, 10))
    assert caplog.messages == ["some.csv: skipping 60 rows without a label"]
    write(tmp_path / "empty.csv", [corrected[0]])
    run = run_cli("train", "empty.csv")
    assert (run.code, run.errors) == (
        1,
        ["fastmnist: error: empty.csv: no row with a label, expected some; fill in the labels"],
    )


def test_other_columns_orders_and_spreadsheets_do_not_matter(pictures, corrected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    turned = [[*reversed(row), "note"] for row in [corrected[0], *reversed(corrected[1:])]]
    write("turned.csv", turned)
    write("semicolons.csv", corrected, ";")
    write("tabs.csv", corrected, "\t")
    decimals = [[path, f"{index}.0" if index else "", f"{label}.0", *_] for path, index, label, *_ in corrected[1:]]
    write("pandas.csv", [corrected[0], *decimals])  # which has columns with gaps as floats
    (tmp_path / "marked.csv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "corrected.csv").read_bytes())
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress((tmp_path / "corrected.csv").read_bytes()))
    write("short.csv", [["path", "label"], ["in/03.png", pictures[1][3]]])
    for name in ("turned.csv", "semicolons.csv", "tabs.csv", "pandas.csv", "marked.csv", "packed.csv.gz"):
        assert loaded(name)[1] == expected(pictures), name
    assert loaded("short.csv")[1] == expected(pictures, slice(3, 4))


@pytest.mark.parametrize("name", [b"=1.png", b"\xff,\n.png", b'"q".png'])
def test_odd_names_come_back(name, digits, run_cli, small_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("plain.png", digits[0][0])
    os.rename("plain.png", name)
    assert run_cli("predict", os.fsdecode(name), "--model", small_model, "-o", "o.csv").code == 0
    images, found = loaded("o.csv")
    assert list(found) == [digits[0][0].tobytes()]
    assert images.errors == []


def test_other_labels_are_classes_of_their_own(pictures, corrected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for row in corrected[1:]:
        row[2] = "even" if int(row[2]) % 2 == 0 else "odd"
    write("words.csv", corrected)
    images, found = loaded("words.csv")
    assert images.class_names == ["even", "odd"]
    assert set(found.values()) == {"even", "odd"}


def test_an_image_that_is_gone_or_unreadable_is_an_error_of_its_own(pictures, corrected, tmp_path, run_cli):
    os.remove(tmp_path / "in" / "00.png")
    (tmp_path / "in" / "01.png").write_bytes(b"no picture")
    corrected[35][1] = "40"
    write(tmp_path / "c.csv", corrected)
    run = run_cli("train", "c.csv", *EPOCHS)
    assert run.code == 1
    assert "c.csv: 3 of 70 images of the training set can't be read" in run.stderr
    assert "in/00.png: No such file" in run.stderr
    assert "more.idx: image 40: no such image; correct the row" in run.stderr
    run = run_cli("train", "c.csv", *EPOCHS, "--skip-unreadable")
    assert run.code == 0, run.stderr
    assert "on 67 images" in run.stderr


FAULTS = {
    "path,label\n,7\n": "line 2: path '' and index '', expected a file, and a number or nothing",
    "path,index,label\na,x,7\n": "line 2: path 'a' and index 'x'",
    "path,index,label\n-,0,7\n": "line 2: an image from stdin, expected a file",
    "path,index,label\n<stdin>,,7\n": "line 2: an image from stdin, expected a file",
    "path,label\na\0b.png,7\n": "line 2: path 'a\\x00b.png' and index ''",
    "path,index,label\na," + "9" * 5000 + ",7\n": "line 2: path 'a' and index '999",
    'path,label"\na,7\n': "a header without path and label, expected both",
    "path,label\na,7\na,8\n": "line 3: a second label for a; remove one",
    "path,label\na,=1\n": "class name '=1': expected printable words",
    'path,label\na,"7\n': "unexpected end of data, expected CSV",
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_row_that_makes_no_sense_is_one_error_line(text, run_cli, tmp_path):
    (tmp_path / "bad.csv").write_text(text)
    run = run_cli("train", "bad.csv")
    assert (run.code, len(run.errors)) == (1, 1)
    assert FAULTS[text] in run.errors[0]


def test_rows_that_cannot_be_read_matter_only_with_a_label(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = [",".join(map(str, image.ravel())) for image in digits[0][:3]]
    (tmp_path / "table.csv").write_text("\n".join([*table, "1,2"]) + "\n")
    (tmp_path / "c.csv").write_text("path,index,label\ntable.csv,0,7\ntable.csv,1,\ntable.csv,2,1\ntable.csv,3,\n")
    images = open_dataset("c.csv").load("train")
    assert (sorted(images.labels), images.errors) == ([1, 7], [])


def test_a_folder_and_a_picture_of_it_may_both_be_named(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.csv").write_text("path,index,label\nin,,3\nin/00.png,,7\n")
    images = open_dataset("c.csv").load("train")
    assert images.labels.tolist() == [7]
    assert images.errors == ["in: no such image; correct the row"]


def test_labels_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_LABELS", 2)
    (tmp_path / "c.csv").write_text("path,label\na,1\nb,2\nc,3\n")
    with pytest.raises(DataError, match="more than 2 labels; split the table"):
        open_dataset(tmp_path / "c.csv").load("train")


def test_a_label_that_is_no_class_is_refused(corrected, run_cli, tmp_path, small_model):
    corrected[4][2] = "seven"
    write(tmp_path / "bad.csv", corrected)
    run = run_cli("evaluate", "bad.csv", "--model", small_model)
    assert (run.code, len(run.errors)) == (1, 1)
    assert "bad.csv: label 'seven' for in/03.png, expected one of 0, 1, 2" in run.errors[0]


def test_a_bomb_is_refused_in_little_memory(tmp_path):
    with gzip.open(tmp_path / "bomb.csv.gz", "wb", 1) as file:
        file.write(b"path,label\n")
        for _ in range(257):
            file.write(bytes(1 << 20))
    with pytest.raises(DataError, match="too large for a table of corrections"):
        open_dataset(tmp_path / "bomb.csv.gz").load("train")


def test_pages_of_a_file_are_rows(digits, run_cli, small_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cv2.imwritemulti("pages.tiff", list(digits[0][:3]))
    assert run_cli("predict", "pages.tiff", "--model", small_model, "-o", "o.csv").code == 0
    assert set(loaded("o.csv")[1]) == {image.tobytes() for image in np.asarray(digits[0][:3])}


def test_classes_that_are_decimals_keep_their_names(pictures, corrected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["1.0", "1.5", "2.0"]
    for number, row in enumerate(corrected[1:]):
        row[2] = names[number % 3]
    write("decimals.csv", corrected)
    assert open_dataset("decimals.csv").load("train").class_names == names
    write("two.csv", [row for row in corrected if row[2] != "1.5"])
    assert open_dataset("two.csv").load("train", ["1.0", "2.0"]).class_names == ["1.0", "2.0"]


def test_some_labels_may_have_decimals_where_the_classes_are_given(pictures, corrected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for row in corrected[1::2]:
        row[2] += ".0"
    write("mixed.csv", corrected)
    for names in (None, [str(digit) for digit in range(10)]):
        images = open_dataset("mixed.csv").load("train", names)
        assert {images.class_names[label] for label in images.labels} == {str(label) for label in pictures[1]}
