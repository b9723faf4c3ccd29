import os

import cv2
import numpy as np
import pytest

from fastmnist.errors import DataError, RemoteError
from fastmnist.images import preprocess
from fastmnist.images.mnist_form import in_mnist_form
from fastmnist.images.preprocess import colours_to_digit, read_digits, read_squares, to_digit
from fastmnist.inputs.idx import read_images


def moved(image, down, right):
    return np.roll(image, (down, right), (0, 1))


def test_all_of_mnist_is_in_its_own_form(mnist_dir, digits):
    assert in_mnist_form(digits[0]).all()
    assert in_mnist_form(read_images(mnist_dir / "train-images-idx3-ubyte")).all()


def bar(row, column, height=15, width=1, grey=255):
    """A bar with that centre, white on black: (1, 28, 28)."""
    image = np.zeros((1, 28, 28), np.uint8)
    top, left = row - height // 2, column - width // 2
    image[0, top : top + height, left : left + width] = grey
    return image


def test_the_form_is_a_black_border_the_centre_of_mass_and_the_size(digits):
    for row, column, expected in ((13, 13, True), (14, 14, True), (12, 13, False), (13, 12, False), (15, 14, False)):
        assert in_mnist_form(bar(row, column))[0] == expected
    assert in_mnist_form(bar(14, 14) | bar(14, 15))[0]  # centre 14.5
    assert not in_mnist_form(bar(14, 14) | bar(14, 15) | bar(14, 16))[0]  # centre 15
    assert not in_mnist_form(np.zeros((1, 28, 28), np.uint8))[0]
    for size, expected in ((11, False), (12, True), (22, True), (23, False)):
        assert in_mnist_form(bar(14, 14, size))[0] == expected
        assert in_mnist_form(bar(14, 14, 1, size))[0] == expected
    assert in_mnist_form(bar(14, 14, grey=128))[0]
    assert not in_mnist_form(bar(14, 14, grey=127))[0]  # faint
    assert not in_mnist_form(255 - digits[0][:1])[0]
    for n_bright, expected in ((53, True), (54, False)):  # of 108 pixels of the border: the median is 0, or 0.5
        image = digits[0][:1].copy()
        border = np.zeros(108, np.uint8)
        border[:n_bright] = 1
        image[0, 0], image[0, -1], image[0, 1:-1, 0], image[0, 1:-1, -1] = np.split(border, [28, 56, 82])
        image[0, 14, 14] = 255
        assert np.median(border) == (0 if expected else 0.5)
        assert in_mnist_form(image)[0] == expected


def test_the_form_of_many_images_is_that_of_each():
    rng = np.random.default_rng(10)
    images = np.zeros((300, 28, 28), np.uint8)
    for image in images:
        size = rng.integers(8, 25)
        top, left = np.clip((28 - size) // 2 + rng.integers(-2, 3, 2), 0, 28 - size)
        image[top : top + size, left : left + size] = rng.integers(0, 256, (size, size)) * (rng.random() < 0.9)
        image[0] = rng.integers(0, 2, 28) * (rng.random() < 0.3)
    expected = []
    for image in images.astype(int):
        border = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
        y, x = np.mgrid[:28, :28]
        total = image.sum()
        is_central = all(13 * total <= (image * axis).sum() < 15 * total for axis in (y, x))
        rows, columns = np.nonzero(image > 127)
        size = max(np.ptp(rows), np.ptp(columns)) + 1 if len(rows) else 0
        expected.append(np.median(border) == 0 and is_central and 12 <= size <= 22)
    actual = in_mnist_form(images)
    np.testing.assert_array_equal(actual, expected)
    assert 20 < np.count_nonzero(actual) < 280


@pytest.fixture
def files(tmp_path, digits):
    """A digit in MNIST's form, one out of it, a large one, one that is no picture, and an empty sheet."""
    pictures = (
        digits[0][0],
        moved(digits[0][1], -2, -2),
        cv2.resize(255 - digits[0][2], (90, 90)),
        None,
        digits[0][3] * 0,
    )
    paths = [os.fsencode(tmp_path / f"{i}.png") for i in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        with open(path, "wb") as file:
            file.write(b"no picture" if picture is None else cv2.imencode(".png", picture)[1].tobytes())
    return paths


def read(files, preprocess):
    images = np.full((len(files), 28, 28), 9, np.uint8)
    return images, read_digits(files, preprocess, images).errors


def test_auto_leaves_what_is_in_the_form_and_normalizes_the_rest(files, digits):
    images, errors = read(files, "auto")
    np.testing.assert_array_equal(images[0], digits[0][0])
    np.testing.assert_array_equal(images[1], digits[0][1])  # moved back
    assert in_mnist_form(images[:3]).all()
    assert sorted(errors) == [3, 4]
    assert "no picture that can be read" in errors[3]
    assert errors[4].startswith(os.fsdecode(files[4]) + ": no ink found")
    assert not images[3:].any()


def test_none_takes_28x28_pixels_as_they_are_and_refuses_other_sizes(files, digits):
    images, errors = read(files, "none")
    np.testing.assert_array_equal(images[:2], [digits[0][0], moved(digits[0][1], -2, -2)])
    assert sorted(errors) == [2, 3]
    assert "is 90x90 pixels, expected 28x28" in errors[2]


def test_mnist_normalizes_every_image(files):
    images, errors = read(files, "mnist")
    assert sorted(errors) == [3, 4]
    assert in_mnist_form(images[:3]).all()


@pytest.mark.parametrize("preprocess", ["auto", "mnist", "none"])
def test_one_picture_is_read_like_many(files, preprocess):
    images, errors = read(files, preprocess)
    for row, path in enumerate(files):
        picture = cv2.imread(os.fsdecode(path), cv2.IMREAD_GRAYSCALE)
        if picture is None:
            continue
        if row in errors:
            with pytest.raises(DataError) as caught:
                to_digit(picture, preprocess, path)
            assert str(caught.value) == errors[row]
        else:
            np.testing.assert_array_equal(to_digit(picture, preprocess, path), images[row])


def test_squares_are_read_as_pictures_of_their_size(digits):
    small = np.stack([cv2.resize(image, (20, 20), interpolation=cv2.INTER_AREA) for image in digits[0][:5]])
    small[3] = 0
    images, errors = read_squares(small, "auto", lambda index: f"x {index}")
    assert list(errors) == [3]
    assert errors[3].startswith("x 3: no ink")
    assert not images[3].any()
    for index in (0, 1, 2, 4):
        np.testing.assert_array_equal(images[index], to_digit(small[index], "auto", b"x"))


PAIRS = {"red on green": ((0, 0, 220), (0, 112, 0)), "blue on red": ((255, 52, 0), (0, 0, 200))}  # paper, ink: BGR


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_ink_of_another_colour_but_the_same_grey_is_read(pair, suffix, tmp_path, digits):
    paper, pen = (np.array(colour, float) for colour in PAIRS[pair])
    ink = np.pad(cv2.resize(digits[0][0], (140, 140), interpolation=cv2.INTER_CUBIC), 30)[..., np.newaxis] / 255
    coloured = np.rint(paper + (pen - paper) * ink).astype(np.uint8)
    grey = cv2.cvtColor(coloured, cv2.COLOR_BGR2GRAY)
    assert np.ptp(grey) < 20
    path = str(tmp_path / f"a{suffix}")
    cv2.imwrite(path, coloured)
    expected = to_digit(np.rint(255 - 255 * ink[..., 0]).astype(np.uint8), "auto", b"plain")
    images, errors = read([path.encode()], "auto")
    assert not errors
    for actual in (images[0], colours_to_digit(coloured[..., ::-1], "auto", b"array")):
        assert np.abs(actual.astype(int) - expected).mean() < 6


def test_the_colours_of_empty_paper_are_no_ink(tmp_path):
    rng = np.random.default_rng(0)
    paper = np.clip(225 + rng.normal(0, 3, (120, 120, 3)), 0, 255).astype(np.uint8)
    path = str(tmp_path / "a.jpg")
    cv2.imwrite(path, paper)
    images = np.zeros((1, 28, 28), np.uint8)
    found = read_digits([path.encode()], "auto", images)
    assert "no ink found" in found.errors[0]


def test_a_fault_of_ours_is_an_error_of_its_picture_and_what_is_none_of_it_is_raised(monkeypatch):
    picture = np.zeros((9, 9), np.uint8)

    def failing(error):
        def normalize(_picture, _ask):
            raise error

        monkeypatch.setattr(preprocess, "normalize", normalize)
        return to_digit(picture, "auto", b"a.png")

    with pytest.raises(DataError, match=r"a\.png: ZeroDivisionError: by 0: this is a bug in fastmnist"):
        failing(ZeroDivisionError("by 0"))
    for error in (MemoryError(), RemoteError("no answer")):
        with pytest.raises(type(error)):
            failing(error)
