"""Features of any scale, brought to that of MNIST's pixels, for which the recipes' settings were chosen."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastmnist.inputs.workers import open_pool
from fastmnist.kernels.compress import scale_rows
from fastmnist.kernels.jit import n_threads
from fastmnist.kernels.sparse import make_csr
from fastmnist.model.network import Float32, pad_inputs
from fastmnist.training.blocks import KEPT_BYTES, Rows, bytes_listed

Features = NDArray[Any]  # (n_samples, n_features), real and finite
Float64 = NDArray[np.float64]

# The mean of the squared lengths of MNIST's images, with pixels from 0 to 1. A step grows with it: a thousand features
# that rise and fall together end at a loss of 5.0 without this bound, and of 0.002 with it.
SQUARED_LENGTH = 88.0
DENSE = 0.9  # share of values that are not 0 from which on a feature is centred; none of MNIST's, where zeros save time
BLOCK = 256  # rows: as float64 and with 784 features they fit a second-level cache
SAMPLE = 1000  # rows are enough to tell their mean length
VALUES_PER_THREAD = 2_000_000  # at least: 4 ms of work on this many values outweigh starting a thread

Result = TypeVar("Result")


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
        lowest, highest, n_nonzero = _seen(features)
        largest = np.maximum(highest, -lowest)
        unit = np.where(largest > 0, largest, 1.0)
        centre = _centre(features, unit, n_nonzero > DENSE * len(features))
        distance = np.maximum(highest / unit - centre, centre - lowest / unit)
        factor = np.divide(1.0, distance, out=np.zeros_like(unit), where=lowest < highest)

        scaling = cls(lowest, highest, unit, centre, factor)
        some = scaling._sample(features)
        squared_length = float(np.square(some).sum() / len(some))
        if squared_length:
            factor *= np.sqrt(min(len(unit), SQUARED_LENGTH) / squared_length)
        return scaling

    def apply(self, features: Features) -> Float32:
        """Return features (n_samples, n_features) scaled; a value beyond those of the training counts as its bound."""
        scaled = np.empty(features.shape, np.float32)

        def fill(part: slice) -> None:
            room = np.empty((BLOCK, len(self.unit)))
            for rows, out in zip(_blocks(features[part]), _blocks(scaled[part]), strict=True):
                block = room[: len(rows)]
                block[...] = rows
                self._scale(block)
                out[...] = block

        _in_threads(fill, features)
        return scaled

    def rows(self, features: Features) -> Rows | None:
        """Return what `apply` does, n_samples at least 1, without its zeros; None where that is too much to keep.

        MNIST takes two threads 0.035 s and 55 MB. There is room for all values; memory is taken where it is written.
        """
        n_samples, n_in = features.shape
        listed = np.count_nonzero(self._sample(features).astype(np.float32)) / len(features[:: _step(features)])
        if (listed + 1) * n_samples * bytes_listed(n_in) > KEPT_BYTES:
            return None
        csr = make_csr(np.empty(n_samples, np.int64), np.empty(n_samples, np.int64), n_samples * (n_in + 1), n_in)

        def fill(part: slice) -> None:
            room, scaled = np.empty((BLOCK, n_in)), pad_inputs(np.zeros((1, n_in), np.float32))
            settings = self.lowest, self.highest, self.unit, self.centre, self.factor
            first, place = part.start, part.start * (n_in + 1)
            for rows in _blocks(features[part]):
                block = room[: len(rows)]
                block[...] = rows
                scale_rows(block, *settings, scaled, first, place, csr)
                first += len(rows)
                place = int(csr.ends[first - 1]) + 1

        _in_threads(fill, features)
        return Rows(csr, n_in)

    def _sample(self, features: Features) -> Float64:
        """Return some of the rows of features, scaled."""
        some: Float64 = features[:: _step(features)].astype(np.float64)
        self._scale(some)
        return some

    def _scale(self, rows: Float64) -> None:
        """Scale rows in place: MNIST takes one thread 0.08 s, with new arrays for each step or `np.clip` 0.10 s."""
        np.maximum(rows, self.lowest, out=rows)
        np.minimum(rows, self.highest, out=rows)
        rows /= self.unit
        if self.centre.any():
            rows -= self.centre
        rows *= self.factor


def _seen(features: Features) -> tuple[Float64, Float64, NDArray[np.intp]]:
    """Return the least and the largest value of each feature, and how many are not 0, in one pass."""

    def look_at(part: slice) -> tuple[Float64, Float64, NDArray[np.intp]]:
        rows = features[part]
        lowest, highest = rows[0].astype(np.float64), rows[0].astype(np.float64)
        n_nonzero = np.zeros(rows.shape[1], np.intp)
        for block in _blocks(rows):
            np.minimum(lowest, block.min(axis=0), out=lowest)
            np.maximum(highest, block.max(axis=0), out=highest)
            n_nonzero += (block != 0).sum(axis=0, dtype=np.uint16)  # enough for a block; half of count_nonzero's time
        return lowest, highest, n_nonzero

    lowest, highest, n_nonzero = zip(*_in_threads(look_at, features), strict=True)
    return np.min(lowest, axis=0), np.max(highest, axis=0), np.sum(n_nonzero, axis=0)


def _centre(features: Features, unit: Float64, dense: NDArray[np.bool_]) -> Float64:
    """Return the mean of each `dense` feature in its unit, 0 for the others."""
    total = np.zeros_like(unit)
    if dense.any():
        for block in _blocks(features):
            total += (block / unit).sum(axis=0)
    return np.where(dense, total / len(features), 0.0)


def _step(features: Features) -> int:
    """Return how far apart the rows of a sample are."""
    return -(-len(features) // SAMPLE)


def _blocks(rows: Features) -> Iterator[Features]:
    """Yield views of BLOCK rows."""
    for first in range(0, len(rows), BLOCK):
        yield rows[first : first + BLOCK]


def _in_threads(work: Callable[[slice], Result], features: Features) -> list[Result]:
    """Return what `work` returns for each part of the rows, in their order: a part for each thread that is worth it."""
    n_parts = max(1, min(n_threads(), len(features), features.size // VALUES_PER_THREAD))
    bounds = [part * len(features) // n_parts for part in range(n_parts + 1)]
    parts = [slice(first, last) for first, last in pairwise(bounds)]
    if n_parts == 1:
        return [work(parts[0])]
    with open_pool(n_parts) as pool:
        return list(pool.map(work, parts))
