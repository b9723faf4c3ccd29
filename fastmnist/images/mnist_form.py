"""Which images of 28x28 pixels are already in MNIST's form, and are left as they are."""

import numpy as np
import numpy.typing as npt

from fastmnist.kernels.picture.place import CENTRE
from fastmnist.shapes import SIDE

BRIGHT = 127  # MNIST's digits all have pixels of 254 or 255,
LEAST_SIZE, MOST_SIZE = 12, 22  # and the box of those brighter than this is 13 to 20 pixels in its longer side


def in_mnist_form(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return which of the images (n, 28, 28) are already in MNIST's form: bool (n,).

    Their border is black (its median is 0), their centre of mass lies in [13, 15), in pixel indices, on both axes, and
    the box of their bright pixels is about as large as those of MNIST's digits.
    """
    size = np.maximum(*(_extent(images > BRIGHT, axis) for axis in (1, 2)))
    is_sized = (size >= LEAST_SIZE) & (size <= MOST_SIZE)
    return _has_black_border(images) & _is_central(images) & is_sized


def _has_black_border(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    top_and_bottom, sides = images[:, :: SIDE - 1], images[:, 1:-1, :: SIDE - 1]
    n_grey = sum(np.count_nonzero(part, axis=(1, 2)) for part in (top_and_bottom, sides))
    return np.asarray(n_grey < 2 * (SIDE - 1))


def _is_central(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    greys = images.reshape(-1, SIDE * SIDE).astype(np.float32)  # whose sums are exact: they are below 2**24
    places = np.mgrid[:SIDE, :SIDE].reshape(2, -1).astype(np.float32)
    total = np.einsum("np->n", greys)
    least, most = (CENTRE - 1) * total, (CENTRE + 1) * total
    down, across = (np.einsum("np,p->n", greys, place) for place in places)  # 3 times as fast as sums of integers
    return np.asarray((least <= down) & (down < most) & (least <= across) & (across < most))


def _extent(is_bright: npt.NDArray[np.bool_], axis: int) -> npt.NDArray[np.int64]:
    """Return from the first to the last line across `axis` with a bright pixel, how many lines that is: int64 (n,)."""
    n_bright = np.einsum("nyx->ny" if axis == 1 else "nyx->nx", is_bright.astype(np.float32))
    has_any = n_bright > 0
    n_lines = SIDE - has_any.argmax(axis=1) - has_any[:, ::-1].argmax(axis=1)
    return np.where(has_any.any(axis=1), n_lines, 0)
