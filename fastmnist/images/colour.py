"""Ink and paper of different colours but the same grey: the contrast that a grey picture does not have."""

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv

Grey = npt.NDArray[np.uint8]

LEAST_SPREAD = 40.0  # levels between the ends: less may be the noise of colours in a JPEG
ROWS = 64  # that are done at a time: NumPy makes float32 of all three channels, 600 MB for 50 megapixels
THUMBNAIL = 64  # pixels a side: enough to tell along which direction the colours differ most


def strongest_contrast(picture: npt.NDArray[np.uint8] | None) -> Grey | None:
    """Return a picture of three channels, uint8 (height, width, 3), in the greys in which it differs most.

    These are its colours' first principal component, over the full range. None where the colours hardly differ, and
    for no picture.
    """
    if picture is None:
        return None
    cv2 = opencv()
    height, width = (min(side, THUMBNAIL) for side in picture.shape[:2])
    colours = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).reshape(-1, 3).astype(np.float64)
    middle = colours.mean(axis=0)
    _, directions = np.linalg.eigh((colours - middle).T @ (colours - middle))
    direction = directions[:, -1].astype(np.float32)
    along = np.empty(picture.shape[:2], np.float32)
    for top in range(0, len(along), ROWS):
        strip = picture[top : top + ROWS]
        along[top : top + ROWS] = (strip.reshape(-1, 3) @ direction).reshape(strip.shape[:2])
    darkest, lightest = float(along.min()), float(along.max())
    if lightest - darkest < LEAST_SPREAD:
        return None
    along -= darkest
    along *= np.float32(255 / (lightest - darkest))
    return np.rint(along, out=along).astype(np.uint8)
