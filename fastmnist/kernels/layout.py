"""How a network's numbers are laid out in memory: the shapes, stated once.

All matrices are C-contiguous, their rows zero-padded to whole registers of 16 numbers: a row of n numbers takes
`n_registers` = ceil(n / 16), and rows begin `stride` elements apart. The stride is an odd number of cache lines, so
that a column block's rows spread over all sets of the first-level cache; a power of two would put them all into a few.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.simd import CACHE_LINE, LANES


def registers_for(n):
    """Return how many registers a row of n numbers takes."""
    return -(-n // LANES)


def row_stride(n):
    """Return the distance of rows of n numbers, in elements."""
    return LANES * (registers_for(n) | 1)


class Layer(NamedTuple):
    """One layer: its sizes, and where it lies in flat float32 buffers."""

    n_in: int
    n_out: int
    n_registers: int  # of a row of n_out numbers
    stride: int  # of the rows of its weights and its outputs
    weights: int  # offset of its (n_in, n_out) weights in the parameters
    biases: int  # offset of its (n_out,) biases in the parameters
    outputs: int  # the sum of the strides of the layers before: offset of its outputs, times the batch size


def make_layers(layer_sizes):
    """Return a Layer for each pair of `layer_sizes`, and how many float32 all their parameters take."""
    layers = []
    offset = outputs = size = 0
    for n_in, n_out in pairwise(layer_sizes):
        stride = row_stride(n_out)
        layers.append(Layer(n_in, n_out, registers_for(n_out), stride, offset, offset + n_in * stride, outputs))
        size = max(size, offset + registers_for(n_in) * LANES * stride)
        offset += (n_in + 1) * stride
        outputs += stride
    return layers, max(size, offset + LANES * stride)  # the input gradient reads rows of the weights in blocks of 16


@inlined
def layer_at(layout, index):
    """Return one row of the layout, the array (n_layers, 7) int64 of all Layers that kernels take."""
    row = layout[index]
    return Layer(row[0], row[1], row[2], row[3], row[4], row[5], row[6])


@inlined
def part_bounds(length, part, n_parts):
    """Return (first, last) of one of `n_parts` nearly equal parts of `range(length)`."""
    return part * length // n_parts, (part + 1) * length // n_parts


class Part(NamedTuple):
    """One of the nearly equal parts of the work, see part_bounds."""

    number: int  # from 0
    n_parts: int


def aligned_zeros(n, dtype=np.float32):
    """Return n zeros that begin on a cache line, so that no register of a row straddles two lines."""
    per_line = CACHE_LINE // np.dtype(dtype).itemsize
    buffer = np.zeros(n + per_line, dtype)
    first = -buffer.ctypes.data // buffer.itemsize % per_line
    return buffer[first : first + n]
