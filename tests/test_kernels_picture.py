"""The picture reader's passes over pixels, against OpenCV and plain NumPy, each in a small compiled function."""

import cv2
import numpy as np
import pytest
from vector_functions import compiled

from fastmnist.kernels.picture import components as parts
from fastmnist.kernels.picture.components import find_components, find_runs, paint
from fastmnist.kernels.picture.frame import without_frame
from fastmnist.kernels.picture.histogram import (
    count_greys,
    deviation_of,
    median_of,
    threshold_between,
    upper_percentile,
)
from fastmnist.kernels.picture.ink import contrast, judge, share_at_border
from fastmnist.kernels.picture.light import compare_with_light, fit_light, under_even_light
from fastmnist.kernels.picture.lines import remove_lines
from fastmnist.kernels.picture.mnist_form import has_form
from fastmnist.kernels.picture.morphology import change_strokes, close
from fastmnist.kernels.picture.place import bounds, place, stroke_width
from fastmnist.kernels.picture.plane import lay_plane
from fastmnist.kernels.picture.read import READ, read
from fastmnist.kernels.picture.shrink import block_size, scale_by_area, scale_linearly, shrink_by_blocks
from fastmnist.kernels.picture.work import AREA, make_work

SHAPES = [(1, 1), (1, 300), (300, 1), (28, 28), (7, 31), (100, 140), (127, 128)]


@pytest.fixture
def memory():
    return make_work()


def random_picture(shape, seed=0):
    """Soft blobs over all greys, uint8."""
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.integers(0, 256, shape).astype(np.uint8), (0, 0), 1.2)


def strokes(shape, seed=0, n=6):
    """A few ellipses and lines of ink, 0 or 1."""
    rng, picture = np.random.default_rng(seed), np.zeros(shape, np.uint8)
    height, width = shape
    for _ in range(n):
        middle = int(rng.integers(width)), int(rng.integers(height))
        axes = int(rng.integers(1, width // 3 + 2)), int(rng.integers(1, height // 3 + 2))
        cv2.ellipse(picture, middle, axes, int(rng.integers(180)), 0, 300, 1, int(rng.integers(1, 5)))
    return picture


@compiled
def run_shrink(picture, area, work):
    down, across = block_size(picture.shape[0], picture.shape[1], area)
    height, width = shrink_by_blocks(picture, down, across, work.grey, work.sums)
    return down, across, height, width


@pytest.mark.parametrize("shape", [*SHAPES, (129, 129), (400, 300), (3, 9000), (1, 40_000), (1000, 1500)])
def test_blocks_are_shrunk_to_their_means(shape, memory):
    picture = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    down, across, height, width = run_shrink(picture, AREA, memory)
    assert (height, width) == (shape[0] // down, shape[1] // across)
    assert height * width <= AREA
    if down > 1:
        smaller = (shape[0] // min(down - 1, shape[0])) * (shape[1] // min(across - 1, shape[1]))
        assert smaller > AREA  # the smallest blocks that will do
    top, left = (shape[0] - height * down) // 2, (shape[1] - width * across) // 2
    blocks = picture[top : top + height * down, left : left + width * across].astype(np.int64)
    sums = blocks.reshape(height, down, width, across).sum(axis=(1, 3))
    expected = (sums + down * across // 2) // (down * across)
    np.testing.assert_array_equal(memory.grey[: height * width].reshape(height, width), expected)


@compiled
def run_close(picture, height, width, down, across, work):
    close(picture, height, width, down, across, work.paper, work.padded)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reach", [(1, 1), (2, 5), (16, 9), (25, 31)])
def test_closing_equals_opencvs(shape, reach, memory):
    picture, (down, across) = random_picture(shape), (min(reach[0], shape[0]), min(reach[1], shape[1]))
    run_close(picture.ravel(), *shape, down, across, memory)
    # OpenCV's border is beyond every grey, so its windows are cut at the border too.
    expected = cv2.morphologyEx(picture, cv2.MORPH_CLOSE, np.ones((2 * down + 1, 2 * across + 1), np.uint8))
    np.testing.assert_array_equal(memory.paper[: picture.size].reshape(shape), expected.reshape(shape))


def test_closing_leaves_the_shadow_of_a_hand_and_fills_strokes(memory):
    picture = np.full((100, 100), 200, np.uint8)
    picture[:, 55:] = 90  # a shadow with a sharp edge
    paper = picture.copy()
    picture[30:70, 45:52] = 20
    picture[30:70, 75:82] = 10
    run_close(picture.ravel(), 100, 100, 20, 20, memory)
    np.testing.assert_array_equal(memory.paper[:10_000].reshape(100, 100), paper)


@compiled
def run_change(digit, height, width, change, thicken, work):
    return change_strokes(digit, height, width, change, thicken, work.changed)


@pytest.mark.parametrize("thicken", [True, False])
@pytest.mark.parametrize("change", range(1, 12))
def test_strokes_are_changed_by_opencvs_ellipse(change, thicken, memory):
    digit = cv2.GaussianBlur(strokes((60, 45), change).astype(np.float32), (0, 0), 0.8)
    height, width = run_change(digit.ravel(), *digit.shape, change, thicken, memory)
    padded = np.pad(digit, change + 1)
    assert padded.shape == (height, width)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (change + 1, change + 1))
    expected = cv2.dilate(padded, kernel) if thicken else cv2.erode(padded, kernel, borderValue=0)
    np.testing.assert_array_equal(memory.changed[: height * width].reshape(height, width), expected)


@compiled
def run_histogram(picture, counts):
    count_greys(picture, len(picture), counts)
    threshold = threshold_between(counts)
    median = median_of(counts, 0, threshold)
    return threshold, median, deviation_of(counts, 0, threshold, median), upper_percentile(counts, 0.1)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 1000, 9999])
def test_histograms_say_what_sorting_does(n):
    rng = np.random.default_rng(n)
    picture = np.where(rng.random(n) < 0.3, rng.normal(60, 15, n), rng.normal(190, 8, n)).clip(0, 255).astype(np.uint8)
    counts = np.full(1024, -1, np.int64)
    threshold, median, deviation, upper = run_histogram(picture, counts)
    np.testing.assert_array_equal(counts[:256], np.bincount(picture, minlength=256))
    assert threshold == cv2.threshold(picture.reshape(1, -1), 0, 255, cv2.THRESH_OTSU)[0]
    below = np.sort(picture[picture <= threshold]).astype(int)
    if len(below):
        assert median == below[len(below) // 2]
        assert deviation == 1.4826 * np.sort(np.abs(below - median))[len(below) // 2]
    assert np.count_nonzero(picture > upper) <= 0.1 * n
    assert np.count_nonzero(picture >= upper) > 0.1 * n or upper == 0


@compiled
def run_components(picture, height, width, threshold, work):
    n_runs = find_runs(picture, height, width, threshold, work.runs, work.parents)
    return n_runs, find_components(work.runs, n_runs, work.parents, height, width, work.components)


@compiled
def run_paint(n_runs, height, width, margin, work):
    paint(work.runs, n_runs, work.components, 1, height, width, margin, work.mask)


@pytest.mark.parametrize("kind", ["strokes", "noise", "checks", "full", "empty"])
@pytest.mark.parametrize("shape", SHAPES)
def test_components_equal_opencvs(shape, kind, memory):
    rng = np.random.default_rng(2)
    picture = {
        "strokes": 200 * strokes(shape),
        "noise": rng.integers(0, 256, shape),
        "checks": 255 * (np.indices(shape).sum(axis=0) % 2),
        "full": np.full(shape, 255),
        "empty": np.zeros(shape),
    }[kind].astype(np.uint8)
    n_runs, n = run_components(picture.ravel(), *shape, 120, memory)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats((picture > 120).astype(np.uint8), connectivity=8)
    assert n == count - 1
    found = memory.components[:n]
    boxes = np.stack([found[:, parts.LEFT], found[:, parts.TOP], found[:, parts.RIGHT] - found[:, parts.LEFT],
                      found[:, parts.BOTTOM] - found[:, parts.TOP], found[:, parts.AREA]], axis=1)  # fmt: skip
    assert sorted(boxes.tolist()) == sorted(statistics[1:].tolist())
    inset = max(1, min(shape) // 12)
    inner = np.bincount(labels[inset:-inset, inset:-inset].ravel(), minlength=count)[1:]
    assert sorted(found[:, parts.INNER].tolist()) == sorted(inner.tolist())
    if n:
        found[:, parts.STATE] = np.arange(n) == n // 2
        run_paint(n_runs, *shape, 2, memory)
        row, start, _, _ = next(run for run in memory.runs[:n_runs] if run[3] == n // 2)
        expected = cv2.dilate((labels == labels[row, start]).astype(np.uint8), np.ones((5, 5), np.uint8))
        np.testing.assert_array_equal(memory.mask[: picture.size].reshape(shape), expected.reshape(shape))


@compiled
def run_scale(picture, height, width, new_height, new_width, work):
    if new_height < height or new_width < width:
        scale_by_area(picture, height, width, new_height, new_width, work.changed, work.row)
    else:
        scale_linearly(picture, height, width, new_height, new_width, work.changed)


SCALINGS = [
    ((100, 77), (20, 15)), ((40, 30), (20, 15)), ((21, 9), (20, 9)), ((90, 3), (20, 1)),
    ((7, 5), (20, 14)), ((1, 4), (5, 20)), ((20, 13), (20, 13)),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "new_shape"), SCALINGS)
def test_scaling_equals_opencvs(shape, new_shape, memory):
    picture = np.random.default_rng(3).random(shape, np.float32)
    run_scale(picture.ravel(), *shape, *new_shape, memory)
    kind = cv2.INTER_AREA if new_shape[0] < shape[0] else cv2.INTER_LINEAR
    expected = cv2.resize(picture, new_shape[::-1], interpolation=kind)
    actual = memory.changed[: new_shape[0] * new_shape[1]].reshape(new_shape)
    np.testing.assert_allclose(actual, expected, atol=2e-6)


@compiled
def run_width(digit, height, width, work):
    return stroke_width(digit, height, width, work.distances)


@compiled
def run_bounds(picture, height, width):
    return bounds(picture, height, width, np.float32(0.5))


@pytest.mark.parametrize("seed", range(5))
def test_stroke_widths_and_bounds_equal_opencvs(seed, memory):
    core = strokes((80, 61), seed, n=2)
    digit = core.astype(np.float32)
    distances = cv2.distanceTransform(np.pad(core, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    expected = 4 * distances[core > 0].mean() - 1
    assert run_width(digit.ravel(), *digit.shape, memory) == pytest.approx(expected, rel=1e-5)
    left, top, width, height = cv2.boundingRect(core)
    assert run_bounds(digit.ravel(), *digit.shape) == (top, left, top + height, left + width)
    assert run_bounds(digit.ravel() * 0, *digit.shape)[2] == 0


@pytest.mark.parametrize("width", [8, 12, 16])
def test_the_width_of_a_bar_is_its_width(width, memory):
    digit = np.zeros((100, 40), np.float32)
    digit[:, 10 : 10 + width] = 1
    assert run_width(digit.ravel(), 100, 40, memory) == pytest.approx(width, abs=0.7)


def lit_paper(shape, factors):
    """The surface that light.py fits, float64 (height, width), with those factors."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return factors[0] + factors[1] * x + factors[2] * y + factors[3] * (x * x + y * y)


@compiled
def run_light(picture, height, width, work):
    far = fit_light(picture, height, width, work.ring, work.light)
    cubes, unlike = compare_with_light(picture, height, width, work.light)
    return far, cubes, unlike


@pytest.mark.parametrize("shape", [(28, 28), (64, 100), (120, 100)])
@pytest.mark.parametrize("factors", [(200, 0, 0, 0), (160, 30, -20, -10), (120, -40, 5, 0)])
def test_the_light_is_found_under_strokes_that_cross_the_border(shape, factors, memory):
    light = lit_paper(shape, factors)
    picture = light.copy()
    middle = slice(shape[1] // 2 - 3, shape[1] // 2 + 3)
    picture[: shape[0] * 3 // 4, middle] *= 0.2  # dark ink, over the upper border
    far, cubes, unlike = run_light(np.rint(picture).astype(np.uint8).ravel(), *shape, memory)
    np.testing.assert_allclose(lit_paper(shape, memory.light[:4]), light, atol=4)
    assert far < 12
    assert cubes < 0
    assert unlike == pytest.approx((np.abs(picture - light) > 24).mean(), abs=0.03)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2)])
def test_any_shape_has_a_light(shape, memory):
    far, _, _ = run_light(np.full(shape, 130, np.uint8).ravel(), *shape, memory)
    assert far < 1
    np.testing.assert_allclose(lit_paper(shape, memory.light[:4]), 130, atol=1)


@compiled
def run_even(picture, height, width, is_dark, work):
    under_even_light(picture, height, width, work.light, is_dark, work.even, work.row)


@pytest.mark.parametrize("is_dark", [True, False])
def test_even_light_makes_paper_even_and_ink_dark(is_dark, memory):
    shape, factors = (60, 80), (150, 40, -20, -15)
    light = lit_paper(shape, factors)
    ink = strokes(shape, 4).astype(bool)
    picture = np.where(ink, light * 0.3 if is_dark else light + 40, light)
    memory.light[:4] = factors
    run_even(np.rint(picture).astype(np.uint8).ravel(), *shape, is_dark, memory)
    even = memory.even[: picture.size].reshape(shape).astype(float)
    expected = picture * 150 / light if is_dark else 255 - picture + light
    np.testing.assert_allclose(even, expected.clip(0, 255), atol=2)
    assert np.ptp(even[~ink]) <= 3
    assert even[ink].max() < even[~ink].min()


@compiled
def run_ink(even, paper, is_dark, work):
    contrast(even, paper, len(even), is_dark, work.ink)
    return judge(work.ink, len(even), work.counts)


@pytest.mark.parametrize("is_dark", [True, False])
def test_contrast_is_relative_to_the_paper_for_dark_ink_only(is_dark, memory):
    rng = np.random.default_rng(5)
    paper = rng.integers(0, 256, 4000).astype(np.uint8)
    even = (paper * rng.random(4000)).astype(np.uint8)
    run_ink(even, paper, is_dark, memory)
    difference = paper.astype(int) - even
    expected = difference / np.maximum(paper, 64) * 255 if is_dark else difference
    np.testing.assert_allclose(memory.ink[:4000], expected, atol=0.51)


@pytest.mark.parametrize(
    ("depth", "noise", "is_found"), [(100, 4, True), (19, 0, False), (22, 0, True), (100, 25, False)]
)
def test_ink_stands_out_from_paper_and_noise(depth, noise, is_found, memory):
    rng = np.random.default_rng(6)
    is_ink = np.arange(5000) < 400
    picture = np.where(is_ink, 40 + depth, 40 + rng.normal(0, noise, 5000)).clip(0, 255).astype(np.uint8)
    ink = run_ink(np.zeros(5000, np.uint8), picture, False, memory)
    assert ink.is_found == is_found
    if is_found:
        assert abs(ink.level - 40) <= 1
        assert abs(ink.depth - depth) <= 1
        assert ink.noise == pytest.approx(noise, abs=1)


@compiled
def run_share(picture, height, width):
    return share_at_border(picture, height, width, 100)


@pytest.mark.parametrize("shape", [(28, 28), (5, 90)])
def test_the_share_at_the_border_counts_its_pixels(shape):
    picture = random_picture(shape, 7)
    border = np.concatenate([picture[0], picture[-1], picture[1:-1, 0], picture[1:-1, -1]])
    share = np.count_nonzero(border > 100) / (2 * sum(shape))
    assert run_share(picture.ravel(), *shape) == pytest.approx(share)


@compiled
def run_frame(picture, height, width, work):
    return without_frame(picture, height, width, work.spare)


@pytest.mark.parametrize("thickness", [(0, 0, 0, 0), (3, 0, 0, 0), (0, 5, 0, 0), (0, 0, 7, 2), (1, 1, 1, 1)])
@pytest.mark.parametrize("grey", [20, 250])
def test_frames_are_cut_away_at_any_side(thickness, grey, memory):
    above, right, below, left = thickness
    picture = np.full((90, 80), 130, np.uint8)
    picture[40:50, 30:40] = 60
    framed = np.full_like(picture, grey)
    framed[above : 90 - below, left : 80 - right] = picture[above : 90 - below, left : 80 - right]
    flat = framed.ravel().copy()
    height, width, top, start = run_frame(flat, 90, 80, memory)
    margin = {"vertical": 90 // 12 // 4, "horizontal": 80 // 12 // 4}
    assert top == (above + margin["vertical"] if above else 0)
    assert start == (left + margin["horizontal"] if left else 0)
    np.testing.assert_array_equal(
        flat[: height * width].reshape(height, width), framed[top : top + height, start : start + width]
    )
    assert set(np.unique(flat[: height * width])) == {60, 130}


@compiled
def run_lines(height, width, with_rules, work):
    ink = judge(work.ink, height * width, work.counts)
    return remove_lines(work, height, width, ink, with_rules)


def without_lines(picture, memory, *, with_rules=True):
    """The map of ink after its lines were taken out, and how many."""
    memory.ink[: picture.size] = picture.ravel()
    n = run_lines(*picture.shape, with_rules, memory)
    return memory.ink[: picture.size].reshape(picture.shape).copy(), n


def ruled(shape, degrees, distance, depth, thickness):
    """Ruled lines at an angle, in a map of ink."""
    height, width = shape
    picture, slope = np.zeros(shape, np.uint8), np.tan(np.radians(degrees))
    for row in np.arange(distance / 2 - width, height + width, distance):
        ends = (0, row - slope * width / 2), (width, row + slope * width / 2)
        points = [tuple(round(16 * value) for value in end) for end in ends]
        cv2.line(picture, *points, depth, thickness, cv2.LINE_AA, 4)
    return picture


@pytest.mark.parametrize("degrees", [0, 1.5, -3, 4.6])
@pytest.mark.parametrize("thickness", [1, 2])
@pytest.mark.parametrize("turned", [False, True])
def test_rules_are_taken_off_a_digit_and_the_digit_stays(degrees, thickness, turned, memory):
    digit = np.zeros((120, 110), np.uint8)
    cv2.ellipse(digit, (55, 60), (22, 34), 0, 0, 360, 220, 9, cv2.LINE_AA)
    lines = ruled(digit.shape, degrees, 24, 110, thickness)
    picture = np.maximum(digit, lines)
    if turned:
        picture, digit = np.ascontiguousarray(picture.T), np.ascontiguousarray(digit.T)
    left, n = without_lines(picture, memory)
    assert n >= 4
    is_digit = cv2.dilate((digit > 0).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    # What is cut off by the corners is left, and is dropped with the margin.
    is_line = ~is_digit & np.pad(np.ones((94, 94), np.bool_), ((13, 13), (8, 8)) if not turned else ((8, 8), (13, 13)))
    assert np.count_nonzero(left[is_line] > 60) < 0.04 * np.count_nonzero(picture[is_line] > 60)
    assert np.count_nonzero(left[digit > 200] > 100) > 0.9 * np.count_nonzero(digit > 200)


@pytest.mark.parametrize("thickness", [1, 2, 3])
@pytest.mark.parametrize("length", [0.5, 0.7, 0.85])
@pytest.mark.parametrize("shape", [(120, 120), (80, 200), (200, 80)])
def test_a_thin_stroke_that_ends_within_the_picture_is_not_a_rule(shape, length, thickness, memory):
    height, width = shape
    for is_upright in (True, False):
        picture = np.zeros(shape, np.uint8)
        long, middle = (height, width // 2) if is_upright else (width, height // 2)
        first = round((1 - length) / 2 * long)
        stroke = slice(first, long - first), slice(middle, middle + thickness)
        picture[stroke if is_upright else stroke[::-1]] = 200
        picture[10:30, 10:30] = 200  # a thick part of the digit
        left, n = without_lines(picture, memory)
        assert n == 0
        np.testing.assert_array_equal(left, picture)


def standing(kind):
    """A digit on a line that ends within the picture, and the digit alone."""
    digit = np.zeros((110, 148), np.uint8)
    if kind == "8":
        cv2.ellipse(digit, (75, 30), (13, 16), 0, 0, 360, 220, 5)
        cv2.ellipse(digit, (75, 62), (16, 17), 0, 0, 360, 220, 5)
    elif kind == "foot of a 2":
        cv2.polylines(digit, [np.array([[55, 25], [75, 12], [90, 30], [52, 82]])], False, 220, 5)
    else:  # a 1, whose foot is shorter than the stem is high
        cv2.line(digit, (75, 12), (75, 84), 220, 5)
    with_line = digit.copy()
    ends = {"8": (18, 132), "foot of a 2": (52, 110), "foot of a 1": (50, 100)}[kind]
    cv2.line(with_line, (ends[0], 83), (ends[1], 83), 220, 4)
    return with_line, digit


@pytest.mark.parametrize("kind", ["8", "foot of a 2", "foot of a 1"])
def test_an_underline_is_taken_away_and_a_foot_is_not(kind, memory):
    with_line, digit = standing(kind)
    left, n = without_lines(with_line, memory, with_rules=False)
    if kind == "8":
        assert n == 1
        assert np.count_nonzero((left > 0) != (digit > 0)) < 0.08 * np.count_nonzero(digit)
    else:
        assert n == 0
        np.testing.assert_array_equal(left, with_line)


LONG = [(1, 1), (1, 20_000), (20_000, 1), (3, 9000), (9000, 3), (40, 6000), (6000, 40), (2, 2), (64, 64), (1000, 1200)]


@pytest.mark.parametrize("shape", LONG)
@pytest.mark.parametrize("kind", ["stroke", "rules", "noise", "blob", "black"])
def test_pictures_of_any_shape_are_read_within_the_working_memory(shape, kind, memory):
    rng = np.random.default_rng(11)
    height, width = shape
    picture = np.full(shape, 230, np.uint8)
    if kind == "stroke":
        picture[height // 3 : height // 3 + max(1, height // 3), width // 3 : width // 3 + max(1, width // 3)] = 20
        picture[height // 2, width // 8 : -max(1, width // 8)] = 20
    elif kind == "rules":
        picture[::9] = 60
        picture[:, ::11] = 90
    elif kind == "noise":
        picture = rng.integers(0, 256, shape).astype(np.uint8)
    elif kind == "blob":
        picture[height // 8 : height - height // 8, width // 8 : width - width // 8] = 10
    else:
        picture[:] = 0
    images, is_plain = np.zeros((2, 784), np.uint8), np.zeros(2, np.bool_)
    for is_turned in (False, True):
        reading = read(np.stack([picture, picture]), AREA, 32, 0, is_turned, memory, images, is_plain)
        assert (images[0] == images[1]).all() or reading.code != READ
        assert reading.height * reading.width <= AREA
        assert reading.code != READ or images[1].max() == 255


@compiled
def run_place(digit, height, width, work, image):
    work.digit[: height * width] = digit
    return place(work.digit, height, width, work.changed, work.distances, image)


@pytest.mark.parametrize("shape", [(90, 70), (30, 40), (12, 9)])
def test_a_digit_is_placed_as_mnist_did(shape, memory):
    digit = cv2.GaussianBlur(np.pad(strokes(shape, 9, n=3), 4).astype(np.float32), (0, 0), 0.7)
    image = np.empty(784, np.uint8)
    assert run_place(digit.ravel(), *digit.shape, memory, image) > 0
    image = image.reshape(28, 28).astype(float)
    rows, columns = np.nonzero(image)
    assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20  # a soft edge may round to 0
    assert image.max() == 255
    y, x = np.mgrid[:28, :28]
    for place_of_mass in ((image * y).sum() / image.sum(), (image * x).sum() / image.sum()):
        assert 13.45 <= place_of_mass < 14.55


def test_an_empty_digit_is_placed_nowhere(memory):
    assert run_place(np.zeros(100, np.float32), 10, 10, memory, np.empty(784, np.uint8)) == 0


def test_the_plane_is_laid_where_the_mask_is_0():
    rng = np.random.default_rng(12)
    for shape in ((1, 1), (1, 9), (30, 40)):
        picture, inside = rng.integers(0, 256, shape, np.uint8), rng.integers(0, 2, shape, np.uint8)
        y, x = np.mgrid[: shape[0], : shape[1]]
        for level, across, down in ((100.0, 1.5, -2.0), (-50.0, 0.0, 0.0), (250.0, 3.0, 3.0)):
            out = np.empty(shape, np.uint8)
            lay_plane(picture, inside, level, across, down, out)
            light = (level + across * x + down * y).clip(0, 255)
            np.testing.assert_array_equal(out[inside == 1], picture[inside == 1])
            assert np.abs(out - light)[inside == 0].max(initial=0) <= 0.51


def test_the_form_of_images_equals_numpys():
    rng = np.random.default_rng(10)
    images = np.zeros((300, 28, 28), np.uint8)
    for image in images:
        size = rng.integers(8, 25)
        top, left = np.clip((28 - size) // 2 + rng.integers(-2, 3, 2), 0, 28 - size)
        image[top : top + size, left : left + size] = rng.integers(0, 256, (size, size)) * (rng.random() < 0.9)
        image[0] = rng.integers(0, 2, 28) * (rng.random() < 0.3)
    actual = np.empty(len(images), np.bool_)
    has_form(images.reshape(-1, 784), actual)
    expected = []
    for image in images.astype(int):
        border = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
        y, x = np.mgrid[:28, :28]
        total = image.sum()
        is_central = all(13 * total <= (image * axis).sum() < 15 * total for axis in (y, x))
        rows, columns = np.nonzero(image > 127)
        size = max(np.ptp(rows), np.ptp(columns)) + 1 if len(rows) else 0
        expected.append(np.median(border) == 0 and is_central and 12 <= size <= 22)
    np.testing.assert_array_equal(actual, expected)
    assert 20 < np.count_nonzero(actual) < 280
