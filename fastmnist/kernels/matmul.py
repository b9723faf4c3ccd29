"""The dense product of a layer and its two gradients.

All three are the same loop, `add_product`: it keeps a tile of 8 rows and up to 3 vectors of the output in registers
(on AVX2 4 and 1) and adds one outer product after another. (Goto and van de Geijn 2008; 8 x 3 measured best of the
tiles that fit 32 registers.) The gradients only walk their operands in another order.

Shapes: `inputs` (n_samples, n_in), `weights` (n_in, n_out), `biases` (n_out,), `out` and `delta`
(n_samples, n_out), in rows as layout.py has them. All float32 but `inputs`, which may be uint8 pixels: those
count as pixel / 255.
"""

from typing import NamedTuple

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.lanes import MASK_BITS, transpose
from fastmnist.kernels.layout import part_bounds
from fastmnist.kernels.simd import (
    LANES,
    MAX_REGISTERS,
    broadcast,
    by_n_registers,
    fma,
    item,
    load,
    load_panels,
    store,
    store_panels,
    zeros,
)
from fastmnist.kernels.sparse import add_masked_product, n_nonzero_inputs
from fastmnist.kernels.tiles import (
    TILE_LANES,
    TILE_REGISTERS,
    TILE_ROWS,
    add_outer_product,
    as_unit,
    load_tile,
    store_tile,
)

DEPTH_BLOCK = 128  # rows of the right operand: 128 x 3 vectors are 24 KiB, half of a first-level cache
# Of the left operand that is not 0: with fewer, tiles take longer. Each sum is taken in the same order. Of the first
# hidden layer of the shipped model 20 % are active: 9.2 us an image instead of 15.1.
SPARSE_SHARE = 0.4


class Matrix(NamedTuple):
    """A matrix in a flat array: element (r, c) lies at offset + r * row_step + c * column_step."""

    array: np.ndarray
    offset: int
    row_step: int
    column_step: int


@inlined
def fill_rows(n_registers, out, offset, stride, n_rows, row, row_offset):
    """Write `n_registers` vectors of `row` to each of `n_rows` rows of `out`."""
    for r in range(n_rows):
        for column in range(0, n_registers * LANES, LANES):
            store(out, offset + r * stride + column, load(row, row_offset + column, LANES))


@inlined
def clear_rows(n_registers, out, offset, stride, n_rows):
    """Write `n_registers` vectors of zeros to each of `n_rows` rows of `out`."""
    for r in range(n_rows):
        for column in range(0, n_registers * LANES, LANES):
            store(out, offset + r * stride + column, zeros(LANES))


@by_n_registers(TILE_REGISTERS)
def add_product(n_registers, left, right, out, n_rows, depth):
    """Add left (n_rows, depth) @ right (depth, n_registers) to out (n_rows, n_registers)."""
    row = 0
    while row + TILE_ROWS <= n_rows:
        place = out.offset + row * out.row_step
        tile = load_tile(out.array, place, out.row_step, n_registers)
        for k in range(depth):
            inputs = left.offset + row * left.row_step + k * left.column_step
            vector = load_panels(right.array, right.offset + k * right.row_step, LANES, n_registers, TILE_LANES)
            tile = add_outer_product(tile, left.array, inputs, left.row_step, vector)
        store_tile(out.array, place, out.row_step, n_registers, tile)
        row += TILE_ROWS
    while row < n_rows:  # the rows that fill no tile, one by one
        place = out.offset + row * out.row_step
        total = load_panels(out.array, place, LANES, n_registers, TILE_LANES)
        for k in range(depth):
            value = as_unit(item(left.array, left.offset + row * left.row_step + k * left.column_step))
            vector = load_panels(right.array, right.offset + k * right.row_step, LANES, n_registers, TILE_LANES)
            total = fma(broadcast(value, TILE_LANES), vector, total)
        store_panels(out.array, place, LANES, n_registers, total)
        row += 1


@inlined
def n_chunks(n_registers, max_registers):
    """Return into how many nearly equal chunks of at most `max_registers` vectors to cut `n_registers` vectors."""
    return (n_registers + max_registers - 1) // max_registers


@inlined
def block_of(matrix, row, column):
    """Return the matrix without its first rows and columns."""
    offset = matrix.offset + row * matrix.row_step + column * matrix.column_step
    return Matrix(matrix.array, offset, matrix.row_step, matrix.column_step)


@inlined
def add_wide_product(n_registers, left, right, out, n_rows, depth):
    """Add left (n_rows, depth) @ right (depth, n_registers) to out, whatever the number of registers."""
    chunks = n_chunks(n_registers, TILE_REGISTERS)
    for chunk in range(chunks):
        begin, end = part_bounds(n_registers, chunk, chunks)
        column = begin * LANES
        for k in range(0, depth, DEPTH_BLOCK):
            add_product(
                end - begin,
                block_of(left, 0, k),
                block_of(right, k, column),
                block_of(out, 0, column),
                n_rows,
                min(DEPTH_BLOCK, depth - k),
            )


@inlined
def is_sparse(left, n_rows, depth):
    """Return whether most of left (n_rows, depth), whose columns lie side by side, is 0."""
    if left.array.size < MASK_BITS:
        return False
    n_nonzero = 0
    for row in range(n_rows):
        n_nonzero += n_nonzero_inputs(left.array, depth, left.offset + row * left.row_step)
    return n_nonzero < SPARSE_SHARE * n_rows * depth


@inlined
def add_sparse_product(n_registers, left, right, out, n_rows, depth):
    """Do what `add_wide_product` does, without the zeros of `left`, whose columns lie side by side."""
    chunks = n_chunks(n_registers, MAX_REGISTERS)
    for chunk in range(chunks):
        begin, end = part_bounds(n_registers, chunk, chunks)
        columns, out_columns = block_of(right, 0, begin * LANES), block_of(out, 0, begin * LANES)
        for block in range(0, depth, MASK_BITS):
            add_masked_product(end - begin, left, columns, out_columns, n_rows, depth, block)


@inlined
def add_input_gradient(n_registers, delta, weights, panel, out, n_rows, depth):
    """Add delta (n_rows, depth) @ weights.T, of whose columns there are `n_registers`, to out.

    The rows of the weights are transposed, block by block, into `panel` (DEPTH_BLOCK, TILE_REGISTERS * 16), which stays
    in the first-level cache.
    """
    chunks = n_chunks(n_registers, TILE_REGISTERS)
    stride, skips_zeros = TILE_REGISTERS * LANES, is_sparse(delta, n_rows, depth)
    for chunk in range(chunks):
        begin, end = part_bounds(n_registers, chunk, chunks)
        column = begin * LANES
        for k in range(0, depth, DEPTH_BLOCK):
            block = min(DEPTH_BLOCK, depth - k)
            for vector in range(end - begin):
                row = weights.offset + (column + vector * LANES) * weights.row_step
                for inner in range(0, block, LANES):
                    transpose(
                        weights.array, row + k + inner, weights.row_step, panel, inner * stride + vector * LANES, stride
                    )
            right = Matrix(panel, 0, stride, 1)
            if skips_zeros:
                add_sparse_product(end - begin, block_of(delta, 0, k), right, block_of(out, 0, column), n_rows, block)
            else:
                add_product(end - begin, block_of(delta, 0, k), right, block_of(out, 0, column), n_rows, block)
