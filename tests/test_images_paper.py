"""The paper around a digit: found in boxes and on desks, and nowhere else."""

import cv2
import numpy as np
import pytest

from experiments.scenes import SCENES, cell, render_scenes
from fastmnist.images.normalize import normalize, read_digit
from fastmnist.images.paper import LEAST_SIDE, find_paper


def digit_of(digits, label, size=60):
    """Ink, 0 to 1, of a test digit cut to its bounding box, its longest side `size` pixels."""
    image = digits[0][np.flatnonzero(digits[1] == label)[0]]
    left, top, width, height = cv2.boundingRect((image > 60).astype(np.uint8))
    cut = image[top : top + height, left : left + width].astype(np.float32) / 255
    scale = size / max(width, height)
    return cv2.resize(cut, (round(scale * width), round(scale * height)), interpolation=cv2.INTER_AREA)


def written(ink, side=120, paper=230, pen=40):
    """The ink in the middle of a square."""
    picture = np.full((side, side), paper, np.float32)
    top, left = (side - ink.shape[0]) // 2, (side - ink.shape[1]) // 2
    picture[top : top + ink.shape[0], left : left + ink.shape[1]] += ink * (pen - paper)
    return picture


def as_picture(picture):
    noise = np.random.default_rng(0).normal(0, 2, picture.shape)
    return (picture + noise).clip(0, 255).astype(np.uint8)


def boxed(picture, inset, thickness, grey):
    """The picture with a printed box `inset` pixels from its border."""
    for _ in range(4):
        picture = np.rot90(picture).copy()
        picture[inset : inset + thickness, inset : picture.shape[1] - inset] = grey
    return picture


def difference(one, other):
    """The mean difference of two images, of which one may be shifted by a pixel: centres of mass are rounded."""
    shifts = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1)]
    return min(np.abs(np.roll(one, shift, (0, 1)).astype(int) - other).mean() for shift in shifts)


@pytest.mark.parametrize("label", range(10))
@pytest.mark.parametrize(("inset", "thickness"), [(0, 3), (0, 9), (4, 1), (7, 2), (10, 6)])
@pytest.mark.parametrize("colours", [(230, 40, 20), (230, 40, 140), (30, 220, 235)], ids=["dark", "grey", "inverted"])
def test_a_box_is_taken_away_and_the_digit_stays(label, inset, thickness, colours, digits):
    paper, pen, frame = colours
    plain = as_picture(written(digit_of(digits, label), paper=paper, pen=pen))
    picture = as_picture(boxed(written(digit_of(digits, label), paper=paper, pen=pen), inset, thickness, frame))
    inside = find_paper(picture).picture
    assert min(inside.shape) < 120 - 2 * inset
    assert np.abs(inside.astype(int) - paper)[[0, -1]].max() < 60  # nothing of the frame is left at the border
    assert difference(normalize(picture), normalize(plain)) < 6


@pytest.mark.parametrize("label", range(10))
@pytest.mark.parametrize("frame", [20, 120])
def test_a_box_of_few_pixels_is_taken_away_too(label, frame, digits):
    ink = digit_of(digits, label, size=30)
    plain, picture = written(ink, side=56), boxed(written(ink, side=56), 3, 4, frame)
    assert difference(normalize(as_picture(picture)), normalize(as_picture(plain))) < 8


@pytest.mark.parametrize("label", range(10))
@pytest.mark.parametrize("seed", [353, 676, 942])  # boxes of which parts only are as deep as half of the ink
def test_parts_of_a_faint_box_are_no_strokes(label, seed, digits):
    image = digits[0][np.flatnonzero(digits[1] == label)[0]]
    content = cell(image, np.random.default_rng([7, 416, seed])).content
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert difference(normalize(picture), image) < 15


@pytest.mark.parametrize("label", [0, 1, 4, 5, 7])
@pytest.mark.parametrize("sides", ["above", "above and right", "left and below", "below"])
@pytest.mark.parametrize("frame", [40, 150])
@pytest.mark.parametrize("inset", [2, 9])
def test_what_is_seen_of_a_box_of_one_or_two_sides_is_taken_away(label, sides, frame, inset, digits):
    plain = written(digit_of(digits, label))
    picture = plain.copy()
    near, far = slice(inset, inset + 4), slice(-inset - 4, -inset)
    first, last = (inset if "left" in sides else None), (-inset if "right" in sides else None)  # the rest is beyond
    if "above" in sides:
        picture[near, first:last] = frame
    if "below" in sides:
        picture[far, first:last] = frame
    if "right" in sides:
        picture[inset:, far] = frame
    if "left" in sides:
        picture[:-inset, near] = frame
    assert difference(normalize(as_picture(picture)), normalize(as_picture(plain))) < 6


@pytest.mark.parametrize("label", range(10))
@pytest.mark.parametrize("height", [32, 50, 72])
@pytest.mark.parametrize(("inset", "thickness"), [(2, 3), (6, 2), (10, 5)])
@pytest.mark.parametrize("frame", [30, 130])
def test_a_combs_cell_is_taken_away(label, height, inset, thickness, frame, digits):
    picture = written(digit_of(digits, label))
    last = 120 - inset
    plain = as_picture(picture)
    picture[last - thickness : last, inset:last] = frame
    for first in (inset, last - thickness):
        picture[last - height : last, first : first + thickness] = frame
    assert difference(normalize(as_picture(picture)), normalize(plain)) < 6


@pytest.mark.parametrize("label", range(10))
@pytest.mark.parametrize(("inset", "thickness"), [(6, 2), (12, 2), (14, 3)])
@pytest.mark.parametrize(("dash", "distance"), [(2, 8), (3, 9), (6, 12), (10, 15)])
@pytest.mark.parametrize("frame", [30, 130])
def test_a_dashed_or_dotted_box_is_taken_away(label, inset, thickness, dash, distance, frame, digits):
    picture = written(digit_of(digits, label))
    plain = as_picture(picture)
    for _ in range(4):
        picture = np.rot90(picture).copy()
        for first in range(inset, 120 - inset - dash, distance):
            picture[inset : inset + thickness, first : first + dash] = frame
    assert difference(normalize(as_picture(picture)), normalize(plain)) < 6


@pytest.mark.parametrize("label", range(10))
@pytest.mark.parametrize("seed", range(3))
def test_specks_beside_a_digit_are_no_dotted_box_that_takes_a_stroke(label, seed, digits):
    picture = written(digit_of(digits, label))
    plain, specks = as_picture(picture), np.random.default_rng(seed).integers(4, 116, (30, 2))
    for y, x in specks:
        if (picture[max(0, y - 6) : y + 7, max(0, x - 6) : x + 7] > 225).all():
            picture[y : y + 2, x : x + 2] = 60
    assert difference(normalize(as_picture(picture)), normalize(plain)) < 6


@pytest.mark.parametrize("desk", [60, 250])
@pytest.mark.parametrize("angle", [-9, 0, 4])
@pytest.mark.parametrize("n_sides", [2, 4])
def test_a_sheet_on_a_desk_is_cut_out(n_sides, angle, desk, digits):
    sheet, side = as_picture(written(digit_of(digits, 5, 90), side=300, paper=200)), 300
    first = 40 if n_sides == 4 else -60
    corners = np.array([[first, 40], [side - 40, 40], [side - 40, side - first], [first, side - first]], np.float32)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1)
    corners = cv2.transform(corners[None], turn)[0]
    share = np.zeros((side, side), np.uint8)
    cv2.fillPoly(share, [np.round(corners).astype(np.int32)], 1)
    picture = np.where(share, sheet, as_picture(np.full((side, side), desk)))
    inside = find_paper(picture).picture
    assert inside.shape != picture.shape
    assert np.abs(inside.astype(int)[[0, -1]] - 200).max() < 40  # plain paper at the border
    # The sheet alone is shrunk by another factor before it is read.
    assert difference(normalize(picture), normalize(sheet)) < 12


@pytest.mark.parametrize("share", [0.2, 0.3, 0.4, 0.5, 0.7])
@pytest.mark.parametrize("angle", [0, 8])
@pytest.mark.parametrize(("paper", "pen", "desk"), [(240, 60, 130), (200, 40, 30), (60, 230, 200)])
def test_a_sheet_that_is_a_small_part_of_the_picture_is_cut_out(paper, pen, desk, angle, share, digits):
    for label in (0, 4, 5, 8):
        sheet = written(digit_of(digits, label, 90), side=170, paper=paper, pen=pen)
        margin = round(85 / share) - 85
        picture = np.pad(sheet, margin, constant_values=desk)
        middle = (len(picture) / 2, len(picture) / 2)
        turn = cv2.getRotationMatrix2D(middle, angle, 1)
        picture = cv2.warpAffine(picture, turn, picture.shape, borderValue=float(desk))
        upright = np.pad(sheet, margin, constant_values=paper)
        plain = cv2.warpAffine(upright, turn, picture.shape, borderValue=float(paper))[margin:-margin, margin:-margin]
        digit = read_digit(as_picture(picture))
        assert digit.is_part
        assert difference(digit.image, normalize(as_picture(plain))) < 12


@pytest.mark.parametrize("label", range(10))
@pytest.mark.parametrize("thicker", [5, 11, 17, 23])
@pytest.mark.parametrize("side", [140, 200, 400])
def test_a_thick_digit_is_no_sheet(side, thicker, label, digits):
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (thicker, thicker))
    ink = cv2.dilate(np.pad(digit_of(digits, label, 90), 12), disc)
    for paper, pen in ((230, 40), (30, 220)):
        digit = read_digit(as_picture(written(ink, side=side, paper=paper, pen=pen)))
        box = digit.reading
        assert (box.right - box.left) * box.across >= np.ptp(np.nonzero(ink > 0.6)[1])
        assert (box.bottom - box.top) * box.down >= np.ptp(np.nonzero(ink > 0.6)[0])
        assert box.is_dark == (paper > pen)


@pytest.mark.parametrize("side", [200, 300])
@pytest.mark.parametrize("corner", [25, 30])
@pytest.mark.parametrize("hole", [(14, 5), (10, 7), (6, 12)])
@pytest.mark.parametrize("angle", [0, 20])
def test_a_thick_zero_with_a_small_hole_is_no_sheet(angle, hole, corner, side):
    zero = np.zeros((side, side), np.uint8)
    middle, half = side // 2, 34
    for across, down in ((half, half - corner), (half - corner, half)):
        cv2.rectangle(zero, (middle - across, middle - down), (middle + across, middle + down), 1, -1)
    for across, down in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        centre = middle + across * (half - corner), middle + down * (half - corner)
        cv2.circle(zero, centre, corner, 1, -1)
    cv2.ellipse(zero, (middle, middle), hole, 0, 0, 360, 0, -1)
    zero = cv2.warpAffine(zero, cv2.getRotationMatrix2D((middle, middle), angle, 1), zero.shape)
    for paper, pen in ((230, 40), (30, 220)):
        picture = as_picture(np.where(zero, pen, paper))
        assert find_paper(picture, may_be_small=True) is None
        assert read_digit(picture).reading.is_dark == (paper > pen)


def on_sign(digits, label, n_corners, colours):
    """A digit on a round sign, or one of so many corners."""
    desk, paper, pen = colours
    picture = written(digit_of(digits, label, 80), side=240, paper=paper, pen=pen)
    turns = np.linspace(0, 2 * np.pi, n_corners, endpoint=False) + 0.1
    corners = np.rint(120 + 90 * np.column_stack([np.cos(turns), np.sin(turns)])).astype(np.int32)
    sign = cv2.fillConvexPoly(np.zeros(picture.shape, np.uint8), corners, 1)
    return as_picture(np.where(sign, picture, desk))


@pytest.mark.parametrize("n_corners", [6, 60])
@pytest.mark.parametrize("colours", [(40, 235, 30), (60, 220, 90), (230, 50, 210)])
def test_a_digit_on_a_round_sign_is_read_if_the_network_is_sure_of_it(n_corners, colours, digits, model):
    signs = [on_sign(digits, label, n_corners, colours) for label in range(10)]
    is_right = model.predict(signs).labels == np.array(list("0123456789"))
    assert is_right.sum() >= 9  # the 5 is like a 6 or 8
    for sign in signs:
        alone = read_digit(sign)
        assert not alone.is_part  # no network, so it may be a thick 0
        np.testing.assert_array_equal(
            read_digit(sign, lambda images: np.zeros(len(images), np.float32)).image, alone.image
        )


@pytest.mark.parametrize("thicker", [5, 9, 13, 17, 21])
def test_the_hole_of_a_thick_zero_is_not_read(thicker, digits, model):
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (thicker, thicker))
    zeros = [
        cv2.dilate(np.pad(digit_of((digits[0][n : n + 1], digits[1][n : n + 1]), 0, 90), 14), disc)
        for n in np.flatnonzero(digits[1] == 0)[:10]
    ]
    assert set(model.predict([as_picture(written(zero, side=200)) for zero in zeros]).labels) == {"0"}


@pytest.mark.parametrize("label", range(10))
@pytest.mark.parametrize("corner", [4, 12, 20])
def test_a_box_with_round_corners_is_taken_away(label, corner, digits):
    picture = written(digit_of(digits, label))
    plain = as_picture(picture)
    near, far = 8 + corner, 112 - corner
    centres = (near, near), (far, near), (far, far), (near, far)
    for quarter, centre in enumerate(centres):
        cv2.ellipse(picture, centre, (corner, corner), 0, 180 + 90 * quarter, 270 + 90 * quarter, 40, 3)
    for one, other in (
        ((near, 8), (far, 8)),
        ((near, 112), (far, 112)),
        ((8, near), (8, far)),
        ((112, near), (112, far)),
    ):
        cv2.line(picture, one, other, 40, 3)
    assert difference(normalize(as_picture(picture)), normalize(plain)) < 6


@pytest.mark.parametrize("label", range(0, 10, 2))
@pytest.mark.parametrize(
    "seen",
    [((95, 80), (205, 85), (230, 225), (70, 215)), ((110, 75), (205, 75), (240, 215), (70, 220))],
    ids=["from below", "from far below"],
)
def test_a_sheet_that_is_seen_askew_is_cut_out(seen, label, digits):
    picture = np.pad(written(digit_of(digits, label, 80), side=150, paper=220), 75, constant_values=90)
    corners = np.array([[75, 75], [225, 75], [225, 225], [75, 225]], np.float32)
    picture = cv2.warpPerspective(
        picture, cv2.getPerspectiveTransform(corners, np.array(seen, np.float32)), (300, 300), borderValue=90.0
    )
    digit = read_digit(as_picture(picture))
    assert digit.is_part
    assert not digit.reading.may_stand_on_paper


@pytest.mark.parametrize("label", range(10))
def test_a_digit_on_plain_paper_is_left_as_it_is(label, digits):
    for paper, pen in ((230, 40), (30, 220)):
        picture = as_picture(written(digit_of(digits, label, 90), paper=paper, pen=pen))
        assert find_paper(picture) is None
        tight = as_picture(written(digit_of(digits, label, 110), side=112, paper=paper, pen=pen))
        assert find_paper(tight) is None


def test_a_digit_across_a_shadows_edge_is_not_cut(digits):
    for label in (0, 3, 8):
        picture = written(digit_of(digits, label, 90), side=160)
        picture[:, 80:] *= 0.5
        picture = as_picture(picture)
        assert find_paper(picture) is None


def test_the_lines_of_ruled_paper_bound_nothing(digits):
    for label in (4, 8):
        picture = written(digit_of(digits, label, 90), side=160)
        picture[30::45] = 120
        picture = as_picture(picture)
        assert find_paper(picture) is None


@pytest.mark.parametrize("shape", [(1, 1), (LEAST_SIDE - 1, 300), (300, LEAST_SIDE - 1), (LEAST_SIDE, 320), (320, 320)])
@pytest.mark.parametrize("fill", ["black", "white", "noise", "halves", "dots"])
def test_pictures_without_a_digit_are_left_as_they_are(shape, fill):
    rng = np.random.default_rng(1)
    picture = {
        "black": np.zeros(shape),
        "white": np.full(shape, 255),
        "noise": rng.integers(0, 256, shape),
        "halves": np.where(np.arange(shape[1]) < shape[1] // 2, 30, 220) * np.ones(shape),
        "dots": np.where(rng.random(shape) < 0.01, 0, 255),
    }[fill].astype(np.uint8)
    assert find_paper(picture) is None


def test_the_picture_given_is_not_changed(digits):
    picture = as_picture(boxed(written(digit_of(digits, 2)), 6, 3, 20))
    before = picture.copy()
    find_paper(picture)
    assert (picture == before).all()


def test_scenes_are_always_the_same(digits):
    for name in SCENES:
        one, other = (list(render_scenes(name, digits[0][:3], threads)) for threads in (1, 2))
        assert one == other
        assert len({rendering.content for rendering in one}) == 3
