"""A block of batches made ready for training: each as lists of its non-zero inputs or, where most are, as tiles."""

import numpy as np
from numba import prange

from fastmnist.kernels.dense import DENSE_ROWS, fill_tiles
from fastmnist.kernels.jit import inlined, kernel
from fastmnist.kernels.lanes import MASK_BITS, count_bits
from fastmnist.kernels.simd import CACHE_LINE, prefetch
from fastmnist.kernels.sparse import fill_csc, fill_csr, nonzero_inputs

# Of inputs that are not 0. Tiles are faster from about 0.3 on, but sum in another order. MNIST batches reach 0.27, the
# recipes' distorted copies 0.32: no model of MNIST shall hang on which of its batches went which way.
DENSE_SHARE = 0.4
AHEAD = 4  # samples: shuffled ones come from anywhere in memory; waiting for 32 of them took 5 us, now 1


@kernel
def compress(inputs, order, batch_size, csr, csc, tiles, n_parts):
    """Fill the CSR and the CSC, or the tiles, of the samples `order` (n_samples,) of `inputs`, batch after batch."""
    for index in prange((len(order) + batch_size - 1) // batch_size):
        _compress_batch(inputs, order, batch_size, csr, csc, tiles, np.intp(index))


@inlined
def _compress_batch(inputs, order, batch_size, csr, csc, tiles, batch):
    first = batch * batch_size
    last = min(first + batch_size, len(order))
    tiles.is_dense[batch] = is_dense(inputs, order, first, last)
    if tiles.is_dense[batch]:
        fill_tiles(inputs, order, first, last, batch, csr, tiles)
    else:
        fill_csr(inputs, order, first, last, csr)
        fill_csc(csr, first, last, batch, csc)


@inlined
def is_dense(inputs, order, first, last):
    """Return whether the samples `first` to `last` of `order` fill tiles, and have inputs of which few are 0.

    The first tile of them is asked first, and where it is sparse the others are not: looking twice at all samples of
    MNIST took a quarter of the time of their lists.
    """
    n_in, n_samples = inputs.shape[1], last - first
    if n_in % DENSE_ROWS != 0 or n_samples < DENSE_ROWS:
        return False
    if count_nonzero(inputs, order, first, first + DENSE_ROWS) <= DENSE_SHARE * n_in * DENSE_ROWS:
        return False
    return count_nonzero(inputs, order, first, last) > DENSE_SHARE * n_in * n_samples


@inlined
def count_nonzero(inputs, order, first, last):
    """Return how many inputs of the samples `first` to `last` of `order` are not 0."""
    n_in = inputs.shape[1]
    n_nonzero = 0
    for sample in range(first, last):
        if sample + AHEAD < last:
            for column in range(0, n_in, CACHE_LINE // inputs.itemsize):
                prefetch(inputs, order[sample + AHEAD] * n_in + column)
        for block in range(0, n_in, MASK_BITS):
            n_nonzero += count_bits(nonzero_inputs(inputs, n_in, order[sample] * n_in, block))
    return n_nonzero
