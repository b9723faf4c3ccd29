"""Light ink on dark plates of a light page, as in the header of a table or on a panel, and the other way round.

A page is read with one polarity, by which such a plate is a blot, or paper of another shade. Here the plates are turned
into paper: their light ink becomes dark. Whether that reading is the better one is decided by what it says.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv

Grey = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

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
    cv2 = opencv()
    shrink = min(1.0, LOOK / max(picture.shape))
    small = picture
    if shrink < 1:
        size = [max(1, round(side * shrink)) for side in reversed(picture.shape)]
        small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    is_dark = small <= cv2.threshold(small, 0, 255, cv2.THRESH_OTSU)[0]
    if 2 * np.count_nonzero(is_dark) > is_dark.size:
        picture, small, is_dark = 255 - picture, 255 - small, ~is_dark
    blots = _rectangular(is_dark.view(np.uint8))
    if not blots:
        return None
    page = float(np.median(small[~is_dark]))
    plates = [plate for blot in blots if (plate := _plate(blot, small, is_dark, page))]
    return _turned(picture, plates, page, small.shape) if plates else None


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


def _plate(outline: npt.NDArray[np.int32], small: Grey, is_dark: Mask, page: float) -> _Plate | None:
    """Return what is within an outline, if it is darker than the page and there is light ink on it."""
    cv2 = opencv()
    left, top, width, height = cv2.boundingRect(outline)
    place = slice(top, top + height), slice(left, left + width)
    hull = np.zeros((height, width), np.uint8)
    cv2.fillPoly(hull, [cv2.convexHull(outline)], 1, offset=(-left, -top))
    light = np.asarray(hull & ~is_dark[place], np.uint8)
    grey = float(np.median(small[place][hull > light]))
    if page - grey < CONTRAST or not _is_ink(light, int(np.count_nonzero(hull))):
        return None
    return _Plate(top, left, hull, grey, float(np.percentile(small[place][light > 0], 75)))


def _is_ink(light: Grey, area: int) -> bool:
    """Return whether what is light in a plate, uint8 (height, width), is ink, and not the hole of a dark 0 or 8."""
    if not LEAST_INK * area <= np.count_nonzero(light) <= MOST_INK * area:
        return False
    cv2 = opencv()
    labels, stats = cv2.connectedComponentsWithStats(light)[1:3]
    pieces = [label for label in range(1, len(stats)) if stats[label, cv2.CC_STAT_HEIGHT] >= LEAST_PIECE]
    height, width = light.shape
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
        table = np.clip(page - (np.arange(256) - grey) * (page / max(1.0, ink - grey)), 0, page).astype(np.uint8)
        of_plate = turned[rows, columns]
        of_plate[:] = np.where(plate_of[rows, columns] == number, table[of_plate], of_plate)
    return turned
