"""A grey picture -> how much ink each of its pixels has: dark on light or light on dark, in any light."""

import numpy as np
import numpy.typing as npt

from fastmnist.data.images import opencv
from fastmnist.errors import DataError

Grey = npt.NDArray[np.uint8]
Ink = npt.NDArray[np.float32]  # 0 for paper, about 1 for full ink

LIGHT_SIDE = 64  # the light changes slowly: a picture so small knows all about it
MIN_CONTRAST = 0.08  # of the full range: less is paper, noise or shadow, not ink
LEAST_SIGNAL = 6  # standard deviations of the noise, the same


def find_ink(picture: Grey) -> Ink:
    """Return how much ink each pixel has, float32 in the shape of `picture`: 0 for paper, about 1 for full ink.

    Raises DataError where nothing stands out of the paper and its noise.
    """
    ink = _contrast(picture)
    is_core = ink > _otsu(ink)
    paper = ink[~is_core]
    level = np.median(paper)
    noise = 1.4826 * np.median(np.abs(paper - level))  # of a normal distribution: its standard deviation
    depth = np.median(ink[is_core]) - level if is_core.any() else 0
    if depth < max(MIN_CONTRAST, LEAST_SIGNAL * noise):
        raise DataError("no ink found, expected a digit darker or lighter than its background")
    ink -= level
    ink[ink <= 3 * noise] = 0
    return ink / np.float32(depth)


def _contrast(picture: Grey) -> Ink:
    """Return how far each pixel is from the light of the paper, 0 to 1: a share of it for dark ink, else a difference.

    Closing fills whatever is darker than its surroundings and narrower than half of the picture, and leaves
    slopes and domes of light alone; opening does it for light ink.
    """
    cv2 = opencv()
    height, width = picture.shape
    scale = min(1, LIGHT_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    is_dark = _has_dark_ink(small)
    paper = _smoothed(small, cv2.MORPH_CLOSE if is_dark else cv2.MORPH_OPEN)
    paper = cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)
    difference = cv2.subtract(paper, picture) if is_dark else cv2.subtract(picture, paper)  # not below 0
    ink = difference.astype(np.float32)
    ink /= np.maximum(paper, 1) if is_dark else np.float32(255)
    return ink  # type: ignore[no-any-return]


def _has_dark_ink(picture: Grey) -> bool:
    """Tell whether a picture has dark ink on light paper.

    Most of what lies near the border is paper. A curved surface is laid through it, so that a lamp at one side or dark
    corners don't matter. Ink is what is furthest from that surface: cubes keep the sign and count the far pixels most.
    """
    height, width = picture.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    ring = np.ones(picture.shape, np.bool_)
    ring[1:-1, 1:-1] = False
    weights = np.ones(np.count_nonzero(ring))
    for _ in range(8):  # reweighted least squares: from the mean surface to the median one, which strokes don't bend
        root = np.sqrt(weights)
        surface = terms @ np.linalg.lstsq(terms[ring] * root[:, None], picture[ring] * root, rcond=None)[0]
        distance = picture - surface
        weights = 1 / (np.abs(distance[ring]) + 1)
    return float((distance**3).sum()) < 0


def _smoothed(picture: Grey, operation: int) -> Grey:
    """Return the closing or opening of a picture by a window of half its size.

    Beyond its border the picture goes on as it ends, so that a slope of light isn't taken for the side of a valley.
    """
    cv2 = opencv()
    down, across = (max(1, side // 4) for side in picture.shape)
    window = np.ones((2 * down + 1, 2 * across + 1), np.uint8)
    padded = cv2.copyMakeBorder(picture, 2 * down, 2 * down, 2 * across, 2 * across, cv2.BORDER_REPLICATE)
    smoothed = cv2.morphologyEx(padded, operation, window)
    return smoothed[2 * down : -2 * down, 2 * across : -2 * across]  # type: ignore[no-any-return]


def _otsu(ink: Ink) -> float:
    """Return Otsu's threshold (A threshold selection method from gray-level histograms, 1979)."""
    cv2 = opencv()
    depth = float(ink.max()) or 1.0
    threshold, _ = cv2.threshold((ink * (255 / depth)).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    return float((threshold + 0.5) * depth / 255)
