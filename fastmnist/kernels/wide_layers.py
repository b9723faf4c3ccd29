"""Products of wide layers in training, in AMX's tiles of bfloat16: one and a half to two times as fast as AVX-512.

A float32 is split into three parts of 8 bits each, x = high + middle + low. A product is then the sum of those of the
parts, but for the smallest, by an instruction that does sixteen times as many as one of AVX-512 (Henry, Tang and
Heinecke 2019, "Leveraging the bfloat16 artificial intelligence datatype for higher-precision computations"). The
forward pass takes six of them, which is as exact as float32. Gradients take the three without low parts, each within
2**-14 of the product: of 128 x 800 x 800 products, the largest error is 5e-6 of the largest sum. (Forward, that would
be too much: in every second batch a unit near 0 would be active that should not be, or the other way round.)

A tile holds 16 x 32 numbers as 16 x 16 pairs: numbers that are 16 apart along the sum share an element, so that two
registers become one by shifts. The tiles of the other parts follow. `depth` is how many such blocks of 32 a sum is
long. It is taken in the same order for any number of threads.

The code is compiled separately, when a network with a wide layer is trained.
"""

from typing import NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastmnist.kernels.amx import (
    HAS_BFLOAT16,
    ROWS,
    add_bfloat16_products,
    begin,
    clear_tile,
    configuration,
    end,
    load_tile,
    store_tile,
)
from fastmnist.kernels.forward import Parameters, columns_of, fill_biases
from fastmnist.kernels.jit import inlined
from fastmnist.kernels.lanes import transpose
from fastmnist.kernels.layout import Part, layer_at
from fastmnist.kernels.matmul import Matrix
from fastmnist.kernels.parts import part
from fastmnist.kernels.sgd import StepScalars, step_rows
from fastmnist.kernels.simd import (
    INT32,
    LANES,
    REGISTER,
    Vector,
    add,
    load,
    store,
    store_panels,
    zeros,
)

N_PARTS = 3  # of a number,
EXACT, NEAR = 3, 2  # of which so many are used
TILE = ROWS * LANES  # elements of a tile,
GROUP = N_PARTS * TILE  # and of those of all parts
BLOCK = 32  # numbers; as many are the rows and the columns of four tiles of sums

# In smaller batches, splitting the weights costs what the tiles save; smaller layers are few. The recipe `default` has
# none that is as large: it gives the same bytes with and without tiles.
LEAST_SAMPLES = 64
LEAST_UNITS, LEAST_WEIGHTS = 256, 1 << 18  # on either side of a layer, and between them


class Room(NamedTuple):
    """A part's working memory, which begins with the left operand of a product, and where its sections begin."""

    memory: np.ndarray  # (n,)
    right: int  # a block of columns of the right operand
    sums: int  # (BLOCK, BLOCK)
    turned: int  # tiles that are to be transposed
    n_parts: int  # of each number: EXACT or NEAR


def are_wide(layers, batch_size):
    """Return which of a network's layers (see layout.py) are multiplied here, in batches of that size."""
    if not HAS_BFLOAT16 or batch_size < LEAST_SAMPLES or not configuration()[0]:
        return [False] * len(layers)
    hidden = range(1, len(layers) - 1)
    return [
        index in hidden and min(layer.n_in, layer.n_out) >= LEAST_UNITS and layer.n_in * layer.n_out >= LEAST_WEIGHTS
        for index, layer in enumerate(layers)
    ]


def room_for(layers, batch_size):
    """Return how many elements of working memory a part needs for these layers."""
    widest, batch = (
        -(-n // BLOCK) * BLOCK for n in (max(batch_size, *(max(layer[:2]) for layer in layers)), batch_size)
    )
    return widest * (batch + BLOCK) * N_PARTS // 2 + BLOCK * BLOCK + GROUP


@inlined
def blocks_for(n):
    """Return how many blocks n numbers take."""
    return (n + BLOCK - 1) // BLOCK


@inlined
def room_of(memory, widest, n_parts):
    """Return a part's room for operands up to `widest` on a side, and how many parts numbers are split into."""
    turned = len(memory) - GROUP
    sums = turned - BLOCK * BLOCK
    return Room(memory, sums - blocks_for(widest) * 2 * GROUP, sums, turned, n_parts)


def _split(builder, register):
    """Return the high parts of a register, rounded, as the upper halves of integers; and what is left of it."""
    integers = ir.VectorType(INT32, LANES)
    half, upper = (ir.Constant(integers, [number] * LANES) for number in (0x8000, 0xFFFF0000))
    bits = builder.and_(builder.add(builder.bitcast(register, integers), half), upper)
    return bits, builder.fsub(register, builder.bitcast(bits, REGISTER))


@intrinsic
def split_pairs(_typing, first, second):
    """Return N_PARTS registers: pairs of the high parts of `first` and `second`, of the middle and the low ones."""

    def generate(_context, builder, _signature, args):
        shift = ir.Constant(ir.VectorType(INT32, LANES), [16] * LANES)
        result = ir.Constant(ir.ArrayType(REGISTER, N_PARTS), ir.Undefined)
        first_rest, second_rest = (builder.extract_value(vector, 0) for vector in args)
        for index in range(N_PARTS):
            lower, first_rest = _split(builder, first_rest)
            upper, second_rest = _split(builder, second_rest)
            pairs = builder.or_(builder.lshr(lower, shift), upper)
            result = builder.insert_value(result, builder.bitcast(pairs, REGISTER), index)
        return result

    return Vector(N_PARTS * LANES)(first, second), generate


@inlined
def store_pairs(first, second, room, place):
    """Split two registers into a row of a tile at `place`, and of those of the other parts."""
    store_panels(room.memory, place, TILE, room.n_parts, split_pairs(first, second))


@inlined
def turn_tiles(room, place):
    """Write the transposes of the tiles in `room.turned` to `place`."""
    for tile in range(0, room.n_parts * TILE, TILE):
        transpose(room.memory, room.turned + tile, LANES, room.memory, place + tile, LANES)


@inlined
def split_rows(room, buffer, layer, batch_size, n_parts, n_samples):
    """Fill the left operand with all columns of a layer's outputs or deltas: its rows are samples."""
    depth = blocks_for(layer.n_registers * LANES)
    for register in range(0, layer.n_registers, 2):
        has_second = register + 1 < layer.n_registers
        place, stride = register_at(buffer, layer, batch_size, n_parts, register)
        other, other_stride = register_at(buffer, layer, batch_size, n_parts, register + has_second)
        for sample in range(n_samples):
            tile = (sample // ROWS * depth + register // 2) * GROUP
            first = load(buffer, place + sample * stride, LANES)
            second = load(buffer, other + sample * other_stride, LANES) if has_second else zeros(LANES)
            store_pairs(first, second, room, tile + sample % ROWS * LANES)


@inlined
def register_at(buffer, layer, batch_size, n_parts, register):
    """Return where a register of a layer's outputs or deltas is for the first sample, and how far samples are apart."""
    number = ((register + 1) * n_parts - 1) // layer.n_registers
    columns = columns_of(buffer, layer, batch_size, Part(number, n_parts))
    return columns.matrix.offset + (register - columns.first) * LANES, columns.matrix.row_step


@inlined
def split_columns(room, units, n_registers, n_samples):
    """Fill the left operand with the transpose of columns of a layer's outputs: its rows are units."""
    depth = blocks_for(n_samples)
    for register in range(n_registers):
        for block in range(depth):
            for row in range(LANES):
                sample = block * BLOCK + row
                place = units.offset + register * LANES + sample * units.row_step
                first = load(units.array, place, LANES) if sample < n_samples else zeros(LANES)
                second = zeros(LANES)
                if sample + LANES < n_samples:
                    second = load(units.array, place + LANES * units.row_step, LANES)
                store_pairs(first, second, room, room.turned + row * LANES)
            turn_tiles(room, (register * depth + block) * GROUP)


@inlined
def split_right(room, matrix, n_registers, n_rows):
    """Fill the right operand's block with one or two registers of each row of a matrix.

    Where its last block lacks rows it has the last row again, which is multiplied by zeros of the left operand.
    """
    for row in range(blocks_for(n_rows) * LANES):
        upper = row // LANES * BLOCK + row % LANES
        first, second = min(upper, n_rows - 1) * matrix.row_step, min(upper + LANES, n_rows - 1) * matrix.row_step
        for register in range(n_registers):
            place = matrix.offset + register * LANES
            tile = room.right + (row // LANES * 2 + register) * GROUP
            store_pairs(
                load(matrix.array, place + first, LANES),
                load(matrix.array, place + second, LANES),
                room,
                tile + row % LANES * LANES,
            )


@inlined
def split_right_turned(room, matrix, n_registers, n_deep):
    """Fill the right operand's block with 16 or 32 rows of a matrix, of `n_deep` registers, as its columns."""
    for block in range(blocks_for(n_deep * LANES)):
        for register in range(n_registers):
            for row in range(LANES):
                place = matrix.offset + (register * LANES + row) * matrix.row_step + block * BLOCK
                first, second = load(matrix.array, place, LANES), zeros(LANES)
                if 2 * block + 1 < n_deep:
                    second = load(matrix.array, place + LANES, LANES)
                store_pairs(first, second, room, room.turned + row * LANES)
            turn_tiles(room, room.right + (block * 2 + register) * GROUP)


@inlined
def multiply_block(room, row, depth):
    """Fill `room.sums` with 32 rows of the left operand, from `row` on, times the right operand's block."""
    memory, right = room.memory, room.right
    clear_tile(0)
    clear_tile(1)
    clear_tile(2)
    clear_tile(3)
    for block in range(depth):
        left = (row // ROWS * depth + block) * GROUP
        _add_products(memory, left, depth, right)
        _add_products(memory, left, depth, right + TILE)
        _add_products(memory, left + TILE, depth, right)
        if room.n_parts == EXACT:
            _add_products(memory, left + TILE, depth, right + TILE)
            _add_products(memory, left, depth, right + 2 * TILE)
            _add_products(memory, left + 2 * TILE, depth, right)
        right += 2 * GROUP
    store_tile(0, memory, room.sums, BLOCK)
    store_tile(1, memory, room.sums + LANES, BLOCK)
    store_tile(2, memory, room.sums + ROWS * BLOCK, BLOCK)
    store_tile(3, memory, room.sums + ROWS * BLOCK + LANES, BLOCK)


@inlined
def _add_products(memory, left, depth, right):
    """Add to the four tiles of sums two tiles of the left operand times two of the right one."""
    load_tile(4, memory, left, LANES)
    load_tile(5, memory, left + depth * GROUP, LANES)
    load_tile(6, memory, right, LANES)
    load_tile(7, memory, right + GROUP, LANES)
    add_bfloat16_products(0, 4, 6)
    add_bfloat16_products(1, 4, 7)
    add_bfloat16_products(2, 5, 6)
    add_bfloat16_products(3, 5, 7)


@inlined
def add_columns(room, n_samples, depth, n_registers, out, column):
    """Add the products with the right operand's block to one or two registers of each row of `out`."""
    for row in range(0, n_samples, BLOCK):
        multiply_block(room, row, depth)
        for sample in range(row, min(row + BLOCK, n_samples)):
            for register in range(0, n_registers * LANES, LANES):
                place = out.offset + sample * out.row_step + column + register
                sums = load(room.memory, room.sums + (sample - row) * BLOCK + register, LANES)
                store(out.array, place, add(load(out.array, place, LANES), sums))


@inlined
def forward_wide(room, parameters, layer, n_samples, out):
    """Add the left operand, the outputs of the layer before, times the weights to columns of a layer's outputs."""
    for register in range(0, out.last - out.first, 2):
        n_registers = min(2, out.last - out.first - register)
        column = layer.weights + (out.first + register) * LANES
        split_right(room, Matrix(parameters.values, column, layer.stride, 1), n_registers, layer.n_in)
        add_columns(room, n_samples, blocks_for(layer.n_in), n_registers, out.matrix, register * LANES)


@inlined
def delta_wide(room, parameters, layer, n_samples, below):
    """Add the left operand, a layer's delta, times its weights' transpose to columns of the delta before it."""
    for register in range(0, below.last - below.first, 2):
        n_registers = min(2, below.last - below.first - register)
        row = layer.weights + (below.first + register) * LANES * layer.stride
        split_right_turned(room, Matrix(parameters.values, row, layer.stride, 1), n_registers, layer.n_registers)
        add_columns(room, n_samples, blocks_for(layer.n_out), n_registers, below.matrix, register * LANES)


@inlined
def step_wide(room, parameters, layer, n_samples, units, delta, scalars):
    """Step columns of a layer's weights, those of `delta`, in the rows of `units`, which the left operand holds."""
    first = units.first * LANES
    n_units = min(units.last * LANES, layer.n_in) - first
    for register in range(0, delta.last - delta.first, 2):
        n_registers = min(2, delta.last - delta.first - register)
        rows = Matrix(delta.matrix.array, delta.matrix.offset + register * LANES, delta.matrix.row_step, 1)
        split_right(room, rows, n_registers, n_samples)
        column = layer.weights + (delta.first + register) * LANES
        for unit in range(0, n_units, BLOCK):
            place, n_rows = column + (first + unit) * layer.stride, min(BLOCK, n_units - unit)
            multiply_block(room, unit, blocks_for(n_samples))
            step_rows(
                n_registers,
                parameters.values,
                parameters.velocities,
                place,
                layer.stride,
                n_rows,
                room.memory[room.sums :],
                BLOCK,
                scalars,
            )


def _of_multiply():
    floats = np.zeros(1, np.float32)
    parameters = numba.typeof(Parameters(np.zeros((1, 7), np.int64), floats, floats))
    scalars = numba.typeof(StepScalars(*np.zeros(3, np.float32)))
    tiles, memory = numba.typeof(np.zeros(1, np.uint8)), numba.typeof(np.zeros((1, 1), np.float32))
    numbers, buffer = (types.intp,) * 3, numba.typeof(floats)
    return types.void(
        types.boolean, parameters, *numbers, buffer, buffer, tiles, memory, scalars, numba.typeof(Part(0, 1))
    )


@part(_of_multiply)
def multiply_wide(
    is_backward, parameters, index, batch_size, n_samples, activations, deltas, tiles, memory, scalars, part
):
    """Do one part of what training_loop.py does with the layer `index`, n_samples of a batch.

    Forward: fill its outputs, before ReLU. Backward: add its share to the delta of the layer before, then step its
    weights. `tiles` is from amx.configuration; `memory` is (n_parts, room_for(...) or more).
    """
    layer, previous = layer_at(parameters.layout, index), layer_at(parameters.layout, index - 1)
    widest, n_parts = max(layer.n_in, layer.n_out, batch_size), NEAR if is_backward else EXACT
    room = room_of(memory[part.number], widest, n_parts)
    begin(tiles)
    if is_backward:
        split_rows(room, deltas, layer, batch_size, part.n_parts, n_samples)
        delta_wide(room, parameters, layer, n_samples, columns_of(deltas, previous, batch_size, part))
        units = columns_of(activations, previous, batch_size, part)
        split_columns(room, units.matrix, units.last - units.first, n_samples)
        for number in range(part.n_parts):
            delta = columns_of(deltas, layer, batch_size, Part(number, part.n_parts))
            step_wide(room, parameters, layer, n_samples, units, delta, scalars)
    else:
        split_rows(room, activations, previous, batch_size, part.n_parts, n_samples)
        out = columns_of(activations, layer, batch_size, part)
        fill_biases(parameters, layer, out, n_samples)
        forward_wide(room, parameters, layer, n_samples, out)
    end(tiles)
