"""The dense product of a layer, and the loop that its two gradients, in products.py, also use.

That loop is `add_product`: it keeps a tile of 8 rows and up to 3 vectors of the output in registers
(on AVX2 4 and 1) and adds one outer product after another. (Goto and van de Geijn 2008; 8 x 3 measured best of the
tiles that fit 32 registers.) The gradients only walk their operands in another order.

Shapes: `inputs` (n_samples, n_in), `weights` (n_in, n_out), `biases` (n_out,), `out` and `delta`
(n_samples, n_out), in rows as layout.py has them. All float32 but `inputs`, which may be uint8 pixels: those
count as pixel / 255.
"""

from typing import NamedTuple

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.layout import part_bounds
from fastmnist.kernels.simd import (
    LANES,
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
