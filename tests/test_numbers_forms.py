"""Numbers in forms and tables whose lines close no boxes, or whose boxes are not all there."""

import cv2
import numpy as np
import pytest
from drawn_numbers import boxed, ink_of, row, texts

from fastmnist.numbers.cells import Cell, complete, innermost, rows_of
from fastmnist.numbers.dashes import with_whole_lines
from fastmnist.numbers.lines import connected_parts, without_outlines
from fastmnist.numbers.page import core_of, find_ink
from fastmnist.numbers.rules import find_separators, without_lines, without_places

SIDE, MARGIN = 64, 50  # pixels: of a place for a digit, and around all


def places(some, text, lines, size=1.8):
    """A number whose digits stand in places side by side, on a picture to which `lines` adds what is printed."""
    picture = np.full((SIDE + 2 * MARGIN, len(text) * SIDE + 2 * MARGIN), 255, np.uint8)
    lines(picture, len(text))
    for number, character in enumerate(text):
        add_digit(picture, some[character], MARGIN + SIDE // 2, MARGIN + number * SIDE + SIDE // 2, size)
    return picture


def add_digit(picture, digit, y, x, size=1.8):
    ink = 255 - cv2.resize(ink_of(digit), None, fx=size, fy=size, interpolation=cv2.INTER_CUBIC)
    top, left = y - ink.shape[0] // 2, x - ink.shape[1] // 2
    part = picture[top : top + ink.shape[0], left : left + ink.shape[1]]
    np.minimum(part, ink, out=part)


def draw(picture, first, last, dash=0, shade=0):
    """A line of 2 pixels; with `dash`, of dashes and gaps as long."""
    first, last = np.array(first, float), np.array(last, float)
    n = max(1, int(np.hypot(*(last - first)) / dash)) if dash else 1
    for part in range(0, n, 2):
        ends = (first + (last - first) * share / n for share in (part, part + 1))
        cv2.line(picture, *(tuple(end.astype(int).tolist()) for end in ends), shade, 2)


def ticks(n):
    return [MARGIN + number * SIDE for number in range(n + 1)]


def comb(share, foot=SIDE):
    def lines(picture, n):
        draw(picture, (MARGIN, MARGIN + foot), (MARGIN + n * SIDE, MARGIN + foot))
        for x in ticks(n):
            draw(picture, (x, MARGIN + foot), (x, MARGIN + foot + round(share * SIDE) * (1 if foot == 0 else -1)))

    return lines


def dashed(dash, between=True, frame_dash=None):
    def lines(picture, n):
        for y in (MARGIN, MARGIN + SIDE):
            draw(picture, (MARGIN, y), (MARGIN + n * SIDE, y), dash if frame_dash is None else frame_dash)
        for x in ticks(n):
            is_inside = MARGIN < x < MARGIN + n * SIDE
            draw(picture, (x, MARGIN), (x, MARGIN + SIDE), dash if is_inside or frame_dash is None else frame_dash)

    return lines


def separators(share, shade=0):
    def lines(picture, n):
        for x in ticks(n):
            middle, reach = MARGIN + SIDE // 2, round(share * SIDE / 2)
            draw(picture, (x, middle - reach), (x, middle + reach), shade=shade)

    return lines


def open_boxes(sides):
    def lines(picture, n):
        for x in ticks(n)[:-1]:
            draw(picture, (x + 4, MARGIN + SIDE), (x + SIDE - 6, MARGIN + SIDE))
            for left in (x + 4, x + SIDE - 6)[:sides]:
                draw(picture, (left, MARGIN + SIDE), (left, MARGIN + 5))

    return lines


def circles(picture, n):
    for x in ticks(n)[:-1]:
        cv2.circle(picture, (x + SIDE // 2, MARGIN + SIDE // 2), round(0.48 * SIDE), 0, 2)


FORMS = {
    "a comb": comb(0.3),
    "a high comb": comb(0.7),
    "a comb as high as boxes": comb(1.0),
    "a hanging comb": comb(0.4, foot=0),
    "dashed boxes": dashed(8),
    "boxes of long dashes": dashed(12),
    "dotted boxes": dashed(3),
    "a frame with dashed separators": dashed(6, frame_dash=0),
    "separators": separators(1.0),
    "grey separators": separators(0.9, shade=150),
    "boxes of two sides": open_boxes(1),
    "boxes of three sides": open_boxes(2),
    "circles": circles,
}


@pytest.mark.parametrize("text", ["40519", "736", "2864097"])
@pytest.mark.parametrize("margin", [5, MARGIN])
@pytest.mark.parametrize("form", FORMS)
def test_numbers_in_forms_are_read(form, margin, text, some, model):
    rng, cut_off = np.random.default_rng(len(text)), slice(MARGIN - margin, margin - MARGIN or None)
    picture = places(some, text, FORMS[form])[cut_off, cut_off]
    noisy = np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)
    assert texts(model.read(noisy)) == [text]


def test_ones_on_a_line_are_no_comb(some, model):
    def line(picture, n):
        draw(picture, (MARGIN - 20, MARGIN + 50), (MARGIN + n * SIDE + 20, MARGIN + 50))

    assert texts(model.read(places(some, "1117", line))) == ["1117"]


def table(some, numbers, lines):
    """Three columns and rows of numbers."""
    picture = np.full((330, 700), 255, np.uint8)
    for place, text in enumerate(numbers):
        digits = row(some, text, margin=0)
        top, left = 50 + place // 3 * 80, 60 + place % 3 * 200
        picture[top : top + digits.shape[0], left : left + digits.shape[1]] = digits
    for first, last in lines:
        draw(picture, first, last)
    return picture


COLUMNS = [((x, 30), (x, 290)) for x in (40, 240, 440, 640)]
ROWS = [((40, y), (640, y)) for y in (30, 115, 195, 290)]
TABLES = {
    "columns": COLUMNS,
    "one column's line": [((240, 10), (240, 320))],
    "a short line at the margin": [((30, 30), (30, 150))],
    "rows": ROWS,
    "inner lines": [*COLUMNS[1:-1], *ROWS[1:-1]],
    "a T": [ROWS[0], COLUMNS[1]],
    "all lines": [*COLUMNS, *ROWS],
}
NUMBERS = ["40", "251", "7", "93", "68", "405", "27", "319", "86"]


@pytest.mark.parametrize("lines", TABLES)
def test_tables_are_read_whatever_lines_they_have(lines, some, model):
    assert texts(model.read(table(some, NUMBERS, TABLES[lines]))) == NUMBERS


@pytest.mark.parametrize("degrees", [-6, -3, 2, 5])
def test_pages_askew_are_read_in_order(degrees, some, model):
    picture = np.pad(table(some, NUMBERS, []), 60, constant_values=255)
    height, width = picture.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    picture = cv2.warpAffine(picture, turn, (width, height), borderValue=255)
    (page,) = model.read(picture)
    assert [number.text for number in page.numbers] == NUMBERS
    assert [number.line for number in page.numbers] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("size", [2.8, 3.2, 3.5])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_digit_that_fills_its_box_is_not_lost(place, size, some, model):
    picture = np.pad(boxed(some, "40573"), 20, constant_values=255)
    picture[42:98, 42 + 60 * place : 98 + 60 * place] = 255
    add_digit(picture, some["8"], 70, 70 + 60 * place, size)
    expected = "40573"[:place] + "8" + "40573"[place + 1 :]
    (number,) = model.read(picture)[0].numbers
    assert [here in (wanted, "?") for here, wanted in zip(number.text, expected, strict=True)] == [True] * 5
    assert sum(here == wanted for here, wanted in zip(number.text, expected, strict=True)) >= 4


def test_boxes_of_which_one_is_missing_hold_one_number(some, model):
    picture = boxed(some, "40573", gap=6)
    cv2.rectangle(picture, (20 + 66 * 2, 20), (20 + 66 * 2 + 60, 80), 255, 3)
    assert texts(model.read(picture)) == ["40573"]


def test_groups_of_boxes_with_nothing_between_stay_apart(some, model):
    left, right = boxed(some, "405"), boxed(some, "73")
    assert texts(model.read(np.hstack([left, np.full((len(left), 40), 255, np.uint8), right]))) == ["405", "73"]


def test_missing_cells_have_ink_and_are_in_step():
    cells, core = [Cell(left, 10, left + 50, 60) for left in (60, 120, 240, 420)], np.zeros((100, 600), np.uint8)
    assert complete(cells, [], core) == cells
    core[15:50, 200:210] = 1
    assert sorted(complete(cells, [], core)) == [*cells[:2], Cell(180, 10, 230, 60), *cells[2:]]
    core[15:50, 20:30] = core[15:50, 500:510] = 1  # before and behind all boxes
    assert len(complete(cells, [], core)) == 5
    frame = Cell(0, 5, 530, 65)
    assert set(complete(cells, [frame], core)).difference(cells) == {
        Cell(0, 10, 50, 60), Cell(180, 10, 230, 60), Cell(480, 10, 530, 60),
    }  # fmt: skip
    assert len(complete(cells, [frame, Cell(-8, 0, 538, 70)], core)) == 7  # another frame around it
    assert len(complete(cells, [frame._replace(bottom=200)], core)) == 5  # that of a table


def test_a_box_without_a_line_in_it_is_two():
    cells, core = [Cell(0, 0, 50, 50), Cell(52, 0, 102, 50), Cell(104, 0, 206, 50)], np.ones((60, 210), np.uint8)
    assert complete(cells, [Cell(-2, -2, 208, 52)], core) == [
        Cell(104, 0, 154, 50), Cell(156, 0, 206, 50), *cells[:2],
    ]  # fmt: skip


def test_the_innermost_of_boxes_count():
    inner, outer, apart = Cell(10, 10, 50, 50), Cell(0, 0, 60, 60), Cell(70, 0, 130, 60)
    assert innermost([outer, inner, apart]) == [inner, apart]
    assert rows_of([apart, inner]) == [[inner, apart]]


def page_of(picture):
    ink = find_ink(picture).ink
    return ink, connected_parts(core_of(ink))[1]


def test_a_faint_line_in_pieces_is_not_dashed(some):
    picture = row(some, "40517")
    ink, _ = page_of(picture)
    ink = ink.copy()
    ink[-8] = np.where(np.arange(ink.shape[1]) % 12 < 6, 160, 100)
    parts = connected_parts(core_of(ink))[1]
    assert len(parts) > 12
    assert with_whole_lines(ink, parts) is ink
    ink[-8][ink[-8] == 100] = 0
    joined = with_whole_lines(ink, parts)
    assert (joined[-8] > 0).mean() > 0.9
    np.testing.assert_array_equal(joined[:-9], ink[:-9])


def test_strokes_that_cross_a_line_stay():
    ink = np.zeros((100, 300), np.uint8)
    ink[50:53] = ink[20:80, 150:157] = 255
    found = without_lines(ink, *connected_parts(core_of(ink)), 60.0)
    assert found[20:80, 150:157].min() == 255
    assert found[:, :140].max() == found[:, 165:].max() == 0
    plain = np.where(np.arange(300) // 7 == 21, ink, 0).astype(np.uint8)
    assert without_lines(plain, *connected_parts(plain), 60.0) is plain


def test_a_digit_that_touches_a_comb_stays():
    ink, digit = np.zeros((100, 400), np.uint8), (slice(30, 85), slice(120, 160))
    ink[80:83, 20:303] = 255
    ink[60:80, [*range(20, 23), *range(90, 93), *range(160, 163), *range(230, 233), *range(300, 303)]] = 255
    alone = ink.copy()
    assert without_places(alone, *connected_parts(core_of(alone))).max() == 0
    ink[digit] = 255
    found = without_places(ink, *connected_parts(core_of(ink)))
    assert found[30:80, 121:159].min() == 255
    assert np.where(np.isin(np.arange(400), np.arange(115, 165)), 0, found).max() == 0
    alone[60:80, 300:303] = 0  # the line goes on
    assert without_places(alone, *connected_parts(core_of(alone))) is alone


def test_bars_of_different_heights_or_steps_are_no_separators():
    def found(lefts, tops):
        core = np.zeros((100, 400), np.uint8)
        for left, top in zip(lefts, tops, strict=True):
            core[top:90, left : left + 3] = 1
            core[50:80, left + 20 : left + 35] = 1
        return len(find_separators(connected_parts(core)[1]))

    assert found([20, 80, 140, 260], [10] * 4) == 4  # one is hidden
    assert found([20, 80, 150, 260], [10] * 4) == 0
    assert found([20, 80, 140, 200], [10, 10, 30, 10]) == 0
    assert found([20, 80, 140, 200], [55] * 4) == 0  # no higher than what is between them
    assert found([20, 80], [10] * 2) == 0


def test_a_piece_within_a_zero_is_no_reason_to_drop_it():
    core = np.zeros((100, 300), np.uint8)
    for left, height in ((20, 60), (120, 60), (220, 64)):
        cv2.ellipse(core, (left + 20, 50), (20, height // 2), 0, 0, 360, 1, 2)
    cv2.line(core, (40, 35), (40, 60), 1, 3)  # within the first one
    parts = connected_parts(core)[1]
    assert without_outlines(parts) == parts


@pytest.mark.parametrize("length", [(4, 4), (3, 5)])
def test_boxes_of_as_many_digits_as_told_keep_their_confidence(length, some, model):
    (page,) = model.read(boxed(some, "4017"))
    (told,) = model.read(boxed(some, "4017"), length=length)
    assert told == page
    assert page.numbers[0].text == "4017"
    assert page.numbers[0].confidence > 0.5


@pytest.mark.parametrize("length", [3, 5, (5, 9)])
def test_boxes_of_another_number_of_digits_than_told_are_read_with_confidence_0(length, some, model):
    (page,) = model.read(boxed(some, "4017"), length=length)
    assert [(number.text, number.confidence) for number in page.numbers] == [("4017", 0.0)]


def test_boxes_that_begin_at_the_same_place_have_no_step():
    leaning = [Cell(0, 0, 20, 100), Cell(0, 20, 20, 120)]
    assert complete(leaning, [Cell(-2, -2, 60, 122)], np.ones((130, 70), np.uint8)) == leaning
