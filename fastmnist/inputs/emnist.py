"""EMNIST's files hold their images transposed: known by the name, they are turned upright."""

import os

import numpy as np
import numpy.typing as npt

from fastmnist.errors import AnyPath, printable
from fastmnist.shapes import IMAGE_SHAPE, N_PIXELS


def is_emnist(path: AnyPath) -> bool:
    """Tell whether a file's name says that it is EMNIST's: emnist-digits-train-images-idx3-ubyte, say."""
    return "emnist" in os.path.basename(os.fsdecode(path)).lower()


def upright(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return transposed images, uint8 (n, 784), upright (Cohen et al. 2017, EMNIST: columns were written first)."""
    turned = pixels.reshape(-1, *IMAGE_SHAPE).transpose(0, 2, 1)
    return np.ascontiguousarray(turned).reshape(len(pixels), N_PIXELS)


def note(path: AnyPath) -> str:
    """Return the line that tells the user so."""
    return f"{printable(path)}: EMNIST by its name, whose images are stored transposed: turned upright"
