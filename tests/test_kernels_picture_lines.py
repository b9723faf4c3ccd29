"""Steps of the picture reader that take things away, and the whole of it: frames, lines, placing, MNIST's form."""

import cv2
import numpy as np
import pytest
from drawn_strokes import strokes, with_slack
from vector_functions import compiled

from fastmnist.kernels.picture.components import STROKE, find_components, find_runs, paint
from fastmnist.kernels.picture.frame import without_frame
from fastmnist.kernels.picture.ink import judge
from fastmnist.kernels.picture.lines import Axis, find_thin_runs, remove_lines, thickest_line
from fastmnist.kernels.picture.place import place
from fastmnist.kernels.picture.plane import lay_plane
from fastmnist.kernels.picture.read import READ, read
from fastmnist.kernels.picture.strokes import choose_strokes
from fastmnist.kernels.picture.work import AREA, make_work


@pytest.fixture
def memory():
    return make_work()


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
def run_choose(picture, height, width, work):
    n_runs = find_runs(picture, height, width, 0, work.runs, work.parents)
    n = find_components(work.runs, n_runs, work.parents, height, width, work.components)
    n_digits = choose_strokes(work.components, n, work.runs, n_runs, height, width)
    paint(work.runs, n_runs, work.components, STROKE, height, width, 0, work.mask, work.bits)
    return n_digits


def chosen(ink, memory):
    """The strokes that are taken for the digit's."""
    assert run_choose(with_slack(ink), *ink.shape, memory) == 1
    return memory.mask[: ink.size].reshape(ink.shape)


def bars(*boxes):
    """Ink of 100x100 pixels in boxes: top, bottom, left, right."""
    ink = np.zeros((100, 100), np.uint8)
    for top, bottom, left, right in boxes:
        ink[top:bottom, left:right] = 1
    return ink


SEVEN = ((30, 36, 35, 65), (30, 80, 59, 65))
FIVE = ((36, 42, 40, 60), (36, 80, 40, 46), (74, 80, 40, 60), (56, 80, 55, 61), (54, 60, 40, 61))
FRAMES = {
    "above": ((14, 18, 5, 95),),
    "right": ((5, 95, 80, 84),),
    "both": ((12, 16, 5, 95), (5, 95, 84, 88)),
    "a corner": ((12, 18, 5, 95), (12, 95, 90, 95)),
    "the other corner": ((88, 94, 5, 95), (5, 94, 5, 11)),
    "a comb's cell": ((88, 92, 5, 95), (50, 92, 5, 9), (50, 92, 91, 95)),
    "low ticks": ((88, 92, 5, 95), (72, 92, 5, 9), (72, 92, 91, 95)),
    "high ticks": ((88, 92, 5, 95), (10, 92, 5, 9), (10, 92, 91, 95)),
    "dashes": tuple((row, row + 3, first, first + 6) for row in (12, 85) for first in range(12, 85, 12))
    + tuple((first, first + 6, column, column + 3) for column in (12, 85) for first in range(24, 80, 12)),
}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("digit", [SEVEN, FIVE], ids=["7", "5"])
def test_what_is_left_of_a_frame_is_no_stroke(digit, frame, memory):
    np.testing.assert_array_equal(chosen(bars(*digit, *FRAMES[frame]), memory), bars(*digit))


def test_the_lower_part_of_a_broken_digit_is_no_comb(memory):
    bowl = np.zeros((100, 100), np.uint8)
    cv2.ellipse(bowl, (50, 50), (34, 40), 0, -40, 220, 1, 5)
    cv2.ellipse(bowl, (50, 36), (18, 14), 0, 0, 360, 1, 5)
    np.testing.assert_array_equal(chosen(bowl, memory), bowl)


@pytest.mark.parametrize("part", [(25, 31, 40, 75), (84, 88, 38, 64)], ids=["top of a 5", "foot"])
def test_parts_of_a_digit_stay(part, memory):
    digit = bars(*FIVE, part)
    np.testing.assert_array_equal(chosen(digit, memory), digit)


@compiled
def run_lines(height, width, with_rules, work):
    ink = judge(work.ink, height * width, work.counts)
    return remove_lines(work, height, width, ink, thickest_line(max(height, width)), with_rules)


def without_lines(picture, memory, *, with_rules=True):
    """The map of ink after its lines were taken out, and how many."""
    for scratch in (memory.mask, memory.before, memory.spare, memory.padded, memory.paper, memory.row):
        scratch[:] = 1  # as the picture before has left it
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


def ring(shape, thickness):
    """A 0 in the middle of a map of ink."""
    digit, (height, width) = np.zeros(shape, np.uint8), shape
    cv2.ellipse(digit, (width // 2, height // 2), (width // 3, height // 3), 0, 0, 360, 220, thickness, cv2.LINE_AA)
    return digit


@pytest.mark.parametrize("depth", [50, 90, 150, 215])
@pytest.mark.parametrize("place", [45.0, 50.25, 59.5])
def test_a_line_goes_of_which_a_digit_hides_more_than_half_and_on_whichever_rows_it_lies(place, depth, memory):
    digit = np.zeros((100, 100), np.uint8)
    cv2.circle(digit, (50, 50), 31, 220, -1, cv2.LINE_AA)
    picture = np.maximum(digit, drawn_line((100, 100), place, depth))
    left, n = without_lines(picture, memory)
    assert n == 1
    away = cv2.dilate(digit, np.ones((7, 7), np.uint8)) == 0
    assert not (left[away] > 40).any()
    np.testing.assert_array_equal(left[digit > 200], picture[digit > 200])


def drawn_line(shape, place, depth):
    """A line two rows thick, that lies on three where its place is between two."""
    rows = np.arange(shape[0])[:, np.newaxis] - place
    return np.broadcast_to((depth * np.clip(1.5 - np.abs(rows), 0, 1)).astype(np.uint8), shape)


@pytest.mark.parametrize("pitch", [9, 16, 30])
@pytest.mark.parametrize("degrees", [0, 2, -4.5])
@pytest.mark.parametrize("depth", [70, 200])
def test_squared_paper_leaves_nothing_where_its_lines_cross(depth, degrees, pitch, memory):
    digit = ring((120, 120), 9)
    grid = np.maximum(ruled(digit.shape, degrees, pitch, depth, 1), ruled(digit.shape, -degrees, pitch, depth, 1).T)
    left, _ = without_lines(np.maximum(digit, grid), memory)
    away = cv2.dilate(digit, np.ones((9, 9), np.uint8)) == 0
    away[:14], away[-14:], away[:, :14], away[:, -14:] = False, False, False, False  # lines cut by the corners
    assert np.count_nonzero(left[away] > 40) < 0.03 * np.count_nonzero(grid[away])
    assert np.count_nonzero(left[digit > 200] > 100) > 0.92 * np.count_nonzero(digit > 200)


@pytest.mark.parametrize("overlap", [-1, 0, 1, 2, 3])
def test_a_stroke_along_a_line_keeps_its_thickness(overlap, memory):
    digit = np.zeros((100, 100), np.uint8)
    digit[20:74, 30:38] = digit[66:74, 30:76] = 200  # an L, whose foot lies on the line or ends beside it
    picture = digit.copy()
    picture[74 - overlap : 76 - overlap] = np.maximum(picture[74 - overlap : 76 - overlap], 120)
    left, n = without_lines(picture, memory)
    assert n == 1
    np.testing.assert_array_equal(left[digit > 0], picture[digit > 0])
    assert not left[74 - overlap : 76 - overlap, :28].any()


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


@compiled
def run_thin(picture, height, width, is_upright, faint, thickest, work):
    axis = Axis(height, width, width, 1) if is_upright else Axis(width, height, 1, width)
    find_thin_runs(picture, axis, faint, thickest, work.padded, work.paper)


def thin_runs(ink, thickest):
    """Which pixels are in runs of at most `thickest` of a column's, one by one."""
    thin = np.zeros_like(ink)
    for column, marks in zip(ink.T, thin.T, strict=True):
        edges = np.flatnonzero(np.diff(np.pad(column, 1)))
        for start, end in edges.reshape(-1, 2):
            marks[start:end] = end - start <= thickest
    return thin


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (7, 31), (64, 64), (100, 100), (127, 128), (330, 40)])
@pytest.mark.parametrize("thickest", [2, 6, 254, 300])
def test_thin_runs_are_those_of_plain_loops(shape, thickest, memory):
    rng = np.random.default_rng(3)
    for picture in (strokes(shape, 5, n=12) * 200, (rng.random(shape) < 0.7) * 200, np.full(shape, 200)):
        picture = picture.astype(np.uint8)
        for is_upright in (False, True):
            run_thin(with_slack(picture), *shape, is_upright, 199, thickest, memory)
            ink = picture > 199
            expected = thin_runs(ink.T, thickest).T if is_upright else thin_runs(ink, min(thickest, 254))
            np.testing.assert_array_equal(memory.padded[: picture.size].reshape(shape), expected)
            run_thin(with_slack(picture), *shape, is_upright, 200, thickest, memory)
            assert not memory.padded[: picture.size].any()


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
