"""What augment.py and randomness.py compute, in plain Python and NumPy float64, independent of the kernels."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fastmnist.shapes import SIDE

WORD = 2**64 - 1
MIDDLE = (SIDE - 1) / 2
Array = NDArray[np.float64]


def splitmix(seed: int, n: int) -> int:
    """Return the n-th output, from 0, of SplitMix64 (Steele et al. 2014) with this seed."""
    word = (seed + (n + 1) * 0x9E3779B97F4A7C15) & WORD
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & WORD
    return word ^ (word >> 31)


def uniform(key: int, n: int) -> float:
    """Return a number of [-1, 1): the 24 highest bits of the n-th word."""
    return (splitmix(key, n) >> 40) / 2**23 - 1


def displacement(key: int, first: int, elastic: float, smoothness: float) -> tuple[Array, int]:
    """Return white noise on a grid, smoothed by a Gaussian whose squares add up to 1 at each pixel; and its size.

    Its numbers are those of `key` from the one numbered `first` on. (Simard et al. 2003)
    """
    pixels = np.arange(SIDE) - MIDDLE
    n = int((MIDDLE + 2 * smoothness) // smoothness)
    centres = smoothness * np.arange(-n, n + 1)
    smooth = np.exp(-((pixels[:, None] - centres[None]) ** 2) / (2 * smoothness**2))
    smooth /= np.linalg.norm(smooth, axis=1, keepdims=True)
    noise = [uniform(key, first + number) for number in range(len(centres) ** 2)]
    moved: Array = elastic * np.sqrt(3) * smooth @ np.reshape(noise, (len(centres), -1)) @ smooth.T
    return moved, len(noise)


def strokes(image: Array, amount: float) -> Array:
    """Return the image moved by |amount| of the way to its dilation, or erosion, by a cross of five pixels."""
    padded = np.pad(image, 1)
    cross = [padded[1:-1, 1:-1], padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]
    goal = np.max(cross, axis=0) if amount > 0 else np.min(cross, axis=0)
    moved: Array = np.floor(image + (goal - image) * abs(amount) + 0.5)
    return moved


def augment(image: NDArray[np.uint8], key: int, strengths: Mapping[str, float], smoothness: float) -> NDArray[np.uint8]:
    """Return the distorted copy of an image (28, 28) that a key selects; strengths as in augment.Strengths."""
    angle = strengths["rotation"] * uniform(key, 0)
    width, height = 1 + strengths["scale"] * uniform(key, 1), 1 + strengths["scale"] * uniform(key, 2)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[1, strengths["shear"] * uniform(key, 3)], [0, 1]])
    matrix = rotation @ shear @ np.diag([1 / width, 1 / height])
    y, x = np.mgrid[:SIDE, :SIDE] - MIDDLE
    column, row = np.einsum("ij,jyx->iyx", matrix, np.array([x, y])) + MIDDLE
    across, n = displacement(key, 7, strengths["elastic"], smoothness)
    down, _ = displacement(key, 7 + n, strengths["elastic"], smoothness)
    column += strengths["translation"] * uniform(key, 4) + across
    row += strengths["translation"] * uniform(key, 5) + down

    amount = np.trunc(256 * strengths["thickness"] * uniform(key, 6)) / 256
    padded = np.pad(strokes(image.astype(np.float64), amount), 2)
    column, row = (np.floor(256 * np.clip(place + 1, 0, SIDE + 1)) / 256 + 1 for place in (column, row))
    left, above = np.floor(column).astype(int), np.floor(row).astype(int)
    right, below = column - left, row - above
    upper = padded[above, left] * (1 - right) + padded[above, left + 1] * right
    lower = padded[above + 1, left] * (1 - right) + padded[above + 1, left + 1] * right
    copy: NDArray[np.uint8] = np.floor(upper * (1 - below) + lower * below + 0.5).astype(np.uint8)
    return copy
