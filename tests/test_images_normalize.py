import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fastmnist.errors import DataError
from fastmnist.images.mnist_form import in_mnist_form
from fastmnist.images.normalize import normalize


def enlarged(digit, scale=6, margin=20):
    """A digit (28, 28) drawn large, dark on light: uint8."""
    side = 28 * scale
    return 255 - np.pad(cv2.resize(digit, (side, side), interpolation=cv2.INTER_CUBIC), margin)


def lit(picture, direction=0.7):
    """The same under a lamp at one side, which leaves half of its light at the other, and with dark corners."""
    height, width = picture.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    along = x * np.cos(direction) + y * np.sin(direction)
    along = (along - along.min()) / np.ptp(along)
    return (picture * (1 - along / 2) * (1 - 0.15 * (x * x + y * y))).astype(np.uint8)


def likeness(one, other):
    """The correlation of two images."""
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


def check_likeness(images, expected, least=0.6):
    """A centre of mass near a pixel's edge moves a digit by a pixel, which its correlation doesn't forgive."""
    all_of_them = [likeness(*pair) for pair in zip(images, expected, strict=True)]
    assert np.median(all_of_them) > 0.9
    assert min(all_of_them) > least


@pytest.fixture(scope="module")
def some(digits):
    return digits[0][:60]


CHANGES = {
    "dark on light": lambda picture: picture,
    "light on dark": lambda picture: 255 - picture,
    "faint": lambda picture: (150 + picture // 5).astype(np.uint8),
    "lit from one side": lit,
    "lit from the other": lambda picture: lit(picture, 3.8),
    "wide": lambda picture: np.pad(picture, ((0, 0), (100, 300)), constant_values=255),
    "high": lambda picture: np.pad(picture, ((300, 10), (0, 0)), constant_values=255),
    "large": lambda picture: cv2.resize(picture, None, fx=4, fy=4),
    "small": lambda picture: cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA),
    "blurred": lambda picture: cv2.GaussianBlur(picture, (0, 0), 3),
    "in a dark frame": lambda picture: np.pad(picture, 5, constant_values=20),
    "with a dark edge": lambda picture: np.pad(picture, ((0, 0), (6, 0)), constant_values=20),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_digit_is_the_same_however_it_was_pictured(some, change):
    images = np.stack([normalize(CHANGES[change](enlarged(digit))) for digit in some])
    assert in_mnist_form(images).all()
    assert (images.max(axis=(1, 2)) == 255).all()
    check_likeness(images, some)


def test_noise_specks_and_lines_at_the_border_are_dropped(some):
    rng = np.random.default_rng(0)
    images = []
    for digit in some:
        picture = enlarged(digit, margin=40).astype(float)
        picture[12:15] = 90  # a ruled line from side to side
        picture[:, 20] = 60
        for y, x in rng.integers(4, 30, (5, 2)):
            picture[y : y + 2, x : x + 2] = 0
        noisy = np.clip(picture + rng.normal(0, 8, picture.shape), 0, 255).astype(np.uint8)
        images.append(normalize(noisy))
    check_likeness(images, some)


@pytest.mark.parametrize("turned", [False, True])
def test_ruled_paper_is_not_part_of_the_digit(some, turned):
    images = []
    for digit in some:
        picture = enlarged(digit, 6, margin=100)
        lined = picture.T if turned else picture
        for line in range(11, len(picture), 80):
            lined[line : line + 3] //= 2
        images.append(normalize(picture))
    check_likeness(images, some, least=0)


@pytest.mark.parametrize("depth", [40, 70, 110])
@pytest.mark.parametrize("distance", [31, 90])
def test_squared_paper_of_any_depth_is_not_part_of_the_digit(some, distance, depth):
    images = []
    for digit in some:
        picture = enlarged(digit, 6, margin=30)
        grid = np.zeros_like(picture)
        grid[5::distance], grid[6::distance], grid[:, 12::distance], grid[:, 13::distance] = (depth,) * 4
        images.append(normalize(np.minimum(picture, 255 - grid)))
    check_likeness(images, some, least=0.4)


@pytest.mark.parametrize("distance", [7, 9, 12])
def test_finely_squared_paper_is_no_noise_that_hides_the_digit(some, distance):
    images = []
    for digit in some:
        picture = enlarged(digit, 8, margin=40)
        grid = np.zeros_like(picture)
        grid[5::distance], grid[:, 3::distance] = 90, 90
        images.append(normalize(np.minimum(picture, 255 - grid)))
    check_likeness(images, some, least=0)


def test_a_picture_of_ruled_lines_alone_holds_no_digit():
    picture = np.full((100, 100), 255, np.uint8)
    picture[50:52] = 0
    with pytest.raises(DataError, match="only ruled lines found"):
        normalize(picture)


def test_an_inverted_digit_is_the_digit_itself_in_most_cases(digits):
    images = digits[0][:500]
    equal = [np.array_equal(normalize(255 - image), image) for image in images]
    assert np.mean(equal) > 0.8


def test_the_longest_side_becomes_20_and_the_aspect_ratio_is_kept():
    picture = np.full((300, 300), 255, np.uint8)
    picture[50:250, 100:140] = 0
    rows, columns = np.nonzero(normalize(picture))
    assert np.ptp(rows) + 1 == 20
    assert np.ptp(columns) + 1 == 4


def test_a_coarse_digit_that_touches_all_sides_is_found():
    scan = np.array(
        [
            [0, 9, 16, 16, 13, 2, 0, 0],
            [7, 16, 7, 5, 14, 14, 2, 0],
            [14, 8, 0, 0, 2, 14, 11, 0],
            [16, 3, 0, 0, 0, 6, 16, 3],
            [16, 2, 0, 0, 0, 2, 16, 7],
            [14, 8, 0, 0, 0, 3, 16, 16],
            [4, 15, 9, 3, 5, 13, 14, 9],
            [0, 5, 15, 16, 16, 12, 2, 0],
        ]
    )
    picture = cv2.resize((255 - scan * 255 / 16).astype(np.uint8), (48, 48), interpolation=cv2.INTER_CUBIC)
    digit = normalize(picture)
    assert digit[12:16, 13:15].max() < 64  # the hole of the 0
    assert digit[4:24, 4:24].mean() > 60


def test_broken_strokes_of_one_digit_stay_together():
    five = np.full((200, 200), 255, np.uint8)
    cv2.ellipse(five, (95, 120), (35, 35), 0, -110, 130, 0, 12)
    bar = five.copy()
    cv2.line(bar, (85, 50), (130, 50), 0, 12)
    assert normalize(bar)[:10].sum() > normalize(five)[:4].sum()
    assert np.ptp(np.nonzero(normalize(bar))[0]) + 1 == 20
    assert likeness(normalize(bar), normalize(five)) < 0.9  # the bar is there, and counts


@pytest.mark.parametrize("gap", [10, 60, 150])
@pytest.mark.parametrize("n_digits", [2, 3])
def test_several_digits_are_refused(some, gap, n_digits):
    row = [np.pad(enlarged(digit, margin=0), ((0, 0), (gap // 2, gap // 2)), constant_values=255) for digit in some]
    picture = np.pad(np.hstack(row[:n_digits]), 30, constant_values=255)
    with pytest.raises(DataError, match=f"{n_digits} digits side by side, expected one"):
        normalize(picture)


NOTHING = {
    "white": np.full((100, 80), 255, np.uint8),
    "black": np.zeros((28, 28), np.uint8),
    "one pixel": np.full((1, 1), 128, np.uint8),
    "light alone": lit(np.full((200, 300), 230, np.uint8)),
    "noise alone": np.clip(np.random.default_rng(0).normal(200, 8, (200, 200)), 0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("kind", NOTHING)
def test_a_picture_without_ink_is_refused(kind):
    with pytest.raises(DataError, match="no ink found"):
        normalize(NOTHING[kind])


def test_thin_and_thick_strokes_come_closer_to_those_of_mnist(some):
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (31, 31))
    for digit in some:
        usual = normalize(enlarged(digit, 12)).astype(float).sum()
        thick = normalize(cv2.erode(enlarged(digit, 12), kernel)).astype(float).sum()
        assert thick < 2.5 * usual


@settings(max_examples=200, deadline=None, derandomize=True)
@given(arrays(np.uint8, st.tuples(st.integers(1, 70), st.integers(1, 70))))
def test_any_picture_is_normalized_or_refused(picture):
    try:
        image = normalize(picture)
    except DataError:
        return
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    assert image.max() == 255


# Corners of digits in a square of 100, as someone draws them with the pencil of a paint program.
PENCILLED = {
    "2": [(15, 30), (30, 8), (60, 5), (80, 25), (70, 50), (10, 95), (90, 97)],
    "6": [(75, 3), (40, 25), (18, 65), (30, 95), (65, 97), (82, 75), (60, 55), (22, 70)],
    "9": [(85, 12), (50, 3), (18, 20), (22, 45), (55, 48), (84, 14), (80, 50), (66, 98)],
    "0": [(50, 3), (20, 25), (15, 65), (45, 97), (80, 75), (85, 30), (50, 3)],
}


@pytest.mark.parametrize("is_dark", [True, False], ids=["dark", "light"])
@pytest.mark.parametrize("side", [60, 90, 130, 200, 300])
def test_lines_of_one_pixel_do_not_fall_to_pieces(side, is_dark, model):
    pictures = []
    for points in PENCILLED.values():
        canvas = np.full((2 * side, 2 * side), 250, np.uint8)
        corners = np.rint(np.array(points) * side / 100 + side / 2).astype(np.int32)
        cv2.polylines(canvas, [corners], False, 20, 1, cv2.LINE_8)
        pictures.append(canvas if is_dark else 255 - canvas)
    assert model.predict(pictures).labels.tolist() == list(PENCILLED)
