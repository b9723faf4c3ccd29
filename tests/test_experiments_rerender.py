"""The measuring set of pictures is always the same, and as hard as it says."""

import cv2
import numpy as np
import pytest

from experiments.rerender import EVERYTHING, SETS, render, render_all

N = 60


@pytest.fixture(scope="module")
def pictures(digits):
    """Each set's first pictures, decoded."""
    return {name: [decoded(one) for one in render_all(digits[0][:N], with_, 2)] for name, with_ in SETS.items()}


def decoded(rendering):
    return cv2.imdecode(np.frombuffer(rendering.content, np.uint8), cv2.IMREAD_GRAYSCALE)


def test_a_rendering_depends_on_nothing_but_the_digit_its_position_and_the_set(digits):
    for position, rendering in enumerate(render_all(digits[0][:5], EVERYTHING, 3)):
        assert rendering == render(digits[0][position], position, EVERYTHING)
    assert render(digits[0][0], 0, EVERYTHING) != render(digits[0][0], 1, EVERYTHING)


def test_the_neutral_picture_is_the_digit_6_times_as_large_in_the_middle(pictures, digits):
    for picture, digit in zip(pictures["neutral"], digits[0], strict=False):
        assert picture.shape == (336, 336)
        middle = cv2.resize(picture[84:252, 84:252], (28, 28), interpolation=cv2.INTER_AREA)
        assert np.corrcoef(middle.ravel(), digit.ravel())[0, 1] > 0.98
        assert picture.astype(int).sum() == picture[84:252, 84:252].astype(int).sum()


def test_scales_are_3_to_12_and_the_canvas_is_twice_the_digit(pictures):
    for name in ("scale", "all"):
        sides = [picture.shape[0] for picture in pictures[name]]
        assert all(picture.shape[0] == picture.shape[1] for picture in pictures[name])
        assert 168 <= min(sides) < 250
        assert 590 < max(sides) <= 672


def test_positions_reach_the_whole_canvas(pictures):
    centres = np.array([np.mean(np.nonzero(picture > 127), axis=1) for picture in pictures["position"]])
    assert (np.ptp(centres, axis=0) > 0.4 * 336).all()


def test_paper_is_white_under_no_distortion_but_polarity(pictures):
    for inverted, neutral in zip(pictures["polarity"], pictures["neutral"], strict=True):
        np.testing.assert_array_equal(inverted, 255 - neutral)


def test_light_falls_to_half_in_any_direction_and_further_in_the_corners(pictures):
    for picture in pictures["light-on-paper"]:
        paper = picture / 255
        corners = [paper[y, x] for y in (0, -1) for x in (0, -1)]
        assert min(corners) == pytest.approx(0.5 * 0.7, abs=0.08)
        assert paper.max() > 0.7
    darkest = {
        int(np.argmin([picture[y, x] for y in (0, -1) for x in (0, -1)])) for picture in pictures["light-on-paper"]
    }
    assert darkest == {0, 1, 2, 3}


def test_noise_has_sigma_8(pictures):
    flat = np.concatenate([picture[:20].ravel() for picture in pictures["noise"]])
    assert np.sqrt(2 * np.mean(flat.astype(float) ** 2)) == pytest.approx(8, abs=0.2)  # half of it is cut off at black


def test_only_jpeg_is_lossy(digits):
    for name, distortions in SETS.items():
        assert render(digits[0][0], 0, distortions).suffix == (".jpg" if name in ("jpeg", "all") else ".png")
