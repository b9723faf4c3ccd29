"""Products of tiles in Intel's AMX: 16 x 64 uint8 times 64 x 16 int8, added up in int32, in one instruction.

A tile is 16 rows of 64 bytes. The processor has eight, in registers of their own, which a thread configures before it
uses them, and releases so that they need not be saved for it any longer (Intel 64 manual, volume 1, chapter 18). Linux
gives a process leave to use them, once and for all its threads.
"""

import ctypes
import functools
import platform

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fastmnist.kernels.jit import CHECKED, inlined
from fastmnist.kernels.layout import aligned_zeros
from fastmnist.kernels.processor import has
from fastmnist.kernels.simd import INT64, OUTSIDE, pointer_to

ROWS, ROW_BYTES = 16, 64  # of a tile
COMPILED = has("amx-int8") and has("amx-tile")

_N_TILES, _PALETTE, _CONFIG_BYTES = 8, 1, 64
_COLUMNS_AT, _ROWS_AT = 16, 48  # in a configuration: uint16 and uint8, one for each tile
_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18  # Linux on x86-64
_INT8 = ir.IntType(8)


def _is_allowed() -> bool:
    """Return whether this process may use tiles; the first time, Linux is asked for it."""
    if not COMPILED or platform.system() != "Linux":
        return False
    return bool(ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA) == 0)


@functools.cache
def configuration():
    """Return eight whole tiles as `begin` reads them, uint8 (64,); zeros where this process may not use tiles."""
    told = aligned_zeros(_CONFIG_BYTES, np.uint8)
    if _is_allowed():
        told[0] = _PALETTE
        told[_COLUMNS_AT : _COLUMNS_AT + 2 * _N_TILES].view(np.uint16)[:] = ROW_BYTES
        told[_ROWS_AT : _ROWS_AT + _N_TILES] = ROWS
    return told


def _call(builder, name, *operands):
    """Call one of LLVM's functions for tiles; numbers of tiles are constants."""
    kind = ir.FunctionType(ir.VoidType(), [operand.type for operand in operands])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}"), operands)


def _place(context, builder, array_type, array, offset, stride):
    """Return the address of a tile's first row, and the distance of its rows in bytes."""
    size = context.get_abi_sizeof(context.get_data_type(array_type.dtype))
    if CHECKED:
        last_row = builder.add(offset, builder.mul(stride, ir.Constant(INT64, ROWS - 1)))
        end = builder.add(last_row, ir.Constant(INT64, ROW_BYTES // size))
        n_elements = context.make_array(array_type)(context, builder, array).nitems
        with builder.if_then(builder.icmp_signed(">", end, n_elements)):
            context.call_conv.return_user_exc(builder, IndexError, (OUTSIDE,))
    address = builder.bitcast(pointer_to(context, builder, array_type, array, offset), _INT8.as_pointer())
    return address, builder.mul(stride, ir.Constant(INT64, size))


def _tile(number):
    return ir.Constant(_INT8, number.literal_value)


@intrinsic
def _configure(_typing, configuration):
    def generate(context, builder, signature, args):
        first = pointer_to(context, builder, signature.args[0], args[0], ir.Constant(INT64, 0))
        _call(builder, "ldtilecfg", builder.bitcast(first, _INT8.as_pointer()))
        return context.get_dummy_value()

    return types.void(configuration), generate


@intrinsic
def _release(_typing, configuration):
    def generate(context, builder, _signature, _args):
        _call(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(configuration), generate


@intrinsic(prefer_literal=True)
def clear_tile(_typing, tile):
    """Fill a tile with zeros."""

    def generate(context, builder, _signature, _args):
        _call(builder, "tilezero", _tile(tile))
        return context.get_dummy_value()

    return types.void(tile), generate


@intrinsic(prefer_literal=True)
def add_products(_typing, sums, inputs, weights):
    """Add to a tile of int32 the products of a tile of uint8 and one of int8, which has four rows in each: TDPBUSD."""

    def generate(context, builder, _signature, _args):
        _call(builder, "tdpbusd", _tile(sums), _tile(inputs), _tile(weights))
        return context.get_dummy_value()

    return types.void(sums, inputs, weights), generate


@intrinsic(prefer_literal=True)
def load_tile(_typing, tile, array, _offset, _stride):
    """Load a tile from an array; `offset` and `stride`, from row to row, are in elements."""

    def generate(context, builder, signature, args):
        _call(builder, "tileloadd64", _tile(tile), *_place(context, builder, signature.args[1], *args[1:]))
        return context.get_dummy_value()

    return types.void(tile, array, types.intp, types.intp), generate


@intrinsic(prefer_literal=True)
def store_tile(_typing, tile, array, _offset, _stride):
    """Store a tile in an array; `offset` and `stride`, from row to row, are in elements."""

    def generate(context, builder, signature, args):
        _call(builder, "tilestored64", _tile(tile), *_place(context, builder, signature.args[1], *args[1:]))
        return context.get_dummy_value()

    return types.void(tile, array, types.intp, types.intp), generate


if COMPILED:

    @inlined
    def begin(configuration):
        """Configure this thread's tiles by what `configuration` returned; return whether it may use them."""
        if configuration[0] == 0:
            return False
        _configure(configuration)
        return True

    @inlined
    def end(configuration):
        """Release this thread's tiles."""
        _release(configuration)

else:

    @inlined
    def begin(_configuration):
        """Return False: there are no tiles."""
        return False

    @inlined
    def end(_configuration):
        """Do nothing."""
