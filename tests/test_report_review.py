"""The page of `predict --report`; test_report_browser.py corrects and saves."""

import base64
import csv
import io
import json
import os

import cv2
import numpy as np
import pytest
from conftest import random_network
from html_tree import by_id, facts_of, pixels_of, text_of, tree_of
from test_cli_predict import write_pngs
from test_no_digit import halves_model, images_of

from fastmnist.inputs.batch import Batch, Predictions
from fastmnist.model.model_file import Model, save_model
from fastmnist.prediction import predict
from fastmnist.report import review_page
from fastmnist.report.review_page import ReviewPage
from fastmnist.shapes import DIGITS


def batches(pixels, path=b"set.idx", size=100, errors=()):
    """An IDX file's images as the inputs give them."""
    for first in range(0, len(pixels), size):
        rows = range(first, min(first + size, len(pixels)))
        found = {row - first: f"set.idx: image {row}: bad" for row in rows if row in errors}
        yield Batch([path] * len(rows), rows, rows, pixels[first : rows.stop], found)


def page_of(model, pixels, below=1.0, **settings):
    review = ReviewPage(model, below)
    for predictions in predict(model, batches(pixels, **settings)):
        review.add(predictions)
    content = review.page()
    assert content == review.page()
    return content, tree_of(content)


def table_of(tree):
    return base64.b64decode(json.loads(by_id(tree, "data").text)["table"])


def labels_in(tree):
    """The label in the table where each picture says that it has its own."""
    table = table_of(tree)
    rows = [(int(row.get("data-at")), int(row.get("data-n"))) for row in by_id(tree, "rows")]
    return [table[at : at + n].decode() for at, n in rows]


@pytest.fixture
def pixels(digits):
    return digits[0][:250].reshape(-1, 784).copy()


@pytest.fixture
def model():
    return Model(random_network(), list(DIGITS), "auto")


def test_it_holds_the_table_of_predict_and_shows_what_is_below(run_cli, small_set, small_model, tmp_path):
    options = ("t10k-images-idx3-ubyte", "--model", small_model)
    run = run_cli("predict", *options, "--report", tmp_path / "r.html", "--min-confidence", "0.14", cwd=small_set)
    assert run.code == 0
    assert "report written to " in run.stderr
    tree = tree_of((tmp_path / "r.html").read_bytes())
    plain = run_cli("predict", *options, cwd=small_set).stdout
    assert table_of(tree) == plain
    rows = {row["index"]: row for row in csv.DictReader(io.StringIO(plain.decode()))}
    items = list(by_id(tree, "rows"))
    assert 0 < len(items) < 200
    assert len(items) == sum(float(row["confidence"]) < 0.14 for row in rows.values())
    confidences = []
    for item, label in zip(items, labels_in(tree), strict=True):
        where, guesses = map(text_of, item.findall("p"))
        row = rows[where.removeprefix("t10k-images-idx3-ubyte: image ")]
        confidences.append(float(row["confidence"]))
        assert label == row["label"]
        first, second = guesses.split("%")[:2]
        assert first.split() == [label, f"{100 * confidences[-1]:.1f}"]
        assert float(second.split()[1]) <= float(first.split()[1])
    assert confidences == sorted(confidences)
    assert facts_of(tree) == {
        "images": "200", "to check": str(len(items)), "confidence below": "14.0 %", "can't be read": "0",
    }  # fmt: skip


def test_the_pictures_are_the_images(model, pixels):
    _, tree = page_of(model, pixels)
    for item in by_id(tree, "rows"):
        position = int(text_of(item.find("p")).split()[-1])
        assert (pixels_of(item.find("img")) == np.rint(pixels[position].reshape(28, 28) / 17) * 17).all()


def test_what_cannot_be_read_is_a_row_without_a_picture_and_told(model, pixels):
    _, tree = page_of(model, pixels, errors=[3, 120])
    assert len(by_id(tree, "rows")) == 248
    assert table_of(tree).count(b",,\n") == 2
    assert [text_of(item) for item in list(tree.iter("ul"))[1]] == ["set.idx: image 3: bad", "set.idx: image 120: bad"]
    assert set(labels_in(tree)) <= set(DIGITS)


def test_refusals_are_to_be_checked_and_have_no_label(tmp_path):
    images = images_of("t-b-")
    images[[1, 3]] = 0
    _, tree = page_of(halves_model(), images.reshape(-1, 784), 0.5)
    assert [text_of(item.find("p")) for item in by_id(tree, "rows")] == ["set.idx: image 1", "set.idx: image 3"]
    assert labels_in(tree) == ["", ""]
    assert text_of(by_id(tree, "rows")[0].findall("p")[1]).startswith("no digit 9")


def test_it_grows_with_the_least_sure_alone(model, monkeypatch):
    monkeypatch.setattr(review_page, "MOST_DOUBTS", 40)
    monkeypatch.setattr(review_page, "MOST_ROWS", 200)
    rng = np.random.default_rng(0)
    pixels = rng.integers(256, size=(1000, 784), dtype=np.uint8)
    review = ReviewPage(model, 1.0)
    for predictions in predict(model, batches(pixels)):
        review.add(predictions)
        assert len(review._doubts) <= 180
    tree = tree_of(review.page())
    least = np.argsort(model.network.predict(pixels)[1], kind="stable")[:40]
    assert [int(text_of(item.find("p")).split()[-1]) for item in by_id(tree, "rows")] == least.tolist()
    rows = list(csv.DictReader(io.StringIO(table_of(tree).decode())))
    assert [int(row["index"]) for row in rows] == sorted(least.tolist())
    assert labels_in(tree) == [str(label) for label in model.network.predict(pixels[least])[0]]
    said = text_of(tree)
    assert "These are the 40 least confident of 1,000." in said
    assert "has only the rows of these pictures" in said


def test_many_pictures_of_any_kind_are_less_than_10_mb(model):
    pixels = np.random.default_rng(0).integers(256, size=(10_000, 784), dtype=np.uint8)
    content, tree = page_of(model, pixels)
    assert len(by_id(tree, "rows")) == 10_000
    assert len(content) < 10e6


@pytest.mark.parametrize("n", [0, 3])
def test_nothing_to_check_is_a_page_too(n, model, pixels):
    _, tree = page_of(model, pixels[:n], 0.0)
    assert len(by_id(tree, "rows")) == 0
    assert table_of(tree).count(b"\n") == n + 1
    assert "least confident of" not in text_of(tree)


def test_names_are_nothing_but_text():
    names = ['a://u:p@h?b=1 "</script><script>alert(1)</script>,', "b</li>&"]
    model = Model(random_network((784, 8, 2)), names, "auto")
    path = b"<script>alert(2)</script>\xff\r\n\"',.png"
    predictions = Predictions(
        Batch([path], [None], range(1), np.zeros((1, 784), np.uint8), {}), np.zeros(1, np.uint8),
        np.full(1, 0.5, np.float32),
    )  # fmt: skip
    review = ReviewPage(model)
    review.add(predictions)
    tree = tree_of(review.page())
    assert len(list(tree.iter("script"))) == 2
    assert json.loads(by_id(tree, "data").text)["classes"] == names
    assert text_of(by_id(tree, "rows")[0].find("p")) == "<script>alert(2)</script>\\udcff\\r\\n\"',.png"
    assert text_of(next(by_id(tree, "rows")[0].iter("b"))) == names[0]  # which the script takes for the label
    assert labels_in(tree) == ['"' + names[0].replace('"', '""') + '"']
    assert table_of(tree).startswith(b"path,index,label,confidence\n" + b'"<script>alert(2)</script>\xff\r\n""')


def test_rows_go_where_they_went_and_the_report_beside_them(run_cli, digits, small_model, tmp_path):
    write_pngs(tmp_path / "in", digits[0][:5])
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    plain = run_cli("predict", "in", "--model", small_model, "--format", "jsonl", "--probabilities")
    run = run_cli("predict", "in", "--model", small_model, "--format", "jsonl", "--probabilities", "--report", "r.html")
    assert (run.code, run.stdout) == (plain.code, plain.stdout) == (1, plain.stdout)
    tree = tree_of((tmp_path / "r.html").read_bytes())
    assert table_of(tree) == run_cli("predict", "in", "--model", small_model).stdout
    assert next(text_of(item.find("p")) for item in by_id(tree, "rows")).startswith("in/0000")
    assert len(by_id(tree, "rows")) == 5


def test_usage_and_places(run_cli, digits, small_model, tmp_path):
    write_pngs(tmp_path / "in", digits[0][:2])
    run = run_cli("predict", "in", "-o", "o.csv", "--resume", "--report", "r.html")
    assert run.code == 2
    assert "Error: --report needs all rows" in run.stderr
    run = run_cli("predict", "in", "--model", small_model, "--report", "none/r.html")
    assert (run.code, run.stdout, len(run.errors)) == (1, b"", 1)
    assert "none/r.html: cannot be written" in run.errors[0]
    assert os.listdir(tmp_path) == ["in"]


def test_several_pages_and_odd_names_have_their_own_rows(run_cli, digits, small_model, tmp_path):
    cv2.imwritemulti(str(tmp_path / "pages.tiff"), list(digits[0][:3]))
    cv2.imwrite(str(tmp_path / "=1.png"), digits[0][3])
    run = run_cli("predict", "=1.png", "pages.tiff", "--model", small_model, "--report", "r.html")
    tree = tree_of((tmp_path / "r.html").read_bytes())
    assert table_of(tree) == run.stdout
    names = {text_of(item.find("p")) for item in by_id(tree, "rows")}
    assert names == {"=1.png", *(f"pages.tiff: image {page}" for page in range(3))}


def test_a_saved_model_of_other_classes_names_them(run_cli, digits, tmp_path):
    save_model(tmp_path / "m.safetensors", Model(random_network((784, 8, 2)), ["odd, or so", "even"], "auto"))
    write_pngs(tmp_path / "in", digits[0][:4])
    run = run_cli("predict", "in", "--model", "m.safetensors", "--report", "r.html")
    tree = tree_of((tmp_path / "r.html").read_bytes())
    assert table_of(tree) == run.stdout
    assert set(labels_in(tree)) <= {'"odd, or so"', "even"}
    for item in by_id(tree, "rows"):
        assert {name.text for name in item.iter("b")} == {"odd, or so", "even"}
