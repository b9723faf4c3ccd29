"""Takes the specks of scans in black and white off a page's ink: salt and pepper, and dither."""

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv

Grey = npt.NDArray[np.uint8]

MANY = 300  # pieces, of which
MOST_OTHERS = 0.1  # are no specks, at most
LARGEST = 3  # pixels of a speck's sides, at most
APERTURE = 3  # pixels of the median's window: what fills less than half of it is gone


def are_specks(pieces: npt.NDArray[np.int32]) -> bool:
    """Return whether nearly all of many pieces of ink, (n, 5) as `measured_parts` returns them, are specks."""
    if len(pieces) < MANY:
        return False
    sides = pieces[:, 2:4] - pieces[:, :2]
    return int((sides > LARGEST).any(axis=1).sum()) <= MOST_OTHERS * len(pieces)


def without_specks(ink: Grey) -> Grey:
    """Return a page's ink without specks; strokes of one pixel are lost too."""
    return np.asarray(opencv().medianBlur(ink, APERTURE), np.uint8)
