"""A grey picture of a digit, of any size -> MNIST's form, in the way that MNIST itself was made.

MNIST's digits were cut out of black-and-white scans, scaled to fit 20x20 pixels with their aspect ratio kept, which
gave them grey edges, and put into 28x28 pixels with their centre of mass in the middle (LeCun et al., Gradient-based
learning applied to document recognition, 1998, section III.A), moved by whole pixels only (Yadav and Bottou, Cold
case: the lost MNIST digits, 2019, section 2).
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.errors import DataError
from fastmnist.images.decode import opencv
from fastmnist.images.ink import Grey, Ink, find_ink
from fastmnist.images.paper import on_paper
from fastmnist.images.ruled_lines import without_ruled_lines
from fastmnist.shapes import SIDE

BOX = 20  # the longest side of a digit within the 28x28 pixels
CENTRE = 14  # where the centre of mass goes, rounded: [13.5, 14.5) in pixel indices

WORKING_SIDE = 320  # larger pictures are shrunk first: lossless for digits larger than 1/16 of the picture
FRAME = 12  # a frame is at most 1/12 of the picture wide,
FRAME_STEP = 30  # and differs from what it surrounds by at least this many grey levels
SPECK = 0.03  # of the largest component's area: anything smaller is a speck
REACH = 0.4  # of the digit's size: strokes further away don't belong to it
THIN, THICK = 1.7, 5.0  # stroke widths in the 20x20 box beyond which strokes are normalised,
THICKENED, THINNED = 2.5, 3.8  # and to which widths
EDGE = 0.5  # of the ink's depth: where a digit ends


def normalize(picture: Grey) -> Grey:
    """Return the digit in `picture`, uint8 (height, width) of any size, in MNIST's form: uint8 (28, 28).

    Handles dark ink on light and light ink on dark, uneven illumination, specks, frames and lines at the border,
    printed boxes, sheets on a desk, any position and size. Raises DataError, without a file's name, if no ink is found,
    or clearly more than one digit.
    """
    ink = find_ink(_without_frame(on_paper(_shrunk(picture))))
    return _placed(_boxed(_cut(_with_usual_strokes(_digit(without_ruled_lines(ink))))))


def _shrunk(picture: Grey) -> Grey:
    """Return the picture with no side longer than WORKING_SIDE."""
    scale = WORKING_SIDE / max(picture.shape)
    if scale >= 1:
        return picture
    height, width = (max(1, round(side * scale)) for side in picture.shape)
    cv2 = opencv()
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[no-any-return]


def _without_frame(picture: Grey) -> Grey:
    """Return the picture without the dark or light edges that a scanner or a screenshot leaves at any side."""
    for _ in range(4):
        picture = np.rot90(picture)
        depth = len(picture) // FRAME
        step = picture[:depth].astype(np.int16) - picture[depth]
        # A frame's row differs from the row further in, in the same direction, nearly everywhere.
        n_far = [np.count_nonzero(is_far, axis=1) for is_far in (step > FRAME_STEP, step < -FRAME_STEP)]
        is_frame = np.maximum(*n_far) > 0.95 * picture.shape[1]
        picture = picture[np.flatnonzero(is_frame)[-1] + 1 + depth // 4 :] if is_frame.any() else picture
    return np.ascontiguousarray(picture)


class _Component(NamedTuple):
    """A connected component of ink: its label, bounding box and area in pixels."""

    label: int
    left: int
    top: int
    width: int
    height: int
    area: int

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height


def _digit(ink: Ink) -> Ink:
    """Return the digit in `ink`, cropped to its bounding box; everything else is 0.

    Raises DataError for clearly more than one digit.
    """
    cv2 = opencv()
    core = (ink > 0.5).astype(np.uint8)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(core, connectivity=8, ltype=cv2.CV_16U)
    components = [_Component(label, *row) for label, row in enumerate(statistics.tolist())][1:]
    strokes = _strokes(_without_margin(components, labels))
    is_stroke = np.zeros(len(statistics), np.uint8)
    is_stroke[[stroke.label for stroke in strokes]] = 1
    core = is_stroke[labels]
    # Keep the ink's soft edge: two pixels around its core.
    near = cv2.dilate(core, np.ones((5, 5), np.uint8))
    return _cut(ink * near, 0)


def _cut(digit: Ink, edge: float | None = None) -> Ink:
    """Return `digit` without the empty rows and columns around it.

    In a small picture pixels are as large as MNIST's, and a digit ends with its last grey pixel; in a large one the
    lens blurs the edge, and the digit ends at EDGE of the ink's depth.
    """
    cv2 = opencv()
    if edge is None:
        _, _, width, height = cv2.boundingRect((digit > 0.5).astype(np.uint8))
        edge = EDGE * max(0, 1 - BOX / max(width, height))
    left, top, width, height = cv2.boundingRect((digit > edge).astype(np.uint8))
    return digit[top : top + height, left : left + width]


def _with_usual_strokes(digit: Ink) -> Ink:
    """Return the digit with stroke widths as in MNIST: much thinner strokes are dilated, much thicker ones eroded."""
    cv2 = opencv()
    size = max(digit.shape)
    if size < 2 * BOX:
        return digit
    core = np.pad((digit > 0.5).astype(np.uint8), 1)
    # Within a stroke of width w the mean distance to its edge is w / 4.
    width = (4 * float(cv2.distanceTransform(core, cv2.DIST_L2, 3)[core > 0].mean()) - 1) * BOX / size
    if THIN <= width <= THICK:
        return digit
    change = round(abs((THICKENED if width < THIN else THINNED) - width) * size / BOX)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (change + 1, change + 1))
    padded = np.pad(digit, change + 1)
    return cv2.dilate(padded, kernel) if width < THIN else cv2.erode(padded, kernel)  # type: ignore[no-any-return]


def _without_margin(components: list[_Component], labels: npt.NDArray[np.uint16]) -> list[_Component]:
    """Return the components without those that touch the border and aren't a digit: frames, lines and neighbours."""
    height, width = labels.shape
    inset = max(1, min(height, width) // 12)
    inner = np.bincount(labels[inset:-inset, inset:-inset].ravel(), minlength=len(components) + 1)
    inside = [c for c in components if c.left > 0 and c.top > 0 and c.right < width and c.bottom < height]
    largest = max((c.area for c in inside), default=0)

    def is_foreign(c: _Component) -> bool:
        is_line = max(c.width, c.height) > 8 * min(c.width, c.height)
        return c.area < largest or is_line or inner[c.label] < 0.4 * c.area

    return [c for c in components if c in inside or not is_foreign(c)] or components


def _strokes(components: list[_Component]) -> list[_Component]:
    """Return the components that make up the digit: the largest, and those near it that aren't specks.

    Raises DataError for clearly more than one digit.
    """
    largest = max(components, key=lambda c: c.area)
    rest = [c for c in components if c is not largest and c.area >= SPECK * largest.area]
    _refuse_several([largest, *rest])
    strokes = [largest]
    # A stroke may be connected to the digit through another one.
    while near := [c for c in rest if any(_gap(c, stroke) <= REACH * _size(largest) for stroke in strokes)]:
        strokes += near
        rest = [c for c in rest if c not in near]
    return strokes


def _size(component: _Component) -> int:
    return max(component.width, component.height)


def _gap(one: _Component, other: _Component) -> float:
    """Return the distance between two boxes in pixels, 0 where they overlap."""
    across = max(one.left, other.left) - min(one.right, other.right)
    down = max(one.top, other.top) - min(one.bottom, other.bottom)
    return math.hypot(max(0, across), max(0, down))


def _refuse_several(pieces: list[_Component]) -> None:
    """Raise DataError if several pieces, each as high as a digit, form a row that is wider than high."""
    tallest = max(piece.height for piece in pieces)
    row = sorted((piece for piece in pieces if piece.height >= 0.6 * tallest), key=lambda c: c.left)
    apart = sum(left.right <= right.left for left, right in pairwise(row))
    if apart and row[-1].right - row[0].left > 1.2 * tallest:
        raise DataError(f"{apart + 1} digits side by side, expected one; cut them into a picture each")


def _boxed(digit: Ink) -> Ink:
    """Return the digit scaled so that its longest side is BOX pixels, its aspect ratio kept."""
    cv2 = opencv()
    scale = BOX / max(digit.shape)
    height, width = (max(1, round(side * scale)) for side in digit.shape)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(digit, (width, height), interpolation=interpolation)  # type: ignore[no-any-return]


def _placed(digit: Ink) -> Grey:
    """Return 28x28 pixels with the digit's ink at full range and its centre of mass in [13.5, 14.5) on both axes.

    The digit is shifted by whole pixels, and never past the edge.
    """
    total = float(digit.sum())
    height, width = digit.shape
    row = float(digit.sum(axis=1) @ np.arange(height)) / total
    column = float(digit.sum(axis=0) @ np.arange(width)) / total
    top = min(max(0, math.ceil(CENTRE - 0.5 - row)), SIDE - height)
    left = min(max(0, math.ceil(CENTRE - 0.5 - column)), SIDE - width)
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[top : top + height, left : left + width] = np.rint(digit * (255 / digit.max()))
    return image
