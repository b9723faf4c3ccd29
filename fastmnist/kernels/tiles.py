"""A tile: rows of an output, held in registers as one vector while outer products are added to them.

One operation stands for all rows of it, where Numba would have to be told each of them by itself: that takes as long to
compile as all the rest of a matrix product.
"""

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba.core import config, types
from numba.extending import intrinsic

from fastmnist.kernels.jit import CHECKED, inlined
from fastmnist.kernels.simd import (
    ALIGNMENT,
    FLOAT,
    INT64,
    LANES,
    REGISTER,
    Vector,
    check_bounds,
    fma_register,
    lanes_of,
    pointer_to,
    register_pointers,
    splat,
)


def _has_avx2_only():
    """Return whether kernels are compiled for AVX2 without AVX-512: 16 registers, half as long."""
    told = config.CPU_FEATURES
    features = get_host_cpu_features() if told is None else {name: f"+{name}" in told for name in ("avx2", "avx512f")}
    return bool(features.get("avx2") and not features.get("avx512f"))


# Whatever the tile, each sum is taken in the same order. 8 x 3 on AVX2 spills: 69 to 89 GFLOP/s there, 4 x 1 makes 117.
TILE_ROWS, TILE_REGISTERS = (4, 1) if _has_avx2_only() else (8, 3)


def _unit(builder, kind, value):
    """Return one input as float32."""
    if kind == types.float32:
        return value
    return builder.fmul(builder.uitofp(value, FLOAT), ir.Constant(FLOAT, float(np.float32(1 / 255))))


@intrinsic
def as_unit(_typing, value):
    """Return one input as float32: a uint8 pixel as value / 255, a float32 as it is."""
    return types.float32(value), lambda _context, builder, _signature, args: _unit(builder, value, args[0])


def _tile_pointers(context, builder, array_type, place, lanes):
    """Return pointers to the registers of a tile, row after row; `place` is an array, an offset and a stride."""
    array, offset, stride = place
    pointers = []
    for row in range(TILE_ROWS):
        place = builder.add(offset, builder.mul(stride, ir.Constant(INT64, row)))
        pointers += register_pointers(context, builder, array_type, array, place, lanes // LANES)
    return pointers


@intrinsic(prefer_literal=True)
def _load_tile(_typing, array, _offset, _stride, lanes):
    tile = Vector(TILE_ROWS * lanes.literal_value)

    def generate(context, builder, signature, args):
        registers = ir.Constant(ir.ArrayType(REGISTER, tile.n_registers), ir.Undefined)
        pointers = _tile_pointers(context, builder, signature.args[0], args[:3], lanes.literal_value)
        for index, pointer in enumerate(pointers):
            register = builder.load(pointer, typ=REGISTER)
            register.align = ALIGNMENT
            registers = builder.insert_value(registers, register, index)
        return registers

    return tile(array, types.intp, types.intp, lanes), generate


@intrinsic
def _store_tile(_typing, array, _offset, _stride, tile):
    def generate(context, builder, signature, args):
        pointers = _tile_pointers(context, builder, signature.args[0], args[:3], tile.lanes // TILE_ROWS)
        for index, pointer in enumerate(pointers):
            builder.store(builder.extract_value(args[3], index), pointer).align = ALIGNMENT
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, tile), generate


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
    def load_tile(array, offset, stride, lanes):
        """Return TILE_ROWS rows of `lanes` elements, `stride` apart, the first of them at `offset`."""
        check_bounds(array, offset, offset + (TILE_ROWS - 1) * stride + lanes)
        return _load_tile(array, offset, stride, lanes)

    @inlined
    def store_tile(array, offset, stride, tile):
        """Write the tile's rows where `load_tile` reads them."""
        check_bounds(array, offset, offset + (TILE_ROWS - 1) * stride + lanes_of(tile) // TILE_ROWS)
        _store_tile(array, offset, stride, tile)

    @inlined
    def add_outer_product(tile, array, offset, stride, vector):
        """Return the tile, to each row of which is added `vector` times an input: they lie `stride` apart."""
        check_bounds(array, offset, offset + (TILE_ROWS - 1) * stride + 1)
        return _add_outer_product(tile, array, offset, stride, vector)

else:
    load_tile, store_tile, add_outer_product = _load_tile, _store_tile, _add_outer_product
