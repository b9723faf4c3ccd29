"""Operations across the lanes of a vector, and exp; simd.py has those that are one LLVM instruction per register."""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fastmnist.kernels.jit import CHECKED, inlined
from fastmnist.kernels.simd import (
    ALIGNMENT,
    FLOAT,
    INT32,
    INT64,
    LANES,
    REGISTER,
    check_bounds,
    each_register,
    larger,
    pointer_to,
    register_pointers,
    splat,
)

MASK_BITS = 64


def _fold_halves(builder, register, operation):
    """Return one lane: the register's halves, then their halves ... joined by `operation`."""
    n = LANES
    while n > 1:
        n //= 2
        halves = [ir.Constant(ir.VectorType(INT32, n), list(range(first, first + n))) for first in (0, n)]
        register = operation(*[builder.shuffle_vector(register, register, half) for half in halves])
    return builder.extract_element(register, ir.Constant(INT32, 0))


@intrinsic
def total(_typing, a):
    """Return the sum of the lanes of one register, added up in halves: one order, one result, everywhere."""

    def generate(_context, builder, _signature, args):
        return _fold_halves(builder, builder.extract_value(args[0], 0), builder.fadd)

    return types.float32(a), generate


@intrinsic
def largest(_typing, a):
    """Return the largest lane of one register."""

    def generate(_context, builder, _signature, args):
        return _fold_halves(builder, builder.extract_value(args[0], 0), lambda x, y: larger(builder, x, y))

    return types.float32(a), generate


@intrinsic
def first_lanes(_typing, a, _n, _other):
    """Return one register: a in the lanes below n, `other` in the rest."""

    def generate(_context, builder, _signature, args):
        numbers = ir.VectorType(INT64, LANES)
        below = builder.icmp_signed("<", ir.Constant(numbers, list(range(LANES))), splat(builder, numbers, args[1]))
        register = builder.extract_value(args[0], 0)
        chosen = builder.select(below, register, splat(builder, REGISTER, args[2]))
        return builder.insert_value(args[0], chosen, 0)

    return a(a, types.intp, types.float32), generate


@intrinsic
def exp(_typing, a):
    """Return e ** a for a <= 0, to within 2 ulp; below -86, where it no longer affects a sum, 4.5e-38.

    2 ** n * e ** r with n whole and |r| <= ln(2) / 2, ln(2) subtracted in two parts (Cody and Waite 1980); e ** r
    by the polynomial of Cephes' expf. NaN stays NaN.
    """

    def generate(_context, builder, _signature, args):
        def call(name, *operands):
            kind = ir.FunctionType(REGISTER, [REGISTER] * len(operands))
            return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v16f32"), operands)

        def constant(value):
            return ir.Constant(REGISTER, [value] * LANES)

        def exp_register(x):
            x = builder.select(builder.fcmp_ordered("<", x, constant(-86.0)), constant(-86.0), x)
            n = call("rint", builder.fmul(x, constant(1.4426950408889634)))
            r = call("fma", n, constant(-0.693359375), x)
            r = call("fma", n, constant(2.12194440e-4), r)
            power = constant(1.9875691500e-4)
            for coefficient in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5, 1.0, 1.0):
                power = call("fma", power, r, constant(coefficient))
            integers = ir.VectorType(INT32, LANES)
            exponent = builder.shl(builder.fptosi(n, integers), ir.Constant(integers, [23] * LANES))
            return builder.bitcast(builder.add(builder.bitcast(power, integers), exponent), REGISTER)

        return each_register(builder, a, exp_register, *args)

    return a(a), generate


@intrinsic
def _transpose(_typing, source, _offset, _stride, target, _target_offset, _target_stride):
    def generate(context, builder, signature, args):
        def pointers(array_type, array, offset, stride):
            places = [builder.add(offset, builder.mul(stride, ir.Constant(INT64, row))) for row in range(LANES)]
            return [register_pointers(context, builder, array_type, array, place, 1)[0] for place in places]

        rows = []
        for pointer in pointers(signature.args[0], *args[:3]):
            rows.append(builder.load(pointer, typ=REGISTER))
            rows[-1].align = ALIGNMENT
        distance = LANES // 2
        while distance:  # swap the off-diagonal quarters of ever smaller squares
            low = [lane if not lane & distance else lane + LANES - distance for lane in range(LANES)]
            high = [lane + distance if not lane & distance else lane + LANES for lane in range(LANES)]
            masks = [ir.Constant(ir.VectorType(INT32, LANES), mask) for mask in (low, high)]
            for row in range(LANES):
                if not row & distance:
                    pair = rows[row], rows[row + distance]
                    rows[row], rows[row + distance] = (builder.shuffle_vector(*pair, mask) for mask in masks)
            distance //= 2
        for row, pointer in zip(rows, pointers(signature.args[3], *args[3:]), strict=True):
            builder.store(row, pointer).align = ALIGNMENT
        return context.get_dummy_value()

    return types.void(source, types.intp, types.intp, target, types.intp, types.intp), generate


def _load_block(context, builder, array_type, array, offset):
    """Return MASK_BITS elements, uint8 or float32, and whether they are floats."""
    element = FLOAT if array_type.dtype == types.float32 else ir.IntType(8)
    block = ir.VectorType(element, MASK_BITS)
    loaded = builder.load(builder.bitcast(pointer_to(context, builder, array_type, array, offset), block.as_pointer()))
    loaded.align = 1
    return loaded, element is FLOAT


@intrinsic
def _nonzero_bits(_typing, array, _offset):
    def generate(context, builder, signature, args):
        loaded, is_float = _load_block(context, builder, signature.args[0], *args)
        compare = builder.fcmp_unordered if is_float else builder.icmp_unsigned
        return builder.bitcast(compare("!=", loaded, ir.Constant(loaded.type, [0] * MASK_BITS)), INT64)

    return types.uint64(array, types.intp), generate


@intrinsic
def _bits_above(_typing, array, _offset, _threshold):
    def generate(context, builder, signature, args):
        loaded, is_float = _load_block(context, builder, signature.args[0], *args[:2])
        compare = builder.fcmp_ordered if is_float else builder.icmp_unsigned
        return builder.bitcast(compare(">", loaded, splat(builder, loaded.type, args[2])), INT64)

    return types.uint64(array, types.intp, array.dtype), generate


@intrinsic
def _store_bits(_typing, array, _offset, _mask):
    def generate(context, builder, signature, args):
        block = ir.VectorType(ir.IntType(8), MASK_BITS)
        pointer = builder.bitcast(pointer_to(context, builder, signature.args[0], *args[:2]), block.as_pointer())
        bits = builder.bitcast(args[2], ir.VectorType(ir.IntType(1), MASK_BITS))
        builder.store(builder.zext(bits, block), pointer).align = 1
        return context.get_dummy_value()

    return types.void(array, types.intp, types.uint64), generate


@intrinsic
def lowest_bit(_typing, _mask):
    """Return the position of the lowest set bit of a mask that has one."""

    def generate(_context, builder, _signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.uint64), generate


@intrinsic
def count_bits(_typing, _mask):
    """Return how many bits of a mask are set."""

    def generate(_context, builder, _signature, args):
        return builder.ctpop(args[0])

    return types.intp(types.uint64), generate


@intrinsic
def highest_bit(_typing, _mask):
    """Return the position of the highest set bit of a mask that has one."""

    def generate(_context, builder, _signature, args):
        zeros_above = builder.ctlz(args[0], ir.Constant(ir.IntType(1), 1))
        return builder.sub(ir.Constant(INT64, MASK_BITS - 1), zeros_above)

    return types.intp(types.uint64), generate


@inlined
def low_bits(n):
    """Return a mask of the lowest n bits, of all where n is 64 or more."""
    return ~np.uint64(0) if n >= MASK_BITS else (np.uint64(1) << np.uint64(n)) - np.uint64(1)


if CHECKED:

    @inlined
    def nonzero_bits(array, offset):
        """Return a mask of which of 64 elements (uint8 or float32) are not 0; a NaN counts as not 0."""
        check_bounds(array, offset, offset + MASK_BITS)
        return _nonzero_bits(array, offset)

    @inlined
    def bits_above(array, offset, threshold):
        """Return a mask of which of 64 elements (uint8 or float32) are above a threshold of their type."""
        check_bounds(array, offset, offset + MASK_BITS)
        return _bits_above(array, offset, threshold)

    @inlined
    def store_bits(array, offset, mask):
        """Write the 64 bits of a mask to an array of uint8, as 0 and 1."""
        check_bounds(array, offset, offset + MASK_BITS)
        _store_bits(array, offset, mask)

    @inlined
    def transpose(source, offset, stride, target, target_offset, target_stride):
        """Write the transpose of a square of 16 x 16 elements; strides are elements from row to row."""
        check_bounds(source, offset, offset + (LANES - 1) * stride + LANES)
        check_bounds(target, target_offset, target_offset + (LANES - 1) * target_stride + LANES)
        _transpose(source, offset, stride, target, target_offset, target_stride)

else:
    nonzero_bits, bits_above, store_bits, transpose = _nonzero_bits, _bits_above, _store_bits, _transpose
