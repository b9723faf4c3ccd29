"""The pages of --report in a real browser, opened from the disk with the network off."""

import csv
import os

import numpy as np
import pytest
from browser import DESKTOP, PHONE, opened
from conftest import random_network
from test_cli_predict import write_pngs
from test_report_review import batches

import fastmnist
from fastmnist.model.model_file import Model
from fastmnist.prediction import predict
from fastmnist.report.review_page import ReviewPage

LEAST_CONTRAST = 4.5  # Web Content Accessibility Guidelines 2.2, 1.4.3
CONTRASTS = """selectors => {
  const numbers = color => { const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const light = rgb => {
    const [r, g, b] = rgb.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = element => {
    if (!element) return [255, 255, 255];
    const [r, g, b, a] = numbers(getComputedStyle(element).backgroundColor);
    return a === 1 ? [r, g, b] : behind(element.parentElement).map((v, i) => v * (1 - a) + [r, g, b][i] * a);
  };
  return selectors.map(selector => {
    const element = document.querySelector(selector);
    const pair = [numbers(getComputedStyle(element).color).slice(0, 3), behind(element)].map(light);
    return (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
  });
}"""


@pytest.fixture(scope="module")
def report(digits, tmp_path_factory):
    """The report of a model that was trained a little."""
    images, labels = digits[0][:600], digits[1][:600]
    model = fastmnist.train(images, labels, recipe="seed", hidden=16, epochs=3, validation=100)
    path = tmp_path_factory.mktemp("report") / "r.html"
    fastmnist.evaluate(model, images, labels, report=path)
    return path


@pytest.fixture
def review(run_cli, digits, small_model, tmp_path):
    """The page of six pictures, a file that is none, and one whose name is not UTF-8."""
    write_pngs(tmp_path / "in", digits[0][:6])
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    os.rename(tmp_path / "in" / "00005.png", os.fsencode(tmp_path) + b'/in/\xff,"\r.png')
    run = run_cli("predict", "in", "--model", small_model, "-o", "out.csv", "--report", "v.html")
    assert run.code == 1
    return tmp_path / "v.html"


def is_as_wide_as_the_screen(page):
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def rows_of(path):
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def saved(page, path):
    """Save, as the button does, and return what was saved."""
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "corrected.csv"
    download.value.save_as(path)
    return path.read_bytes()


def label_field(page, name):
    return page.get_by_label(f"label of in/{name}", exact=True)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("size", "scripts"), [(PHONE, True), (DESKTOP, False)])
def test_a_cell_of_the_report_opens_its_pictures_without_scripts_too(browser, report, size, scripts, dark):
    with opened(browser, report, size=size, dark=dark, touch=size == PHONE, scripts=scripts) as page:
        assert is_as_wide_as_the_screen(page)
        assert page.locator(".cell:visible").count() == 0
        link = page.locator(".heat td:not(.right) a").first
        link.click()
        section = page.locator(".cell:visible")
        assert section.count() == 1
        assert section.locator("img").count() == int(link.inner_text())
        assert section.locator("img").first.is_visible()
        assert section.locator("img").first.evaluate("image => image.naturalWidth") == 28
        assert is_as_wide_as_the_screen(page)
        section.get_by_text("close").click()
        assert page.locator(".cell:visible").count() == 0


def test_the_report_can_be_used_with_the_keyboard(browser, report):
    with opened(browser, report) as page:
        link = page.locator(".heat a").first
        link.focus()
        page.keyboard.press("Enter")
        assert page.locator(".cell:visible").count() == 1
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "close"
        page.keyboard.press("Enter")
        assert page.locator(".cell:visible").count() == 0
        page.locator("summary").first.focus()
        page.keyboard.press("Enter")
        assert page.locator("details table").first.is_visible()


def test_screen_readers_are_told_what_things_are(browser, report):
    with opened(browser, report) as page:
        assert page.get_by_role("heading", level=1).inner_text() == "How well the model reads these images"
        assert page.get_by_role("img", name="How often the model is right, by its confidence").is_visible()
        assert page.get_by_role("img", name="Loss by epoch").is_visible()
        assert page.get_by_role("navigation", name="Parts of this page").get_by_role("link").count() == 6
        assert page.get_by_role("region", name="Confusion matrix").get_by_role("rowheader").count() == 10
        assert page.locator("html").get_attribute("lang") == "en"


@pytest.mark.parametrize("dark", [False, True])
def test_what_is_written_can_be_read(browser, report, review, dark):
    with opened(browser, report, dark=dark) as page:
        page.locator(".heat a").first.click()
        found = page.evaluate(
            CONTRASTS, ["h1", "p", "nav a", ".tiles dt", ".heat .right a", ".heat9 a", ".close", "td"]
        )
        assert min(found) >= LEAST_CONTRAST
    with opened(browser, review, dark=dark) as page:
        found = page.evaluate(CONTRASTS, ["#save", "#state", "li p", "li button", "li input"])
        assert min(found) >= LEAST_CONTRAST


def test_the_report_is_printed_dark_on_light(browser, report):
    with opened(browser, report, dark=True) as page:
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        assert not page.locator("nav").is_visible()
        assert page.pdf().startswith(b"%PDF")


def test_what_is_saved_uncorrected_is_what_predict_wrote(browser, review, tmp_path):
    with opened(browser, review) as page:
        assert page.inner_text("#state") == "nothing corrected"
        assert saved(page, tmp_path / "c.csv") == (tmp_path / "out.csv").read_bytes()


def test_labels_are_corrected_by_mouse_and_keyboard_and_train_takes_them(browser, review, run_cli, digits, tmp_path):
    rows = rows_of(tmp_path / "out.csv")
    others = {row["path"]: str((int(row["label"] or 0) + 1) % 10) for row in rows}
    with opened(browser, review) as page:
        assert page.locator("#rows li").count() == 6
        button = page.locator("li", has_text="in/00000.png").get_by_role("button").nth(1)
        guess = button.inner_text()
        button.click()
        assert label_field(page, "00000.png").input_value() == guess
        field = label_field(page, "00001.png")
        field.focus()
        page.keyboard.type(others["in/00001.png"])
        assert field.input_value() == others["in/00001.png"]
        is_next = "document.activeElement.closest('li').previousElementSibling?.textContent ?? ''"
        assert "in/00001.png" in page.evaluate(is_next) or page.locator("#rows li").last.inner_text().count("00001")
        label_field(page, "00002.png").fill("")
        page.keyboard.press("Enter")
        assert page.inner_text("#state") == "3 corrected"
        assert page.evaluate("!dispatchEvent(new Event('beforeunload', {cancelable: true}))")
        saved(page, tmp_path / "corrected.csv")
        assert page.inner_text("#state") == "3 corrected, saved"
        saved(page, tmp_path / "corrected.csv")
        assert page.inner_text("#state") == "3 corrected, saved"
        assert page.evaluate("dispatchEvent(new Event('beforeunload', {cancelable: true}))")
    changed = {"in/00000.png": guess, "in/00001.png": others["in/00001.png"], "in/00002.png": ""}
    assert rows_of(tmp_path / "corrected.csv") == [
        row | ({"label": changed[row["path"]]} if row["path"] in changed else {}) for row in rows
    ]
    run = run_cli("train", "corrected.csv", "--epochs", "1")
    assert run.code == 0, run.stderr
    assert "corrected.csv: skipping 2 rows without a label" in run.stderr
    assert "on 5 images" in run.stderr


def test_what_is_no_class_is_not_saved(browser, review, tmp_path):
    with opened(browser, review) as page:
        field = label_field(page, "00003.png")
        field.fill("77")
        page.click("#save")
        assert field.get_attribute("aria-invalid") == "true"
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "label of in/00003.png"
        field.fill("7")
        assert field.get_attribute("aria-invalid") == "false"
        saved(page, tmp_path / "c.csv")
    assert {row["path"]: row["label"] for row in rows_of(tmp_path / "c.csv")}["in/00003.png"] == "7"


def test_labels_are_corrected_with_a_finger(browser, review, tmp_path):
    with opened(browser, review, size=PHONE, touch=True) as page:
        assert is_as_wide_as_the_screen(page)
        button = page.locator("li", has_text="in/00004.png").get_by_role("button").nth(2)
        size = button.bounding_box()
        assert min(size["width"], size["height"]) >= 24  # Web Content Accessibility Guidelines 2.2, 2.5.8
        guess = button.inner_text()
        button.tap()
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        assert page.locator("#save").is_visible()
        saved(page, tmp_path / "c.csv")
    assert {row["path"]: row["label"] for row in rows_of(tmp_path / "c.csv")}["in/00004.png"] == guess


def test_without_scripts_the_guesses_are_there_and_nothing_that_does_nothing(browser, review):
    with opened(browser, review, scripts=False) as page:
        assert page.get_by_text("Making corrections here needs JavaScript.").is_visible()
        assert page.locator("button:visible, input:visible").count() == 0
        assert page.locator("li").first.inner_text().count("%") == 3


def test_names_of_several_words_are_chosen_and_quoted(browser, tmp_path):
    names = ['a, "b"', "a", "7 seas"]
    model = Model(random_network((784, 8, 3)), names, "auto")
    review = ReviewPage(model, 1.0)
    pixels = np.random.default_rng(0).integers(256, size=(2, 784), dtype=np.uint8)
    for predictions in predict(model, batches(pixels)):
        review.add(predictions)
    review.write(tmp_path / "v.html")
    with opened(browser, tmp_path / "v.html") as page:
        first, second = page.locator("input").all()
        first.fill('a, "b"')
        second.focus()
        page.keyboard.type("7")
        assert page.locator("input:focus").count() == 1
        page.keyboard.type(" seas")
        saved(page, tmp_path / "c.csv")
    assert sorted(row["label"] for row in rows_of(tmp_path / "c.csv")) == ["7 seas", 'a, "b"']
