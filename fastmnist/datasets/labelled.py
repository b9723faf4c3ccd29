"""Labelled images: what becomes of a data set, whatever its form."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class LabelledImages(NamedTuple):
    """One split of a data set.

    pixels: uint8 (n, 784), n > 0 unless there are errors. labels: uint8 (n,), positions in `class_names`.
    errors: a line for each image that could not be read, and is not among the n.
    preprocess: how image files are brought into the form of these images (data/preprocess.py).
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    class_names: list[str]
    errors: list[str]
    preprocess: str
