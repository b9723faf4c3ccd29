"""Dropout: in each step, a random share of the hidden units is off (Srivastava et al. 2014).

Units that stay on count for more, so that the next layer's sums keep their size and inference needs no change
(section 10 there). A unit that is off has the output 0, so ReLU's gradient already leaves it out.
"""

from typing import NamedTuple

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.lanes import where_bytes
from fastmnist.kernels.layout import layer_at
from fastmnist.kernels.randomness import subkey
from fastmnist.kernels.simd import LANES, broadcast, load, mul, store

STEPS = 256  # a byte of randomness decides about a unit


class Dropout(NamedTuple):
    """Which units are off."""

    n_off: int  # of 256 units, on average
    scale: np.float32  # of the units that are on
    key: np.uint64
    first_sample: int  # the number of the first sample of the first batch; the key knows samples by their numbers


def make_dropout(share, key=0, first_sample=0):
    """Return the settings for a share, rounded to 1/256."""
    n_off = round(share * STEPS)
    return Dropout(n_off, np.float32(STEPS / (STEPS - n_off)), np.uint64(key), first_sample)


@inlined
def drop_units(parameters, index, batch_size, batch, n_samples, activations, first, last, dropout):
    """Switch off units of some vector columns of a hidden layer's outputs, after ReLU.

    Which ones is a function of the key, the sample's number, the layer and the unit.
    """
    layer = layer_at(parameters.layout, index)
    for sample in range(n_samples):
        key = subkey(subkey(dropout.key, dropout.first_sample + batch * batch_size + sample), index)
        row = layer.outputs * batch_size + sample * layer.stride
        for vector in range(first, last):
            place = row + vector * LANES
            kept = mul(load(activations, place, LANES), broadcast(dropout.scale, LANES))
            low, high = subkey(key, 2 * vector), subkey(key, 2 * vector + 1)
            store(activations, place, where_bytes(low, high, dropout.n_off, kept))
