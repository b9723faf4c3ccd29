"""The page to draw on: in a real browser, opened from the disk, beside what Python says of the same drawings."""

import base64
import re

import browser as browsers
import numpy as np
import pytest
from browser import DESKTOP, PHONE
from conftest import random_network
from playwright.sync_api import expect
from test_docs_exchange import blocks, run_all, run_python

import fastmnist
from experiments import figures, pen
from fastmnist.api import Model
from fastmnist.errors import OutputError
from fastmnist.export.page import export_page
from fastmnist.images.normalize import normalize
from fastmnist.model.integer_network import Rounding
from fastmnist.model.network import Network
from fastmnist.shapes import DIGITS, IMAGE_SHAPE, NO_DIGIT

PAPER, PEN = 128, 10  # as page.js has them
TWO = [(0.3, 0.3), (0.45, 0.2), (0.6, 0.25), (0.65, 0.4), (0.5, 0.55), (0.3, 0.8), (0.7, 0.8)]
ONE = [(0.5, 0.2), (0.5, 0.8)]


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    """The page of the shipped model."""
    path = tmp_path_factory.mktemp("page") / "draw.html"
    export_page(path, model)
    return path


@pytest.fixture
def page(browser, path):
    with browsers.opened(browser, path) as page:
        yield page


def on_paper(page, points):
    """Points of the paper, 0 to 1 in both directions, as places in the window."""
    box = page.locator("#paper").bounding_box()
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]


def draw(page, points):
    first, *rest = on_paper(page, points)
    page.mouse.move(*first)
    page.mouse.down()
    for place in rest:
        page.mouse.move(*place, steps=4)
    page.mouse.up()


def label(page):
    return page.locator("#label")


def told(page):
    """What a screen reader is told."""
    return page.get_by_role("status")


def figure(number):
    """The strokes of one digit or, every fifth time, letter, of random size and place: lists of points [x, y]."""
    rng = np.random.default_rng([20, number])
    table = figures.LETTERS if number % 5 == 4 else figures.DIGITS
    ways = table[rng.choice(sorted(table))]
    curves = pen.curves(ways[rng.integers(len(ways))], rng)
    low, extent = np.vstack(curves).min(axis=0), np.ptp(np.vstack(curves), axis=0)
    scale = rng.uniform(0.2, 0.85) * PAPER / extent.max()
    start = PEN / 2 + 1 + rng.uniform(0, 1, 2) * (PAPER - PEN - 2 - scale * extent)
    return [np.round((curve - low) * scale + start, 2).tolist() for curve in curves]


def coded(array):
    return base64.b64encode(array.tobytes()).decode()


def decoded(text, dtype, shape):
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)


CODE = "(bytes) => { let all = ''; for (const byte of bytes) all += String.fromCharCode(byte); return btoa(all); }"
DECODE = "(text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0))"


def labels_of(result):
    """The labels that Python gives to images; NO_DIGIT, or the error, where it gives none."""
    return [
        name or (NO_DIGIT if f": {NO_DIGIT}: " in error else error)
        for name, error in zip(result.labels.tolist(), result.errors, strict=True)
    ]


def test_2000_drawn_figures_have_the_same_labels_as_in_python(page, model):
    pictures, labels, images = [], [], []
    for first in range(0, 2000, 250):
        for picture, name, image in page.evaluate(
            f"""(figures) => figures.map((strokes) => {{
                const code = {CODE}, greys = greysOf(strokes), said = recognize(greys);
                return [code(greys), said.problem ?? data.outputs[said.best], code(said.image ?? [])];
            }})""",
            [figure(number) for number in range(first, first + 250)],
        ):
            pictures.append(decoded(picture, np.uint8, (PAPER, PAPER)))
            labels.append(name)
            images.append(decoded(image, np.uint8, IMAGE_SHAPE))
    expected = labels_of(model.predict(pictures))
    same = [one == other for one, other in zip(expected, labels, strict=True)]
    assert {*DIGITS, NO_DIGIT} <= set(labels)
    assert np.mean(same) >= 0.995
    far = [
        np.abs(normalize(picture).astype(int) - image).max() for picture, image in zip(pictures, images, strict=True)
    ]
    assert np.mean(np.array(far) <= 1) >= 0.98  # of 255 greys


def test_mnists_test_digits_have_the_same_labels_as_in_python(page, model, digits):
    actual = page.evaluate(
        f"""(images) => {{
            const pixels = ({DECODE})(images), best = [];
            for (let i = 0; i < pixels.length; i += SIDE * SIDE) {{
                const {{ probabilities }} = predict(layers, data.temperature, pixels.subarray(i, i + SIDE * SIDE));
                best.push(data.outputs[probabilities.indexOf(Math.max(...probabilities))]);
            }}
            return best;
        }}""",
        coded(digits[0]),
    )
    assert actual == labels_of(model.predict(digits[0]))


def test_the_probabilities_are_those_of_python(page, model, digits):
    images = digits[0][:50]
    actual = page.evaluate(
        f"(images) => images.map((image) => [...predict(layers, data.temperature, ({DECODE})(image)).probabilities])",
        [coded(image) for image in images],
    )
    np.testing.assert_allclose(actual, model.probabilities(images), atol=1e-5)


def test_a_digit_is_drawn_with_the_mouse(page):
    draw(page, TWO)
    expect(label(page)).to_have_text("2")
    expect(page.locator("#sure")).to_have_text(re.compile(r"^9\d\.\d %$"))
    expect(told(page)).to_have_text(re.compile(r"^Pen up: 2, 9\d\.\d %$"))
    row = page.get_by_role("table", name="How sure the network is").get_by_role("row", name="2")
    expect(row).to_have_class("first")
    assert page.locator("#hint").is_hidden()


def test_a_digit_is_drawn_with_a_pen(page):
    devtools = page.context.new_cdp_session(page)
    for step, (x, y) in enumerate(on_paper(page, [*ONE, ONE[-1]])):
        kind = ("mousePressed", "mouseMoved", "mouseReleased")[step]
        event = {"type": kind, "x": x, "y": y, "button": "left", "pointerType": "pen", "clickCount": 1, "force": 0.5}
        devtools.send("Input.dispatchMouseEvent", event)
    expect(label(page)).to_have_text("1")


def test_a_digit_is_drawn_with_a_finger_and_the_page_stays(browser, path):
    with browsers.opened(browser, path, size=PHONE, touch=True) as page:
        devtools = page.context.new_cdp_session(page)
        for step, (x, y) in enumerate(on_paper(page, TWO)):
            kind = "touchMove" if step else "touchStart"
            devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect(label(page)).to_have_text("2")
        assert page.evaluate("scrollY") == 0


def test_a_digit_is_drawn_with_the_keyboard(page):
    page.keyboard.press("Tab")
    expect(page.get_by_role("application", name="Paper")).to_be_focused()
    for key, times in (("Home", 7), (" ", 1), ("ArrowRight", 12), ("End", 6), ("ArrowDown", 10)):
        for _ in range(times):
            page.keyboard.press(key)
    expect(told(page)).to_have_text(re.compile("^Pen down"))
    page.keyboard.press(" ")
    expect(told(page)).to_have_text(re.compile(r"^Pen up: 7, \d+\.\d %$"))
    page.keyboard.press("Backspace")
    expect(told(page)).to_have_text("Stroke undone")
    page.keyboard.press(" ")
    page.keyboard.press("Delete")
    expect(told(page)).to_have_text("Cleared")
    assert page.evaluate("strokes.length") == 0
    assert page.evaluate("scrollY") == 0


def test_strokes_are_undone_and_cleared(page):
    undo, clear = (page.get_by_role("button", name=name) for name in ("Undo", "Clear"))
    expect(undo).to_be_disabled()
    draw(page, ONE)
    draw(page, [(0.2, 0.5), (0.8, 0.5)])
    expect(label(page)).not_to_have_text("1")
    undo.click()
    expect(label(page)).to_have_text("1")
    draw(page, TWO)
    clear.click()
    expect(label(page)).to_have_text("")
    expect(clear).to_be_disabled()
    expect(page.locator("#hint")).to_be_visible()
    assert page.evaluate("greysOf(strokes).every((grey) => grey === 255)")


def test_a_tap_makes_a_dot(page):
    draw(page, [(0.5, 0.5)])
    expect(label(page)).not_to_have_text("")
    assert 0 < page.evaluate("greysOf(strokes).filter((grey) => grey < 128).length") < 2 * PEN**2


def test_what_the_model_refuses_is_no_digit(page):
    draw(page, [(0.2, 0.2), (0.8, 0.8), (0.2, 0.8), (0.8, 0.2), (0.2, 0.5), (0.8, 0.5)])
    expect(label(page)).to_have_text(NO_DIGIT)
    expect(page.get_by_role("row", name=NO_DIGIT)).to_have_class("first")


def test_several_digits_are_told_and_not_guessed(page):
    for left in (0.2, 0.5, 0.8):
        draw(page, [(left, 0.3), (left, 0.7)])
    expect(label(page)).to_have_text("3 digits side by side: draw one")
    expect(page.locator("#sure")).to_have_text("")
    expect(page.locator("#bars tr.first")).to_have_count(0)


def test_any_picture_gets_an_answer_or_a_reason(page):
    rng = np.random.default_rng(0)
    pictures = [np.full((PAPER, PAPER), grey, np.uint8) for grey in (0, 255, 128, 254)]
    pictures += [rng.integers(0, 256, (PAPER, PAPER), np.uint8), 255 * (rng.random((PAPER, PAPER)) > 0.01)]
    for index in ((0, 0), (64,), (slice(None), -1), (slice(0, 60), slice(0, 60))):
        pictures.append(np.full((PAPER, PAPER), 255, np.uint8))
        pictures[-1][index] = 0
    answers = page.evaluate(
        f"""(pictures) => pictures.map((greys) => {{
            const said = recognize(({DECODE})(greys));
            return said.problem ?? data.outputs[said.best];
        }})""",
        [coded(picture.astype(np.uint8)) for picture in pictures],
    )
    reason = re.compile(r"nothing drawn|\d+ digits side by side: draw one")
    assert [name for name in answers if name not in (*DIGITS, NO_DIGIT) and not reason.fullmatch(name)] == []
    assert answers[1] == answers[3] == "nothing drawn"


def test_the_image_and_the_hidden_units_shown_are_those_of_the_network(page, model):
    draw(page, TWO)
    expect(label(page)).to_have_text("2")
    shown = page.evaluate(
        "[...byId('seen').getContext('2d').getImageData(0, 0, SIDE, SIDE).data].filter((_, i) => i % 4 === 3)"
    )
    greys = page.evaluate("[...greysOf(strokes)]")
    image = normalize(np.array(greys, np.uint8).reshape(PAPER, PAPER))
    assert np.abs(image.ravel().astype(int) - shown).max() <= 1
    values, captions = image.ravel() / np.float32(255), page.locator("#hidden figcaption").all_inner_texts()
    for layer, caption in enumerate(captions):
        network, step = model.uncalibrated, model.uncalibrated.activation_steps[layer]
        values = np.maximum(0, values @ network.weights(layer) + network.biases(layer))
        values = np.minimum(255, np.rint(values / step)) * step
        n_active, n = (int(part.replace(",", "")) for part in re.findall(r"[\d,]+", caption)[1:])
        assert n == len(values)
        assert n_active == pytest.approx(np.count_nonzero(values), abs=2)  # greys may differ by 1
    assert len(captions) == model.trained.n_layers - 1


@pytest.mark.parametrize("size", [PHONE, DESKTOP, (320, 568)])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_and_is_dark_where_the_system_is(browser, path, size, dark):
    with browsers.opened(browser, path, size=size, dark=dark) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, re.findall(r"\d+", colour))) < 64) == dark
        box = page.locator("#paper").bounding_box()
        assert box["width"] == pytest.approx(box["height"], abs=1)
        assert box["y"] + box["height"] <= size[1]


def test_without_scripts_the_page_says_what_it_needs(browser, path):
    with browsers.opened(browser, path, scripts=False) as page:
        assert "needs JavaScript" in page.locator("header").inner_text()


@pytest.mark.parametrize(
    "added", ["<script>document.title = 'changed'</script>", "<p onclick=''>", "<p style='color: red'>"]
)
def test_the_policy_allows_nothing_but_the_page_itself(browser, path, tmp_path, added):
    changed = tmp_path / "changed.html"
    changed.write_text(path.read_text(encoding="utf-8").replace("</main>", added + "</main>"), encoding="utf-8")
    with pytest.raises(AssertionError, match="Content Security Policy"), browsers.opened(browser, changed) as page:
        assert page.title() == "Draw a digit"


def test_float16_is_widened_as_numpy_does(page):
    halves = np.arange(1 << 16, dtype=np.uint16)
    halves = halves[np.isfinite(halves.view(np.float16))]
    actual = page.evaluate(
        f"(halves) => ({CODE})(new Uint8Array(widened(new Uint16Array(({DECODE})(halves).buffer)).buffer))",
        coded(halves),
    )
    assert decoded(actual, np.float32, -1).tobytes() == halves.view(np.float16).astype(np.float32).tobytes()


def test_halves_are_rounded_as_numpy_does(page):
    values = [0.5, 1.5, 2.5, 2.4, 7.6, 254.5, 3]
    assert page.evaluate("(values) => values.map(rint)", values) == np.rint(values).tolist()


def test_class_names_are_text_and_nothing_else(browser, tmp_path):
    names = ["a</script><script>nowhere()</script>", 'b"<img src=x>', "circle" * 20, "d&amp;"]
    model = Model(random_network((784, 8, 4)), names, "auto")
    export_page(tmp_path / "page.html", model)
    with browsers.opened(browser, tmp_path / "page.html", size=PHONE) as page:
        assert page.title() == "Draw"
        assert page.locator("#bars th").all_text_contents() == names
        draw(page, TWO)
        expect(label(page)).to_have_text(re.compile("|".join(map(re.escape, names))))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_model_of_pictures_as_they_are_sees_the_whole_paper(browser, tmp_path):
    export_page(tmp_path / "page.html", Model(random_network(), list(DIGITS), "none"))
    with browsers.opened(browser, tmp_path / "page.html") as page:
        draw(page, [(0.25, 0.25), (0.25, 0.75)])
        expect(label(page)).not_to_have_text("")
        image = np.array(page.evaluate("[...recognize(greysOf(strokes)).image]")).reshape(IMAGE_SHAPE)
        rows, columns = np.nonzero(image > 127)
        assert (rows.min(), rows.max(), set(columns)) == (6, 21, {6, 7})


def test_a_page_of_integers_computes_with_them(browser, digits, tmp_path):
    network = random_network((784, 40, 20, 10))
    rounding = Rounding([[0] * 40, [-1, 1] * 10], [1.0, 0.5])  # many activations are larger
    model = Model(network, list(DIGITS), "auto", temperature=0.3, rounding=rounding)
    export_page(tmp_path / "page.html", model)
    images = digits[0][:200]
    with browsers.opened(browser, tmp_path / "page.html") as page:
        actual = page.evaluate(
            f"""(images) => {{
                const greys = ({DECODE})(images), of = (i) => greys.subarray(784 * i, 784 * (i + 1));
                return Array.from({{ length: 200 }}, (_, i) =>
                    [...predict(layers, data.temperature, of(i)).probabilities]);
            }}""",
            coded(images),
        )
    expected = model.network.predict_probabilities(images.reshape(200, -1))[2]
    differences = np.abs(np.array(actual) - expected).max(axis=1)
    assert (differences < 1e-5).mean() > 0.95  # sums in another order may be rounded to the next step
    assert differences.max() < 0.005


def test_a_page_of_integers_is_a_quarter_as_large(tmp_path):
    network = Network.random((784, 300, 10), 0, scale=0.1)
    export_page(tmp_path / "page.html", Model(network, list(DIGITS), "auto", rounding=Rounding([[0] * 300], [1.0])))
    n_bytes = 784 * 300 + 300 * 10 + 4 * 2 * (300 + 10)
    assert n_bytes * 4 / 3 < (tmp_path / "page.html").stat().st_size < n_bytes * 4 / 3 + 40_000


@pytest.mark.parametrize("stored_as", ["float32", "float16"])
def test_the_file_is_as_large_as_the_weights_are_and_equal_for_equal_models(tmp_path, stored_as):
    network = Network.random((784, 300, 10), 0, scale=0.1)
    for name in ("one.html", "other.html"):
        export_page(tmp_path / name, Model(network, list(DIGITS), "auto", stored_as=stored_as))
    content = (tmp_path / "one.html").read_bytes()
    assert content == (tmp_path / "other.html").read_bytes()
    n_bytes = (784 * 300 + 300 + 300 * 10 + 10) * np.dtype(stored_as).itemsize
    assert n_bytes * 4 / 3 < len(content) < n_bytes * 4 / 3 + 40_000


def test_a_page_that_cannot_be_written_is_an_error(tmp_path, model):
    with pytest.raises(OutputError, match="expected a writable place"):
        export_page(tmp_path, model)


def test_the_command_writes_the_page(run_cli, tmp_path):
    run = run_cli("export", "shipped", "-o", "draw.html")
    assert (run.code, run.stdout) == (0, b"")
    assert "saved draw.html" in run.stderr
    export_page(tmp_path / "expected.html", fastmnist.load("shipped"))
    assert (tmp_path / "draw.html").read_bytes() == (tmp_path / "expected.html").read_bytes()


def test_the_command_refuses_an_input_shape_for_a_page(run_cli, tmp_path):
    run = run_cli("export", "-o", "draw.html", "--input-shape", "n,784")
    assert run.code == 2
    assert "--input-shape applies only to .onnx files" in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_code_of_the_docs_runs_as_it_stands(small_model, tmp_path):
    (tmp_path / "mine.safetensors").write_bytes(small_model.read_bytes())
    (commands,), (code,) = (blocks("draw-page.md", language) for language in ("sh", "python"))
    run_all(["sh", "-ec"], commands, tmp_path)
    drawn = (tmp_path / "draw.html").read_bytes()
    assert (tmp_path / "mine.html").read_bytes() != drawn
    (tmp_path / "draw.html").unlink()
    run_python(code, tmp_path)
    assert (tmp_path / "draw.html").read_bytes() == drawn
