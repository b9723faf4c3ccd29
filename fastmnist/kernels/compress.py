"""Batches made ready for training: each as lists of its non-zero inputs or, where most are, as tiles."""

import numpy as np
from numba import prange

from fastmnist.kernels.dense import DENSE_ROWS, fill_tiles
from fastmnist.kernels.jit import inlined, kernel, serial_kernel
from fastmnist.kernels.layout import part_bounds
from fastmnist.kernels.simd import CACHE_LINE, prefetch
from fastmnist.kernels.sparse import AHEAD, copy_csr, fill_csc, fill_csr, fill_row, n_nonzero_inputs

# Share of inputs that are not 0. Tiles are faster from about 0.3 on, but sum in a different order. MNIST batches reach
# 0.27, the recipes' distorted copies 0.32: no MNIST model should depend on which of its batches went into tiles.
DENSE_SHARE = 0.4


@kernel
def count_nonzero(inputs, order, counts, n_parts):
    """Fill `counts` (n_samples,) with how many inputs of each of the samples `order` are not 0."""
    for part in prange(n_parts):
        first, last = part_bounds(len(order), np.intp(part), n_parts)
        _count_nonzero_part(inputs, order, first, last, counts)


@inlined
def _count_nonzero_part(inputs, order, first, last, counts):
    n_in = inputs.shape[1]
    for sample in range(first, last):
        if sample + AHEAD < last:
            for column in range(0, n_in, CACHE_LINE // inputs.itemsize):
                prefetch(inputs, order[sample + AHEAD] * n_in + column)
        counts[sample] = n_nonzero_inputs(inputs, n_in, order[sample] * n_in)


@serial_kernel
def divide(counts, n_in, batch_size, is_dense, list_starts, list_ends, row_starts, row_ends):
    """Decide which batches go into tiles, and where every sample goes; `counts` (n_samples,) has its non-zero inputs.

    Lists lie one after another, and so do the rows of tiles, each followed by one place; a sample that is in only one
    of the two takes no place in the other.
    (With NumPy this took 0.3 ms a block, 5 % of an epoch.)
    """
    list_place, row_place = 0, 0
    for batch in range(len(is_dense)):
        first = batch * batch_size
        last = min(first + batch_size, len(counts))
        is_dense[batch] = _is_dense(counts, first, last, n_in)
        for sample in range(first, last):
            n_listed, n_in_row = (-1, n_in) if is_dense[batch] else (counts[sample], -1)
            list_starts[sample], list_ends[sample] = list_place, max(list_place, list_place + n_listed)
            row_starts[sample], row_ends[sample] = row_place, max(row_place, row_place + n_in_row)
            list_place += n_listed + 1
            row_place += n_in_row + 1


@inlined
def _is_dense(counts, first, last, n_in):
    """Return whether the samples `first` to `last` fill tiles, and few inputs are 0, of the first tile and of all."""
    n_samples = last - first
    if n_in % DENSE_ROWS != 0 or n_samples < DENSE_ROWS:
        return False
    if _sum(counts, first, first + DENSE_ROWS) <= DENSE_SHARE * n_in * DENSE_ROWS:
        return False
    return _sum(counts, first, last) > DENSE_SHARE * n_in * n_samples


@inlined
def _sum(counts, first, last):
    """Return the sum of some counts.

    (NumPy's takes a quarter of a second to compile.)
    """
    n = 0
    for sample in range(first, last):
        n += counts[sample]
    return n


@kernel
def compress_rows(inputs, order, csr, n_parts):
    """Fill the CSR of the samples `order` (n_samples,) of `inputs`, regardless of batches."""
    for part in prange(n_parts):
        first, last = part_bounds(len(order), np.intp(part), n_parts)
        fill_csr(inputs, order, first, last, csr)


@serial_kernel
def scale_rows(features, lowest, highest, unit, centre, factor, scaled, first, place, rows):
    """Fill the rows of a CSR, from sample `first` and from `place` on, with features (n_samples, n_in) float64, scaled.

    The rows follow each other. The next five arguments are those of Scaling, whose arithmetic this is; `scaled` is room
    for a sample, float32 with `n_in` columns, padded.
    """
    for sample in range(len(features)):
        _scale_row(features[sample], lowest, highest, unit, centre, factor, scaled[0])
        rows.starts[first + sample] = place
        rows.ends[first + sample] = fill_row(scaled, 0, 0, rows, place)
        place = rows.ends[first + sample] + 1


@inlined
def _scale_row(features, lowest, highest, unit, centre, factor, scaled):
    """Scale one sample.

    np.divide does not check for division by 0, which never happens here: with `/` this is not vectorised and takes 2.7
    times as long.
    """
    for column in range(len(features)):
        value, low, high = features[column], lowest[column], highest[column]
        value = value if value > low else low
        value = value if value < high else high
        scaled[column] = (np.divide(value, unit[column]) - centre[column]) * factor[column]


@kernel
def compress(inputs, order, batch_size, rows, csr, csc, tiles, n_parts):
    """Compress the samples `order` (n_samples,) of `inputs`, batch after batch.

    They go into the tiles, or into the CSR and the CSC, as `tiles.is_dense` says. If `rows`, a CSR of all inputs, is
    not empty, its rows are used instead of `inputs`, of which then only the number per sample matters.
    """
    for index in prange((len(order) + batch_size - 1) // batch_size):
        _compress_batch(inputs, order, batch_size, rows, csr, csc, tiles, np.intp(index))


@inlined
def _compress_batch(inputs, order, batch_size, rows, csr, csc, tiles, batch):
    first = batch * batch_size
    last = min(first + batch_size, len(order))
    if tiles.is_dense[batch]:
        fill_tiles(inputs, rows, order, first, last, batch, tiles)
    else:
        if len(rows.starts) > 0:
            copy_csr(rows, order, first, last, csr)
        else:
            fill_csr(inputs, order, first, last, csr)
        fill_csc(csr, first, last, batch, csc)
