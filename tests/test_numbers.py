"""Numbers in pictures: what is ink, which of it stands together, and what it says."""

import cv2
import numpy as np
import pytest
from drawn_numbers import ink_of, row, texts

import fastmnist
from experiments import rows
from fastmnist.errors import DataError
from fastmnist.images.paper import Paper
from fastmnist.model.model_file import GLYPHS
from fastmnist.numbers import reading
from fastmnist.numbers.cuts import cut
from fastmnist.numbers.finding import find_numbers
from fastmnist.numbers.glyphs import place_glyph, to_mnist_form
from fastmnist.numbers.lines import connected_parts, find_lines, without_margin
from fastmnist.numbers.number import Box, Digit, Number
from fastmnist.numbers.page import core_of, find_ink
from fastmnist.numbers.reading import Readers, read_numbers, ways_of
from fastmnist.numbers.ways import HIGHEST, Answers, Ways, choose


def test_a_glyph_is_the_ink_between_two_cuts_alone_in_mnists_form(some):
    digit = some["3"]
    large = cv2.resize(ink_of(digit), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    ink = np.pad(np.hstack([large, np.zeros((len(large), 9), np.uint8), large]), 5)
    middle = np.full(len(ink), ink.shape[1] // 2)
    parts = np.array([0, 0, 1], np.int32)  # before the ink, through its middle, behind it
    seams = np.stack([np.full(len(ink), -1), middle, np.full(len(ink), -1)]).astype(np.int32)
    boxes = [(0, 1, 0, 0, *ink.shape), (1, 2, 0, 0, *ink.shape), (0, 2, 0, 0, *ink.shape), (0, 1, 0, 0, 4, 4)]
    glyphs = np.array(boxes, np.int32)
    first, second, both, nothing = to_mnist_form(ink, np.zeros(ink.shape, np.int32), parts, seams, glyphs)
    np.testing.assert_array_equal(first, second)
    assert np.abs(first.astype(int) - digit).mean() < 3
    assert not nothing.any()
    np.testing.assert_array_equal(both, place_glyph(ink))
    assert (both[:, :14].any(), both[:, 14:].any()) == (True, True)
    assert np.abs(both.astype(int) - first).mean() > 10


@pytest.mark.parametrize("text", ["1", "11", "000", "7", "0123456789", "90210", "007"])
def test_a_row_is_read(text, some, model):
    assert texts(model.read(row(some, text))) == [text]
    assert texts(model.read(255 - row(some, text))) == [text]


@pytest.mark.parametrize("scale", [1.0, 3.0, 8.0, 20.0])
def test_rows_of_any_size_are_read(scale, some, model):
    assert texts(model.read(row(some, "4051", scale=scale))) == ["4051"]


def thick_5(side, thickness, light):
    """A 5 that fills four fifths of a page, of strokes that are a share of its height."""
    height = 0.8 * side
    thick = round(thickness * height)
    inner = height - thick
    bends = [(0.6, 0), (0.06, 0), (0.02, 0.42), (0.35, 0.4), (0.55, 0.52), (0.6, 0.7), (0.52, 0.9), (0.3, 1), (0, 0.95)]
    points = np.rint(np.array(bends) * inner + ((side - 0.6 * inner) / 2, (side - inner) / 2)).astype(np.int32)
    picture = np.full((side, side), 255, np.uint8)
    cv2.polylines(picture, [points.reshape(-1, 1, 2)], False, 0, thick, cv2.LINE_AA)
    return 255 - picture if light else picture


@pytest.mark.parametrize("light", [False, True], ids=["dark", "light"])
@pytest.mark.parametrize("thickness", [0.08, 0.16, 0.25])
@pytest.mark.parametrize("side", [500, 1000, 1250])
def test_thick_digits_of_any_size_are_read(side, thickness, light, model):
    assert texts(model.read(thick_5(side, thickness, light))) == ["5"]


def test_thick_rows_are_read_smaller_and_their_boxes_are_in_pixels_of_the_picture(model):
    picture = np.hstack([thick_5(1250, 0.2, False)] * 2)
    (page,) = model.read(picture)
    (number,) = page.numbers
    assert number.text == "55"
    ys, xs = np.nonzero(picture < 128)
    edges = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
    assert np.abs(np.subtract(number.box, edges)).max() < 0.03 * 1250


def test_a_page_of_thinner_digits_is_read_in_full_beside_a_black_square(some, model):
    page = np.full((900, 1200), 255, np.uint8)
    digits = row(some, "40517", scale=4.0, margin=2)
    page[500 : 500 + len(digits), 100 : 100 + digits.shape[1]] = digits
    page[60:210, 900:1050] = 0
    assert find_ink(page).scale == 1
    assert "40517" in texts(model.read(page))


def test_digits_that_touch_are_parted(some, model):
    picture = np.zeros((28, 60), np.uint8)
    four, seven = ink_of(some["4"]), ink_of(some["7"])
    picture[4 : 4 + len(four), 10 : 10 + four.shape[1]] = four
    left = 10 + four.shape[1] - 2
    part = picture[4 : 4 + len(seven), left : left + seven.shape[1]]
    np.maximum(part, seven, out=part)
    assert cv2.connectedComponents((picture > 60).astype(np.uint8))[0] == 2
    large = 255 - cv2.resize(picture, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    assert texts(model.read(large)) == ["47"]
    assert texts(model.read(large, length=2)) == ["47"]


def test_a_broken_5_is_one_digit(model):
    picture = np.full((110, 200), 255, np.uint8)
    for left in (30, 110):
        cv2.line(picture, (left + 22, 20), (left + 50, 16), 0, 6, cv2.LINE_AA)  # its bar, apart
        points = np.array([(17, 34), (15, 52), (36, 50), (44, 66), (34, 84), (10, 84)]) + np.array([left, 0])
        cv2.polylines(picture, [points.reshape(-1, 1, 2)], False, 0, 6, cv2.LINE_AA)
    assert len(connected_parts(core_of(find_ink(picture).ink))[1]) == 4
    assert texts(model.read(picture)) == ["55"]


def test_boxes_and_digits_say_where_they_are(some, model):
    picture = row(some, "38", gap=10, scale=3.0)
    (page,) = model.read(picture)
    (number,) = page.numbers
    rows_of, columns = np.nonzero(picture < 128)
    for found, expected in zip(
        number.box, (columns.min(), rows_of.min(), columns.max() + 1, rows_of.max() + 1), strict=True
    ):
        assert abs(found - expected) <= 4
    three, eight = number.digits
    assert (three.label, eight.label) == ("3", "8")
    assert number.box.left == three.box.left < three.box.right < eight.box.left < eight.box.right == number.box.right
    assert min(three.confidence, eight.confidence, number.confidence) > 0.9


def test_boxes_are_in_pixels_of_a_picture_that_is_shrunk(some, model):
    small, large = row(some, "38", scale=2.0), row(some, "38", scale=30.0)
    boxes = [model.read(picture)[0].numbers[0].box for picture in (small, large)]
    assert max(large.shape) > 1600
    np.testing.assert_allclose(np.array(boxes[1]) / 15, boxes[0], atol=3)


def test_lines_and_columns_come_in_reading_order(some, model):
    first = np.hstack([row(some, "12", margin=18), row(some, "345", margin=18)])
    page = np.full((270, 520), 255, np.uint8)
    page[10 : 10 + len(first), 10 : 10 + first.shape[1]] = first
    second = row(some, "6789", margin=18)
    page[130 : 130 + len(second), 10 : 10 + second.shape[1]] = second
    (read,) = model.read(page)
    assert [(number.text, number.line) for number in read.numbers] == [("12", 0), ("345", 0), ("6789", 1)]


def test_a_small_number_beside_a_large_one_is_of_its_line_wherever_it_stands(some, model):
    large, small = row(some, "482", scale=4.0, margin=0), row(some, "17", scale=2.0, margin=0)
    for top in (20, 45, 66):
        page = np.full((150, 560), 255, np.uint8)
        page[20 : 20 + len(large), 20 : 20 + large.shape[1]] = large
        page[top : top + len(small), 420 : 420 + small.shape[1]] = small
        (read,) = model.read(page)
        assert [(number.text, number.line) for number in read.numbers] == [("482", 0), ("17", 0)]


def test_specks_commas_and_dashes_are_left_out(some, model):
    picture = row(some, "27 45 81", gap=8, scale=2.0)
    height, width = picture.shape
    cv2.rectangle(picture, (round(width * 0.36), height // 2), (round(width * 0.36) + 12, height // 2 + 2), 0, -1)
    cv2.circle(picture, (round(width * 0.635), height - 44), 3, 0, -1)
    picture[5, 5] = picture[height - 8, width - 9] = 0
    assert "".join(texts(model.read(picture))) == "274581"


@pytest.mark.parametrize(
    ("mark", "points"),
    [
        ("comma", [[(6, 52), (0, 66)]]),
        ("apostrophe", [[(4, 6), (0, 18)]]),
        ("dash", [[(0, 34), (30, 32)]]),
        ("colon", [[(3, 24), (4, 24)], [(3, 46), (4, 46)]]),
        ("equals sign", [[(0, 28), (30, 28)], [(0, 42), (30, 42)]]),
        ("point", [[(3, 58), (4, 58)]]),
    ],
)
@pytest.mark.parametrize("pen", [4, 6])
def test_marks_between_digits_are_left_out(mark, points, pen, some, model):
    before, after = row(some, "12", scale=3.0, margin=2), row(some, "345", scale=3.0, margin=2)
    between = np.full((len(before), 46), 255, np.uint8)
    for stroke in points:
        cv2.polylines(between, [np.array(stroke) + np.array([8, 2])], False, 0, pen, cv2.LINE_AA)
    picture = np.pad(np.hstack([before, between, after]), 30, constant_values=255)
    assert "".join(texts(model.read(picture))) == "12345"


def test_what_is_cut_off_at_the_border_is_left_out():
    core = np.zeros((60, 120), np.uint8)
    core[0:60, 0:3] = core[15:45, 40:50] = 1
    labels, parts = connected_parts(core)
    assert [part.left for part in without_margin(parts, labels)] == [40]
    core[15:45, 40:50] = 0
    labels, parts = connected_parts(core)
    assert len(without_margin(parts, labels)) == 1  # there is nothing else


def test_a_row_askew_is_one_line():
    core = np.zeros((200, 600), np.uint8)
    for place in range(12):
        core[20 + 6 * place : 50 + 6 * place, 20 + 45 * place : 35 + 45 * place] = 1
    (line,) = find_lines(connected_parts(core)[1])
    assert (len(line.parts), line.height) == (12, 30)


def test_the_length_chooses_among_the_ways(some, model):
    picture = row(some, "1131", gap=4)
    assert texts(model.read(picture, length=4)) == ["1131"]
    assert texts(model.read(picture, length=(1, 9))) == ["1131"]
    (number,) = model.read(picture, length=3)[0].numbers
    assert (number.text, number.confidence) == ("1131", 0)


def test_boxes_end_where_a_picture_that_was_read_smaller_ends(some, model):
    picture = np.full((1501, 2000), 255, np.uint8)
    digit = cv2.resize(row(some, "4", scale=6.0), None, fx=1.0, fy=1.0)
    inked = np.flatnonzero((digit < 128).any(axis=1))
    digit = digit[: inked[-1] + 1]
    picture[-len(digit) :, 900 : 900 + digit.shape[1]] = digit
    ((number,),) = [page.numbers for page in model.read(picture)]
    assert (number.text, number.box.bottom) == ("4", 1501)


def test_what_is_no_digit_is_a_question_mark(some, model):
    assert model.can_refuse
    picture = row(some, "52", scale=3.0)
    beside = np.full((len(picture), 120), 255, np.uint8)
    for angle in range(0, 180, 45):
        across = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))]) * 30
        middle = np.array([20, len(picture) // 2])
        cv2.line(beside, *(tuple(map(int, middle + way * across)) for way in (-1, 1)), 0, 4, cv2.LINE_AA)
    found = texts(model.read(np.hstack([picture[:, :-44], beside])))
    assert found == ["52?"]


@pytest.mark.parametrize("name", ["clear", "paper", "boxed", "ruled", "desk"])
def test_drawn_rows_are_read(name, digits, model):
    drawn = list(rows.draw(name, rows.Digits(*digits), 40))
    n_right = sum(
        [number.text for page in model.read(picture.rendering.content) for number in page.numbers] == picture.lines
        for picture in drawn
    )
    assert n_right >= 36


def test_pages_are_read_line_by_line(digits, model):
    n_right = n_lines = 0
    for picture in rows.draw("page", rows.Digits(*digits), 6):
        (page,) = model.read(picture.rendering.content)
        assert len(page.numbers) == len(picture.lines)
        n_right += sum(a.text == b for a, b in zip(page.numbers, picture.lines, strict=True))
        n_lines += len(picture.lines)
    assert n_right >= 0.9 * n_lines


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((1, 1), np.uint8),
        np.zeros((300, 300), np.uint8),
        np.full((300, 300), 255, np.uint8),
        np.random.default_rng(0).integers(0, 256, (700, 500), dtype=np.uint8),
        np.random.default_rng(0).integers(0, 256, (1, 4000), dtype=np.uint8),
        np.random.default_rng(0).integers(0, 256, (4000, 1), dtype=np.uint8),
    ],
    ids=["pixel", "black", "white", "noise", "one row", "one column"],
)
def test_what_shows_no_number_says_so(picture, model):
    (page,) = model.read(picture)
    assert page.numbers == []
    assert page.error.startswith("<array>: no number found")


@pytest.mark.parametrize(("text", "length"), [("9", 6), ("23", 6), ("677", 6), ("23", (4, 9))])
def test_a_number_is_not_made_longer_by_pieces_that_are_no_digits(text, length, some, model):
    (page,) = model.read(row(some, text), length=length)
    assert [(number.text, number.confidence) for number in page.numbers] == [(text, 0)]


def test_many_specks_are_no_page(model):
    rng = np.random.default_rng(0)
    page = np.full((1500, 1500), 255, np.uint8)
    for y, x in rng.integers(0, 1495, (20_000, 2)):
        page[y : y + 4, x : x + 4] = 0
    (read,) = model.read(page)
    assert read.error.endswith("pieces of ink, expected a page of numbers with at most 3,000")


def test_a_chess_board_ends(model):
    squares = np.add.outer(np.arange(1600) // 10, np.arange(1600) // 10) % 2
    (page,) = model.read((squares * 255).astype(np.uint8))
    assert page.error is None
    assert len(page.numbers) < 20


def test_blots_far_higher_than_their_line_are_neither_cut_nor_joined(some):
    digits, blot = row(some, "31415926", margin=0), np.zeros((200, 34), np.uint8)
    page = np.full((240, 500), 255, np.uint8)
    page[100 : 100 + len(digits), 20 : 20 + digits.shape[1]] = digits
    page[20:220, 440:474] = blot
    inked = find_numbers(page)
    doubt = Readers(lambda images: np.full((len(images), 3), 1 / 3, np.float32), None)
    line = max((segment.line for (segment,) in inked.numbers), key=lambda line: len(line.parts))
    assert len(line.parts) == 9
    _, ways, _ = ways_of(line, inked, doubt)
    heights, is_joined = ways.glyphs[:, 4] - ways.glyphs[:, 2], ways.ends > ways.starts + 1
    assert heights[ways.is_cut | is_joined].max() <= HIGHEST * line.height
    assert (heights > HIGHEST * line.height).sum() == 1  # the blot, as it is


def test_colours_of_equal_grey_are_read(some, model):
    grey = row(some, "62", scale=3.0)
    picture = np.where((grey < 128)[..., None], (0, 168, 0), (211, 42, 96)).astype(np.uint8)
    assert np.ptp(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)) < 6
    assert texts(model.read(picture)) == ["62"]


def test_a_line_of_too_many_pieces_is_an_error(some, model, monkeypatch):
    monkeypatch.setattr(reading, "MOST_OF_LINE", 3)
    (page,) = model.read(row(some, "3141"))
    assert page.error == "<array>: a line with more than 3 places to cut it, expected numbers"


def test_a_sheet_that_cannot_be_read_leaves_the_reading_of_the_whole(some, monkeypatch):
    """Of letters all around, which are less than no evidence."""
    unknown = Number("?", 0.9, [Digit("?", 0.9, Box(0, 0, 9, 9))], Box(0, 0, 9, 9), 0)
    picture = row(some, "3141")

    def numbers_in(read, *_arguments):
        return [unknown] if read is picture else DataError("9,999 pieces of ink")

    monkeypatch.setattr(reading, "_numbers_in", numbers_in)
    monkeypatch.setattr(reading, "find_sheet", lambda read: (Paper(read[9:-9, 9:-9], 9, 9), False))
    assert read_numbers(picture, None, "0123456789") == [unknown]


def test_a_network_that_asks_anything_is_only_asked_for_glyphs(some):
    asked = []

    def ask(images):
        asked.append(images.shape)
        return np.tile(np.array([0.9, 0.1, 0.0], np.float32), (len(images), 1))

    (number,) = read_numbers(row(some, "55", scale=3.0), Readers(ask, ask), ["a", "b"])
    assert set(number.text) == {"a"}
    assert all(shape[1:] == (28, 28) for shape in asked)


def test_a_part_that_is_surely_a_digit_is_not_cut(some, model):
    inked = find_numbers(row(some, "08", scale=3.0))
    ((segment,),) = inked.numbers
    all_cuts, asked = cut(segment.line, inked.page.ink, inked.part_of), []
    assert len(all_cuts.parts) > 3

    def ask(images, sure):
        asked.append(len(images))
        return np.tile(np.array([sure, 1 - sure, 0.0], np.float32), (len(images), 1))

    cuts, ways, _ = ways_of(segment.line, inked, Readers(lambda images: ask(images, 0.995), None))
    assert (len(cuts.parts), asked) == (3, [2])
    assert ways.glyphs[:, :2].tolist() == [[0, 1], [1, 2]]
    readers = Readers(lambda images: ask(images, 0.5), lambda images: ask(images, 0.2))
    cuts, ways, answers = ways_of(segment.line, inked, readers)
    np.testing.assert_array_equal(cuts.seams, all_cuts.seams)
    assert asked[1:] == [2, len(ways.starts)]  # of whole ink that is in doubt, both; nobody twice
    np.testing.assert_array_equal(answers.alone[:, 0], np.where(ways.is_cut, np.float32(0.2), np.float32(0.5)))
    both = np.where(ways.is_cut, 0.2, np.sqrt(0.5 * 0.2))
    np.testing.assert_allclose(answers.together[:, 0], both, rtol=1e-6)
    is_seam = cuts.seams.max(axis=1) >= 0
    np.testing.assert_array_equal(ways.is_cut, is_seam[ways.starts] | is_seam[ways.ends])


def ways_through(joined):
    """All ways through a part as it stands and, from `joined`, through another that may be cut in two."""
    starts, ends = np.array([0, 1, 1, 2] if joined else [0]), np.array([1, 3, 2, 3] if joined else [1])
    n = len(starts)
    order = np.argsort(ends, kind="stable")
    is_cut = np.array([False, False, True, True])[:n][order]
    shapes = np.zeros((n, 4))
    shapes[:, 2], shapes[:, 3] = 1.0, 0.6
    shapes[~is_cut & (starts[order] == 1), 3] = 1.2  # two digits, joined
    shapes[is_cut & (ends[order] == 2), 0] = 0.2  # the ink that is cut
    ways = Ways(starts[order], ends[order], np.ones(n, np.int64), shapes, np.zeros((n, 6), np.int32), is_cut)
    return ways, order


@pytest.mark.parametrize(("first", "text"), [(0.99, "011"), (0.2, "??")])
def test_joined_ink_is_cut_in_a_number_and_may_be_a_letter_elsewhere(first, text):
    ways, order = ways_through(joined=True)
    said = np.array([(first, 0, 1 - first), (0.1, 0, 0.9), (0, 0.85, 0.15), (0, 0.85, 0.15)], np.float32)[order]
    chosen = choose(ways, Answers(said, said))
    assert "".join("01?"[label] for label in chosen.labels) == text


def test_in_a_number_both_networks_name_whole_ink():
    ways, _ = ways_through(joined=False)
    alone, together = np.array([[0.6, 0.4, 0.0]], np.float32), np.array([[0.3, 0.7, 0.0]], np.float32)
    assert choose(ways, Answers(alone, together)).labels == [1]


def test_in_a_box_both_networks_name_whole_ink():
    ways, _ = ways_through(joined=False)
    alone, together = np.array([[0.1, 0.0, 0.9]], np.float32), np.array([[0.8, 0.0, 0.2]], np.float32)
    assert choose(ways, Answers(alone, together)).labels == [2]
    assert choose(ways, Answers(alone, together), is_in_box=True).labels == [0]


def test_nothing_in_a_box_is_taken_for_joined_digits():
    ways, order = ways_through(joined=True)
    said = np.array([(0.99, 0, 0.01), (0.1, 0, 0.9), (0, 0.85, 0.15), (0, 0.85, 0.15)], np.float32)[order]
    assert choose(ways, Answers(said, said)).labels == [0, 1, 1]
    assert choose(ways, Answers(said, said), is_in_box=True).labels == [0, 2]


def test_in_a_number_the_likeliest_text_counts_not_the_best_way():
    n = 5  # ways to read all as one glyph: one as a 0, more likely than each of four as a 1, but not than all
    shapes = np.zeros((n, 4))
    shapes[:, 2], shapes[:, 3] = 1.0, 0.6
    starts, ends, counts = np.zeros(n, np.int64), np.ones(n, np.int64), np.ones(n, np.int64)
    ways = Ways(starts, ends, counts, shapes, np.zeros((n, 6), np.int32), np.zeros(n, np.bool_))
    said = np.array([(0.9, 0.1, 0)] + [(0.3, 0.7, 0)] * 3 + [(0.25, 0.75, 0)], np.float32)
    chosen = choose(ways, Answers(said, said))
    assert chosen.labels == [1]
    assert chosen.arcs == [4]
    np.testing.assert_allclose(chosen.probabilities, [(0.25, 0.75, 0)], atol=1e-6)
    assert chosen.confidence == pytest.approx((0.1 + 3 * 0.7 + 0.75) / n)


@pytest.mark.parametrize("sure", [0.5, 0.9, 0.999])
def test_a_text_is_as_sure_as_the_share_of_the_ways_that_read_it(sure):
    ways, _ = ways_through(joined=False)
    said = np.array([[sure, 1 - sure, 0.0]], np.float32)
    assert choose(ways, Answers(said, said)).confidence == pytest.approx(sure, rel=1e-3)


def test_pieces_of_digits_have_a_network_of_their_own(model, some):
    pieces = model.for_pieces
    assert pieces.checksum == fastmnist.load(GLYPHS).checksum != model.checksum
    assert pieces.class_names == model.class_names
    assert pieces.can_refuse
    renamed = fastmnist.Model(model.trained, [f"d{label}" for label in range(10)], model.preprocess, model.temperature)
    assert renamed.for_pieces is None


def test_classes_have_any_names(some, model):
    renamed = fastmnist.Model(model.trained, [f"d{label}" for label in range(10)], model.preprocess, model.temperature)
    assert texts(renamed.read(row(some, "52"))) == ["d5d2"]
