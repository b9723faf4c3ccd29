"""Ruled lines across a page, taken out of its ink."""

from typing import NamedTuple

import numpy as np

from fastmnist.kernels.jit import serial_kernel
from fastmnist.kernels.picture.ink import Ink
from fastmnist.kernels.picture.lines import remove_lines


class RuleWork(NamedTuple):
    """Of Work what lines need, made for each page, which may have any size."""

    ink: np.ndarray  # (height * width + SLACK,) uint8
    before: np.ndarray  # (height * width,) uint8
    spare: np.ndarray  # (height * width,) uint8
    padded: np.ndarray  # (2 * height * width + SLACK,) uint8
    lengths: np.ndarray  # (the longer side + SLACK,) int32
    row: np.ndarray  # (the longer side,) float32


@serial_kernel
def remove_rules(work, height, width, thickest):
    """Take ruled lines, at most so thick, out of a RuleWork's ink; return how many. The rest of it is scratch."""
    return remove_lines(work, height, width, Ink(True, 0, 255, 0.0), thickest, True)
