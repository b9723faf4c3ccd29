"""Vectors of float32 lanes for kernels, in plain LLVM vector IR.

A vector is one or more registers of 16 lanes: LLVM lowers each to one AVX-512 register, two AVX2 or four NEON
ones. So an accumulator of 64 lanes is one variable and lives in four registers, which Numba's own loops over
arrays do not achieve; and a load at a flat offset skips the test for negative indices that array indexing
makes: together 129 -> 218 GFLOP/s in a matrix product.

`array` is a C-contiguous array of any shape, `offset` a flat position in it, `lanes` a constant multiple of 16.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

from fastmnist.kernels.jit import CHECKED, inlined

LANES = 16
MAX_WIDTH = 8  # registers in a vector: eight accumulators, and room for what they are fed with
_FLOAT = ir.FloatType()
_INT32, _INT64 = ir.IntType(32), ir.IntType(64)
_REGISTER = ir.VectorType(_FLOAT, LANES)
_ALIGNMENT = 4  # bytes: rows need not begin on a cache line, only on a float32


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
        super().__init__(manager, numba_type, ir.ArrayType(_REGISTER, numba_type.n_registers))


def _each_register(builder, vector, operation, *operands):
    """Return the vector whose registers are `operation` of the operands' registers."""
    result = ir.Constant(ir.ArrayType(_REGISTER, vector.n_registers), ir.Undefined)
    for index in range(vector.n_registers):
        registers = [builder.extract_value(operand, index) for operand in operands]
        result = builder.insert_value(result, operation(*registers), index)
    return result


def _pointer(context, builder, array_type, array, offset):
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])


def _register_pointers(context, builder, array_type, array, offset, n_registers, step=None):
    """Return pointers to registers that lie `step` elements apart, side by side if that is None."""
    step = step or ir.Constant(_INT64, LANES)
    places = [builder.add(offset, builder.mul(step, ir.Constant(_INT64, index))) for index in range(n_registers)]
    pointers = [_pointer(context, builder, array_type, array, place) for place in places]
    return [builder.bitcast(pointer, _REGISTER.as_pointer()) for pointer in pointers]


def _load_registers(builder, vector, pointers):
    following = iter(pointers)

    def load_register():
        register = builder.load(next(following), typ=_REGISTER)
        register.align = _ALIGNMENT
        return register

    return _each_register(builder, vector, load_register)


def _store_registers(builder, vector, pointers):
    for index, pointer in enumerate(pointers):
        builder.store(builder.extract_value(vector, index), pointer).align = _ALIGNMENT


def _splat(builder, register, value):
    undefined = ir.Constant(register, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(_INT32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_INT32, LANES), [0] * LANES))


@intrinsic(prefer_literal=True)
def _load(_typing, array, _offset, lanes):
    vector = Vector(lanes.literal_value)

    def generate(context, builder, signature, args):
        pointers = _register_pointers(context, builder, signature.args[0], args[0], args[1], vector.n_registers)
        return _load_registers(builder, vector, pointers)

    return vector(array, types.intp, lanes), generate


@intrinsic
def _store(_typing, array, _offset, vector):
    def generate(context, builder, signature, args):
        pointers = _register_pointers(context, builder, signature.args[0], args[0], args[1], vector.n_registers)
        _store_registers(builder, args[2], pointers)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic(prefer_literal=True)
def _load_panels(_typing, array, _offset, _step, lanes):
    vector = Vector(lanes.literal_value)

    def generate(context, builder, signature, args):
        pointers = _register_pointers(
            context, builder, signature.args[0], args[0], args[1], vector.n_registers, args[2]
        )
        return _load_registers(builder, vector, pointers)

    return vector(array, types.intp, types.intp, lanes), generate


@intrinsic
def _store_panels(_typing, array, _offset, _step, vector):
    def generate(context, builder, signature, args):
        pointers = _register_pointers(
            context, builder, signature.args[0], args[0], args[1], vector.n_registers, args[2]
        )
        _store_registers(builder, args[3], pointers)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vector), generate


@intrinsic
def _item(_typing, array, _offset):
    def generate(context, builder, signature, args):
        return builder.load(_pointer(context, builder, signature.args[0], *args))

    return array.dtype(array, types.intp), generate


@intrinsic
def _lanes_of(_typing, vector):
    return types.intp(vector), lambda *_: ir.Constant(_INT64, vector.lanes)


@intrinsic(prefer_literal=True)
def broadcast(_typing, _value, lanes):
    """Return a vector with `value` in every lane."""
    vector = Vector(lanes.literal_value)

    def generate(_context, builder, _signature, args):
        register = _splat(builder, _REGISTER, args[0])
        return _each_register(builder, vector, lambda: register)

    return vector(types.float32, lanes), generate


@intrinsic(prefer_literal=True)
def zeros(_typing, lanes):
    """Return a vector of zeros."""
    vector = Vector(lanes.literal_value)

    def generate(_context, builder, _signature, _args):
        return _each_register(builder, vector, lambda: ir.Constant(_REGISTER, [0.0] * LANES))

    return vector(lanes), generate


@intrinsic
def fma(_typing, a, b, c):
    """Return a * b + c, rounded once."""

    def generate(_context, builder, _signature, args):
        kind = ir.FunctionType(_REGISTER, [_REGISTER] * 3)
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")
        return _each_register(builder, a, lambda *registers: builder.call(function, registers), *args)

    return a(a, b, c), generate


@intrinsic
def add(_typing, a, b):
    """Return a + b."""
    return a(a, b), lambda _context, builder, _signature, args: _each_register(builder, a, builder.fadd, *args)


@intrinsic
def mul(_typing, a, b):
    """Return a * b."""
    return a(a, b), lambda _context, builder, _signature, args: _each_register(builder, a, builder.fmul, *args)


@intrinsic
def where_positive(_typing, a, b):
    """Return b in the lanes where a > 0, 0 elsewhere: ReLU for b = a, and its gradient for b = delta.

    A NaN in `a` counts as positive, so that it is not lost.
    """

    def generate(_context, builder, _signature, args):
        nothing = ir.Constant(_REGISTER, [0.0] * LANES)

        def select(condition, register):
            return builder.select(builder.fcmp_unordered(">", condition, nothing), register, nothing)

        return _each_register(builder, a, select, *args)

    return a(a, b), generate


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
        return _fold_halves(builder, builder.extract_value(args[0], 0), lambda x, y: _maximum(builder, x, y))

    return types.float32(a), generate


@intrinsic
def maximum(_typing, a, b):
    """Return the larger of a and b in each lane."""

    def generate(_context, builder, _signature, args):
        return _each_register(builder, a, lambda x, y: _maximum(builder, x, y), *args)

    return a(a, b), generate


def _maximum(builder, x, y):
    return builder.select(builder.fcmp_ordered(">", x, y), x, y)


@intrinsic
def first_lanes(_typing, a, _n, _other):
    """Return one register: a in the lanes below n, `other` in the rest."""

    def generate(_context, builder, _signature, args):
        numbers = ir.VectorType(_INT64, LANES)
        below = builder.icmp_signed("<", ir.Constant(numbers, list(range(LANES))), _splat(builder, numbers, args[1]))
        register = builder.extract_value(args[0], 0)
        chosen = builder.select(below, register, _splat(builder, _REGISTER, args[2]))
        return builder.insert_value(args[0], chosen, 0)

    return a(a, types.intp, types.float32), generate


@intrinsic
def exp(_typing, a):
    """Return e ** a for a <= 0, below 2 ulp; for a < -86, where nothing is left to add to, 4.5e-38.

    2 ** n * e ** r with n whole and |r| <= ln(2) / 2, ln(2) subtracted in two parts (Cody and Waite 1980); e ** r
    by the polynomial of Cephes' expf. NaN stays NaN.
    """

    def generate(_context, builder, _signature, args):
        def call(name, *operands):
            kind = ir.FunctionType(_REGISTER, [_REGISTER] * len(operands))
            return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v16f32"), operands)

        def constant(value):
            return ir.Constant(_REGISTER, [value] * LANES)

        def exp_register(x):
            x = builder.select(builder.fcmp_ordered("<", x, constant(-86.0)), constant(-86.0), x)
            n = call("rint", builder.fmul(x, constant(1.4426950408889634)))
            r = call("fma", n, constant(-0.693359375), x)
            r = call("fma", n, constant(2.12194440e-4), r)
            power = constant(1.9875691500e-4)
            for coefficient in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5, 1.0, 1.0):
                power = call("fma", power, r, constant(coefficient))
            integers = ir.VectorType(_INT32, LANES)
            exponent = builder.shl(builder.fptosi(n, integers), ir.Constant(integers, [23] * LANES))
            return builder.bitcast(builder.add(builder.bitcast(power, integers), exponent), _REGISTER)

        return _each_register(builder, a, exp_register, *args)

    return a(a), generate


def _fold_halves(builder, register, operation):
    """Return one lane: the register's halves, then their halves ... joined by `operation`."""
    n = LANES
    while n > 1:
        n //= 2
        halves = [ir.Constant(ir.VectorType(_INT32, n), list(range(first, first + n))) for first in (0, n)]
        register = operation(*[builder.shuffle_vector(register, register, half) for half in halves])
    return builder.extract_element(register, ir.Constant(_INT32, 0))


@intrinsic
def _transpose(_typing, source, _offset, _stride, target, _target_offset, _target_stride):
    def generate(context, builder, signature, args):
        def pointers(array_type, array, offset, stride):
            places = [builder.add(offset, builder.mul(stride, ir.Constant(_INT64, row))) for row in range(LANES)]
            return [_register_pointers(context, builder, array_type, array, place, 1)[0] for place in places]

        rows = []
        for pointer in pointers(signature.args[0], *args[:3]):
            rows.append(builder.load(pointer, typ=_REGISTER))
            rows[-1].align = _ALIGNMENT
        distance = LANES // 2
        while distance:  # swap the off-diagonal quarters of ever smaller squares
            low = [lane if not lane & distance else lane + LANES - distance for lane in range(LANES)]
            high = [lane + distance if not lane & distance else lane + LANES for lane in range(LANES)]
            masks = [ir.Constant(ir.VectorType(_INT32, LANES), mask) for mask in (low, high)]
            for row in range(LANES):
                if not row & distance:
                    pair = rows[row], rows[row + distance]
                    rows[row], rows[row + distance] = (builder.shuffle_vector(*pair, mask) for mask in masks)
            distance //= 2
        for row, pointer in zip(rows, pointers(signature.args[3], *args[3:]), strict=True):
            builder.store(row, pointer).align = _ALIGNMENT
        return context.get_dummy_value()

    return types.void(source, types.intp, types.intp, target, types.intp, types.intp), generate


MASK_BITS = 64


@intrinsic
def _nonzero_bits(_typing, array, _offset):
    def generate(context, builder, signature, args):
        element = _FLOAT if signature.args[0].dtype == types.float32 else ir.IntType(8)
        block = ir.VectorType(element, MASK_BITS)
        pointer = builder.bitcast(_pointer(context, builder, signature.args[0], *args), block.as_pointer())
        loaded = builder.load(pointer, typ=block)
        loaded.align = 1
        nothing = ir.Constant(block, [0] * MASK_BITS)
        compare = builder.fcmp_unordered if element is _FLOAT else builder.icmp_unsigned
        return builder.bitcast(compare("!=", loaded, nothing), _INT64)

    return types.uint64(array, types.intp), generate


@intrinsic
def lowest_bit(_typing, _mask):
    """Return the position of the lowest set bit of a mask that has one."""

    def generate(_context, builder, _signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.uint64), generate


if CHECKED:

    @inlined
    def _check(array, first, last):
        if first < 0 or last > array.size:
            raise IndexError("a kernel reaches outside of an array")

    @inlined
    def load(array, offset, lanes):
        """Return the `lanes` elements from `offset` on."""
        _check(array, offset, offset + lanes)
        return _load(array, offset, lanes)

    @inlined
    def store(array, offset, vector):
        """Write the vector's lanes from `offset` on."""
        _check(array, offset, offset + _lanes_of(vector))
        _store(array, offset, vector)

    @inlined
    def load_panels(array, offset, step, lanes):
        """Return `lanes` elements, 16 from `offset` on, 16 from `offset` + `step` on, and so forth."""
        _check(array, offset, offset + (lanes // LANES - 1) * step + LANES)
        return _load_panels(array, offset, step, lanes)

    @inlined
    def store_panels(array, offset, step, vector):
        """Write the vector's lanes where `load_panels` reads them."""
        _check(array, offset, offset + (_lanes_of(vector) // LANES - 1) * step + LANES)
        _store_panels(array, offset, step, vector)

    @inlined
    def item(array, offset):
        """Return the element at `offset`."""
        _check(array, offset, offset + 1)
        return _item(array, offset)

    @inlined
    def nonzero_bits(array, offset):
        """Return a mask of the ones of 64 elements (uint8 or float32) that are not 0; NaN is not."""
        _check(array, offset, offset + MASK_BITS)
        return _nonzero_bits(array, offset)

    @inlined
    def transpose(source, offset, stride, target, target_offset, target_stride):
        """Write the transpose of a square of 16 x 16 elements; strides are elements from row to row."""
        _check(source, offset, offset + (LANES - 1) * stride + LANES)
        _check(target, target_offset, target_offset + (LANES - 1) * target_stride + LANES)
        _transpose(source, offset, stride, target, target_offset, target_stride)

else:
    load, store, load_panels, store_panels = _load, _store, _load_panels, _store_panels
    item, nonzero_bits, transpose = _item, _nonzero_bits, _transpose


def by_width(make, max_width):
    """Return a function f(width, *args) that runs make(lanes)(*args) for a vector of `width` registers.

    `make` is called once for each width from 1 to `max_width` (at most 8), so that vectors have constant sizes.
    A chain of tests, because nested calls would each count the references of all their arrays.
    """
    functions = [inlined(make(LANES * width)) for width in range(1, max_width + 1)]
    f1, f2, f3, f4, f5, f6, f7, f8 = functions + [functions[-1]] * (MAX_WIDTH - max_width)

    @inlined
    def dispatch(width, *args):
        if width == 1:
            f1(*args)
        elif width == 2:
            f2(*args)
        elif width == 3:
            f3(*args)
        elif width == 4:
            f4(*args)
        elif width == 5:
            f5(*args)
        elif width == 6:
            f6(*args)
        elif width == 7:
            f7(*args)
        else:
            f8(*args)

    return dispatch
