"""Ink without the ruled lines of the paper, also where they cross the digit."""

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv
from fastmnist.images.ink import Ink

LEAST_SIDE = 64  # pixels: in smaller pictures a stroke is as thin as a rule
THICKNESS = 0.03  # of the picture's side: a rule is not thicker, and a digit's strokes mostly are
GAP = 0.35  # of the side: so far a rule may be hidden by the digit
LENGTH = 0.9  # of the side: a rule is longer
FULL = 0.5  # of the ink's depth: without any of it there is no digit
FAINT = 0.2  # of the ink's depth: a rule is at least so dark


def without_rules(ink: Ink) -> Ink:
    """Return `ink`, float32 (height, width), with 0 where a thin line goes from side to side or from top to bottom.

    A digit that fills the picture can hide too much of a line to tell it from a stroke.
    """
    if min(ink.shape) < LEAST_SIDE:
        return ink
    across = _rules(ink)
    down = _rules(np.ascontiguousarray(ink.T)).T
    rest = np.where(across | down, np.float32(0), ink)
    return rest if (rest > FULL).any() else ink


def _rules(ink: Ink) -> npt.NDArray[np.bool_]:
    """Return which pixels belong to lines from left to right.

    Such a pixel has little ink above and below it: strokes that a line crosses keep their pixels, and stay whole.
    """
    cv2 = opencv()
    height, width = ink.shape
    thickness = max(2, round(THICKNESS * height))
    dark = (ink > FAINT).astype(np.uint8)
    thin = dark - cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((thickness + 1, 1), np.uint8))
    # A rule may be a pixel askew, and is broken where the digit crosses it.
    bridged = cv2.dilate(thin, np.ones((3, 1), np.uint8))
    bridged = cv2.morphologyEx(bridged, cv2.MORPH_CLOSE, np.ones((1, round(GAP * width) | 1), np.uint8))
    bridged = cv2.morphologyEx(bridged, cv2.MORPH_OPEN, np.ones((1, max(3, width // 4)), np.uint8))
    if not cv2.countNonZero(bridged):
        return np.zeros(ink.shape, np.bool_)
    n_lines, lines, boxes, _ = cv2.connectedComponentsWithStats(bridged, connectivity=8, ltype=cv2.CV_16U)
    is_long = boxes[:, cv2.CC_STAT_WIDTH] >= LENGTH * width
    is_flat = boxes[:, cv2.CC_STAT_HEIGHT] <= 3 * thickness + 2
    is_rule = is_long & is_flat & (np.arange(n_lines) > 0)
    # The soft edge of a line lies just beside it.
    return (cv2.dilate(thin, np.ones((3, 1), np.uint8)) > 0) & is_rule[lines] & (dark == thin)  # type: ignore[no-any-return]
