"""Ink, parts and glyphs, and what an arc costs, against plain counterparts."""

import cv2
import numpy as np
import pytest

from fastmnist.kernels.numbers.contrast import fill_ink
from fastmnist.kernels.numbers.glyphs import find_arcs, place_glyphs, place_in_context
from fastmnist.kernels.numbers.labels import measure, number_parts, spread
from fastmnist.kernels.numbers.search import weigh
from fastmnist.kernels.picture.parts import place_digit
from fastmnist.kernels.picture.work import SLACK
from fastmnist.numbers import page

PIXELS = list(np.ndindex(28, 28))


def cuts_of_parts(rng, shape=(9, 16), n_parts=3):
    """Parts of ink at random, and cuts before, after and through them, in the order of the ink to their left."""
    part_of = rng.integers(-1, n_parts, shape).astype(np.int32)
    part_of[:, : shape[1] // 2][part_of[:, : shape[1] // 2] == 2] = -1  # boxes differ
    parts = np.array([0, 0, 1, 1, 1, 2, 2, n_parts], np.int32)
    seams = np.full((len(parts), shape[0]), -1, np.int32)
    for cut in (1, 3, 4, 6):
        seams[cut] = rng.integers(4, 12, shape[0])
    is_left = [is_left_of(part_of, parts, seams, cut) for cut in range(len(parts))]
    lefts = np.array([left.sum() for left in is_left])
    order = np.argsort(lefts, kind="stable")
    boxes = np.array([box_of(part_of == part) for part in range(n_parts)], np.int32)
    return part_of, boxes, parts[order], seams[order], lefts[order]


def is_left_of(part_of, parts, seams, cut):
    in_part = (part_of == parts[cut]) & (np.arange(part_of.shape[1]) <= seams[cut][:, None])
    return (part_of >= 0) & ((part_of < parts[cut]) | in_part)


def box_of(ink):
    rows, columns = np.nonzero(ink)
    return rows.min(), columns.min(), rows.max() + 1, columns.max() + 1


def arcs_of(
    part_of, boxes, parts, seams, lefts, most_cuts=9, widest=99.0, highest=99.0, most_lost=9999.0,
    low=0.0, broad=99.0, height=1.0,
):  # fmt: skip
    """The arcs as `find_arcs` gives them: glyphs, counts, shapes, which are cut; cut i crosses i pixels of ink."""
    most, order = (most_cuts + 1) * len(parts), np.arange(len(parts), dtype=float)
    glyphs, counts = np.empty((most, 6), np.int32), np.empty(most, np.int64)
    shapes, is_cut = np.empty((most, 4)), np.empty(most, bool)
    n = find_arcs(
        part_of, boxes, parts, seams, lefts, order, height, most_cuts, widest, highest, most_lost, low, broad,
        np.empty(len(boxes) + 1), glyphs, counts, shapes, is_cut,
    )  # fmt: skip
    return glyphs[:n], counts[:n], shapes[:n], is_cut[:n]


@pytest.mark.parametrize(
    ("most_cuts", "widest", "highest", "most_lost"),
    [(9, 99, 99, 99), (3, 99, 99, 99), (9, 9, 99, 99), (9, 99, 7, 99), (9, 99, 99, 3)],
)
@pytest.mark.parametrize("seed", range(5))
def test_glyphs_are_the_ink_between_two_cuts(seed, most_cuts, widest, highest, most_lost):
    part_of, boxes, parts, seams, lefts = cuts_of_parts(np.random.default_rng(seed))
    expected = []
    for end in range(1, len(parts)):
        for start in range(end - 1, max(-1, end - 1 - most_cuts), -1):
            right_of_start = (part_of >= 0) & ~is_left_of(part_of, parts, seams, start)
            glyph = right_of_start & is_left_of(part_of, parts, seams, end)
            box = box_of(glyph) if glyph.any() else (0, 0, 0, 0)
            if start < end - 1 and (box[3] - box[1] > widest or box[2] - box[0] > highest):
                break
            lost = (~right_of_start & (part_of >= 0) & ~is_left_of(part_of, parts, seams, end)).sum()
            assert glyph.sum() - (lefts[end] - lefts[start]) == lost
            if glyph.any() and (lost <= most_lost or start == end - 1):
                expected.append([start, end, *box])
    found, counts, _, _ = arcs_of(part_of, boxes, parts, seams, lefts, most_cuts, widest, highest, most_lost)
    assert found.tolist() == expected
    assert (counts == 1).all()


def test_a_glyph_is_placed_without_its_neighbours():
    rng = np.random.default_rng(5)
    part_of, boxes, parts, seams, lefts = cuts_of_parts(rng)
    ink = rng.integers(1, 256, part_of.shape).astype(np.uint8)
    glyphs, *_ = arcs_of(part_of, boxes, parts, seams, lefts, most_lost=99)
    images = np.zeros((len(glyphs), 784), np.uint8)
    work = np.empty((3, 9 * ink.size + SLACK), np.float32)
    place_glyphs(place_digit.address(), ink, part_of, parts, seams, glyphs, work, images)
    whole = np.array([0, 1], np.int32), np.full((2, len(ink)), -1, np.int32)
    for glyph, image in zip(glyphs, images, strict=True):
        start, end, top, left, bottom, right = glyph
        is_of_it = (part_of >= 0) & ~is_left_of(part_of, parts, seams, start) & is_left_of(part_of, parts, seams, end)
        alone = np.where(is_of_it, ink, 0)[top:bottom, left:right].copy()
        expected = np.zeros((1, 784), np.uint8)
        box = np.array([[0, 1, 0, 0, *alone.shape]], np.int32)
        place_glyphs(place_digit.address(), alone, np.zeros(alone.shape, np.int32), *whole, box, work, expected)
        np.testing.assert_array_equal(image, expected[0])


def mean_of_square(plane, top, left, side):
    """The mean of a square of a plane, whose pixels are squares of 1; beyond it are zeros."""
    height, width = plane.shape
    rows = np.clip(np.minimum(np.arange(height) + 1, top + side) - np.maximum(np.arange(height), top), 0, None)
    columns = np.clip(np.minimum(np.arange(width) + 1, left + side) - np.maximum(np.arange(width), left), 0, None)
    return rows @ plane.astype(np.float64) @ columns / side**2


@pytest.mark.parametrize("times", [1, 4])
def test_a_piece_is_placed_with_its_neighbours_paler(times):
    rng = np.random.default_rng(5)
    part_of, boxes, parts, seams, lefts = cuts_of_parts(rng, (9 * times, 16 * times))
    ink = rng.integers(0, 256, part_of.shape).astype(np.uint8)
    glyphs, *_ = arcs_of(part_of, boxes, parts, seams, lefts)
    images = np.full((len(glyphs), 784), 9, np.uint8)
    place_in_context(ink, part_of, parts, seams, glyphs, 0.25, np.empty(ink.shape[1]), np.empty(28), images)
    for glyph, image in zip(glyphs, images, strict=True):
        start, end, top, left, bottom, right = glyph
        is_of_it = (part_of >= 0) & ~is_left_of(part_of, parts, seams, start) & is_left_of(part_of, parts, seams, end)
        plane, step = np.where(is_of_it, ink, 0.25 * ink), max(bottom - top, right - left) / 20
        y, x = (top + bottom) / 2 - 14 * step, (left + right) / 2 - 14 * step
        expected = [mean_of_square(plane, y + row * step, x + column * step, step) for row, column in PIXELS]
        np.testing.assert_allclose(image, expected, atol=0.5001)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (23, 31)])
def test_parts_are_measured(shape):
    rng = np.random.default_rng(shape)
    core = (rng.random(shape) < 0.4).astype(np.uint8)
    n, labels, stats, _ = cv2.connectedComponentsWithStats(core, connectivity=8, ltype=cv2.CV_32S)
    left, top, width, height, area = stats[1:].T
    parts = np.empty((n - 1, 5), np.int32)
    measure(labels, parts)
    np.testing.assert_array_equal(parts, np.stack([left, top, left + width, top + height, area], axis=1))


def test_parts_are_numbered_in_their_boxes():
    labels = np.random.default_rng(0).integers(0, 5, (20, 30)).astype(np.int32)
    numbers = np.full(labels.shape, -1, np.int32)
    boxes = np.array([(0, 0, 20, 30), (5, 6, 12, 30)], np.int32)
    number_parts(labels, np.array([4, 2], np.int32), boxes, numbers)
    expected = np.where(labels == 4, 0, -1)
    expected[5:12, 6:] = np.where(labels == 2, 1, expected)[5:12, 6:]
    np.testing.assert_array_equal(numbers, expected)


def ink_of(paper, dark, gains, least, signal, faint):
    """Ink by its definition, None where nothing stands out from the paper."""
    contrast = np.clip((paper.astype(np.float32) - dark) * gains[paper], 0, 255).astype(np.uint8)
    threshold = cv2.threshold(contrast, 0, 255, cv2.THRESH_OTSU)[0]
    of_paper, of_ink = contrast[contrast <= threshold].astype(float), contrast[contrast > threshold].astype(float)
    if not of_ink.size or not of_paper.size:
        return None
    level = np.median(of_paper)
    noise = 1.4826 * np.median(abs(of_paper - level))
    depth = np.median(of_ink) - level
    if depth < max(least, signal * noise):
        return None
    ink = np.clip((contrast - level) * (255 / depth), 0, 255)
    return np.where(contrast <= level + faint * noise, 0, ink).astype(np.uint8)


@pytest.mark.parametrize("noise", [0, 1, 7, 60])
@pytest.mark.parametrize("shape", [(1, 1), (1, 64), (5, 13), (40, 67)])
@pytest.mark.parametrize("strokes", [0.0, 0.2])
def test_ink_is_the_contrast_with_the_paper_in_parts_of_its_depth(shape, noise, strokes):
    rng = np.random.default_rng([*shape, noise])
    paper = rng.integers(120, 256, shape).astype(np.uint8)
    dark = np.where(rng.random(shape) < strokes, paper * rng.uniform(0.1, 0.6, shape), paper)
    dark = np.clip(dark + rng.normal(0, noise, shape), 0, 255).astype(np.uint8)
    gains = (255 / np.maximum(np.arange(256), 64)).astype(np.float32)
    found, counts, table = np.empty(paper.size, np.uint8), np.empty(256, np.int64), np.empty(256, np.uint8)
    is_ink = fill_ink(paper.ravel(), dark.ravel(), gains, 20.4, 6.0, 3.0, counts, table, found)
    expected = ink_of(paper, dark, gains, 20.4, 6.0, 3.0)
    assert is_ink == (expected is not None)
    if expected is not None:
        np.testing.assert_array_equal(found.reshape(shape), expected)


@pytest.mark.parametrize("shape", [(64, 64), (64, 1600), (1600, 70), (3, 3), (1, 400), (1600, 1200)])
@pytest.mark.parametrize("share", [0.1, page.WINDOW])
def test_a_page_is_closed_as_opencv_does_it(shape, share):
    window = min(page.MOST_WINDOW, share * min(shape))
    dark = np.random.default_rng(shape).integers(0, 256, shape).astype(np.uint8)
    side = max(3, round(window)) | 1
    expected = cv2.morphologyEx(dark, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8)).reshape(shape)
    np.testing.assert_array_equal(page._closed(dark, window), expected)


@pytest.mark.parametrize("seed", range(5))
def test_arcs_have_the_shapes_of_their_glyphs_and_marks_may_be_left_out(seed):
    part_of, boxes, parts, seams, lefts = cuts_of_parts(np.random.default_rng(seed))
    boxes[:, 1] = [0, 3, 7]  # gaps, as if the ink did not begin there
    boxes[:, 3] = [2, 5, 16]
    glyphs, counts, shapes, is_cut = arcs_of(part_of, boxes, parts, seams, lefts, low=1.7, broad=1.4, height=5.0)
    is_seam, expected = seams[:, 0] >= 0, []
    for start, end, top, left, bottom, right in glyphs[counts == 1].tolist():
        last = parts[end] if is_seam[end] else parts[end] - 1
        gap = sum(max(0, boxes[part, 1] - boxes[:part, 3].max()) for part in range(parts[start] + 1, last + 1))
        arc = [start, end, top, left, bottom, right, is_seam[start] | is_seam[end], end]
        if end == start + 1 and bottom - top < 8.5 and (bottom - top) * (right - left) < 35:
            expected.append([*arc, 0, 0, (bottom - top) / 5, (right - left) / 5])
        expected.append([*arc, 1, gap / 5, (bottom - top) / 5, (right - left) / 5])
    actual = np.concatenate([glyphs, is_cut[:, None], shapes[:, :1], counts[:, None], shapes[:, 1:]], axis=1)
    assert 0 < (counts == 0).sum() < (counts == 1).sum()
    assert shapes[:, 1].max() > 0
    np.testing.assert_allclose(actual, expected)


@pytest.mark.parametrize("rarer", [1.0, 3.5])
def test_arcs_cost_what_the_weights_say(rarer):
    rng = np.random.default_rng(0)
    n, weights, least = 50, tuple(rng.uniform(0.1, 2, 13)), 1e-3
    shapes, counts, is_cut = rng.random((n, 4)) * (rng.random((n, 4)) < 0.7), rng.integers(0, 2, n), rng.random(n) < 0.5
    probabilities = rng.random((n, 4)).astype(np.float32) * (rng.random((n, 4)) < 0.8)
    doubted, costs, scores = np.empty((n, 4)), np.empty(n), np.empty(n)
    weigh(shapes, counts, is_cut, probabilities, weights, rarer, least, doubted, costs, scores)
    cut, per_cut, per_gap, low, height, wide, width, none, unknown, unknown_piece = weights[:10]
    left_out, left_out_piece, per_left_out = weights[10:]
    crossed, gaps, heights, widths = shapes.T
    of_glyph = per_gap * gaps + low * np.clip(height - heights, 0, None) ** 2
    of_glyph += wide * np.clip(widths - width, 0, None) ** 2
    of_mark = left_out + left_out_piece * is_cut + per_left_out * heights * widths
    of_cut = cut * (crossed > 0) + per_cut * crossed
    said = np.maximum(probabilities.astype(float), least)
    said[is_cut, -1] *= np.exp(none)
    said[:, -1] *= rarer
    said /= said.sum(axis=1, keepdims=True)
    said[:, -1] *= np.exp(-unknown - unknown_piece * is_cut)
    np.testing.assert_allclose(doubted, said)
    np.testing.assert_allclose(costs, of_cut + np.where(counts > 0, of_glyph, of_mark))
    np.testing.assert_allclose(scores, np.where(counts > 0, np.log(said.max(axis=1)), 0) - costs)


def test_labels_spread_over_ink_alone():
    labels = np.full((5, 9), -1, np.int32)
    labels[2, 1], labels[2, 7] = 4, 2
    ink = np.full((5, 9), 9, np.uint8)
    ink[:, 2] = 0
    spread(ink, labels, np.empty_like(labels), 2)
    assert (labels[:, 2] == -1).all()
    assert (labels[:, :2] == 4).all()
    assert (labels[:, 5:] == 2).all()
    assert (labels[:, 3:5] == -1).all()
