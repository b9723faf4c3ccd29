"""The paper around a digit: a sheet that lies on a desk, or the inside of a form's printed box.

Either is the largest piece of one shade, nearly rectangular (or, if need be, round), bounded by another shade, with ink
inside that does not reach the boundary. Shades are separated by Otsu's thresholds, so this works before anything is
known about the light, the polarity or the ink; it decides from shapes alone. Of 1,000 pictures each
(experiments/scenes.py), 99 % of digits in boxes are read correctly with it and 68 % without, of those on sheets 99 and
46 %.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv
from fastmnist.kernels.picture.plane import lay_plane

Grey = npt.NDArray[np.uint8]

LEAST_SIDE = 56  # pixels: a smaller picture is the digit with hardly anything around it (40 costs digits that fill it)
WORKING_SIDE = 192  # the paper is found in a picture of this size at most; frames of 1 in 160 pixels must survive
STEP = 4  # grey levels between the thresholds that are tried; divides 256

LEAST_AREA = 0.12  # of the picture: smaller pieces are holes of digits
MOST_AREA = 0.985  # of the picture: larger ones are the whole picture
RECTANGULAR = 0.82  # of the smallest rectangle around it: a sheet cut by the picture's edges has this area or more,
BOX = 0.92  # a box, which is seen whole, this one; the hull of an 8 has less
# Of the hull: what the largest quadrilateral in that of a whole sheet has; in that of a thick 0 it has 0.7 to 0.78
FOUR_CORNERED = 0.87
# Of the smallest rectangle around it, and the longer side by the shorter: round paper, a disc, an oval or a hexagon
ROUND, NOT_LONG = (0.7, 0.9), 1.35
DIGIT_ON_ROUND = 0.25  # of its shorter side: a digit on it is as large at least,
ROUND_TO_INK = 1.6  # and it is so many times as wide as the ink: few holes of a 0 leave as much around them
ASKEW = 0.6  # of the smallest rectangle around it: what that of a sheet seen askew has at least
AT_EDGE = 4  # pixels: what is so near to the picture's edge may be cut by it
SOLID = 0.95  # of the hull: what a sheet with its holes filled has; a shadow with a digit across its edge has less
BOUNDED = 0.85  # of the hull's edge: next to another shade. Lines across the page bound less
FRAME = 0.11  # of the shorter side: frames are thinner, desks wider
MARGIN = 0.02  # of the shorter side, at least 2 pixels: soft edges of the boundary
LEAST_DIGIT = 0.12  # of the sheet's shorter side,
LEAST_OF_NUMBER = 0.01  # and where it shows numbers, which may begin nearer to its edge:
MARGIN_OF_NUMBERS = 0.01
LOOK = 32  # rows and columns that tell whether a picture may show a desk:
UNLIKE, SHARE_OF_BORDER = 30, 0.2  # grey levels: this share of the border, or more, is that far from the middle's grey
DARK = 0.55  # of the middle's grey: no shadow on paper is as dark
DESK = 0.7  # of what is beyond a sheet with numbers: what is around a form's boxes is paper again
MOST_INK = 0.6  # of the sheet
CUT = 0.4  # of the ink inside: if as much crosses the boundary, the digit does
CUT_BY_SHADOW = 0.05  # the same where the boundary is one straight edge across the picture
BEYOND = 0.5  # of the ink inside: if as many thin strokes go on beyond the frame, it is a line of squared paper
PLANE_PIXELS = 5000  # that the light on the paper is fitted to, about
WIDER, NEVER_NARROWER = 1.3, 0.3  # times the ink's half width: what the paper's must be


class _Sheet(NamedTuple):
    """A piece of one shade and its convex hull, masks of 0 and 1, with the hull's corners."""

    piece: Grey
    hull: Grey
    corners: npt.NDArray[np.int32]
    area: float

    @property
    def side(self) -> int:
        """The shorter side of the picture."""
        return int(min(self.hull.shape))

    @property
    def frame(self) -> int:
        """How thick a frame may be, in pixels: an odd number."""
        return max(5, round(FRAME * self.side)) | 1


class Paper(NamedTuple):
    """The part of a picture that shows the paper, and where its upper left corner is in the picture."""

    picture: Grey  # (height, width)
    top: int
    left: int


def find_paper(picture: Grey, *, may_be_small: bool = False, may_be_round: bool = False) -> Paper | None:
    """Return the part of a picture, uint8 (height, width), that shows the paper around the digit, and nothing beyond.

    None where no paper stands out. `may_be_small`: it may be so small a part that a thick 0 might be one, too.
    `may_be_round`: it may be a disc, an oval or a hexagon, as a thick 0 with a narrow hole is.
    """
    return _find(picture, _PAPER_OF_DIGIT._replace(may_be_small=may_be_small, may_be_round=may_be_round))


def find_sheet(picture: Grey) -> tuple[Paper, bool] | None:
    """Return the part of a picture that shows a sheet of numbers on a desk, and whether that is darker than a shadow.

    Boxes on a page are no sheet, nor is the part of a page that a shadow leaves. None where no sheet stands out, as in
    all pictures whose border is of the same shade as their middle.
    """
    rows, columns = (np.arange(LOOK) * (side - 1) // (LOOK - 1) for side in picture.shape)
    small = picture[rows[:, np.newaxis], columns].astype(np.int32)
    inner = np.sort(small[LOOK // 4 : -LOOK // 4, LOOK // 4 : -LOOK // 4], axis=None)  # `np.median` takes 15 us
    middle = float(inner[len(inner) // 2 - 1] + inner[len(inner) // 2]) / 2
    border = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    desk = border[abs(border - middle) > UNLIKE]
    if len(desk) <= SHARE_OF_BORDER * len(border):
        return None
    sheet = _find(picture, _SHEET_OF_NUMBERS)
    return None if sheet is None else (sheet, bool(np.median(desk) < DARK * middle))


class _Wanted(NamedTuple):
    """What paper is looked for."""

    least_digit: float  # of its shorter side
    margin: float  # of the picture's shorter side: soft edges that are left out
    least_desk: float  # of what is beyond it
    least_ratio: float  # of its width to its ink's, where its shape is a box's
    may_be_small: bool  # a part of the picture so small that a thick 0 may look like it
    may_be_round: bool


_PAPER_OF_DIGIT = _Wanted(LEAST_DIGIT, MARGIN, 0.0, NEVER_NARROWER, may_be_small=False, may_be_round=False)
_SHEET_OF_NUMBERS = _Wanted(LEAST_OF_NUMBER, MARGIN_OF_NUMBERS, DESK, WIDER, may_be_small=False, may_be_round=True)


def _find(picture: Grey, wanted: _Wanted) -> Paper | None:
    if min(picture.shape) < LEAST_SIDE:
        return None
    cv2 = opencv()
    height, width = picture.shape
    scale = min(1, WORKING_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if scale < 1 else picture
    small = cv2.GaussianBlur(small, (3, 3), 0)
    found = [(_ratio(sheet, shade, wanted), sheet) for shade in _shades(small) if (sheet := _largest(shade))]
    ratio, sheet = max(found, key=lambda candidate: candidate[0], default=(0, None))
    if sheet is None or not ratio:
        return None
    return _only(picture, cv2.resize(_inset(sheet, wanted.margin), (width, height), interpolation=cv2.INTER_NEAREST))


def _shades(picture: Grey) -> Iterator[Grey]:
    """Yield masks of what may be paper: each shade that two or three of them divide the picture into."""
    cv2 = opencv()
    middle, _ = cv2.threshold(picture, 0, 255, cv2.THRESH_OTSU)
    low, high = _two_thresholds(picture)
    bounds = [(middle, 255), (-1, middle), (high, 255), (low, high), (low, 255), (-1, high)]
    for lowest, highest in dict.fromkeys((int(lowest), int(highest)) for lowest, highest in bounds):
        shade = ((picture > lowest) & (picture <= highest)).astype(np.uint8)
        if cv2.countNonZero(shade) >= LEAST_AREA * picture.size:
            yield shade


def _two_thresholds(picture: Grey) -> tuple[int, int]:
    """Return the thresholds between three classes of grey levels by Otsu's criterion (1979, section V)."""
    counts = np.bincount(picture.ravel() // STEP, minlength=256 // STEP) / picture.size
    weights, sums = np.cumsum(counts)[:-1], np.cumsum(counts * np.arange(256 // STEP))
    total, sums = sums[-1], sums[:-1]
    below = sums**2 / np.maximum(weights, 1e-9)
    above = (total - sums) ** 2 / np.maximum(1 - weights, 1e-9)
    weight = weights - weights[:, np.newaxis]  # between a lower threshold (row) and a higher one (column)
    between = (sums - sums[:, np.newaxis]) ** 2 / np.maximum(weight, 1e-9)
    spread = np.where(weight > 0, below[:, np.newaxis] + between + above, -1)
    low, high = np.unravel_index(int(spread.argmax()), spread.shape)
    return int(low) * STEP + STEP - 1, int(high) * STEP + STEP - 1


def _largest(shade: Grey) -> _Sheet | None:
    """Return the largest piece of a shade, unless it is the whole picture, small, or far from convex."""
    cv2 = opencv()
    opened = cv2.morphologyEx(shade, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    # Contours follow diagonal neighbours, which would lead through a thin frame that is askew.
    apart = cv2.erode(opened, np.ones((2, 2), np.uint8))
    outlines, nesting = cv2.findContours(apart, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return None
    areas = np.array([cv2.contourArea(outline) for outline in outlines])
    around = nesting[0, :, 3]  # the piece that a hole is in, -1 for a piece
    np.subtract.at(areas, around[around >= 0], areas[around >= 0])
    outline = outlines[int(np.where(around < 0, areas, 0).argmax())]
    corners = cv2.convexHull(outline)
    area = cv2.contourArea(corners)
    if area < LEAST_AREA * shade.size:
        return None
    hull, filled = np.zeros_like(shade), np.zeros_like(shade)
    cv2.fillConvexPoly(hull, corners, 1)
    cv2.drawContours(filled, [outline], -1, 1, -1)
    hull_area = cv2.countNonZero(hull)
    if hull_area > MOST_AREA * shade.size or cv2.countNonZero(filled) < SOLID * hull_area:
        return None
    return _Sheet(opened & filled, hull, corners, area)


def _rectangle(corners: npt.NDArray[np.int32]) -> float:
    """Return the area of the smallest rectangle around a hull."""
    _, (width, height), _ = opencv().minAreaRect(corners)
    return float(width * height)


def _has_shape_of_sheet(sheet: _Sheet, may_be_small: bool) -> bool:
    """Return whether a hull is nearly a rectangle or what the picture shows of one.

    One that `may_be_small` must be more so, or else a quadrilateral: a sheet that is seen askew.
    """
    share = sheet.area / _rectangle(sheet.corners)
    corners, size = sheet.corners[:, 0], np.array(sheet.hull.shape[::-1])
    is_cut = bool(((corners < AT_EDGE) | (corners >= size - AT_EDGE)).any())
    if is_cut or not may_be_small:
        return share >= RECTANGULAR
    return share >= BOX or (share >= ASKEW and _quadrilateral(corners) >= FOUR_CORNERED * sheet.area)


def _is_round(sheet: _Sheet) -> bool:
    """Return whether a hull is nearly a disc, an oval or a hexagon: a sign, a ball, a button."""
    _, (width, height), _ = opencv().minAreaRect(sheet.corners)
    is_fitting = ROUND[0] <= sheet.area / (width * height) < ROUND[1]
    return bool(is_fitting and max(width, height) <= NOT_LONG * min(width, height))


def _quadrilateral(corners: npt.NDArray[np.int32]) -> float:
    """Return the area of the largest quadrilateral with its corners among those of a hull, (n, 2).

    It is a diagonal and the farthest corner on each side of it.
    """
    across, down = (corners[:, axis] - corners[:, axis, np.newaxis] for axis in (0, 1))  # from corner to corner
    twice = across[:, :, np.newaxis] * down[:, np.newaxis] - down[:, :, np.newaxis] * across[:, np.newaxis]
    return float((twice.max(axis=2) - twice.min(axis=2)).max() / 2)


def _ratio(sheet: _Sheet, shade: Grey, wanted: _Wanted) -> float:
    """Return how wide the paper is in widths of the ink on it; 0 unless it is bounded and has a digit inside."""
    desk = _desk(sheet, shade)
    n_desk, n_beyond = np.count_nonzero(desk), np.count_nonzero(sheet.hull == 0)
    if n_desk < wanted.least_desk * n_beyond:
        return 0
    is_half = _n_edges(sheet) == 1 and n_desk > 0  # this side of a shadow's edge
    if is_half and wanted.least_desk > 0:  # what the shadow leaves may show numbers too
        return 0
    is_round = not is_half and not _has_shape_of_sheet(sheet, wanted.may_be_small)
    if is_round:
        if not wanted.may_be_round or not _is_round(sheet) or n_desk < DESK * n_beyond:
            return 0
        wanted = wanted._replace(least_digit=max(wanted.least_digit, DIGIT_ON_ROUND))
    most_cut = CUT_BY_SHADOW if is_half else CUT
    ink = _ink(sheet, most_cut, wanted) if _is_bounded(sheet, shade) else None
    if ink is None or _strokes_beyond(sheet, shade, desk) > BEYOND * np.count_nonzero(ink):
        return 0
    ratio = _ratio_of_widths(sheet, ink, wanted.least_ratio)
    return 0 if is_round and ratio < ROUND_TO_INK else ratio


def _ink(sheet: _Sheet, most_cut: float, wanted: _Wanted) -> npt.NDArray[np.bool_] | None:
    """Return the mask of the ink that does not reach the boundary; None unless it can be a digit.

    It can't where it is too little or too much, or where strokes that the boundary cuts have more than the share
    `most_cut` of it.
    """
    cv2 = opencv()
    ink = (sheet.hull > 0) & (sheet.piece == 0)
    n_pieces, labels, statistics, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    inner = _inset(sheet, wanted.margin) > 0
    is_cut = np.zeros(n_pieces, np.bool_)
    is_cut[labels[ink & ~inner]] = True
    is_free = ~is_cut
    is_free[0] = False
    areas = np.where(is_free, statistics[:, cv2.CC_STAT_AREA], 0)
    largest, free = statistics[areas.argmax()], int(areas.sum())
    _, _, width, height = cv2.boundingRect(sheet.corners)
    size = max(largest[cv2.CC_STAT_WIDTH], largest[cv2.CC_STAT_HEIGHT])
    if not free or size < wanted.least_digit * min(width, height) or free > MOST_INK * sheet.area:
        return None
    if np.count_nonzero(is_cut[labels] & inner & ink) > most_cut * free:
        return None
    return is_free[labels]  # type: ignore[no-any-return]


def _is_bounded(sheet: _Sheet, shade: Grey) -> bool:
    """Return whether another shade is next to the hull's edge."""
    cv2 = opencv()
    ring = cv2.dilate(sheet.hull, np.ones((7, 7), np.uint8)) - cv2.dilate(sheet.hull, np.ones((3, 3), np.uint8))
    edge = cv2.countNonZero(ring)
    near_other = cv2.erode(shade, np.ones((5, 5), np.uint8)) == 0
    return bool(edge >= 0.1 * sheet.side and np.count_nonzero(near_other & (ring > 0)) >= BOUNDED * edge)


def _n_edges(sheet: _Sheet) -> int:
    """Return how many straight edges the hull has within the picture."""
    height, width = sheet.hull.shape
    corners = opencv().approxPolyDP(sheet.corners, 0.02 * (height + width), True)[:, 0]
    far = np.array([width, height]) - AT_EDGE

    def on_border(one: npt.NDArray[np.int32], other: npt.NDArray[np.int32]) -> bool:
        return bool(((one < AT_EDGE) & (other < AT_EDGE)).any() or ((one >= far) & (other >= far)).any())

    return sum(not on_border(corners[index - 1], corners[index]) for index in range(len(corners)))


def _desk(sheet: _Sheet, shade: Grey) -> npt.NDArray[np.bool_]:
    """Return the mask of what is beyond the hull, of another shade, and wider than a frame."""
    cv2 = opencv()
    width = sheet.frame
    beyond = ((shade == 0) & (sheet.hull == 0)).astype(np.uint8)
    padded = cv2.copyMakeBorder(beyond, *(width,) * 4, cv2.BORDER_REPLICATE)
    opened = cv2.morphologyEx(padded, cv2.MORPH_OPEN, np.ones((width, width), np.uint8))
    return opened[width:-width, width:-width] > 0  # type: ignore[no-any-return]


def _strokes_beyond(sheet: _Sheet, shade: Grey, desk: npt.NDArray[np.bool_]) -> int:
    """Return how many pixels of thin strokes there are further from the hull than a frame is thick."""
    cv2 = opencv()
    is_far = cv2.distanceTransform(1 - sheet.hull, cv2.DIST_L2, 3) > sheet.frame
    wide = cv2.dilate(desk.astype(np.uint8), np.ones((7, 7), np.uint8))  # with its corners, which opening rounds off
    return int(np.count_nonzero((shade == 0) & is_far & (wide == 0)))


def _ratio_of_widths(sheet: _Sheet, ink: npt.NDArray[np.bool_], least_in_box: float) -> float:
    """Return how wide the paper is in widths of the ink; 0 where it is an 8 whose holes are taken for ink.

    In a box, which is known by its shape, ink may be wider than the paper that it leaves: `least_in_box` is its ratio.
    """
    cv2 = opencv()
    paper_width, ink_width = (
        cv2.distanceTransform(cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 3).max()
        for mask in (sheet.piece, ink.astype(np.uint8))
    )
    ratio = float(paper_width / ink_width)
    least = least_in_box if sheet.area >= BOX * _rectangle(sheet.corners) else WIDER
    return ratio if ratio >= least else 0


def _inset(sheet: _Sheet, share: float) -> Grey:
    """Return the hull without the soft edge of its boundary; the picture's own border stays."""
    margin = max(2, round(share * sheet.side))
    kernel = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    return opencv().erode(sheet.hull, kernel, borderValue=1)  # type: ignore[no-any-return]


def _only(picture: Grey, inside: Grey) -> Paper:
    """Return the picture cut to the bounding box of the mask `inside`, with plain paper where that is 0.

    The paper's light is a plane fitted to the lighter or darker half of what is inside, whichever is more.
    """
    cv2 = opencv()
    left, top, width, height = cv2.boundingRect(inside)
    part = picture[top : top + height, left : left + width]
    mask = inside[top : top + height, left : left + width]
    if mask.all():
        return Paper(np.ascontiguousarray(part), top, left)
    # A few thousand pixels tell the light as well as all.
    step = max(1, math.isqrt(part.size // PLANE_PIXELS))
    some, is_inside = part[::step, ::step], mask[::step, ::step] > 0
    threshold, _ = cv2.threshold(some[is_inside].reshape(-1, 1), 0, 255, cv2.THRESH_OTSU)
    is_light = some > threshold
    n_light, n_inside = np.count_nonzero(is_light & is_inside), np.count_nonzero(is_inside)
    rows, columns = np.nonzero(is_inside & (is_light if 2 * n_light >= n_inside else ~is_light))
    basis = np.stack([np.ones(len(rows)), columns * step, rows * step], axis=1)
    # The normal equations, with a ridge that only a sheet of one row or column needs: 10 times as fast as `lstsq`.
    level, across, down = np.linalg.solve(basis.T @ basis + 1e-6 * np.eye(3), basis.T @ some[rows, columns])
    paper = np.empty((height, width), np.uint8)
    # Contiguous, so that the kernel is compiled for one layout only.
    lay_plane(np.ascontiguousarray(part), np.ascontiguousarray(mask), level, across, down, paper)
    return Paper(paper, top, left)
