"""A vector of 16 float32 lanes for kernels, in plain LLVM vector IR.

LLVM lowers it to one AVX-512 register, two AVX2 or four NEON ones. Accumulators held in such vectors stay in
registers, which Numba's own loops over arrays do not achieve, and a load at a flat offset skips the test for
negative indices that array indexing makes: together 129 -> 218 GFLOP/s in a matrix product.

`array` is a C-contiguous float32 array of any shape, `offset` a flat position in it.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

from fastmnist.kernels.jit import CHECKED, inlined

LANES = 16
_FLOAT = ir.FloatType()
_INT32 = ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_ALIGNMENT = 4  # bytes: rows need not begin on a cache line, only on a float32


class Float32x16(types.Type):
    """The Numba type of the vector."""

    def __init__(self):
        super().__init__("float32x16")


float32x16 = Float32x16()


@register_model(Float32x16)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, numba_type):
        super().__init__(manager, numba_type, _VECTOR)


def _pointer(context, builder, array_type, array, offset):
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])


@intrinsic
def _load(_typing, array, _offset):
    def generate(context, builder, signature, args):
        pointer = _pointer(context, builder, signature.args[0], *args)
        vector = builder.load(builder.bitcast(pointer, _VECTOR.as_pointer()), typ=_VECTOR)
        vector.align = _ALIGNMENT
        return vector

    return float32x16(array, types.intp), generate


@intrinsic
def _store(_typing, array, _offset, _vector):
    def generate(context, builder, signature, args):
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1])
        builder.store(args[2], builder.bitcast(pointer, _VECTOR.as_pointer())).align = _ALIGNMENT
        return context.get_dummy_value()

    return types.void(array, types.intp, float32x16), generate


@intrinsic
def _item(_typing, array, _offset):
    def generate(context, builder, signature, args):
        return builder.load(_pointer(context, builder, signature.args[0], *args))

    return array.dtype(array, types.intp), generate


@intrinsic
def broadcast(_typing, _value):
    """Return a vector with `value` in every lane."""

    def generate(_context, builder, _signature, args):
        return _splat(builder, args[0])

    return float32x16(types.float32), generate


def _splat(builder, value):
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(_INT32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_INT32, LANES), [0] * LANES))


@intrinsic
def fma(_typing, _a, _b, _c):
    """Return a * b + c, rounded once."""

    def generate(_context, builder, _signature, args):
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32"), args)

    return float32x16(float32x16, float32x16, float32x16), generate


@intrinsic
def add(_typing, _a, _b):
    """Return a + b."""

    def generate(_context, builder, _signature, args):
        return builder.fadd(*args)

    return float32x16(float32x16, float32x16), generate


@intrinsic
def mul(_typing, _a, _b):
    """Return a * b."""

    def generate(_context, builder, _signature, args):
        return builder.fmul(*args)

    return float32x16(float32x16, float32x16), generate


@intrinsic
def positive(_typing, _a, _b):
    """Return b in the lanes where a > 0, 0 elsewhere: ReLU for b = a, and its gradient for b = delta.

    A NaN in `a` counts as positive, so that it is not lost.
    """

    def generate(_context, builder, _signature, args):
        zeros = ir.Constant(_VECTOR, [0.0] * LANES)
        return builder.select(builder.fcmp_unordered(">", args[0], zeros), args[1], zeros)

    return float32x16(float32x16, float32x16), generate


@intrinsic
def zeros(_typing):
    """Return a vector of zeros."""

    def generate(_context, _builder, _signature, _args):
        return ir.Constant(_VECTOR, [0.0] * LANES)

    return float32x16(), generate


@intrinsic
def total(_typing, _a):
    """Return the sum of the lanes, added up in halves: one order, so one result, on every machine."""

    def generate(_context, builder, _signature, args):
        vector, n = args[0], LANES
        while n > 1:
            n //= 2
            halves = [ir.Constant(ir.VectorType(_INT32, n), list(range(first, first + n))) for first in (0, n)]
            vector = builder.fadd(*[builder.shuffle_vector(vector, vector, half) for half in halves])
        return builder.extract_element(vector, ir.Constant(_INT32, 0))

    return types.float32(float32x16), generate


if CHECKED:

    @inlined
    def load(array, offset):
        """Return the 16 elements from `offset` on; raises IndexError outside of the array."""
        if offset < 0 or offset + LANES > array.size:
            raise IndexError("vector load outside of the array")
        return _load(array, offset)

    @inlined
    def store(array, offset, vector):
        """Write 16 elements from `offset` on; raises IndexError outside of the array."""
        if offset < 0 or offset + LANES > array.size:
            raise IndexError("vector store outside of the array")
        _store(array, offset, vector)

    @inlined
    def item(array, offset):
        """Return the element at `offset`; raises IndexError outside of the array."""
        if offset < 0 or offset >= array.size:
            raise IndexError("load outside of the array")
        return _item(array, offset)

else:
    load, store, item = _load, _store, _item
