"""Where a network's numbers lie: the shapes, stated once.

All matrices are C-contiguous with rows of whole vectors: a row of n numbers takes `width` = ceil(n / 16)
vectors, of which the last is filled up with zeros, and rows begin `stride` elements apart. The stride is an odd
number of cache lines, so that a column block's rows spread over all sets of the first-level cache; a power of
two would put them all into a few.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.simd import LANES


def row_width(n):
    """Return how many vectors a row of n numbers takes."""
    return -(-n // LANES)


def row_stride(n):
    """Return the distance of rows of n numbers, in elements."""
    return LANES * (row_width(n) | 1)


class Layer(NamedTuple):
    """One layer: its sizes, and where it lies in flat float32 buffers."""

    n_in: int
    n_out: int
    width: int  # of a row of n_out numbers
    stride: int  # of the rows of its weights and its outputs
    weights: int  # offset of its (n_in, n_out) weights in the parameters
    biases: int  # offset of its (n_out,) biases in the parameters
    outputs: int  # the sum of the strides of the layers before: offset of its outputs, times the batch size


def make_layers(layer_sizes):
    """Return the layout (n_layers, 7) int64, a row per layer in the order of Layer, and the parameters' length."""
    rows = []
    offset = outputs = 0
    for n_in, n_out in pairwise(layer_sizes):
        width, stride = row_width(n_out), row_stride(n_out)
        rows.append((n_in, n_out, width, stride, offset, offset + n_in * stride, outputs))
        offset += (n_in + 1) * stride
        outputs += stride
    return np.array(rows, np.int64), offset + LANES * stride  # the input gradient reads weights' rows in sixteens


@inlined
def layer_at(layout, index):
    """Return one row of the layout."""
    row = layout[index]
    return Layer(row[0], row[1], row[2], row[3], row[4], row[5], row[6])


@inlined
def part_bounds(length, part, n_parts):
    """Return (first, last) of one of `n_parts` nearly equal parts of `range(length)`."""
    return part * length // n_parts, (part + 1) * length // n_parts


def aligned_zeros(n):
    """Return n float32 zeros that begin on a cache line, so that no vector of a row lies on two."""
    buffer = np.zeros(n + LANES, np.float32)
    first = -buffer.ctypes.data // buffer.itemsize % LANES
    return buffer[first : first + n]
