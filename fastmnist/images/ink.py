"""A grey picture -> how much ink each of its pixels has: dark on light or light on dark, under any illumination."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from fastmnist.errors import DataError
from fastmnist.images.decode import opencv

Grey = npt.NDArray[np.uint8]
Ink = npt.NDArray[np.float32]  # 0 for paper, about 1 for full ink

ILLUMINATION_SIDE = 64  # pixels: illumination changes slowly, so a thumbnail captures it
MIN_CONTRAST = 0.08  # of the full range: less is paper, noise or shadow, not ink
MIN_SIGNAL = 6  # minimum signal-to-noise ratio, in standard deviations of the noise


def find_ink(picture: Grey) -> Ink:
    """Return how much ink each pixel has, float32 in the shape of `picture`: 0 for paper, about 1 for full ink.

    Raises DataError if nothing stands out from the paper and its noise.
    """
    ink = _contrast(picture)
    is_core = ink > _otsu(ink)
    paper = ink[~is_core]
    level = _median(paper)
    noise = 1.4826 * _median(np.abs(paper - level))  # the standard deviation, if it is normal
    depth = _median(ink[is_core]) - level if is_core.any() else 0
    if depth < max(MIN_CONTRAST, MIN_SIGNAL * noise):
        raise DataError("no ink found, expected a digit darker or lighter than its background")
    ink -= level
    ink[ink <= 3 * noise] = 0
    return ink / np.float32(depth)


def _median(values: Ink) -> float:
    """Return the median (the larger middle one of an even number). Sorting is vectorised: 4 times np.median's speed."""
    return float(np.sort(values)[len(values) // 2])


def _contrast(picture: Grey) -> Ink:
    """Return each pixel's contrast with the paper, 0 to 1: relative to it for dark ink, the difference for light ink.

    Ink is what differs most from the illumination at the border; cubing keeps the sign and weights large differences.
    """
    cv2 = opencv()
    height, width = picture.shape
    scale = min(1, ILLUMINATION_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    illumination = _illumination(small)
    is_dark = float(((small - illumination) ** 3).sum()) < 0
    paper = _without_ink(small, illumination, cv2.MORPH_CLOSE if is_dark else cv2.MORPH_OPEN)
    paper = cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)
    difference = cv2.subtract(paper, picture) if is_dark else cv2.subtract(picture, paper)  # not below 0
    ink = difference.astype(np.float32)
    ink /= np.maximum(paper, 1) if is_dark else np.float32(255)
    return ink  # type: ignore[no-any-return]


def _illumination(picture: Grey) -> npt.NDArray[np.float64]:
    """Return the illumination of a picture, in its shape: a curved surface fitted to the border.

    Most of the border is paper, perhaps lit from one side and darker far from the middle: a plane plus the squared
    distance. (Separate x and y squares would follow a digit that touches two opposite sides; a square that rises would
    follow one that touches all four.) Iteratively reweighted least squares minimise the absolute residuals, so strokes
    that cross the border don't bend the surface.
    """
    ring, basis = _surfaces(*picture.shape)
    border, on_ring = picture.ravel()[ring].astype(np.float64), basis[ring]
    weights = np.ones(len(ring))
    for _ in range(8):
        weighted = on_ring * weights[:, np.newaxis]
        products, sums = weighted.T @ on_ring, border @ weighted
        factors = np.linalg.solve(products, sums)
        if len(factors) == 4 and factors[3] > 0:
            factors = np.append(np.linalg.solve(products[:3, :3], sums[:3]), 0)
        weights = 1 / (np.abs(border - on_ring @ factors) + 1)
    return (basis @ factors).reshape(picture.shape)


@lru_cache(maxsize=64)
def _surfaces(height: int, width: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Return the border's pixels, indices (n,), and the basis of the fit, (height * width, at most 4).

    The basis is 1, x, y and x * x + y * y, orthonormalised on the border in that order, so that any positive weights
    give a unique fit; those that coincide there with earlier ones, as in a picture of one row, are left out.
    """
    y, x = (axis.ravel() for axis in np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j])
    rows, columns = np.divmod(np.arange(height * width), width)
    ring = np.flatnonzero((rows == 0) | (rows == height - 1) | (columns == 0) | (columns == width - 1))
    surfaces: list[npt.NDArray[np.float64]] = []
    for surface in (np.ones_like(x), x, y, x * x + y * y):
        for other in surfaces:
            surface = surface - (surface[ring] @ other[ring]) * other
        length = np.linalg.norm(surface[ring])
        if length > 1e-6:
            surfaces.append(surface / length)
    return ring, np.stack(surfaces, axis=-1)


def _without_ink(picture: Grey, illumination: npt.NDArray[np.float64], operation: int) -> Grey:
    """Return the picture as if it had no ink: closed, or opened, by a window of half its size.

    Closing fills whatever is darker than its surroundings and narrower than the window, and leaves slopes and domes of
    illumination alone; opening does the same for light ink. The picture is padded with the `illumination` at its
    border, so that neither a slope nor a stroke that crosses the border is cut off.
    """
    cv2 = opencv()
    height, width = picture.shape
    down, across = max(1, height // 4), max(1, width // 4)
    window = np.ones((2 * down + 1, 2 * across + 1), np.uint8)
    beyond = np.rint(illumination).clip(0, 255).astype(np.uint8)
    padded = cv2.copyMakeBorder(beyond, *(2 * down,) * 2, *(2 * across,) * 2, cv2.BORDER_REPLICATE)
    inside = slice(2 * down, 2 * down + height), slice(2 * across, 2 * across + width)
    padded[inside] = picture
    return cv2.morphologyEx(padded, operation, window)[inside]  # type: ignore[no-any-return]


def _otsu(ink: Ink) -> float:
    """Return Otsu's threshold (A threshold selection method from gray-level histograms, 1979)."""
    cv2 = opencv()
    depth = float(ink.max()) or 1.0
    threshold, _ = cv2.threshold((ink * (255 / depth)).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    return float((threshold + 0.5) * depth / 255)
