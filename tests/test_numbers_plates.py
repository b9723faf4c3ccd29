"""Light ink on dark plates of a light page, and the other way round."""

import cv2
import numpy as np
import pytest
from drawn_numbers import boxed, row, texts

from fastmnist.numbers.plates import without_plates

PAPER, DARK = 250, 60


def on(picture, ink, grey, top, left):
    """Add dark ink on white as ink of one grey on another, where the picture has that other."""
    share = (255 - ink.astype(np.float32)) / 255
    place = picture[top : top + ink.shape[0], left : left + ink.shape[1]]
    place[:] = np.rint(place + share * (float(grey) - place))


def page_with_bar(some, height=60):
    """A dark bar with light digits above two lines of dark ones."""
    page = np.full((300, 400), PAPER, np.uint8)
    page[:height] = DARK
    on(page, row(some, "4179", margin=0), 245, (height - 44) // 2, 40)
    for line, text in enumerate(("3052", "86")):
        on(page, row(some, text, margin=0), 30, 100 + 90 * line, 40)
    return page


@pytest.mark.parametrize("is_negative", [False, True], ids=["light page", "dark page"])
def test_a_bar_with_light_digits_is_a_line_of_the_page(is_negative, some, model):
    page = page_with_bar(some)
    pages = model.read([255 - page if is_negative else page])
    assert texts(pages) == ["4179", "3052", "86"]
    box = pages[0].numbers[0].box
    assert 30 <= box.left < box.right <= 240
    assert 0 <= box.top < box.bottom <= 60


@pytest.mark.parametrize("scale", [0.7, 4])
def test_plates_of_any_size_are_found(scale, some, model):
    page = cv2.resize(page_with_bar(some), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert texts(model.read([page])) == ["4179", "3052", "86"]


def test_dark_boxes_hold_a_digit_each(some, model):
    page = np.full((140, 440), PAPER, np.uint8)
    for place, character in enumerate("30479"):
        left = 30 + 78 * place
        page[30:110, left : left + 68] = DARK
        on(page, row(some, character, gap=0, margin=0), 245, 48, left + 20)
    assert texts(model.read([page])) == ["30479"]


def test_half_of_a_page_may_be_inverted(some, model):
    page = np.full((300, 420), PAPER, np.uint8)
    page[150:] = 30
    on(page, row(some, "52817", margin=0), 40, 50, 40)
    on(page, row(some, "90364", margin=0), 245, 200, 40)
    assert texts(model.read([page])) == ["52817", "90364"]


def test_what_is_no_plate_stays_as_it_is(some):
    figures = np.full((160, 400), PAPER, np.uint8)
    for place, character in enumerate("0868"):
        cv2.putText(figures, character, (20 + 90 * place, 120), cv2.FONT_HERSHEY_SIMPLEX, 3, 30, 18)
    square = np.full((200, 300), PAPER, np.uint8)
    for left in (30, 160):  # a thick 0 and a thick 8 without a round line
        square[30:170, left : left + 90] = 30
    square[60:140, 60:90] = PAPER
    square[55:90, 190:220] = square[110:145, 190:220] = PAPER
    for picture in (row(some, "40812"), boxed(some, "5 3"), figures, square, square[:1], square[:, :1]):
        assert without_plates(picture) is None
    for grey in (0, 128, 255):
        assert without_plates(np.full((40, 60), grey, np.uint8)) is None


def test_soft_edges_leave_no_line_and_the_rest_of_the_page_is_not_touched(some):
    page = cv2.GaussianBlur(page_with_bar(some), (3, 3), 0)
    turned = without_plates(page)
    assert (turned[80:] == page[80:]).all()
    assert turned[55:70].min() >= PAPER - 5
    assert turned[:5].min() >= PAPER - 5
    assert turned[10:50, 40:200].min() <= 20


@pytest.mark.parametrize("shade", [150, 180])
def test_a_markers_stroke_across_a_number_is_paper(shade, some, model):
    page = np.full((150, 460), PAPER, np.uint8)
    cv2.line(page, (60, 75), (400, 75), shade, 76)  # with round ends
    on(page, row(some, "20718", scale=2.5, margin=0), 20, 48, 70)
    assert texts(model.read([page])) == ["20718"]
