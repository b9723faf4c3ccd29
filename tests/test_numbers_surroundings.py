"""Numbers in the midst of other things: desks, shadows, boxes, tables, frames, circles and lines."""

import cv2
import numpy as np
import pytest
from drawn_numbers import boxed, row, texts

from fastmnist.numbers.frames import without_boxes
from fastmnist.numbers.page import core_of, find_ink
from fastmnist.numbers.rules import without_rules


def on_desk(sheet, shade, margins, rng):
    """A sheet on a desk of that shade, with a grain, seen as far as the margins (above, below, left, right) say."""
    (above, _), (left, _) = margins
    desk = (
        shade + 6 * cv2.GaussianBlur(rng.normal(size=np.array(sheet.shape) + np.sum(margins, axis=1)), (0, 0), 3) * 10
    )
    desk[above : above + sheet.shape[0], left : left + sheet.shape[1]] = sheet * 0.9
    return np.clip(cv2.GaussianBlur(desk, (3, 3), 0) + rng.normal(0, 2, desk.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("margins", [((40, 50), (60, 30)), ((0, 50), (60, 0)), ((40, 0), (60, 30))], ids=str)
@pytest.mark.parametrize("shade", [20, 60, 110])
def test_numbers_on_a_sheet_on_a_dark_desk_are_read(shade, margins, some, model):
    rng = np.random.default_rng(shade)
    sheet = np.full((300, 500), 255, np.uint8)
    upper, lower = row(some, "40719", scale=2.0, margin=2), row(some, "385", scale=2.0, margin=2)
    sheet[60 : 60 + len(upper), 100 : 100 + upper.shape[1]] = upper
    sheet[180 : 180 + len(lower), 130 : 130 + lower.shape[1]] = lower
    picture = on_desk(sheet, shade, margins, rng)
    (page,) = model.read(picture)
    assert [number.text for number in page.numbers] == ["40719", "385"]
    (plain,) = model.read(sheet)
    moved = np.array([margins[1][0], margins[0][0]] * 2)
    for number, expected in zip(page.numbers, plain.numbers, strict=True):
        np.testing.assert_allclose(np.array(number.box) - moved, expected.box, atol=3)
        np.testing.assert_allclose(
            [np.array(digit.box) - moved for digit in number.digits], [digit.box for digit in expected.digits], atol=3
        )


@pytest.mark.parametrize("beyond", [6, -3])
def test_a_sheets_edge_on_a_light_desk_is_no_1(beyond, some, model):
    digits = row(some, "5062", scale=3.0, margin=2)
    sheet = np.full((600, 800), 255, np.uint8)
    sheet[250 : 250 + len(digits), 200 : 200 + digits.shape[1]] = digits
    picture = np.full((760, 1000), 245, np.uint8)
    picture[80:680, 100:900] = sheet * 0.7
    picture[400:460, 900 + beyond : 903 + beyond] = 90  # a shadow at its edge
    assert texts(model.read(picture)) == ["5062"]


def test_a_desk_of_many_specks_does_not_hide_the_numbers_on_a_sheet(some, model):
    rng = np.random.default_rng(0)
    desk = np.where(rng.random((700, 900)) < 0.2, 0, 90).astype(np.uint8)
    desk = np.kron(desk, np.ones((2, 2), np.uint8))
    sheet = np.full((700, 1000), 240, np.uint8)
    digits = row(some, "2583", scale=5.0, margin=2)
    sheet[250 : 250 + len(digits), 200 : 200 + digits.shape[1]] = np.minimum(digits, 240)
    assert model.read(desk)[0].error.endswith("at most 3,000")
    desk[300:1000, 400:1400] = sheet
    assert texts(model.read(desk)) == ["2583"]


def test_a_shadow_over_half_a_page_hides_no_number(some, model):
    digits = row(some, "4071938526", scale=3.0, margin=30)
    page = np.vstack([digits, digits])
    for shadow in (np.s_[:, : page.shape[1] // 2], np.s_[page.shape[0] // 2 :, :]):
        lit = page * 0.9
        lit[shadow] *= 0.6
        assert texts(model.read(lit.astype(np.uint8))) == ["4071938526", "4071938526"]


@pytest.mark.parametrize(("thick", "gap", "shade"), [(1, 0, 0), (2, 0, 150), (4, 12, 0), (3, 6, 90)])
def test_digits_in_boxes_are_one_number_and_an_empty_box_is_a_space(thick, gap, shade, some, model):
    assert texts(model.read(boxed(some, "40 17", thick=thick, gap=gap, shade=shade))) == ["40 17"]


def table(some, numbers, width, height=60, thick=2):
    """A printed table with a number in each cell, uint8 dark on light."""
    picture = np.full((len(numbers) * height + 40, len(numbers[0]) * width + 40), 255, np.uint8)
    for y, texts_of in enumerate(numbers):
        for x, text in enumerate(texts_of):
            top, left = 20 + y * height, 20 + x * width
            cv2.rectangle(picture, (left, top), (left + width, top + height), 0, thick)
            ink = row(some, text, gap=5, scale=1.7, margin=1)
            part = picture[top + 10 : top + 10 + len(ink), left + 10 : left + 10 + ink.shape[1]]
            np.minimum(part, ink, out=part)
    return picture


@pytest.mark.parametrize(
    ("numbers", "width"),
    [
        ([["407", "193", "852"], ["693", "170", "28"]], 130),  # as the digits in them tell
        ([["7", "10"], ["35", "4"]], 120),  # as the cells' shape tells
        ([["40719"]], 220),
    ],
)
def test_cells_for_several_digits_hold_a_number_each(numbers, width, some, model):
    (page,) = model.read(table(some, numbers, width))
    assert [number.text for number in page.numbers] == [text for texts_of in numbers for text in texts_of]
    assert [number.line for number in page.numbers] == [y for y, texts_of in enumerate(numbers) for _ in texts_of]
    assert min(number.confidence for number in page.numbers) > 0.9


@pytest.mark.parametrize("lines", [["40719", "385"], ["407", "3852", "16", "99041"]])
def test_a_frame_around_a_page_hides_no_line(lines, some, model):
    written = [row(some, text, scale=2.0, margin=2) for text in lines]
    page = np.full((sum(len(ink) + 20 for ink in written) + 80, 420), 255, np.uint8)
    top = 50
    for ink in written:
        page[top : top + len(ink), 60 : 60 + ink.shape[1]] = ink
        top += len(ink) + 20
    cv2.rectangle(page, (15, 15), (400, len(page) - 15), 40, 3)
    assert texts(model.read(page)) == lines


@pytest.mark.parametrize("thick", [2, 5])
@pytest.mark.parametrize("text", ["7", "42", "40719"])
def test_the_circle_around_a_number_is_left_out(text, thick, some, model):
    picture = row(some, text, scale=2.5, margin=30)
    height, width = picture.shape
    # Longer than the number, and not quite closed.
    cv2.ellipse(
        picture, (width // 2, height // 2), (width // 2 - 18, height // 2 - 22), 0, 10, 365, 40, thick, cv2.LINE_AA
    )
    assert texts(model.read(picture)) == [text]


@pytest.mark.parametrize("slope", [-6, 0, 6])
@pytest.mark.parametrize("text", ["7", "42", "40719"])
def test_an_underline_is_left_out(text, slope, some, model):
    picture = row(some, text, scale=2.5, margin=30)
    bottom = np.nonzero(picture < 128)[0].max() + 12
    cv2.line(picture, (30, bottom), (picture.shape[1] - 30, bottom + slope), 30, 4, cv2.LINE_AA)
    assert texts(model.read(picture)) == [text]


def test_empty_boxes_are_no_number(some, model):
    (page,) = model.read(boxed(some, "   "))
    assert page.numbers == []
    assert page.error == "<array>: no number found, expected digits darker or lighter than their background"


def test_a_hand_drawn_0_is_no_box(some):
    ink = find_ink(row(some, "00", scale=4.0)).ink
    kept, cells = without_boxes(ink)
    assert cells == []
    np.testing.assert_array_equal(kept, ink)


@pytest.mark.parametrize("place", [0, 2])
def test_a_digit_in_many_pieces_is_one_of_its_row_of_boxes(place, some, model):
    picture = boxed(some, "3527")
    left = 24 + 60 * place
    for y in range(24, 78, 9):
        picture[y : y + 3, left : left + 54] = 255
    (text,) = texts(model.read(picture))
    assert (len(text), text[:place] + text[place + 1 :]) == (4, "3527"[:place] + "3527"[place + 1 :])


def test_lines_of_numbers_in_boxes_are_numbers_of_their_own(some, model):
    picture = np.full((200, 420), 255, np.uint8)
    for place in range(2):
        cv2.rectangle(picture, (20 + 180 * place, 20), (200 + 180 * place, 180), 0, 3)
        for line in range(2):
            digits = row(some, "345", scale=1.8, margin=2)
            top, left = 40 + 70 * line, 50 + 180 * place
            picture[top : top + len(digits), left : left + digits.shape[1]] = digits
    assert texts(model.read(picture)) == ["345"] * 4


@pytest.mark.parametrize(("loop", "is_box"), [(24, False), (60, True)])
def test_a_rectangular_loop_is_no_box(loop, is_box):
    picture = np.full((140, 120), 255, np.uint8)
    cv2.rectangle(picture, (40, 30), (40 + loop, 30 + loop), 0, 4)
    cv2.line(picture, (40 + loop, 30), (40 + loop, 110), 0, 4)
    assert bool(without_boxes(find_ink(picture).ink)[1]) == is_box


def test_squared_paper_is_no_row_of_boxes(some):
    picture = row(some, "35", scale=4.0)
    picture[::24], picture[:, ::24] = 120, 120
    ink = find_ink(picture).ink
    assert without_boxes(ink)[1] == []
    assert cv2.connectedComponents(core_of(without_rules(ink)))[0] < 30


def test_a_ruled_line_through_the_feet_is_taken_away(some, model):
    picture = row(some, "14027", scale=3.0)
    rows_of = np.nonzero(picture < 128)[0]
    picture[rows_of.max() - 3 : rows_of.max()] = np.minimum(picture[rows_of.max() - 3 : rows_of.max()], 110)
    assert texts(model.read(picture)) == ["14027"]


def test_a_number_at_a_sheets_edge_is_read(some, model):
    digits = row(some, "5062", scale=3.0, margin=2)
    sheet = np.full((600, 800), 255, np.uint8)
    sheet[250 : 250 + len(digits), 200 : 200 + digits.shape[1]] = digits
    page_number = row(some, "21", scale=1.2, margin=2)
    sheet[-len(page_number) - 16 : -16, 380 : 380 + page_number.shape[1]] = page_number
    picture = np.full((760, 1000), 245, np.uint8)
    picture[80:680, 100:900] = sheet * 0.7
    assert texts(model.read(picture)) == ["5062", "21"]


def test_boxes_that_hang_on_a_line_are_boxes(some, model):
    picture = boxed(some, "3527")
    picture = np.pad(picture, ((120, 120), (40, 40)), constant_values=255)
    cv2.line(picture, (60, 20), (60, len(picture) - 20), 0, 2)
    assert texts(model.read(picture)) == ["3527"]


def test_near_lines_of_small_numbers_in_a_box_are_no_digit(some, model):
    picture = boxed(some, "3 27", side=120)
    for line in range(2):
        digits = row(some, "385", gap=3, scale=1.4, margin=0)
        top, left = 60 + 37 * line, 20 + 120 + 24
        picture[top : top + len(digits), left : left + digits.shape[1]] = digits
    assert texts(model.read(picture)) == ["3", "385", "2", "7", "385"]


NESTED = {
    "a double border": lambda some: boxed(some, "3527", side=80, inner=6),
    "a double border, apart": lambda some: boxed(some, "3527", side=80, inner=6, gap=10),
    "a frame around boxes": lambda some: framed(boxed(some, "3527"), 12),
    "a frame around boxes apart": lambda some: framed(boxed(some, "3527", gap=8), 9),
    "a thick one": lambda some: framed(boxed(some, "3527", side=90, thick=4), 6, 5),
}


def framed(picture, inset, thick=2):
    """A picture within a frame, `inset` pixels from its border, and with a margin."""
    height, width = picture.shape
    cv2.rectangle(picture, (inset, inset), (width - 1 - inset, height - 1 - inset), 0, thick)
    return np.pad(picture, 40, constant_values=255)


@pytest.mark.parametrize("kind", NESTED)
def test_numbers_in_boxes_within_boxes_are_read_once(kind, some, model):
    assert texts(model.read(NESTED[kind](some))) == ["3527"]


def test_what_fits_no_glyph_in_a_box_is_one_unknown(model):
    picture = np.full((140, 280), 255, np.uint8)
    for left in (40, 120, 200):
        cv2.rectangle(picture, (left, 40), (left + 80, 100), 0, 2)
    picture[65:78, 44:57] = picture[65:78, 104:117] = 0  # at both ends of a box
    picture[50:90, 158:162] = picture[50:90, 238:242] = 0
    (page,) = model.read(picture)
    assert [(number.text, number.confidence) for number in page.numbers] == [("?11", 0)]
    assert page.numbers[0].digits[0].box == (44, 65, 117, 78)


def in_black_and_white(picture, how):
    """A picture as scanners and fax machines send it: each pixel black or white."""
    if how == "dither":
        thresholds = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) * 15 + 12
        height, width = picture.shape
        around = np.tile(thresholds, (height // 4 + 1, width // 4 + 1))[:height, :width]
        return np.where(0.85 * picture > around, 255, 0).astype(np.uint8)
    draws = np.random.default_rng(0).random(picture.shape)
    return np.where(draws < 0.02, 0, np.where(draws > 0.98, 255, np.where(picture > 150, 255, 0))).astype(np.uint8)


@pytest.mark.parametrize("how", ["salt and pepper", "dither"])
def test_specks_of_a_scan_in_black_and_white_are_no_ink(how, some, model):
    page = np.full((400, 640), 255, np.uint8)
    for line, text in enumerate(("417902", "3358")):
        picture = row(some, text, scale=3)
        page[10 + 190 * line :][: picture.shape[0], 20 : 20 + picture.shape[1]] = picture
    assert texts(model.read([in_black_and_white(page, how)])) == ["417902", "3358"]


def shaded_table(some, line, shade=None):
    """A table of four rows and three columns of numbers, the first row on a shade; its picture and its texts."""
    height, width = 56, 110
    page = np.full((4 * height + 60, 3 * width + 60), 255, np.uint8)
    if shade is not None:
        page[30 : 30 + height, 30 : 30 + 3 * width] = shade
    expected = []
    for y in range(4):
        for x in range(3):
            expected.append("418"[x] + "3792"[y])
            ink = row(some, expected[-1], margin=0, scale=1.4)
            part = page[30 + y * height + 12 :, 30 + x * width + 30 :][: ink.shape[0], : ink.shape[1]]
            np.minimum(part, ink, out=part)
    for y in range(5):
        cv2.line(page, (30, 30 + y * height), (30 + 3 * width, 30 + y * height), 0, line)
    for x in range(4):
        cv2.line(page, (30 + x * width, 30), (30 + x * width, 30 + 4 * height), 0, line)
    return page, expected


@pytest.mark.parametrize(("line", "shade"), [(3, None), (5, None), (7, None), (2, 225), (2, 205)])
def test_tables_with_wide_lines_and_shaded_cells_lose_no_number(line, shade, some, model):
    page, expected = shaded_table(some, line, shade)
    assert texts(model.read([page])) == expected


def test_ink_under_the_noise_of_dim_light_is_found(some, model):
    ink = (255 - row(some, "40817", scale=3)).astype(np.float32) / 255
    noise = np.random.default_rng(0).normal(0, 12, ink.shape)
    page = np.clip(90 - 55 * ink + noise, 0, 255).astype(np.uint8)
    assert texts(model.read([page])) == ["40817"]
