"""The first layer of batches with few zeros, in tiles of 8 rows.

sparse.py loads an index, a value and a row of the weights for each non-zero input of each sample: 20 to 30 % of the
machine's peak. Where few inputs are 0, whole tiles are faster, zeros and all: 8 samples in the forward pass, 8 inputs
in the gradient. What is 0 in all 8 rows of a tile is skipped, as flags indicate. Both products are one loop,
`tile_product`.

The inputs of a dense batch are rows of a CSR that keeps its zeros: input i of a sample is at its start + i.
"""

from typing import NamedTuple

import numpy as np

from fastmnist.kernels.jit import inlined, specialised
from fastmnist.kernels.lanes import MASK_BITS, lowest_bit, nonzero_bits
from fastmnist.kernels.sgd import step_panels
from fastmnist.kernels.simd import LANES, add, broadcast, by_n_registers, fma, item, load_panels, store_panels, zeros
from fastmnist.kernels.sparse import CSR, expand_row, index_type, nonzero_inputs
from fastmnist.kernels.tiles import as_unit

DENSE_ROWS = 8  # of a tile: as many as a byte of flags has bits
DENSE_REGISTERS = 2  # the forward pass of 32 samples reaches 96 % of the peak with tiles of 8 x 2, 76 % with 8 x 3
WIDE = DENSE_REGISTERS * LANES


class Tiles(NamedTuple):
    """Which batches are dense, and what these have: all their inputs, and flags of those that are not 0.

    Flags are padded with zeros to 64s. The last four fields are a CSR; Numba refuses tuples within tuples here.
    """

    is_dense: np.ndarray  # (n_batches,) bool
    inputs: np.ndarray  # (n_batches, ceil(batch_size / 8), n_in in 64s) uint8: what one of 8 samples has
    samples: np.ndarray  # (n_batches, n_in // 8, batch_size in 64s) uint8: who has one of 8 inputs
    starts: np.ndarray  # (n_samples,) int64
    ends: np.ndarray  # (n_samples,) int64
    indices: np.ndarray  # see index_type; filled for samples that fill no tile
    data: np.ndarray  # float32


def make_tiles(is_dense, starts, ends, capacity, n_in, batch_size):
    """Return Tiles of `capacity` places, for samples from `starts` to `ends` and the index after each."""
    n_batches = len(is_dense)
    return Tiles(
        is_dense,
        np.empty((n_batches, -(-batch_size // DENSE_ROWS), -(-n_in // MASK_BITS) * MASK_BITS), np.uint8),
        np.empty((n_batches, n_in // DENSE_ROWS, -(-batch_size // MASK_BITS) * MASK_BITS), np.uint8),
        starts,
        ends,
        np.empty(capacity, index_type(n_in)),
        np.empty(capacity, np.float32),
    )


@inlined
def csr_with_zeros(tiles):
    """Return the inputs of dense batches as the CSR that they are."""
    return CSR(tiles.starts, tiles.ends, tiles.indices, tiles.data)


@inlined
def fill_tiles(inputs, rows, order, first, last, batch, tiles):
    """Fill the tiles with all inputs of the samples `first` to `last` of `order`, zeros too, and the batch's flags.

    They are those of `inputs` or, where it is not empty, of `rows`, a CSR of all samples. Their number is a multiple of
    8. Samples that fill no tile have their indices listed, as `add_csr_product` needs them.
    """
    n_in = inputs.shape[1]
    n_tiled = (last - first) // DENSE_ROWS * DENSE_ROWS
    tiles.inputs[batch] = 0
    tiles.samples[batch] = 0
    for sample in range(last - first):
        row, place = order[first + sample], tiles.starts[first + sample]
        if len(rows.starts) > 0:
            expand_row(rows, row, n_in, tiles.data, place)
        else:
            for column in range(n_in):
                tiles.data[np.uint64(place + column)] = as_unit(item(inputs, row * n_in + column))
        flags = tiles.inputs[batch, sample // DENSE_ROWS]
        for column in range(n_in):
            flags[np.uint64(column)] |= tiles.data[np.uint64(place + column)] != 0
        if sample >= n_tiled:
            for column in range(n_in + 1):
                tiles.indices[np.uint64(place + column)] = column
        for block in range(0, n_in, MASK_BITS):
            mask = nonzero_inputs(tiles.data, n_in, place, block)
            for column in range(block, min(block + MASK_BITS, n_in), DENSE_ROWS):
                tiles.samples[batch, column // DENSE_ROWS, sample] = mask & np.uint64(255)
                mask >>= np.uint64(DENSE_ROWS)


@specialised
def tile_product(n_registers, flags, place, depth, left, right, step):
    """Return left (8, depth) @ right (depth, n_registers), a vector for each row.

    Only those k count whose flag is not 0; the flags begin at `place`. The registers of a row of `right` lie `step`
    elements apart.
    """
    t0, t1, t2, t3 = zeros(WIDE), zeros(WIDE), zeros(WIDE), zeros(WIDE)
    t4, t5, t6, t7 = zeros(WIDE), zeros(WIDE), zeros(WIDE), zeros(WIDE)
    array, row = left.array, left.row_step
    for block in range(0, depth, MASK_BITS):
        mask = nonzero_bits(flags, place + block)
        while mask != 0:
            k = block + lowest_bit(mask)
            mask &= mask - np.uint64(1)
            vector = load_panels(right.array, right.offset + k * right.row_step, step, n_registers, WIDE)
            left0 = left.offset + k * left.column_step
            left4 = left0 + 4 * row
            t0 = fma(broadcast(item(array, left0), WIDE), vector, t0)
            t1 = fma(broadcast(item(array, left0 + row), WIDE), vector, t1)
            t2 = fma(broadcast(item(array, left0 + 2 * row), WIDE), vector, t2)
            t3 = fma(broadcast(item(array, left0 + 3 * row), WIDE), vector, t3)
            t4 = fma(broadcast(item(array, left4), WIDE), vector, t4)
            t5 = fma(broadcast(item(array, left4 + row), WIDE), vector, t5)
            t6 = fma(broadcast(item(array, left4 + 2 * row), WIDE), vector, t6)
            t7 = fma(broadcast(item(array, left4 + 3 * row), WIDE), vector, t7)
    return t0, t1, t2, t3, t4, t5, t6, t7


@by_n_registers(DENSE_REGISTERS)
def add_tile_product(n_registers, flags, place, depth, left, right, step, out):
    """Add to `n_registers` of the outputs of 8 samples the product of their inputs and the weights."""
    tile = tile_product(n_registers, flags, place, depth, left, right, step)
    for row in range(DENSE_ROWS):
        offset = out.offset + row * out.row_step
        total = add(load_panels(out.array, offset, LANES, n_registers, WIDE), tile[row])
        store_panels(out.array, offset, LANES, n_registers, total)


@by_n_registers(DENSE_REGISTERS)
def step_tile_gradient(n_registers, flags, place, depth, left, right, panels, velocities, offset, step, scalars):
    """Step `n_registers` of 8 rows of the weights by their gradient, left (8, n_samples) @ right.

    The weights and their velocities lie in panels of 16 columns, `step` elements apart.
    """
    tile = tile_product(n_registers, flags, place, depth, left, right, LANES)
    for row in range(DENSE_ROWS):
        step_panels(n_registers, panels, velocities, offset + row * LANES, step, tile[row], scalars, WIDE)
