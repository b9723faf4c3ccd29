"""Four uint8 inputs at a time times int8 weights, added up in int32: exact, whatever the order and the processor.

A register of 16 lanes has an int32 sum for each of 16 outputs, or the int8 weights that each of these has for four
inputs; simd.py loads and stores either as it is. AVX-512 VNNI multiplies and adds all 64 bytes in one instruction;
other processors multiply pairs of 16-bit numbers.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fastmnist.kernels.jit import CHECKED, inlined
from fastmnist.kernels.lanes import MASK_BITS
from fastmnist.kernels.processor import has
from fastmnist.kernels.simd import (
    INT32,
    INT64,
    LANES,
    REGISTER,
    check_bounds,
    each_register,
    fma_register,
    pointer_to,
    splat,
)

QUAD = 4  # inputs
LARGEST = 255  # of uint8
_INT8, _INT16 = ir.IntType(8), ir.IntType(16)
_SUMS = ir.VectorType(INT32, LANES)


def _add_products(builder, sums, quads, weights):
    """Return `sums` and four products more in each lane: VPDPBUSD (Intel 64 manual, volume 2)."""
    kind = ir.FunctionType(_SUMS, [_SUMS] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.vpdpbusd.512")
    return builder.call(function, (sums, quads, weights))


def _add_products_of_pairs(builder, sums, quads, weights):
    """Do what `_add_products` does, the even bytes first; where there is PMADDWD, LLVM takes it.

    With AVX2, four networks were 1.08 to 1.30 times as fast as in float32 with its zeros left out.
    """
    halves, wide = ir.VectorType(_INT16, 2 * LANES), ir.VectorType(INT32, 2 * LANES)
    eight = ir.Constant(halves, [8] * halves.count)
    quads, weights = builder.bitcast(quads, halves), builder.bitcast(weights, halves)
    inputs = builder.and_(quads, ir.Constant(halves, [LARGEST] * halves.count)), builder.lshr(quads, eight)
    signed = builder.ashr(builder.shl(weights, eight), eight), builder.ashr(weights, eight)
    for left, right in zip(inputs, signed, strict=True):
        products = builder.mul(builder.sext(left, wide), builder.sext(right, wide))
        first, second = (ir.Constant(_SUMS, list(range(start, wide.count, 2))) for start in (0, 1))
        pairs = (builder.shuffle_vector(products, products, lanes) for lanes in (first, second))
        sums = builder.add(sums, builder.add(*pairs))
    return sums


_add = _add_products if has("avx512vnni") else _add_products_of_pairs


@intrinsic
def add_quad(_typing, sums, _quad, weights):
    """Return the sums and in each lane the products of a quad of inputs and the weights."""

    def generate(_context, builder, _signature, args):
        quads = splat(builder, _SUMS, args[1])

        def add_register(total, of_quad):
            total = _add(builder, builder.bitcast(total, _SUMS), quads, builder.bitcast(of_quad, _SUMS))
            return builder.bitcast(total, REGISTER)

        return each_register(builder, sums, add_register, args[0], args[2])

    return sums(sums, types.int32, weights), generate


@intrinsic
def scaled(_typing, sums, scales, biases):
    """Return sums * scales + biases in float32, rounded once, after the sums."""

    def generate(_context, builder, _signature, args):
        def scale_register(total, scale, bias):
            return fma_register(builder, builder.sitofp(builder.bitcast(total, _SUMS), REGISTER), scale, bias)

        return each_register(builder, sums, scale_register, *args)

    return sums(sums, scales, biases), generate


def _pointer(context, builder, array_type, args, kind):
    return builder.bitcast(pointer_to(context, builder, array_type, *args), kind.as_pointer())


@intrinsic
def _load_quad(_typing, array, _offset):
    def generate(context, builder, signature, args):
        quad = builder.load(_pointer(context, builder, signature.args[0], args, INT32), typ=INT32)
        quad.align = 1
        return quad

    return types.int32(array, types.intp), generate


@intrinsic
def _nonzero_quads(_typing, array, _offset):
    def generate(context, builder, signature, args):
        block = ir.VectorType(INT32, MASK_BITS)
        quads = builder.load(_pointer(context, builder, signature.args[0], args, block), typ=block)
        quads.align = 1
        return builder.bitcast(builder.icmp_unsigned("!=", quads, ir.Constant(block, [0] * MASK_BITS)), INT64)

    return types.uint64(array, types.intp), generate


@intrinsic
def _store_rounded(_typing, array, _offset, numbers):
    def generate(context, builder, signature, args):
        bytes_of = ir.VectorType(_INT8, LANES)
        register = builder.extract_value(args[2], 0)
        for name, limit in ((">", 0.0), ("<", float(LARGEST))):
            limits = ir.Constant(REGISTER, [limit] * LANES)
            register = builder.select(builder.fcmp_ordered(name, register, limits), register, limits)
        rint = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(REGISTER, [REGISTER]), f"llvm.rint.v{LANES}f32"
        )
        whole = builder.trunc(builder.fptosi(builder.call(rint, [register]), _SUMS), bytes_of)
        builder.store(whole, _pointer(context, builder, signature.args[0], args[:2], bytes_of)).align = 1
        return context.get_dummy_value()

    return types.void(array, types.intp, numbers), generate


if CHECKED:

    @inlined
    def load_quad(array, offset):
        """Return four uint8 from `offset` on, as they lie in memory, in one int32."""
        check_bounds(array, offset, offset + QUAD)
        return _load_quad(array, offset)

    @inlined
    def nonzero_quads(array, offset):
        """Return a mask of which of the 64 quads of uint8 from `offset` on are not 0, 0, 0, 0."""
        check_bounds(array, offset, offset + QUAD * MASK_BITS)
        return _nonzero_quads(array, offset)

    @inlined
    def store_rounded(array, offset, numbers):
        """Write 16 numbers as uint8: 0 for what is below, 255 for what is above, ties to even; NaN becomes 0."""
        check_bounds(array, offset, offset + LANES)
        _store_rounded(array, offset, numbers)

else:
    load_quad, nonzero_quads, store_rounded = _load_quad, _nonzero_quads, _store_rounded
