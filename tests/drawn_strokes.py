"""Pictures for the tests of the picture reader's kernels."""

import cv2
import numpy as np

from fastmnist.kernels.picture.work import SLACK


def random_picture(shape, seed=0):
    """Soft blobs over all greys, uint8."""
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.integers(0, 256, shape).astype(np.uint8), (0, 0), 1.2)


def strokes(shape, seed=0, n=6):
    """A few ellipses and lines of ink, 0 or 1."""
    rng, picture = np.random.default_rng(seed), np.zeros(shape, np.uint8)
    height, width = shape
    for _ in range(n):
        middle = int(rng.integers(width)), int(rng.integers(height))
        axes = int(rng.integers(1, width // 3 + 2)), int(rng.integers(1, height // 3 + 2))
        cv2.ellipse(picture, middle, axes, int(rng.integers(180)), 0, 300, 1, int(rng.integers(1, 5)))
    return picture


def with_slack(picture):
    """The picture's pixels, and behind them the largest ones, which must change nothing."""
    return np.append(picture.ravel(), np.full(SLACK, 255, picture.dtype))
