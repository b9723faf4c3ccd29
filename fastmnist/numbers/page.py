"""The ink of a picture that may show many digits: light evened, paper taken away, no larger than it need be."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv
from fastmnist.kernels.numbers.contrast import close_page, fill_ink
from fastmnist.kernels.picture.ink import DIM, MIN_CONTRAST, MIN_SIGNAL
from fastmnist.kernels.picture.work import MARGINS, SLACK

Grey = npt.NDArray[np.uint8]

LONGEST = 1600  # pixels: larger pictures are shrunk first; digits of a hundred in a line are still 16 wide
LEAST_SIDE = 64  # pixels: smaller pictures are enlarged first, at most by
MOST_ENLARGED = 4
LOOK = 120  # pixels of the longest side are enough to tell whether the ink is dark, and whether its strokes are wide
# Of the shorter side: the window of the median that tells the paper. In larger ones the light side of a shadow is no
# paper, narrower ones are filled by thick strokes.
AROUND = 0.5
WINDOW, MOST_WINDOW = 0.4, 81  # of the shorter side, and in pixels: what is narrower is ink, what is wider is paper
GAINS = np.float32(255) / np.maximum(np.arange(256), DIM).astype(np.float32)  # of contrast, by the paper's grey
HOLLOW = 0.5  # of the ink: with more of it in strokes as wide as the window a page is read smaller
FAINT = 3.0  # standard deviations of the noise: less is paper
DEEP = 0.5  # of the ink's depth: the core of a stroke has more


class Page(NamedTuple):
    """The ink of a picture, uint8 (height, width), 0 for paper and 255 for full ink.

    scale: pixels of the picture, whose shape is `of_picture`, for each of `ink`.
    """

    ink: Grey
    scale: float
    of_picture: tuple[int, int]


def core_of(ink: Grey) -> Grey:
    """Return where the cores of strokes are in a page's ink: 1, else 0."""
    return (ink > DEEP * 255).view(np.uint8)


def find_ink(picture: Grey, least_scale: float = 0.0) -> Page | None:
    """Return the ink of a grey picture (height, width), None where nothing stands out from the paper.

    `least_scale`: at least this many pixels of the picture, along a side, become one.
    """
    cv2 = opencv()
    # Kernels are compiled for arrays like this one, and would be compiled again for others.
    dark, scale = _sized(np.require(picture, np.uint8, ["C", "W"]), least_scale)
    shrink = min(1.0, LOOK / max(dark.shape))
    small = _scaled(dark, shrink) if shrink < 1 else dark
    if not _is_dark(small):
        dark, small = 255 - dark, 255 - small
    if _is_hollow(small, MOST_WINDOW * shrink):
        shrink = MOST_WINDOW / (WINDOW * min(dark.shape))
        dark, scale = _scaled(dark, shrink), scale / shrink
    paper = _closed(cv2.GaussianBlur(dark, (3, 3), 0), min(MOST_WINDOW, WINDOW * min(dark.shape)))
    ink, counts, table = np.empty(dark.size, np.uint8), np.empty(256, np.int64), np.empty(256, np.uint8)
    if not fill_ink(paper.ravel(), dark.ravel(), GAINS, MIN_CONTRAST, MIN_SIGNAL, FAINT, counts, table, ink):
        return None
    return Page(ink.reshape(dark.shape), scale, (picture.shape[0], picture.shape[1]))


def _sized(picture: Grey, least_scale: float) -> tuple[Grey, float]:
    """Return the picture at a size to work with, and pixels of it for each of those."""
    longest, shortest = max(picture.shape), min(picture.shape)
    scale = min(max(1.0, min(MOST_ENLARGED, LEAST_SIDE / shortest)), LONGEST / longest)
    if least_scale > 0:
        scale = min(scale, 1 / least_scale)
    if scale == 1:
        return picture, 1.0
    return _scaled(picture, scale), 1 / scale


def _scaled(picture: Grey, scale: float) -> Grey:
    cv2 = opencv()
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def _is_dark(small: Grey) -> bool:
    """Return whether the ink is darker than the paper, which is what most of any window shows that is large enough."""
    window = round(AROUND * min(small.shape)) // 2 * 2 + 1
    around = opencv().medianBlur(small, window)
    above = small.astype(np.float32) - around
    return float((above * above * above).sum()) <= 0


def _is_hollow(small: Grey, narrow: float) -> bool:
    """Return whether most of the dark ink that a window `narrow` pixels wide finds is of strokes that are wider.

    Of these it finds the ends and the edges alone.
    """
    wide = WINDOW * min(small.shape)
    if narrow >= wide:
        return False
    cv2 = opencv()
    paper, narrow_paper = _closed(small, wide), _closed(small, narrow)
    deep = max(MIN_CONTRAST, DEEP * float((paper - small).max()))
    is_lost = paper - narrow_paper > deep
    if not is_lost.any():
        return False
    part_of = cv2.connectedComponents((paper - small > deep).astype(np.uint8), ltype=4)[1]
    is_wide = np.isin(part_of, part_of[is_lost & (part_of > 0)]).astype(np.uint8)
    is_around = cv2.dilate(is_wide, np.ones((3, 3), np.uint8)) > 0  # soft edges
    found = narrow_paper - small
    found[found < MIN_CONTRAST] = 0
    return float(found[is_around].sum()) > HOLLOW * float(found.sum())


def _closed(dark: Grey, window: float) -> Grey:
    """Return a picture without what is darker than its surroundings and narrower than a window, at least 3 pixels."""
    n = dark.size
    paper, padded = np.empty(n + SLACK, np.uint8), np.empty(2 * MARGINS * n + 2 * SLACK, np.uint8)
    close_page(dark, max(3, round(window)) // 2, paper, padded)
    return paper[:n].reshape(dark.shape)
