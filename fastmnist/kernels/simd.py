"""Vectors of float32 lanes for kernels, in plain LLVM vector IR.

A vector is one or more registers of 16 lanes: LLVM lowers each to one AVX-512 register, two AVX2 or four NEON
ones. So an accumulator of 64 lanes is one variable and lives in four registers, which Numba's own loops over
arrays do not achieve; and a load at a flat offset skips the test for negative indices that array indexing
makes: together 129 -> 218 GFLOP/s in a matrix product.

`array` is a C-contiguous array of any shape, `offset` a flat position in it, `lanes` a constant multiple of 16.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

from fastmnist.kernels.jit import CHECKED, inlined, specialised

LANES = 16
MAX_REGISTERS = 8  # in a vector: eight accumulators, leaving registers for their operands
FLOAT = ir.FloatType()
INT32, INT64 = ir.IntType(32), ir.IntType(64)
REGISTER = ir.VectorType(FLOAT, LANES)
CACHE_LINE = 64  # bytes
OUTSIDE = "a kernel reaches outside of an array"
ALIGNMENT = 4  # bytes: rows need not begin on a cache line, only on a float32


class Vector(types.Type):
    """The Numba type of a vector of `lanes` float32."""

    def __init__(self, lanes):
        self.lanes = lanes
        self.n_registers = lanes // LANES
        super().__init__(f"float32x{lanes}")

    @property
    def key(self):
        """Numba's types are equal when their keys are."""
        return self.lanes


@register_model(Vector)
class _Model(models.PrimitiveModel):
    """An array of registers: LLVM takes it apart, where one wide vector type would be rounded up to 2**n."""

    def __init__(self, manager, numba_type):
        super().__init__(manager, numba_type, ir.ArrayType(REGISTER, numba_type.n_registers))


def each_register(builder, vector, operation, *operands):
    """Return the vector whose registers are `operation` of the operands' registers."""
    result = ir.Constant(ir.ArrayType(REGISTER, vector.n_registers), ir.Undefined)
    for index in range(vector.n_registers):
        registers = [builder.extract_value(operand, index) for operand in operands]
        result = builder.insert_value(result, operation(*registers), index)
    return result


def pointer_to(context, builder, array_type, array, offset):
    """Return the address of one element."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])


def register_pointers(context, builder, array_type, array, offset, n_registers):
    """Return pointers to registers that lie side by side."""
    places = [builder.add(offset, ir.Constant(INT64, index * LANES)) for index in range(n_registers)]
    return pointers_at(context, builder, array_type, array, places)


def pointers_at(context, builder, array_type, array, places):
    """Return pointers to registers."""
    pointers = [pointer_to(context, builder, array_type, array, place) for place in places]
    return [builder.bitcast(pointer, REGISTER.as_pointer()) for pointer in pointers]


def _load_registers(builder, vector, pointers):
    following = iter(pointers)

    def load_register():
        register = builder.load(next(following), typ=REGISTER)
        register.align = ALIGNMENT
        return register

    return each_register(builder, vector, load_register)


def _store_registers(builder, vector, pointers):
    for index, pointer in enumerate(pointers):
        builder.store(builder.extract_value(vector, index), pointer).align = ALIGNMENT


def splat(builder, register, value):
    """Return a register with `value` in every lane."""
    undefined = ir.Constant(register, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(INT32, 0))
    everywhere = ir.Constant(ir.VectorType(INT32, register.count), [0] * register.count)
    return builder.shuffle_vector(first, undefined, everywhere)


@intrinsic(prefer_literal=True)
def _load(_typing, array, _offset, lanes):
    vector = Vector(lanes.literal_value)

    def generate(context, builder, signature, args):
        pointers = register_pointers(context, builder, signature.args[0], args[0], args[1], vector.n_registers)
        return _load_registers(builder, vector, pointers)

    return vector(array, types.intp, lanes), generate


@intrinsic
def _store(_typing, array, _offset, vector):
    def generate(context, builder, signature, args):
        pointers = register_pointers(context, builder, signature.args[0], args[0], args[1], vector.n_registers)
        _store_registers(builder, args[2], pointers)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


def is_among(builder, index, n_registers):
    """Return whether a register is one of the first `n_registers`, which by_n_registers makes a constant."""
    return builder.icmp_signed("<", ir.Constant(INT64, index), n_registers)


def panel_pointer(context, builder, array_type, array, offset, step, index):
    """Return the pointer to the register `index` of those that lie `step` elements apart."""
    place = builder.add(offset, builder.mul(step, ir.Constant(INT64, index)))
    return pointers_at(context, builder, array_type, array, [place])[0]


def load_among(builder, pointers, n_registers):
    """Return the first `n_registers` of some registers; the rest repeat the first, which can always be read."""
    registers = []
    for index, pointer in enumerate(pointers):
        chosen = builder.select(is_among(builder, index, n_registers), pointer, pointers[0])
        registers.append(builder.load(chosen, typ=REGISTER))
        registers[-1].align = ALIGNMENT
    return registers


@intrinsic(prefer_literal=True)
def _load_panels(_typing, array, _offset, _step, _n_registers, lanes):
    vector = Vector(lanes.literal_value)

    def generate(context, builder, signature, args):
        array_value, offset, step, n_registers, _ = args
        pointers = [
            panel_pointer(context, builder, signature.args[0], array_value, offset, step, index)
            for index in range(vector.n_registers)
        ]
        following = iter(load_among(builder, pointers, n_registers))
        return each_register(builder, vector, lambda: next(following))

    return vector(array, types.intp, types.intp, types.intp, lanes), generate


@intrinsic
def _store_panels(_typing, array, _offset, _step, _n_registers, vector):
    def generate(context, builder, signature, args):
        array_value, offset, step, n_registers, registers = args
        for index in range(vector.n_registers):
            pointer = panel_pointer(context, builder, signature.args[0], array_value, offset, step, index)
            with builder.if_then(is_among(builder, index, n_registers)):
                builder.store(builder.extract_value(registers, index), pointer).align = ALIGNMENT
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, types.intp, vector), generate


@intrinsic
def _item(_typing, array, _offset):
    def generate(context, builder, signature, args):
        return builder.load(pointer_to(context, builder, signature.args[0], *args))

    return array.dtype(array, types.intp), generate


@intrinsic
def prefetch(_typing, array, _offset):
    """Begin to fetch the cache line of an element, which may lie outside of the array."""

    def generate(context, builder, signature, args):
        byte = ir.IntType(8).as_pointer()
        pointer = builder.bitcast(pointer_to(context, builder, signature.args[0], *args), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, INT32, INT32, INT32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [pointer, *(ir.Constant(INT32, number) for number in (0, 3, 1))])  # read, keep, data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def lanes_of(_typing, vector):
    """Return how many lanes a vector has."""
    return types.intp(vector), lambda *_: ir.Constant(INT64, vector.lanes)


@intrinsic(prefer_literal=True)
def broadcast(_typing, _value, lanes):
    """Return a vector with `value` in every lane."""
    vector = Vector(lanes.literal_value)

    def generate(_context, builder, _signature, args):
        register = splat(builder, REGISTER, args[0])
        return each_register(builder, vector, lambda: register)

    return vector(types.float32, lanes), generate


@intrinsic(prefer_literal=True)
def zeros(_typing, lanes):
    """Return a vector of zeros."""
    vector = Vector(lanes.literal_value)

    def generate(_context, builder, _signature, _args):
        return each_register(builder, vector, lambda: ir.Constant(REGISTER, [0.0] * LANES))

    return vector(lanes), generate


def fma_register(builder, a, b, c):
    """Return the register a * b + c."""
    kind = ir.FunctionType(REGISTER, [REGISTER] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")
    return builder.call(function, (a, b, c))


@intrinsic
def fma(_typing, a, b, c):
    """Return a * b + c, rounded once."""

    def generate(_context, builder, _signature, args):
        return each_register(builder, a, lambda *registers: fma_register(builder, *registers), *args)

    return a(a, b, c), generate


@intrinsic
def add(_typing, a, b):
    """Return a + b."""
    return a(a, b), lambda _context, builder, _signature, args: each_register(builder, a, builder.fadd, *args)


@intrinsic
def mul(_typing, a, b):
    """Return a * b."""
    return a(a, b), lambda _context, builder, _signature, args: each_register(builder, a, builder.fmul, *args)


@intrinsic
def where_positive(_typing, a, b):
    """Return b in the lanes where a > 0, 0 elsewhere: ReLU for b = a, and its gradient for b = delta.

    A NaN in `a` counts as positive, so that it is not lost.
    """

    def generate(_context, builder, _signature, args):
        nothing = ir.Constant(REGISTER, [0.0] * LANES)

        def select(condition, register):
            return builder.select(builder.fcmp_unordered(">", condition, nothing), register, nothing)

        return each_register(builder, a, select, *args)

    return a(a, b), generate


@intrinsic
def maximum(_typing, a, b):
    """Return the larger of a and b in each lane."""

    def generate(_context, builder, _signature, args):
        return each_register(builder, a, lambda x, y: larger(builder, x, y), *args)

    return a(a, b), generate


def larger(builder, x, y):
    """Return the register of the larger lanes."""
    return builder.select(builder.fcmp_ordered(">", x, y), x, y)


@inlined
def check_bounds(array, first, last):
    """Raise IndexError unless the elements from `first` to `last` are in the array; for the checked build."""
    if first < 0 or last > array.size:
        raise IndexError(OUTSIDE)


if CHECKED:

    @inlined
    def load(array, offset, lanes):
        """Return the `lanes` elements from `offset` on."""
        check_bounds(array, offset, offset + lanes)
        return _load(array, offset, lanes)

    @inlined
    def store(array, offset, vector):
        """Write the vector's lanes from `offset` on."""
        check_bounds(array, offset, offset + lanes_of(vector))
        _store(array, offset, vector)

    @inlined
    def load_panels(array, offset, step, n_registers, lanes):
        """Return `lanes` elements, 16 from `offset` on, 16 from `offset` + `step` on, and so forth.

        Only the first `n_registers` of 16 hold these; the rest of the vector is to be ignored.
        """
        check_bounds(array, offset, offset + (n_registers - 1) * step + LANES)
        return _load_panels(array, offset, step, n_registers, lanes)

    @inlined
    def store_panels(array, offset, step, n_registers, vector):
        """Write the vector's first `n_registers` where `load_panels` reads them."""
        check_bounds(array, offset, offset + (n_registers - 1) * step + LANES)
        _store_panels(array, offset, step, n_registers, vector)

    @inlined
    def item(array, offset):
        """Return the element at `offset`."""
        check_bounds(array, offset, offset + 1)
        return _item(array, offset)

else:
    load, store, load_panels, store_panels = _load, _store, _load_panels, _store_panels
    item = _item


def by_n_registers(max_registers: int) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that makes n_registers, from 1 to at most 8, a constant in a function f(n_registers, *args).

    The function works on vectors of `max_registers`, of which load_panels and store_panels touch the first
    n_registers. Numba compiles it once; LLVM inlines it in each branch below and drops the unused registers. (Compiling
    such functions with Numba for each number took a third of a first `train`.)
    """
    # For numbers above the largest, the test for 1 is repeated, which LLVM drops.
    n1, n2, n3, n4, n5, n6, n7 = (n if n < max_registers else 1 for n in range(1, MAX_REGISTERS))

    def decorate(function: Callable[..., Any]) -> Any:
        f = specialised(function)

        def dispatch(n_registers, *args):
            if n_registers == n1:
                f(n1, *args)
            elif n_registers == n2:
                f(n2, *args)
            elif n_registers == n3:
                f(n3, *args)
            elif n_registers == n4:
                f(n4, *args)
            elif n_registers == n5:
                f(n5, *args)
            elif n_registers == n6:
                f(n6, *args)
            elif n_registers == n7:
                f(n7, *args)
            else:
                f(max_registers, *args)

        dispatch.__qualname__ = f"{function.__qualname__}.dispatch"
        return inlined(dispatch)

    return decorate
