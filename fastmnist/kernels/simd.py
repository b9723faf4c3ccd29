"""Vectors of float32 lanes for kernels, in plain LLVM vector IR.

A vector has a multiple of 16 lanes: LLVM lowers 16 to one AVX-512 register, two AVX2 or four NEON ones, and
splits a wider vector into several. So an accumulator of 64 lanes is one variable and lives in four registers,
which Numba's own loops over arrays do not achieve; and a load at a flat offset skips the test for negative
indices that array indexing makes: together 129 -> 218 GFLOP/s in a matrix product.

`array` is a C-contiguous array of any shape, `offset` a flat position in it, `lanes` a constant.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

from fastmnist.kernels.jit import CHECKED, inlined

LANES = 16
_FLOAT = ir.FloatType()
_INT32 = ir.IntType(32)
_ALIGNMENT = 4  # bytes: rows need not begin on a cache line, only on a float32


class Vector(types.Type):
    """The Numba type of a vector of `lanes` float32."""

    def __init__(self, lanes):
        self.lanes = lanes
        super().__init__(f"float32x{lanes}")

    @property
    def key(self):
        """Numba's types are equal when their keys are."""
        return self.lanes


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, numba_type):
        super().__init__(manager, numba_type, ir.VectorType(_FLOAT, numba_type.lanes))


def _pointer(context, builder, array_type, array, offset):
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])


def _vector_pointer(context, builder, array_type, array, offset, lanes):
    pointer = _pointer(context, builder, array_type, array, offset)
    return builder.bitcast(pointer, ir.VectorType(_FLOAT, lanes).as_pointer())


@intrinsic(prefer_literal=True)
def _load(_typing, array, _offset, lanes):
    vector = Vector(lanes.literal_value)

    def generate(context, builder, signature, args):
        pointer = _vector_pointer(context, builder, signature.args[0], args[0], args[1], vector.lanes)
        loaded = builder.load(pointer, typ=ir.VectorType(_FLOAT, vector.lanes))
        loaded.align = _ALIGNMENT
        return loaded

    return vector(array, types.intp, lanes), generate


@intrinsic
def _store(_typing, array, _offset, vector):
    def generate(context, builder, signature, args):
        pointer = _vector_pointer(context, builder, signature.args[0], args[0], args[1], vector.lanes)
        builder.store(args[2], pointer).align = _ALIGNMENT
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def _item(_typing, array, _offset):
    def generate(context, builder, signature, args):
        return builder.load(_pointer(context, builder, signature.args[0], *args))

    return array.dtype(array, types.intp), generate


@intrinsic
def _width(_typing, vector):
    def generate(_context, _builder, _signature, _args):
        return ir.Constant(ir.IntType(64), vector.lanes)

    return types.intp(vector), generate


@intrinsic(prefer_literal=True)
def broadcast(_typing, _value, lanes):
    """Return a vector with `value` in every lane."""
    n = lanes.literal_value

    def generate(_context, builder, _signature, args):
        undefined = ir.Constant(ir.VectorType(_FLOAT, n), ir.Undefined)
        first = builder.insert_element(undefined, args[0], ir.Constant(_INT32, 0))
        return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_INT32, n), [0] * n))

    return Vector(n)(types.float32, lanes), generate


@intrinsic(prefer_literal=True)
def zeros(_typing, lanes):
    """Return a vector of zeros."""
    n = lanes.literal_value

    def generate(_context, _builder, _signature, _args):
        return ir.Constant(ir.VectorType(_FLOAT, n), [0.0] * n)

    return Vector(n)(lanes), generate


@intrinsic
def fma(_typing, a, b, c):
    """Return a * b + c, rounded once."""
    if not a == b == c:
        return None

    def generate(_context, builder, _signature, args):
        kind = ir.VectorType(_FLOAT, a.lanes)
        name = f"llvm.fma.v{a.lanes}f32"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
        return builder.call(function, args)

    return a(a, a, a), generate


@intrinsic
def add(_typing, a, b):
    """Return a + b."""
    return a(a, b), lambda _context, builder, _signature, args: builder.fadd(*args)


@intrinsic
def mul(_typing, a, b):
    """Return a * b."""
    return a(a, b), lambda _context, builder, _signature, args: builder.fmul(*args)


@intrinsic
def where_positive(_typing, a, b):
    """Return b in the lanes where a > 0, 0 elsewhere: ReLU for b = a, and its gradient for b = delta.

    A NaN in `a` counts as positive, so that it is not lost.
    """

    def generate(_context, builder, _signature, args):
        nothing = ir.Constant(ir.VectorType(_FLOAT, a.lanes), [0.0] * a.lanes)
        return builder.select(builder.fcmp_unordered(">", args[0], nothing), args[1], nothing)

    return a(a, b), generate


@intrinsic
def total(_typing, a):
    """Return the sum of the lanes, added up in halves: one order, so one result, on every machine."""

    def generate(_context, builder, _signature, args):
        vector, n = args[0], a.lanes
        while n > 1:
            n //= 2
            halves = [ir.Constant(ir.VectorType(_INT32, n), list(range(first, first + n))) for first in (0, n)]
            vector = builder.fadd(*[builder.shuffle_vector(vector, vector, half) for half in halves])
        return builder.extract_element(vector, ir.Constant(_INT32, 0))

    return types.float32(a), generate


if CHECKED:

    @inlined
    def load(array, offset, lanes):
        """Return the `lanes` elements from `offset` on; raises IndexError outside of the array."""
        if offset < 0 or offset + lanes > array.size:
            raise IndexError("vector load outside of the array")
        return _load(array, offset, lanes)

    @inlined
    def store(array, offset, vector):
        """Write the vector's lanes from `offset` on; raises IndexError outside of the array."""
        if offset < 0 or offset + _width(vector) > array.size:
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
