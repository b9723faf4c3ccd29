"""Features of any scale, brought to that of MNIST's pixels, for which the recipes' settings were chosen."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmnist.model.network import Float32

Features = NDArray[Any]  # (n_samples, n_features), real and finite
Float64 = NDArray[np.float64]

# The mean of the squared lengths of MNIST's images, with pixels from 0 to 1. A step grows with it: a thousand features
# that rise and fall together end at a loss of 5.0 without this bound, and of 0.002 with it.
SQUARED_LENGTH = 88.0
DENSE = 0.9  # share of values that are not 0 from which on a feature is centred; none of MNIST's, where zeros save time
BLOCK = 256  # rows: as float64 and with 784 features they fit a second-level cache
SAMPLE = 1000  # rows are enough to tell their mean length


@dataclass(frozen=True, eq=False)
class Scaling:
    """How features are scaled: float64 arrays (n_features,), from what was seen in training.

    A feature that is 0 in a tenth of the samples keeps its zeros, which cost no time; any other is centred. Then each
    is divided by its largest distance from there, so that one that is nearly always 0 is not blown up as by its
    standard deviation, and all of them by one number: the mean squared length becomes that of MNIST's images, or the
    number of features, if that is less.
    """

    lowest: Float64
    highest: Float64
    unit: Float64  # the largest absolute value, 1 for a feature that is 0: no number is too large, or too small
    centre: Float64  # in units
    factor: Float64  # 0 for a feature that is always the same

    @classmethod
    def of(cls, features: Features) -> "Scaling":
        """Return the scaling for features (n_samples, n_features) to train on, n_samples at least 1."""
        lowest, highest = (bound.astype(np.float64) for bound in (features.min(axis=0), features.max(axis=0)))
        largest = np.maximum(highest, -lowest)
        unit = np.where(largest > 0, largest, 1.0)
        total, n_nonzero = np.zeros_like(unit), np.zeros(len(unit), np.intp)
        for block in _blocks(features):
            total += (block / unit).sum(axis=0)
            n_nonzero += np.count_nonzero(block, axis=0)
        centre = np.where(n_nonzero > DENSE * len(features), total / len(features), 0.0)
        distance = np.maximum(highest / unit - centre, centre - lowest / unit)
        factor = np.divide(1.0, distance, out=np.zeros_like(unit), where=lowest < highest)

        scaling = cls(lowest, highest, unit, centre, factor)
        some = scaling._scaled(features[:: -(-len(features) // SAMPLE)])
        squared_length = float(np.square(some).sum() / len(some))
        if squared_length:
            factor *= np.sqrt(min(len(unit), SQUARED_LENGTH) / squared_length)
        return scaling

    def apply(self, features: Features) -> Float32:
        """Return features (n_samples, n_features) scaled; a value beyond those of the training counts as its bound."""
        scaled = np.empty(features.shape, np.float32)
        for block, out in zip(_blocks(features), _blocks(scaled), strict=True):
            out[...] = self._scaled(block)
        return scaled

    def _scaled(self, features: Features) -> Float64:
        scaled: Float64 = (np.clip(features, self.lowest, self.highest) / self.unit - self.centre) * self.factor
        return scaled


def _blocks(rows: Features) -> Iterator[Features]:
    """Yield views of BLOCK rows."""
    for first in range(0, len(rows), BLOCK):
        yield rows[first : first + BLOCK]
