"""The dense product of a layer and its two gradients.

All three are the same loop, `add_product`: it keeps a tile of 8 rows and up to 3 vectors of the output in
registers and adds one outer product after another. (Goto and van de Geijn 2008; 8 x 3 measured best of the
tiles that fit 32 registers.) The gradients only walk their operands in another order.

Shapes: `inputs` (n_samples, n_in), `weights` (n_in, n_out), `biases` (n_out,), `out` and `delta`
(n_samples, n_out), in rows as layout.py has them. All float32 but `inputs`, which may be uint8 pixels: those
count as pixel / 255.
"""

from typing import NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.lanes import transpose
from fastmnist.kernels.layout import part_bounds
from fastmnist.kernels.simd import LANES, broadcast, by_n_registers, fma, item, load, store, zeros

TILE_ROWS = 8
TILE_REGISTERS = 3
DEPTH_BLOCK = 128  # rows of the right operand: 128 x 3 vectors are 24 KiB, half of a first-level cache


class Matrix(NamedTuple):
    """A matrix in a flat array: element (r, c) lies at offset + r * row_step + c * column_step."""

    array: np.ndarray
    offset: int
    row_step: int
    column_step: int


def as_unit(value):
    """Return one input as float32: a uint8 pixel as value / 255, a float32 as it is."""
    raise NotImplementedError("for compiled code only")


@overload(as_unit, inline="always")
def _as_unit(value):
    if isinstance(value, types.Integer):
        return lambda value: np.float32(value) * np.float32(1 / 255)
    return lambda value: value


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


def make_add_product(lanes):
    """Return add_product for an output of `lanes` columns, a multiple of 16."""

    def add_product(left, right, out, n_rows, depth):
        """Add left (n_rows, depth) @ right (depth, lanes) to out (n_rows, lanes)."""
        array, step, out_step = left.array, left.row_step, out.row_step
        row = 0
        while row + TILE_ROWS <= n_rows:
            out0 = out.offset + row * out_step
            out4 = out0 + 4 * out_step
            t0, t1 = load(out.array, out0, lanes), load(out.array, out0 + out_step, lanes)
            t2, t3 = load(out.array, out0 + 2 * out_step, lanes), load(out.array, out0 + 3 * out_step, lanes)
            t4, t5 = load(out.array, out4, lanes), load(out.array, out4 + out_step, lanes)
            t6, t7 = load(out.array, out4 + 2 * out_step, lanes), load(out.array, out4 + 3 * out_step, lanes)
            for k in range(depth):
                vector = load(right.array, right.offset + k * right.row_step, lanes)
                left0 = left.offset + row * step + k * left.column_step
                left4 = left0 + 4 * step
                t0 = fma(broadcast(as_unit(item(array, left0)), lanes), vector, t0)
                t1 = fma(broadcast(as_unit(item(array, left0 + step)), lanes), vector, t1)
                t2 = fma(broadcast(as_unit(item(array, left0 + 2 * step)), lanes), vector, t2)
                t3 = fma(broadcast(as_unit(item(array, left0 + 3 * step)), lanes), vector, t3)
                t4 = fma(broadcast(as_unit(item(array, left4)), lanes), vector, t4)
                t5 = fma(broadcast(as_unit(item(array, left4 + step)), lanes), vector, t5)
                t6 = fma(broadcast(as_unit(item(array, left4 + 2 * step)), lanes), vector, t6)
                t7 = fma(broadcast(as_unit(item(array, left4 + 3 * step)), lanes), vector, t7)
            store(out.array, out0, t0)
            store(out.array, out0 + out_step, t1)
            store(out.array, out0 + 2 * out_step, t2)
            store(out.array, out0 + 3 * out_step, t3)
            store(out.array, out4, t4)
            store(out.array, out4 + out_step, t5)
            store(out.array, out4 + 2 * out_step, t6)
            store(out.array, out4 + 3 * out_step, t7)
            row += TILE_ROWS
        while row < n_rows:  # the rows that fill no tile, one by one
            t0 = load(out.array, out.offset + row * out_step, lanes)
            for k in range(depth):
                value = as_unit(item(array, left.offset + row * step + k * left.column_step))
                vector = load(right.array, right.offset + k * right.row_step, lanes)
                t0 = fma(broadcast(value, lanes), vector, t0)
            store(out.array, out.offset + row * out_step, t0)
            row += 1

    return add_product


add_product = by_n_registers(make_add_product, TILE_REGISTERS)


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
def add_product_columns(left, right, out, n_rows, depth, first, last):
    """Add left @ right to the vector columns `first` to `last` of `out`."""
    chunks = n_chunks(last - first, TILE_REGISTERS)
    for chunk in range(chunks):
        begin, end = part_bounds(last - first, chunk, chunks)
        column = (first + begin) * LANES
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
def matmul_part(left, right, biases, biases_offset, out, n_rows, depth, first, last):
    """Fill the vector columns `first` to `last` of `out` with left @ right + biases."""
    column = first * LANES
    fill_rows(last - first, out.array, out.offset + column, out.row_step, n_rows, biases, biases_offset + column)
    add_product_columns(left, right, out, n_rows, depth, first, last)


@inlined
def input_gradient_part(delta, weights, panel, out, n_rows, depth, first, last):
    """Fill the vector columns `first` to `last` of `out` with delta @ weights.T.

    The rows of the weights that these columns ask for are transposed, block by block, into `panel`
    (DEPTH_BLOCK, TILE_REGISTERS * 16), which stays in the first-level cache.
    """
    chunks = n_chunks(last - first, TILE_REGISTERS)
    stride = TILE_REGISTERS * LANES
    for chunk in range(chunks):
        begin, end = part_bounds(last - first, chunk, chunks)
        column = (first + begin) * LANES
        clear_rows(end - begin, out.array, out.offset + column, out.row_step, n_rows)
        for k in range(0, depth, DEPTH_BLOCK):
            block = min(DEPTH_BLOCK, depth - k)
            for vector in range(end - begin):
                row = weights.offset + (column + vector * LANES) * weights.row_step
                for inner in range(0, block, LANES):
                    transpose(
                        weights.array, row + k + inner, weights.row_step, panel, inner * stride + vector * LANES, stride
                    )
            right = Matrix(panel, 0, stride, 1)
            add_product(end - begin, block_of(delta, 0, k), right, block_of(out, 0, column), n_rows, block)
