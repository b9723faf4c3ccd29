"""JPEG pictures that are decoded at a fraction of their size: what is read of them, by every way in."""

import zipfile

import cv2
import numpy as np
import pytest

from fastmnist.api import read_images
from fastmnist.images.decode import DIVISORS, MAX_PIXELS, decode_opaque, decode_picture
from fastmnist.images.explain import explain_page
from fastmnist.images.files import file_of
from fastmnist.images.normalize import LARGEST, PLAIN
from fastmnist.images.preprocess import file_to_digit, read_digits, to_digit
from fastmnist.images.reduced import divisors
from fastmnist.inputs.stream import open_stream


def drawn(digit, side, *, boxed=False):
    """A digit in dark ink on light paper, side x side pixels; in a box it takes more than one look."""
    middle = side * 3 // 5
    ink = cv2.resize(digit, (middle, middle), interpolation=cv2.INTER_CUBIC)
    first = (side - middle) // 2
    picture = np.full((side, side), 240, np.uint8)
    picture[first : first + middle, first : first + middle] -= (ink * 0.8).astype(np.uint8)
    if boxed:
        cv2.rectangle(picture, (side // 12, side // 12), (side - side // 12, side - side // 12), 40, max(2, side // 60))
    return picture


def jpeg(picture, quality=90):
    return cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))[1].tobytes()


def pixels_per_look(shape, divisor):
    """How many of a picture's pixels make one of a first look at it, reduced by `divisor`, as the reader does it."""
    height, width = (-(-side // divisor) for side in shape)
    shrinking = max(1.0, max(height, width) / LARGEST)
    height, width = round(height / shrinking), round(width / shrinking)
    block = next(side for side in range(1, 100) if (height // side) * (width // side) <= PLAIN.area)
    return divisor * shrinking * block


SHAPES = [(side, side) for side in range(28, 1400, 7)] + [
    (480, 640),
    (900, 700),
    (3000, 4000),
    (6000, 4000),
    (50, 2000),
]


def test_a_first_look_is_hardly_coarser_and_a_second_has_all_that_is_read():
    for shape in SHAPES:
        first, last = divisors(shape)
        assert {first, last} <= set(DIVISORS)
        assert first >= last
        assert pixels_per_look(shape, first) <= 1.02 * pixels_per_look(shape, 1), shape  # sides are rounded
        assert last == 1 or max(shape) / last >= LARGEST


def test_some_sizes():
    assert divisors((0, 0)) == divisors((28, 28)) == divisors((64, 64)) == divisors((100, 100)) == (1, 1)
    assert divisors((200, 200)) == (2, 1)
    assert divisors((320, 320)) == (4, 1)
    assert divisors((3000, 4000)) == (4, 4)
    assert divisors((4000, 6000)) == (8, 8)
    assert divisors((20, 5000)) == (1, 1)
    assert divisors((MAX_PIXELS // 5000 + 1, 5000)) == (1, 1)


@pytest.mark.parametrize("divisor", DIVISORS)
@pytest.mark.parametrize("shape", [(64, 80), (201, 99), (16, 300)])
def test_a_reduced_picture_is_about_the_means_of_its_blocks(divisor, shape):
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 256, shape).astype(np.uint8), (0, 0), 12)
    picture = cv2.normalize(picture, None, 20, 235, cv2.NORM_MINMAX)
    reduced = decode_opaque(jpeg(picture, 98), divisor)
    assert reduced.shape == tuple(-(-side // divisor) for side in shape)
    height, width = (side // divisor for side in shape)
    blocks = picture[: height * divisor, : width * divisor].reshape(height, divisor, width, divisor)
    assert np.abs(reduced[:height, :width] - blocks.mean(axis=(1, 3))).mean() < 4


@pytest.fixture(scope="module")
def files(digits, tmp_path_factory):
    """Pictures of many sizes, plain and not, by their names."""
    folder = tmp_path_factory.mktemp("jpeg")
    for row, side in enumerate((90, 200, 201, 320, 480, 700, 1000, 1400)):
        for boxed in (False, True):
            picture = drawn(digits[0][row], side, boxed=boxed)
            (folder / f"{side}-{'boxed' if boxed else 'plain'}.jpg").write_bytes(jpeg(picture))
    (folder / "colour.jpg").write_bytes(jpeg(np.dstack([drawn(digits[0][0], 400)] * 3)))
    return sorted(folder.iterdir())


def read_together(paths, preprocess):
    images = np.zeros((len(paths), 28, 28), np.uint8)
    found = read_digits([str(path).encode() for path in paths], preprocess, images)
    assert not found.errors
    return images


@pytest.mark.parametrize("preprocess", ["auto", "mnist"])
def test_every_way_in_reads_the_same(files, preprocess, tmp_path):
    expected = read_together(files, preprocess)
    contents = [path.read_bytes() for path in files]
    for image, data in zip(expected, contents, strict=True):
        np.testing.assert_array_equal(file_to_digit(file_of(data), preprocess, b""), image)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in files:
            archive.write(path, path.name)
    for inputs in ([str(path) for path in files], [str(tmp_path / "all.zip")]):
        batches = list(open_stream(inputs, preprocess, threads=2))
        np.testing.assert_array_equal(np.concatenate([batch.pixels for batch in batches]), expected.reshape(-1, 784))
    np.testing.assert_array_equal(read_images(contents, preprocess=preprocess), expected)


def test_they_are_read_as_pictures_of_their_full_size_are(files):
    images = read_together(files, "auto").astype(int)
    for image, path in zip(images, files, strict=True):
        whole = to_digit(decode_picture(path.read_bytes(), b""), "auto", b"")
        assert np.abs(image - whole).mean() < 6, path.name


def test_the_explanation_is_of_what_was_read(files):
    for image, path in zip(read_together(files, "auto"), files, strict=True):
        content = path.read_bytes()
        explanation = explain_page(content, decode_picture(content, b""), 0, b"", "auto")
        np.testing.assert_array_equal(explanation.picture[5::10, -275::10, 0], image)
        side = cv2.imread(str(path), 0).shape[0]
        if "plain" in path.name and side > 100:
            assert f"{side}x{side} pixels read as " in explanation.words


@pytest.mark.parametrize("side", [200, 1400])
def test_a_truncated_one_is_refused(digits, side):
    data = jpeg(drawn(digits[0][0], side))
    for length in (len(data) // 3, len(data) // 2, len(data) - 40):
        images = np.zeros((1, 28, 28), np.uint8)
        found = read_digits([b"a.jpg"], "auto", images, read=lambda _, length=length: [file_of(data[:length])])
        assert "no picture that can be read" in found.errors[0]


def test_without_preprocessing_the_whole_size_is_told(digits):
    found = read_digits(
        [b"a.jpg"], "none", np.zeros((1, 28, 28), np.uint8), read=lambda _: [file_of(jpeg(drawn(digits[0][0], 320)))]
    )
    assert "is 320x320 pixels" in found.errors[0]


def test_one_that_is_turned_is_read_upright(digits):
    picture = drawn(digits[0][0], 320)
    data = jpeg(np.rot90(picture))  # 90 degrees against the clock: orientation 6 turns it back
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
    actual, expected = (file_to_digit(file_of(content), "auto", b"").astype(int) for content in (turned, jpeg(picture)))
    assert np.abs(actual - expected).mean() < 4
