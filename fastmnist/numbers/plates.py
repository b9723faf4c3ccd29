"""Plates on a page that are darker than it: a table's header in light ink, panels, a highlighter's stroke, and so on.

A page is read with one polarity, by which a dark plate with light ink is a blot, or paper of another shade. Here plates
are turned into paper with dark ink; on a dark page, it is light plates. Whether that reading is the better one is
decided by what it says.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv

Grey = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

GREYS = 256
LOOK = 320  # pixels of the longest side are enough to see plates
CONTRAST = 50  # grey levels between a plate and the page, at least
LEAST_SIDE, LEAST_PIECE = 12, 5  # pixels there, of a plate, of the height of a piece of its ink
FULL = 0.85  # of the smallest rectangle around it: a plate is a bar, a box or a panel, with round corners at most
LEAST_INK, MOST_INK = 0.02, 0.5  # of a plate
SEVERAL, MANY, SLIM = 3, 8, 0.8  # pieces of ink, or if a plate is as slim as a figure, whose holes they may be, many
HIGH = 0.35  # of a plate's height: fewer pieces of ink take more
RECTANGULAR, THICK = 0.75, 0.25  # of the rectangle around it, of its length: a hole, as a display's 0 has it, is both
EDGE = 1  # pixel there, inwards and outwards: a plate's soft edge


class _Plate(NamedTuple):
    """A plate in the small picture: its upper left corner, uint8 (height, width) with 1 in it, its grey, its ink's."""

    top: int
    left: int
    hull: Grey
    grey: float
    ink: float


def without_plates(picture: Grey) -> Grey | None:
    """Return a picture (height, width), or its negative, in which plates are like the page; None without any."""
    step = -(-max(picture.shape) // LOOK)  # `resize` takes 1.2 ms for a page, three times as long as all the rest
    small = np.ascontiguousarray(picture[::step, ::step])
    counts = np.bincount(small[::2, ::2].ravel(), minlength=GREYS).astype(np.float64)
    threshold = _split(counts).threshold
    if 2 * counts[: threshold + 1].sum() > counts.sum():
        picture, small, counts, threshold = 255 - picture, 255 - small, counts[::-1], GREYS - 2 - threshold
    plates = _plates_in(small, threshold)
    if plates is None:
        second = _split(np.where(np.arange(GREYS) > threshold, counts, 0))  # into plates and page: both may be light
        plates = _plates_in(small, second.threshold) if second.apart >= CONTRAST else None
    return _turned(picture, *plates, small.shape) if plates else None


class _Split(NamedTuple):
    """Where greys part into two groups, the last grey of the darker one, and how far the groups' means are apart."""

    threshold: int
    apart: float


def _split(counts: npt.NDArray[np.float64]) -> _Split:
    """Return the split between the two groups of pixels of GREYS greys that are most apart (Otsu 1979)."""
    n, total = counts.cumsum(), (counts * np.arange(GREYS)).cumsum()
    n_above = n[-1] - n
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.nan_to_num((total[-1] - total) / n_above - total / n)
    threshold = int((n * n_above * apart * apart).argmax())
    return _Split(threshold, float(apart[threshold]))


def _plates_in(small: Grey, threshold: int) -> tuple[list[_Plate], float] | None:
    """Return the plates of a page that is lighter than a threshold, and its grey, None where there are no plates."""
    is_plate = small <= threshold
    blots = _rectangular(is_plate.view(np.uint8)) if 0 < np.count_nonzero(is_plate) < small.size else []
    if not blots:
        return None
    page = float(np.median(small[~is_plate]))
    plates = [plate for blot in blots if (plate := _plate(blot, small, page))]
    return (plates, page) if plates else None


def _rectangular(is_dark: Grey) -> list[npt.NDArray[np.int32]]:
    """Return the outlines of what is dark, 1 in uint8 (height, width), where they are as good as rectangular."""
    cv2 = opencv()
    found = []
    for outline in cv2.findContours(is_dark, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]:
        if min(cv2.boundingRect(outline)[2:]) >= LEAST_SIDE:
            width, height = cv2.minAreaRect(outline)[1]
            if cv2.contourArea(outline) >= FULL * width * height:
                found.append(outline)
    return found


def _plate(outline: npt.NDArray[np.int32], small: Grey, page: float) -> _Plate | None:
    """Return what is within an outline, if it is darker than the page and there is lighter or darker ink on it."""
    cv2 = opencv()
    left, top, width, height = cv2.boundingRect(outline)
    greys, hull = small[top : top + height, left : left + width], np.zeros((height, width), np.uint8)
    cv2.fillPoly(hull, [cv2.convexHull(outline)], 1, offset=(-left, -top))
    grey = float(np.median(greys[hull > 0]))
    if page - grey < CONTRAST:
        return None
    for deep, is_other in ((75, greys > (grey + page) / 2), (25, greys < grey - CONTRAST)):
        marks = np.asarray(hull & is_other, np.uint8)
        if _is_ink(marks, int(np.count_nonzero(hull))):
            return _Plate(top, left, hull, grey, float(np.percentile(greys[marks > 0], deep)))
    return None


def _is_ink(marks: Grey, area: int) -> bool:
    """Return whether what stands out of a plate, uint8 (height, width), is ink, and not the hole of a dark 0 or 8."""
    if not LEAST_INK * area <= np.count_nonzero(marks) <= MOST_INK * area:
        return False
    cv2 = opencv()
    labels, stats = cv2.connectedComponentsWithStats(marks)[1:3]
    pieces = [label for label in range(1, len(stats)) if stats[label, cv2.CC_STAT_HEIGHT] >= LEAST_PIECE]
    height, width = marks.shape
    if len(pieces) >= (MANY if width < SLIM * height else SEVERAL):
        return True
    if not pieces or width < SLIM * height or all(_is_hole(labels == label) for label in pieces):
        return False
    tops, heights = stats[pieces, cv2.CC_STAT_TOP], stats[pieces, cv2.CC_STAT_HEIGHT]
    return bool((tops + heights).max() - tops.min() >= HIGH * height)


def _is_hole(piece: Mask) -> bool:
    """Return whether a piece is as good as rectangular, and no stroke."""
    cv2 = opencv()
    shorter, longer = sorted(cv2.minAreaRect(cv2.findNonZero(piece.astype(np.uint8)))[1])
    is_rectangular = np.count_nonzero(piece) >= RECTANGULAR * (shorter + 1) * (longer + 1)
    return bool(shorter >= THICK * longer and is_rectangular)


def _turned(picture: Grey, plates: list[_Plate], page: float, shape: tuple[int, ...]) -> Grey:
    """Return a picture whose plates are paper: of the page's grey, their ink black, their soft edges gone.

    `shape` is that of the small picture in which the plates were found.
    """
    cv2 = opencv()
    plate_of = np.zeros(shape, np.uint16)
    for number, (top, left, hull, *_) in enumerate(plates, 1):
        plate_of[top : top + hull.shape[0], left : left + hull.shape[1]][hull > 0] = number
    is_plate = (plate_of > 0).astype(np.uint8)
    near = np.ones((2 * EDGE + 1,) * 2, np.uint8)
    inner, outer = cv2.erode(is_plate, near), cv2.dilate(is_plate, near)
    plate_of[inner == 0] = 0
    size, turned = picture.shape[::-1], picture.copy()
    plate_of = cv2.resize(plate_of, size, interpolation=cv2.INTER_NEAREST)
    turned[cv2.resize(outer - inner, size, interpolation=cv2.INTER_NEAREST) > 0] = round(page)
    down, across = picture.shape[0] / shape[0], picture.shape[1] / shape[1]
    for number, (top, left, hull, grey, ink) in enumerate(plates, 1):
        rows = slice(int(top * down), math.ceil((top + hull.shape[0]) * down))
        columns = slice(int(left * across), math.ceil((left + hull.shape[1]) * across))
        table = np.clip(page - (np.arange(GREYS) - grey) * (page / (ink - grey)), 0, page).astype(np.uint8)
        of_plate = turned[rows, columns]
        of_plate[:] = np.where(plate_of[rows, columns] == number, table[of_plate], of_plate)
    return turned
