"""PNG files: other software reads what we write."""

import os

import cv2
import numpy as np
import pytest

from fastmnist.errors import OutputError
from fastmnist.output.png import FRAME, encode_png, picture_path, sheet, write_into_folder, write_png


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (3, 50), (300, 7)])
def test_opencv_reads_the_picture_that_was_written(shape, tmp_path):
    picture = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    write_png(tmp_path / "picture.png", picture)
    actual = cv2.imread(str(tmp_path / "picture.png"), cv2.IMREAD_UNCHANGED)
    assert actual.dtype == np.uint8
    assert (actual == picture).all()
    assert os.listdir(tmp_path) == ["picture.png"]


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (3, 51), (300, 7)])
def test_four_bits_are_the_nearest_of_16_greys(shape):
    picture = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    content = encode_png(picture, bits=4)
    actual = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert (actual == np.rint(picture / 17) * 17).all()
    assert shape != (28, 28) or len(content) < len(encode_png(picture)) * 0.7


def test_equal_pictures_are_equal_files():
    picture = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert encode_png(picture) == encode_png(np.asfortranarray(picture))


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(OutputError, match=r"none/picture\.png"):
        write_png(tmp_path / "none" / "picture.png", np.zeros((2, 2), np.uint8))


def test_a_sheet_has_the_pictures_in_rows_with_lines_between_them():
    pictures = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    actual = sheet(pictures)
    assert actual.shape == (2 * 5 - 1, 3 * 6 - 1)
    for row in range(2):
        for column in range(3):
            part = actual[row * 5 : row * 5 + 4, column * 6 : column * 6 + 5]
            assert (part == pictures[row, column]).all()
    assert (actual[4] == FRAME).all()
    assert (actual[:, 5::6] == FRAME).all()


@pytest.mark.parametrize("name", ["a" * 250 + ".png", "\u6570" * 80 + ".png", "a/b c.png"])
def test_names_of_pictures_are_names_that_a_folder_can_have(name, tmp_path):
    path = picture_path(os.fspath(tmp_path), 6, name.encode(), 3)
    write_into_folder(path + ".read.png", b"picture", "--draw")
    (written,) = os.listdir(tmp_path)
    assert written.startswith("0000007-")
    assert written.endswith(".png-3.read.png")
