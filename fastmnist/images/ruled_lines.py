"""Ink without the ruled lines of the paper, also where they cross the digit."""

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv
from fastmnist.images.ink import Ink

LEAST_SIDE = 64  # pixels: in smaller pictures a stroke is as thin as a ruled line
THICKNESS = 0.03  # of the picture's side: ruled lines are at most this thick; strokes are mostly thicker
GAP = 0.35  # of the side: the longest part of a line that a digit may hide
LENGTH = 0.9  # of the side: ruled lines are longer
FULL = 0.5  # of the ink's depth: if no pixel is darker than this, there is no digit
FAINT = 0.2  # of the ink's depth: ruled lines are darker


def without_ruled_lines(ink: Ink) -> Ink:
    """Return `ink`, float32 (height, width), with 0 where a thin line runs from side to side or from top to bottom.

    If the digit fills the picture, it can hide so much of a line that the line is taken for a stroke and kept.
    """
    if min(ink.shape) < LEAST_SIDE:
        return ink
    across = _ruled_lines(ink)
    down = _ruled_lines(np.ascontiguousarray(ink.T)).T
    rest = np.where(across | down, np.float32(0), ink)
    return rest if (rest > FULL).any() else ink


def _ruled_lines(ink: Ink) -> npt.NDArray[np.bool_]:
    """Return the mask of the pixels that belong to lines from left to right.

    Such a pixel has little ink above and below it, so strokes that a line crosses keep their pixels and stay whole.
    """
    cv2 = opencv()
    height, width = ink.shape
    thickness = max(2, round(THICKNESS * height))
    dark = (ink > FAINT).astype(np.uint8)
    thin = dark - cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((thickness + 1, 1), np.uint8))
    # A line may be skewed by a pixel, and is broken where the digit crosses it.
    bridged = cv2.dilate(thin, np.ones((3, 1), np.uint8))
    gap = round(GAP * width) | 1
    # Closing must not prolong a stroke to the border, so there is nothing beyond it.
    bridged = cv2.copyMakeBorder(bridged, 0, 0, gap, gap, cv2.BORDER_CONSTANT)
    bridged = cv2.morphologyEx(bridged, cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))[:, gap:-gap]
    bridged = cv2.morphologyEx(bridged, cv2.MORPH_OPEN, np.ones((1, max(3, width // 4)), np.uint8))
    if not cv2.countNonZero(bridged):
        return np.zeros(ink.shape, np.bool_)
    n_lines, lines, boxes, _ = cv2.connectedComponentsWithStats(bridged, connectivity=8, ltype=cv2.CV_16U)
    is_long = boxes[:, cv2.CC_STAT_WIDTH] >= LENGTH * width
    is_flat = boxes[:, cv2.CC_STAT_HEIGHT] <= 3 * thickness + 2
    is_ruled = is_long & is_flat & (np.arange(n_lines) > 0)
    # The soft edge of a line lies just beside it.
    return (cv2.dilate(thin, np.ones((3, 1), np.uint8)) > 0) & is_ruled[lines] & (dark == thin)  # type: ignore[no-any-return]
