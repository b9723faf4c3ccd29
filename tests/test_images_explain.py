"""How a picture was read, in words and drawn."""

import cv2
import numpy as np
import pytest

from fastmnist.errors import DataError
from fastmnist.images.explain import BOX, HEIGHT, KEPT, explain, explain_page
from fastmnist.inputs.reopen import Reopener


def drawn(digit, side=140, margin=30):
    return 255 - np.pad(cv2.resize(digit, (side, side), interpolation=cv2.INTER_CUBIC), margin)


def explain_file(path, page, preprocess):
    return explain_page(*Reopener().picture(path, page), page or 0, path, preprocess)


@pytest.fixture
def picture(digits):
    return drawn(digits[0][0])


def test_dark_and_light_ink_are_told(picture):
    assert explain(picture).words.startswith("dark ink on light paper, ")
    assert explain(255 - picture).words.startswith("light ink on dark paper, ")


def test_lines_are_counted(picture):
    ruled = picture.copy()
    for row in (20, 80, 150):
        ruled[row : row + 3] = 90
    assert "3 lines removed" in explain(ruled).words


def test_a_box_is_a_part_of_the_picture(picture):
    boxed = np.full((240, 260), 240, np.uint8)
    boxed[20:220, 30:230] = picture
    cv2.rectangle(boxed, (25, 15), (235, 225), 20, 5)
    words = explain(boxed).words
    assert "read a part of " in words
    assert "of 260x240 pixels" in words


def test_the_drawing_shows_the_strokes_their_box_and_the_digit(picture):
    explanation = explain(picture)
    assert explanation.picture.shape == (HEIGHT, 2 * HEIGHT, 3)
    seen, digit = explanation.picture[:, :HEIGHT].astype(int), explanation.picture[:, HEIGHT:]
    is_box = (seen == BOX).all(axis=2)
    assert is_box.any(axis=1).sum() > HEIGHT // 3
    is_stroke = np.abs(seen - np.array(KEPT) // 2).max(axis=2) < 40  # dark pixels, half coloured
    assert 0.03 < is_stroke.mean() < 0.3
    np.testing.assert_array_equal(digit[5::10, 5::10, 0] > 0, digit[5::10, 5::10, 2] > 0)


def test_what_is_left_as_it_is_has_no_explanation(digits, picture, tmp_path):
    path = str(tmp_path / "a.png").encode()
    cv2.imwrite(path.decode(), digits[0][0])
    assert explain_file(path, None, "auto") is None
    assert explain_file(path, None, "mnist").words.startswith("light ink on dark paper")
    assert explain_file(path, None, "none") is None
    cv2.imwrite(path.decode(), np.full((50, 50), 255, np.uint8))
    assert explain_file(path, None, "auto") is None  # an error has its own line
    with pytest.raises(DataError, match="no ink"):
        explain(np.full((50, 50), 255, np.uint8))


def test_a_page_is_explained_by_itself(picture, tmp_path):
    path = str(tmp_path / "a.tif").encode()
    path_written, data = cv2.imencodemulti(".tif", [picture, 255 - picture])
    assert path_written
    (tmp_path / "a.tif").write_bytes(data.tobytes())
    assert explain_file(path, 0, "auto").words.startswith("dark")
    assert explain_file(path, 1, "auto").words.startswith("light")


def test_a_picture_that_is_read_by_its_colours_is_explained(digits, tmp_path):
    grey = drawn(digits[0][0])
    picture = np.where((grey < 128)[..., None], (0, 168, 0), (211, 42, 96)).astype(np.uint8)
    assert np.ptp(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)) < 6
    cv2.imwrite(str(tmp_path / "colours.png"), picture[..., ::-1])
    explanation = explain_file(str(tmp_path / "colours.png").encode(), None, "auto")
    assert "strokes" in explanation.words
    assert not explanation.picture[..., 0].all()
