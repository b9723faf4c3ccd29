"""The picture reader's passes over pixels, against OpenCV and plain NumPy, each in a small compiled function."""

import cv2
import numpy as np
import pytest
from drawn_strokes import random_picture, strokes, with_slack
from vector_functions import compiled

from fastmnist.kernels.picture import components as parts
from fastmnist.kernels.picture.components import find_components, find_runs, paint
from fastmnist.kernels.picture.histogram import (
    count_greys,
    deviation_of,
    median_of,
    threshold_between,
    upper_percentile,
)
from fastmnist.kernels.picture.ink import contrast, judge, share_at_border
from fastmnist.kernels.picture.light import compare_with_light, fit_light, under_even_light
from fastmnist.kernels.picture.morphology import change_strokes, close
from fastmnist.kernels.picture.place import bounds, stroke_width
from fastmnist.kernels.picture.shrink import block_size, scale_by_area, scale_linearly, shrink_by_blocks
from fastmnist.kernels.picture.work import AREA, make_work

SHAPES = [(1, 1), (1, 300), (300, 1), (28, 28), (7, 31), (100, 140), (127, 128)]


@pytest.fixture
def memory():
    return make_work()


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


@pytest.mark.parametrize("shape", [*SHAPES, (5000, 3)])
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
    return change_strokes(digit, height, width, change, thicken, work.changed, work.distances)


@pytest.mark.parametrize("thicken", [True, False])
@pytest.mark.parametrize("change", [*range(1, 12), 30, 63])
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
    paint(work.runs, n_runs, work.components, 1, height, width, margin, work.mask, work.bits)


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
    n_runs, n = run_components(with_slack(picture), *shape, 120, memory)
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
        memory.mask[:], memory.bits[:] = 7, 2**64 - 1
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
    memory.row[:] = memory.changed[:] = np.nan
    run_scale(with_slack(picture), *shape, *new_shape, memory)
    kind = cv2.INTER_AREA if new_shape[0] < shape[0] else cv2.INTER_LINEAR
    expected = cv2.resize(picture, new_shape[::-1], interpolation=kind)
    actual = memory.changed[: new_shape[0] * new_shape[1]].reshape(new_shape)
    np.testing.assert_allclose(actual, expected, atol=2e-6)


@compiled
def run_width(digit, height, width, work):
    return stroke_width(digit, height, width, work.runs, work.distances)


@compiled
def run_bounds(picture, height, width):
    return bounds(picture, height, width, np.float32(0.5))


@pytest.mark.parametrize("seed", range(5))
def test_stroke_widths_and_bounds_equal_opencvs(seed, memory):
    core = strokes((80, 61), seed, n=2)
    digit = core.astype(np.float32)
    distances = cv2.distanceTransform(np.pad(core, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    expected = 4 * distances[core > 0].mean() - 1
    assert run_width(with_slack(digit), *digit.shape, memory) == pytest.approx(expected, rel=1e-5)
    left, top, width, height = cv2.boundingRect(core)
    assert run_bounds(with_slack(digit), *digit.shape) == (top, left, top + height, left + width)
    assert run_bounds(with_slack(digit * 0), *digit.shape)[2] == 0


@pytest.mark.parametrize("width", [8, 12, 16])
def test_the_width_of_a_bar_is_its_width(width, memory):
    digit = np.zeros((100, 40), np.float32)
    digit[:, 10 : 10 + width] = 1
    assert run_width(with_slack(digit), 100, 40, memory) == pytest.approx(width, abs=0.7)


def lit_paper(shape, factors):
    """The surface that light.py fits, float64 (height, width), with those factors."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return factors[0] + factors[1] * x + factors[2] * y + factors[3] * (x * x + y * y)


@compiled
def run_light(picture, height, width, work):
    far = fit_light(picture, height, width, work.sides, work.light)
    cubes, unlike = compare_with_light(picture, height, width, work.light, work.row, work.lengths)
    return far, cubes, unlike


@pytest.mark.parametrize("shape", [(28, 28), (64, 100), (120, 100)])
@pytest.mark.parametrize("factors", [(200, 0, 0, 0), (160, 30, -20, -10), (120, -40, 5, 0)])
def test_the_light_is_found_under_strokes_that_cross_the_border(shape, factors, memory):
    light = lit_paper(shape, factors)
    picture = light.copy()
    middle = slice(shape[1] // 2 - 3, shape[1] // 2 + 3)
    picture[: shape[0] * 3 // 4, middle] *= 0.2  # dark ink, over the upper border
    far, cubes, unlike = run_light(with_slack(np.rint(picture).astype(np.uint8)), *shape, memory)
    np.testing.assert_allclose(lit_paper(shape, memory.light[:4]), light, atol=4)
    assert far < 12
    assert cubes < 0
    assert unlike == pytest.approx((np.abs(picture - light) > 24).mean(), abs=0.03)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2)])
def test_any_shape_has_a_light(shape, memory):
    far, _, _ = run_light(with_slack(np.full(shape, 130, np.uint8)), *shape, memory)
    assert far < 1
    np.testing.assert_allclose(lit_paper(shape, memory.light[:4]), 130, atol=1)


@compiled
def run_even(picture, height, width, is_dark, work):
    under_even_light(picture, height, width, work.light, is_dark, work.even)


@pytest.mark.parametrize("is_dark", [True, False])
def test_even_light_makes_paper_even_and_ink_dark(is_dark, memory):
    shape, factors = (60, 80), (150, 40, -20, -15)
    light = lit_paper(shape, factors)
    ink = strokes(shape, 4).astype(bool)
    picture = np.where(ink, light * 0.3 if is_dark else light + 40, light)
    memory.light[:4] = factors
    run_even(with_slack(np.rint(picture).astype(np.uint8)), *shape, is_dark, memory)
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
