"""The page of `evaluate --report`."""

import json
import re

import cv2
import numpy as np
import pytest
from conftest import random_network
from html_tree import by_id, facts_of, pixels_of, rows_of, text_of, tree_of
from test_cli_predict import write_pngs

import fastmnist
from fastmnist.datasets.labelled import LabelledImages
from fastmnist.evaluation import evaluate
from fastmnist.model.model_file import Model
from fastmnist.report.evaluation_page import evaluation_page
from fastmnist.shapes import DIGITS

HOSTILE = "\"><script>alert(1)</script>&'\x1b"
HOSTILE_NAMES = ["a\"><script>alert(1)</script>&'", "b</td></table>$x"]


@pytest.fixture
def run(run_cli, small_set, small_model, tmp_path):
    """A run of `evaluate --json --report r.html`, its figures and the tree of its page."""
    done = run_cli("evaluate", small_set, "--model", small_model, "--json", "--report", "r.html")
    assert done.code == 0, done.stderr
    return done, json.loads(done.stdout), tree_of((tmp_path / "r.html").read_bytes())


@pytest.fixture
def images(digits):
    """200 digits as a data set."""
    return LabelledImages(digits[0][:200].reshape(-1, 784).copy(), digits[1][:200], list(DIGITS), [], "auto")


def page_of(images, model=None, **changes):
    """The page about a model that knows nothing, and its tree."""
    images = images._replace(**changes)
    model = model or Model(random_network((784, 8, len(images.class_names))), images.class_names, "auto")
    figures = evaluate(model.network, images.pixels, images.labels, can_refuse=model.can_refuse)
    content = evaluation_page(model, images, figures, "data/")
    assert content == evaluation_page(model, images, figures, "data/")
    return content, tree_of(content), figures


def test_the_figures_are_those_of_json(run):
    done, figures, tree = run
    tiles = facts_of(tree.find(".//header"))
    low, high = figures["accuracy_interval"]
    assert tiles == {
        "accuracy": f"{figures['accuracy']:.2%}".replace("%", " %"),
        "95 % interval": f"{100 * low:.2f} to {100 * high:.2f} %",
        "images": "200",
        "mistakes": str(200 - round(200 * figures["accuracy"])),
        "loss": f"{figures['loss']:.4f}",
        "calibration error": f"{figures['calibration_error']:.4f}",
    }
    rows = rows_of(by_id(tree, "classes"))
    sizes = [sum(row) for row in figures["confusion"]]
    columns = [figures[kind] for kind in ("precision", "recall", "f1")]
    for label in range(10):
        assert rows[str(label)] == [*(f"{column[label]:.4f}" for column in columns), str(sizes[label])]
    assert rows["mean"] == [*(f"{np.mean(column):.4f}" for column in columns), "200"]
    assert rows["weighted mean"] == [*(f"{np.average(column, weights=sizes):.4f}" for column in columns), "200"]
    matrix = rows_of(by_id(tree, "confusions"))
    assert [[int(cell) for cell in matrix[digit]] for digit in DIGITS] == figures["confusion"]
    confidences = rows_of(by_id(tree, "confidence"))
    assert [int(cells[0]) for cells in confidences.values()] == [row["n_samples"] for row in figures["reliability"]]
    assert list(confidences) == [f"{100 * row['confidence']:.1f} %" for row in figures["reliability"]]
    assert done.stderr.splitlines()[-1] == "report written to r.html"


def test_the_figures_are_those_of_scikit_learn(images):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is no part of the test extra")
    _, tree, figures = page_of(images)
    rows = rows_of(by_id(tree, "classes"))
    expected = metrics.classification_report(
        images.labels, figures.predictions, labels=range(10), target_names=DIGITS, output_dict=True, zero_division=0
    )
    names = {**{digit: digit for digit in DIGITS}, "mean": "macro avg", "weighted mean": "weighted avg"}
    for shown, name in names.items():
        kinds = [f"{expected[name][kind]:.4f}" for kind in ("precision", "recall", "f1-score")]
        assert rows[shown] == [*kinds, f"{expected[name]['support']:.0f}"]


def test_stdout_is_the_same_with_and_without(run, run_cli, small_set, small_model, tmp_path):
    assert run_cli("evaluate", small_set, "--model", small_model, "--json").stdout == run[0].stdout
    first = (tmp_path / "r.html").read_bytes()
    fastmnist.evaluate(fastmnist.load(small_model), small_set, report=tmp_path / "library.html")
    assert (tmp_path / "library.html").read_bytes() == first


def test_each_cell_leads_to_its_pictures(images):
    _, tree, figures = page_of(images)
    links = [link for link in by_id(tree, "confusions").iter("a") if link.get("href").startswith("#cell")]
    assert len(links) == np.count_nonzero(figures.confusion)
    for link in links:
        section = by_id(tree, link.get("href")[1:])
        label, said = map(int, link.get("href").split("-")[1:])
        count = figures.confusion[label, said]
        assert link.text == str(count)
        assert text_of(section.find("h3")).startswith(f"{label} read as {said}: {count}")
        items = list(section.iter("li"))
        assert len(items) == (count if label != said else min(count, 20))
        for item in items:
            position = int(text_of(item).split()[-1])
            assert (images.labels[position], figures.predictions[position]) == (label, said)
            expected = np.rint(images.pixels[position].reshape(28, 28) / 17) * 17
            assert (pixels_of(item.find("img")) == expected).all()


def test_the_worst_mistakes_come_with_both_probabilities(images):
    _, tree, figures = page_of(images)
    items = list(by_id(tree, "worst").iter("li"))
    wrong = np.flatnonzero(figures.predictions != images.labels)
    assert len(items) == 48
    assert f"{len(wrong)}, the first 48" in text_of(by_id(tree, "worst"))
    position = wrong[figures.label_probabilities[wrong].argmin()]
    assert text_of(items[0]) == (
        f"{images.labels[position]} {100 * figures.label_probabilities[position]:.1f} % read as "
        f"{figures.predictions[position]} {100 * figures.confidences[position]:.1f} % image {position}"
    )


def test_a_set_without_mistakes_has_none(images):
    network = random_network()
    network.parameters[:] = 0
    network.biases(1)[3] = 9
    kept = images.labels == 3
    model = Model(network, list(DIGITS), "auto")
    _, tree, _ = page_of(images, model, pixels=images.pixels[kept], labels=images.labels[kept])
    assert text_of(by_id(tree, "worst")).endswith("None.")
    assert facts_of(tree.find(".//header"))["mistakes"] == "0"


def test_what_is_taken_for_no_digit_has_a_column_and_pictures(images):
    model = Model(random_network((784, 8, 11)), list(DIGITS), "auto")
    _, tree, figures = page_of(images, model)
    assert figures.n_refused > 0
    matrix = rows_of(by_id(tree, "confusions"))
    assert [int(matrix[digit][-1]) for digit in DIGITS] == figures.refused.tolist()
    label = int(figures.refused.argmax())
    section = by_id(tree, f"cell-{label}-10")
    assert text_of(section.find("h3")) == f"{label} read as no digit: {figures.refused[label]}"
    assert len(list(section.iter("li"))) == figures.refused[label]
    assert facts_of(tree.find(".//header"))["taken for no digit"] == str(figures.n_refused)


def test_names_paths_and_messages_are_nothing_but_text(images):
    model = Model(random_network((784, 8, 2)), HOSTILE_NAMES, "auto", origin={"recipe": {"name": HOSTILE}})
    images = images._replace(
        labels=images.labels % 2, class_names=HOSTILE_NAMES, errors=[HOSTILE], names=[HOSTILE] * 200
    )
    figures = evaluate(model.network, images.pixels, images.labels)
    tree = tree_of(evaluation_page(model, images, figures, HOSTILE))
    assert list(tree.iter("script")) == []
    shown = HOSTILE.replace("\x1b", "\\x1b")
    assert text_of(tree.find(".//h1")) == f"How well the model reads {shown}"
    assert set(HOSTILE_NAMES) <= set(rows_of(by_id(tree, "confusions")))
    assert facts_of(by_id(tree, "facts"))["recipe"] == shown
    assert text_of(next(iter(by_id(tree, "facts").iter("li")))) == shown
    assert text_of(next(by_id(tree, "worst").iter("li"))).endswith(shown)


def test_it_loads_nothing_and_needs_no_script(images):
    content, tree, _ = page_of(images)
    assert list(tree.iter("script")) == []
    for element in tree.iter():
        for name in {"src", "href", "srcset", "poster", "action", "data"} & set(element.attrib):
            assert re.match("data:|#", element.get(name)), element.get(name)
        assert "style" not in element.attrib
    assert not re.search(rb"https?://|url\(|@import", content)
    ids = [element.get("id") for element in tree.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    assert {link.get("href")[1:] for link in tree.iter("a")} <= set(ids)


@pytest.mark.parametrize("kind", ["digits", "noise"])
def test_ten_thousand_mistakes_are_shown_in_less_than_10_mb(kind, digits):
    rng = np.random.default_rng(0)
    pixels = digits[0].reshape(-1, 784) if kind == "digits" else rng.integers(256, size=(10_500, 784), dtype=np.uint8)
    network = random_network()
    labels = ((network.predict(pixels)[0] + 1 + rng.integers(9, size=len(pixels))) % 10).astype(np.uint8)
    content, tree, _ = page_of(
        LabelledImages(pixels, labels, list(DIGITS), [], "auto"), Model(network, list(DIGITS), "auto")
    )
    shown = sum(len(list(section.iter("img"))) for section in tree.iter("section") if section.get("class") == "cell")
    assert shown == 10_000
    assert len(content) < 10e6


def test_the_curves_of_the_training_are_there_where_the_model_has_them(images):
    model = fastmnist.train(images.pixels, images.labels, recipe="seed", hidden=8, epochs=3)
    _, tree, _ = page_of(images, model)
    training = by_id(tree, "training")
    assert len(list(training.iter("polyline"))) == 2
    assert rows_of(training)["3"][0] == f"{model.origin['train_loss']:.6f}"
    assert facts_of(by_id(tree, "facts"))["warning"].startswith("the model was trained on these very images")
    _, tree, _ = page_of(images)
    assert all(element.get("id") != "training" for element in tree.iter())
    assert "warning" not in facts_of(by_id(tree, "facts"))


def test_pictures_in_files_are_called_by_their_paths(run_cli, digits, small_model, tmp_path):
    for label in (3, 5):
        write_pngs(tmp_path / "set" / str(label), digits[0][digits[1] == label][:8])
    (tmp_path / "set" / "3" / "bad.png").write_bytes(b"no picture")
    run = run_cli("evaluate", "set", "--model", small_model, "--report", "r.html")
    assert run.code == 1
    tree = tree_of((tmp_path / "r.html").read_bytes())
    items = list(by_id(tree, "worst").iter("li"))
    assert len(items) >= 8
    for item in items:
        path = text_of(item).split()[-1]
        assert path.startswith(f"set/{text_of(item)[0]}/")
        expected = np.rint(cv2.imread(str(tmp_path / path), cv2.IMREAD_UNCHANGED) / 17) * 17
        assert (pixels_of(item.find("img")) == expected).all()
    assert "set/3/bad.png" in text_of(next(iter(by_id(tree, "facts").iter("li"))))


def test_images_that_are_left_out_do_not_shift_the_numbers_of_the_others(digits, small_model, tmp_path):
    write_pngs(tmp_path / "in", digits[0][:6])
    (tmp_path / "bad.png").write_bytes(b"no picture")
    given = [tmp_path / "bad.png", *sorted((tmp_path / "in").iterdir())]
    model = fastmnist.load(small_model)
    labels = [0, *digits[1][:6].tolist()]
    fastmnist.evaluate(model, given, labels, report=tmp_path / "r.html")
    for item in by_id(tree_of((tmp_path / "r.html").read_bytes()), "worst").iter("li"):
        number = int(text_of(item).split()[-1])
        assert (pixels_of(item.find("img")) == np.rint(digits[0][number - 1] / 17) * 17).all()


def test_a_place_that_cannot_be_written_to_is_told_before_anything_else(run_cli, small_model, tmp_path):
    run = run_cli("evaluate", "no such data", "--model", small_model, "--report", "none/r.html")
    assert (run.code, run.stdout, len(run.errors)) == (1, b"", 1)
    assert "none/r.html: cannot be written" in run.errors[0]
