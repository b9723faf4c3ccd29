"""A tile: rows of an output, held in registers as one vector while outer products are added to them.

One operation handles all its rows. Spelled out row by row for Numba, they would take as long to compile as all the rest
of a matrix product.
"""

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fastmnist.kernels.jit import CHECKED, inlined
from fastmnist.kernels.processor import has
from fastmnist.kernels.simd import (
    ALIGNMENT,
    FLOAT,
    INT64,
    LANES,
    REGISTER,
    Vector,
    check_bounds,
    fma_register,
    is_among,
    load_among,
    pointer_to,
    register_pointers,
    splat,
)

# AVX2 without AVX-512 means 16 registers, half as wide. Whatever the tile, each sum is taken in the same order.
# 8 x 3 spills on AVX2: 69 to 89 GFLOP/s; 4 x 1 reaches 117.
TILE_ROWS, TILE_REGISTERS = (4, 1) if has("avx2") and not has("avx512f") else (8, 3)
TILE_LANES = TILE_REGISTERS * LANES
TILE = Vector(TILE_ROWS * TILE_LANES)


def _unit(builder, kind, value):
    """Return one input as float32."""
    if kind == types.float32:
        return value
    return builder.fmul(builder.uitofp(value, FLOAT), ir.Constant(FLOAT, float(np.float32(1 / 255))))


@intrinsic
def as_unit(_typing, value):
    """Return one input as float32: a uint8 pixel as value / 255, a float32 as it is."""
    return types.float32(value), lambda _context, builder, _signature, args: _unit(builder, value, args[0])


def _row_pointers(context, builder, array_type, place, row):
    """Return pointers to the registers of one row of a tile; `place` is an array, an offset and a stride."""
    array, offset, stride = place
    first = builder.add(offset, builder.mul(stride, ir.Constant(INT64, row)))
    return register_pointers(context, builder, array_type, array, first, TILE_REGISTERS)


@intrinsic
def _load_tile(_typing, array, _offset, _stride, _n_registers):
    def generate(context, builder, signature, args):
        tile = ir.Constant(ir.ArrayType(REGISTER, TILE.n_registers), ir.Undefined)
        for row in range(TILE_ROWS):
            pointers = _row_pointers(context, builder, signature.args[0], args[:3], row)
            for column, register in enumerate(load_among(builder, pointers, args[3])):
                tile = builder.insert_value(tile, register, row * TILE_REGISTERS + column)
        return tile

    return TILE(array, types.intp, types.intp, types.intp), generate


@intrinsic
def _store_tile(_typing, array, _offset, _stride, _n_registers, tile):
    def generate(context, builder, signature, args):
        for row in range(TILE_ROWS):
            pointers = _row_pointers(context, builder, signature.args[0], args[:3], row)
            for column, pointer in enumerate(pointers):
                with builder.if_then(is_among(builder, column, args[3])):
                    register = builder.extract_value(args[4], row * TILE_REGISTERS + column)
                    builder.store(register, pointer).align = ALIGNMENT
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, types.intp, tile), generate


@intrinsic
def _add_outer_product(_typing, tile, array, _offset, _stride, vector):
    def generate(context, builder, signature, args):
        result, array_value, offset, stride, right = args
        for row in range(TILE_ROWS):
            place = builder.add(offset, builder.mul(stride, ir.Constant(INT64, row)))
            value = builder.load(pointer_to(context, builder, signature.args[1], array_value, place))
            left = splat(builder, REGISTER, _unit(builder, signature.args[1].dtype, value))
            for column in range(vector.n_registers):
                index = row * vector.n_registers + column
                registers = left, builder.extract_value(right, column), builder.extract_value(result, index)
                result = builder.insert_value(result, fma_register(builder, *registers), index)
        return result

    return tile(tile, array, types.intp, types.intp, vector), generate


if CHECKED:

    @inlined
    def load_tile(array, offset, stride, n_registers):
        """Return TILE_ROWS rows of `n_registers`, `stride` apart, the first of them at `offset`."""
        check_bounds(array, offset, offset + (TILE_ROWS - 1) * stride + n_registers * LANES)
        return _load_tile(array, offset, stride, n_registers)

    @inlined
    def store_tile(array, offset, stride, n_registers, tile):
        """Write the tile's rows where `load_tile` reads them."""
        check_bounds(array, offset, offset + (TILE_ROWS - 1) * stride + n_registers * LANES)
        _store_tile(array, offset, stride, n_registers, tile)

    @inlined
    def add_outer_product(tile, array, offset, stride, vector):
        """Return the tile with `vector` times an input added to each row; the inputs lie `stride` apart."""
        check_bounds(array, offset, offset + (TILE_ROWS - 1) * stride + 1)
        return _add_outer_product(tile, array, offset, stride, vector)

else:
    load_tile, store_tile, add_outer_product = _load_tile, _store_tile, _add_outer_product
