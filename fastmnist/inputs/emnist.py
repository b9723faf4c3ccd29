"""EMNIST's files store their images transposed: they are recognised by name and turned upright."""

import math

import numpy as np
import numpy.typing as npt

from fastmnist.errors import AnyPath, printable
from fastmnist.remote.address import file_name


def is_emnist(path: AnyPath) -> bool:
    """Tell whether a file's name says that it is EMNIST's: emnist-digits-train-images-idx3-ubyte, say."""
    return "emnist" in file_name(path).lower()


def upright(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return transposed images, uint8 (n, side * side), upright (Cohen et al. 2017, EMNIST: columns come first)."""
    side = math.isqrt(pixels.shape[1])
    turned = pixels.reshape(-1, side, side).transpose(0, 2, 1)
    return np.ascontiguousarray(turned).reshape(pixels.shape)


def note(path: AnyPath) -> str:
    """Return the line that tells the user so."""
    return f"{printable(path)}: named like EMNIST, whose images are stored transposed: turning them upright"
