"""Distorted copies of training images, new ones in every epoch."""

import math

import numpy as np

from fastmnist.kernels import augment, jit
from fastmnist.model.network import Order, Uint8
from fastmnist.shapes import N_PIXELS, SIDE
from fastmnist.training.recipes import Augmentation


class Augmenter:
    """Makes distorted copies of up to `max_samples` images a call, in memory of its own."""

    def __init__(self, augmentation: Augmentation, max_samples: int) -> None:
        self._strengths = augment.Strengths(
            rotation=np.float32(math.radians(augmentation.rotation)),
            scale=np.float32(augmentation.scale),
            shear=np.float32(augmentation.shear),
            translation=np.float32(augmentation.translation),
            elastic=np.float32(augmentation.elastic),
            thickness=np.float32(augmentation.thickness),
        )
        basis = augment.make_basis(augmentation.smoothness)
        self._n_basis, self._columns = basis.shape[1], augment.make_columns(basis)
        self._copies: Uint8 = np.empty((max_samples, N_PIXELS), np.uint8)

    def distort(self, pixels: Uint8, order: Order, seed: int, epoch: int) -> Uint8:
        """Return distorted copies (n, 784) of the images `order` (n,) of `pixels` (n_samples, 784).

        A copy is a pure function of the image, its position in `pixels`, the seed and the epoch. The next call
        overwrites it. `order` has no more than `max_samples` positions, all of them there; not checked.
        """
        copies = self._copies[: len(order)]
        key, n_parts = np.uint64(seed << 32 | epoch), jit.n_threads()
        workspace = augment.make_workspace(self._n_basis, n_parts)
        augment.augment.with_parts(n_parts, pixels, order, key, self._strengths, self._columns, workspace, copies)
        return copies


def examples(pixels: Uint8, augmentation: Augmentation, seed: int, n_copies: int) -> Uint8:
    """Return images (n, 784) and their distorted copies of the first epochs, (n, 1 + n_copies, 28, 28)."""
    augmenter, order = Augmenter(augmentation, len(pixels)), np.arange(len(pixels))
    copies = [augmenter.distort(pixels, order, seed, epoch).copy() for epoch in range(1, n_copies + 1)]
    return np.stack([pixels, *copies], axis=1).reshape(len(pixels), -1, SIDE, SIDE)
