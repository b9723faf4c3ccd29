"""The commands with a model that can refuse."""

import csv
import json
import os
import re

import cv2
import numpy as np
import pytest
from conftest import shown_on_terminal
from test_no_digit import KINDS as LABELLED
from test_no_digit import LABELS, OTHERS, REFUSED, SETTINGS, TOLD, halves_model, images_of, labels_of, trained

from fastmnist.inputs.idx import write_images, write_labels
from fastmnist.model.model_file import load_model, save_model

KINDS = "t-b-"
MESSAGE = f"{TOLD} ({REFUSED:.2f})"


@pytest.fixture
def halves(tmp_path):
    """A model, m.safetensors, and images for it: the IDX file idx, and folder with black.png, bad.png, top.png."""
    save_model(tmp_path / "m.safetensors", halves_model())
    images = images_of(KINDS)
    images[[1, 3]] = 0
    write_images(tmp_path / "idx", images)
    (tmp_path / "folder").mkdir()
    cv2.imwrite(str(tmp_path / "folder" / "black.png"), images[1])
    cv2.imwrite(str(tmp_path / "folder" / "top.png"), images[0])
    (tmp_path / "folder" / "bad.png").write_bytes(b"no picture")
    return tmp_path


def predict(run_cli, *options):
    return run_cli("predict", "folder", "idx", "--model", "m.safetensors", *options)


def test_a_refused_image_keeps_its_row_without_a_label_and_exits_with_1(run_cli, halves):
    run = predict(run_cli)
    assert run.code == 1
    paths = ["folder/bad.png,", "folder/black.png,", "folder/top.png,", *(f"idx,{row}" for row in range(4))]
    labels = [line.split(",")[2] for line in run.lines[1:]]
    assert labels == ["", "", "top", "top", "", "bottom", ""]
    for line, path, label in zip(run.lines[1:], paths, labels, strict=True):
        assert re.fullmatch(rf"{path},{label},0\.9\d{{5}}" if label else f"{path},,", line)
    assert run.errors[1:] == [
        f"fastmnist: error: folder/black.png: {MESSAGE}",
        f"fastmnist: error: idx: image 1: {MESSAGE}",
        f"fastmnist: error: idx: image 3: {MESSAGE}",
    ]
    assert "7 images, 4 errors" in run.stderr
    assert run_cli("predict", "folder/top.png", "--model", "m.safetensors").code == 0
    assert run_cli("predict", "folder/black.png", "--model", "m.safetensors").code == 1


def test_json_lines_say_why_there_is_no_label(run_cli, halves):
    run = predict(run_cli, "--format", "jsonl", "--probabilities", "--min-confidence", "0.5")
    assert run.code == 1
    rows = [json.loads(line) for line in run.lines]
    bad = run.errors[0].removeprefix("fastmnist: error: ")
    assert [row.get("error") for row in rows] == [bad, "no digit", None, None, "no digit", None, "no digit"]
    for row in rows:
        is_named = row["label"] is not None
        assert ("error" in row) != is_named
        if is_named:
            assert list(row["probabilities"]) == ["top", "bottom"]
            assert 0.5 < sum(row["probabilities"].values()) <= 1
        else:
            assert row["confidence"] is row["probabilities"] is row["review"] is None


def test_columns_on_request_are_empty_too(run_cli, halves):
    rows = list(csv.DictReader(predict(run_cli, "--probabilities", "--min-confidence", "1").lines))
    for row in rows:
        cells = [row[name] for name in ("confidence", "probability_top", "probability_bottom", "review")]
        assert all(cells) if row["label"] else not any(cells)
    assert [row["review"] for row in rows] == ["", "", "yes", "yes", "", "yes", ""]


def test_kaggles_rows_have_an_empty_label(run_cli, halves):
    run = predict(run_cli, "--format", "kaggle")
    assert (run.code, run.lines) == (1, ["ImageId,Label", "1,", "2,", "3,top", "4,top", "5,", "6,bottom", "7,"])


def test_shards_are_all_rows(run_cli, halves):
    whole = predict(run_cli).lines[1:]
    shards = [predict(run_cli, "--shard", f"{shard}/2").lines[1:] for shard in (1, 2)]
    assert shards == [whole[::2], whole[1::2]]


def test_a_picture_of_no_digit_is_shown_as_such(halves):
    arguments = "predict", "folder/black.png", "--model", "m.safetensors", "--show", "1"
    code, shown = shown_on_terminal(*arguments, cwd=halves)
    assert code == 1
    assert f"folder/black.png:  no digit {100 * REFUSED:.1f} %  " in shown


def test_evaluate_shows_refusals_in_a_column_of_their_own(run_cli, halves):
    kinds, true = "ttb-b-tbt-", [0, 1, 1, 0, 1, 1, 0, 0, 0, 0]
    (halves / "data").mkdir()
    write_images(halves / "data" / "t10k-images-idx3-ubyte", images_of(kinds))
    write_labels(halves / "data" / "t10k-labels-idx1-ubyte", np.array(true, np.uint8))
    run = run_cli("evaluate", "data", "--model", "m.safetensors", "--errors", "wrong")
    assert run.code == 0, run.stderr
    assert run.lines[0].startswith("accuracy 50.00 % (10 images) ")
    assert run.lines[1] == "3 images taken for no digit, which count as wrong"
    matrix = next(number for number, line in enumerate(run.lines) if line.startswith("confusion matrix"))
    assert [line.split() for line in run.lines[matrix + 1 : matrix + 4]] == [
        ["top", "bottom", "no", "digit"],
        ["top", "3", "1", "2"],
        ["bottom", "1", "2", "1"],
    ]
    assert len({len(line) for line in run.lines[matrix + 1 : matrix + 4]}) == 1
    assert [line.split()[-1] for line in run.lines[4:6]] == ["6", "4"]  # images of each class
    assert run.lines[-4:] == [
        "top read as no digit: 2",
        "top read as bottom: 1",
        "bottom read as top: 1",
        "bottom read as no digit: 1",
    ]
    assert sorted(os.listdir(halves / "wrong")) == [
        "00001-true-bottom-read-top.png",
        "00003-true-top-read-no_digit.png",
        "00005-true-bottom-read-no_digit.png",
        "00007-true-top-read-bottom.png",
        "00009-true-top-read-no_digit.png",
    ]
    shown = json.loads(run_cli("evaluate", "data", "--model", "m.safetensors", "--json").stdout)
    assert (shown["confusion"], shown["refused"], shown["accuracy"]) == ([[3, 1], [1, 2]], [2, 1], 0.5)
    assert shown["top_confusions"] == [[0, 2, 2], [0, 1, 1], [1, 0, 1], [1, 2, 1]]


def test_info_and_doctor_say_what_a_model_tells(run_cli, halves):
    assert '  "no_digit": true,' in run_cli("info", "m.safetensors").lines
    assert "classes top, bottom and no digit" in run_cli("doctor", "--model", "m.safetensors").stdout.decode()


@pytest.fixture
def own(tmp_path):
    """Class folders top and bottom, the folder others, and options to train on them."""
    for kind in "tb-":
        folder = tmp_path / ("own" if LABELS[kind] else "") / (LABELS[kind] or "others")
        folder.mkdir(parents=True)
        for number, image in enumerate(images_of(kind * 20)):
            cv2.imwrite(str(folder / f"{number:02}.png"), image)
    recipe = ("--recipe", "seed", "--hidden", "32", "--epochs", "12", "--batch-size", "8", "--shuffle")
    return "train", "own", *recipe, "--initial-scale", "he", "--preprocess", "none", "--no-digit", "others"


def test_a_model_is_trained_with_pictures_of_no_digit_and_goes_on(run_cli, own, tmp_path):
    run = run_cli(*own, "--checkpoint", "c")
    assert run.code == 0, run.stderr
    assert "training 784-32-3 on 60 images" in run.stderr
    model = load_model(tmp_path / "model.safetensors")
    assert (model.can_refuse, model.class_names) == (True, ["bottom", "top"])
    whole = (tmp_path / "model.safetensors").read_bytes()
    resumed = run_cli(*own, "--checkpoint", "c", "--resume", "-o", "resumed.safetensors")
    assert resumed.code == 0, resumed.stderr
    assert (tmp_path / "resumed.safetensors").read_bytes() == whole
    further = run_cli("train", "own", "--from", "model.safetensors", "--epochs", "1", "-o", "further.safetensors")
    assert further.code == 0, further.stderr
    assert load_model(tmp_path / "further.safetensors").can_refuse


def test_the_command_writes_what_the_library_returns(run_cli, tmp_path):
    write_images(tmp_path / "train-images-idx3-ubyte", images_of(LABELLED))
    labels = np.array([["bottom", "top"].index(label) for label in labels_of(LABELLED)], np.uint8)
    write_labels(tmp_path / "train-labels-idx1-ubyte", labels)
    write_images(tmp_path / "others", OTHERS)
    options = [f"--{name.replace('_', '-')}" for name in SETTINGS]
    values = [value[0] if isinstance(value, tuple) else value for value in SETTINGS.values()]
    given = [str(part) for pair in zip(options, values, strict=True) for part in pair if part is not True]
    run = run_cli("train", ".", *given, "--class-names", "bottom,top", "--no-digit", "others")
    assert run.code == 0, run.stderr
    trained().save(tmp_path / "library.safetensors")
    assert (tmp_path / "library.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_what_cannot_work_is_one_error_line(run_cli, own, tmp_path):
    (tmp_path / "others" / "x.png").write_bytes(b"no picture")
    run = run_cli(*own)
    assert run.code == 1
    assert "others: 1 of 21 images of no digit can't be read, expected all of them" in run.errors[-1]
    assert run_cli(*own, "--skip-unreadable").code == 0
    (tmp_path / "others").rename(tmp_path / "own" / "No_Digit")
    run = run_cli("train", "own")
    assert (run.code, len(run.errors)) == (1, 1)
    assert (
        "own/No_Digit: expected real classes only; pass images that belong to none of them with --no-digit"
        in run.errors[0]
    )
    assert run_cli("train", "own", "--class-names", "top,no digit").code == 2


def test_images_that_are_not_there_are_an_error(run_cli, own):
    run = run_cli(*own[:-1], "missing")
    assert run.code == 1
    assert "missing" in run.errors[0]
