"""Takes the specks of scans in black and white off a page's ink: salt and pepper, and dither."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv
from fastmnist.numbers.lines import Part

Grey = npt.NDArray[np.uint8]

MANY = 300  # pieces, of which
MOST_OTHERS = 0.1  # are no specks, at most
LARGEST = 3  # pixels of a speck's sides, at most
APERTURE = 3  # pixels of the median's window: what fills less than half of it is gone


def without_specks(ink: Grey, parts: Sequence[Part]) -> Grey:
    """Return a page's ink, the same array unless nearly all of its many pieces, `parts`, are specks.

    A stroke that is one pixel wide would be lost too: hence not where there are few.
    """
    if len(parts) < MANY:
        return ink
    n_others = sum(part.height > LARGEST or part.width > LARGEST for part in parts)
    if n_others > MOST_OTHERS * len(parts):
        return ink
    return np.asarray(opencv().medianBlur(ink, APERTURE), np.uint8)
