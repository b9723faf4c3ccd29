"""The forward pass through one layer, for one part's columns of its outputs; training and inference share it.

`activations` is divided into equal regions, one for each part, to which only that part writes. A region holds all
layers' outputs, `batch_size` rows each, where layout.py's `outputs` says.
"""

from typing import NamedTuple

import numpy as np

from fastmnist.kernels.activations import relu_rows
from fastmnist.kernels.dense import DENSE_REGISTERS, DENSE_ROWS, add_tile_product, csr_with_zeros
from fastmnist.kernels.jit import inlined
from fastmnist.kernels.layout import Part, layer_at, part_bounds
from fastmnist.kernels.matmul import Matrix, block_of, fill_rows, n_chunks
from fastmnist.kernels.products import add_any_product
from fastmnist.kernels.simd import LANES, MAX_REGISTERS, prefetch
from fastmnist.kernels.sparse import add_csr_product, add_sparse_product

# Rows of the first layer's weights that stay in the first-level cache for all samples of a batch. It must not depend
# on the number of threads: where the blocks end decides in which order a sum is taken.
ROW_BLOCK = 112


class Parameters(NamedTuple):
    """A network's numbers, where `layout` (n_layers, 7) says; see layout.py."""

    layout: np.ndarray
    values: np.ndarray
    velocities: np.ndarray  # like `values`; may be empty where there is no momentum


class Columns(NamedTuple):
    """Some columns of a layer's outputs, or of the deltas of these: the registers `first` to `last` of each row."""

    matrix: Matrix  # these columns alone
    first: int
    last: int


@inlined
def columns_of(buffer, layer, batch_size, part):
    """Return one part's columns of a layer's outputs, or of the deltas of these.

    If rows held all columns, those of two parts would lie side by side, and each core's prefetcher would fetch the
    other's lines over and over: between cores without a common cache, the forward pass of 128 x 784 x 100 took 115 us
    instead of 38.
    """
    first, last = part_bounds(layer.n_registers, part.number, part.n_parts)
    stride = LANES * ((last - first) | 1)  # as in layout.py, an odd number of cache lines
    room = part.number * (buffer.size // part.n_parts)
    return Columns(Matrix(buffer, room + layer.outputs * batch_size, stride, 1), first, last)


@inlined
def fill_biases(parameters, layer, out, n_samples):
    """Fill some columns of a layer's outputs with its biases."""
    rows, biases = out.matrix, layer.biases + out.first * LANES
    fill_rows(out.last - out.first, rows.array, rows.offset, rows.row_step, n_samples, parameters.values, biases)


@inlined
def prefetch_rows(csr, sample, n_samples, part, n_parts):
    """Begin to fetch one of `n_parts` parts of the rows of the next batch, those from `sample` on.

    A block of columns has little of each row, and no processor expects the next piece: this saves 5 % of a seed epoch.
    """
    last = min(sample + n_samples, len(csr.starts)) - 1
    if sample <= last:
        first, end = part_bounds(csr.ends[last] - csr.starts[sample], part, n_parts)
        for place in range(csr.starts[sample] + first, csr.starts[sample] + end, LANES):  # a cache line
            prefetch(csr.indices, place)
            prefetch(csr.data, place)


@inlined
def forward_csr(parameters, panels, csr, sample, n_samples, cursors, out):
    """Fill columns of the first layer's outputs, before ReLU, from the rows of the CSR from `sample` on.

    `panels` are the layer's weights in panels of 16 columns.
    """
    layer, rows = layer_at(parameters.layout, 0), out.matrix
    fill_biases(parameters, layer, out, n_samples)
    chunks = n_chunks(out.last - out.first, MAX_REGISTERS)
    for chunk in range(chunks):
        begin, end = part_bounds(out.last - out.first, chunk, chunks)
        for s in range(n_samples):
            cursors[s] = csr.starts[sample + s]
        for row in range(0, layer.n_in, ROW_BLOCK):
            if chunk == 0:
                prefetch_rows(csr, sample + n_samples, n_samples, row // ROW_BLOCK, n_chunks(layer.n_in, ROW_BLOCK))
            add_csr_product(
                end - begin,
                csr,
                n_samples,
                panels,
                (out.first + begin) * LANES * layer.n_in,
                layer.n_in * LANES,
                min(row + ROW_BLOCK, layer.n_in),
                cursors,
                rows.array,
                rows.offset + begin * LANES,
                rows.row_step,
            )


@inlined
def forward_tiles(parameters, panels, tiles, batch, sample, n_samples, cursors, out):
    """Do what `forward_csr` does for a dense batch, the samples from `sample` on.

    Samples that do not fill a tile are passed to `forward_csr` itself.
    """
    csr, flags = csr_with_zeros(tiles), tiles.inputs[batch]
    layer = layer_at(parameters.layout, 0)
    n_tiled = n_samples // DENSE_ROWS * DENSE_ROWS
    fill_biases(parameters, layer, out, n_tiled)
    chunks = n_chunks(out.last - out.first, DENSE_REGISTERS)
    for chunk in range(chunks):
        begin, end = part_bounds(out.last - out.first, chunk, chunks)
        weights = Matrix(panels, (out.first + begin) * LANES * layer.n_in, LANES, 1)
        for row in range(0, n_tiled, DENSE_ROWS):
            inputs = Matrix(csr.data, csr.starts[sample + row], layer.n_in + 1, 1)
            tile, place = block_of(out.matrix, row, begin * LANES), row // DENSE_ROWS * flags.shape[1]
            add_tile_product(end - begin, flags, place, layer.n_in, inputs, weights, layer.n_in * LANES, tile)
    rest = Columns(block_of(out.matrix, n_tiled, 0), out.first, out.last)
    forward_csr(parameters, panels, csr, sample + n_tiled, n_samples - n_tiled, cursors, rest)


@inlined
def forward_sparse(parameters, index, inputs, n_samples, out):
    """Fill columns of a layer's outputs, before ReLU, from its inputs, a Matrix, of which many are 0."""
    layer = layer_at(parameters.layout, index)
    fill_biases(parameters, layer, out, n_samples)
    weights = Matrix(parameters.values, layer.weights + out.first * LANES, layer.stride, 1)
    add_sparse_product(out.last - out.first, inputs, weights, out.matrix, n_samples, layer.n_in)


@inlined
def forward_later(parameters, sparse_at, index, n_samples, batch_size, activations, part):
    """Fill one part's columns of a later layer's outputs, before ReLU, from all columns of the layer before.

    sparse_at: see products.py.
    """
    layer, previous = layer_at(parameters.layout, index), layer_at(parameters.layout, index - 1)
    out = columns_of(activations, layer, batch_size, part)
    fill_biases(parameters, layer, out, n_samples)
    weights = Matrix(parameters.values, layer.weights, layer.stride, 1)
    for number in range(part.n_parts):
        below = columns_of(activations, previous, batch_size, Part(number, part.n_parts))
        row = below.first * LANES
        depth = min(below.last * LANES, layer.n_in) - row
        right = block_of(weights, row, out.first * LANES)
        if depth > 0:
            add_any_product(sparse_at, out.last - out.first, below.matrix, right, out.matrix, n_samples, depth)


@inlined
def apply_relu(columns, n_samples):
    """Apply ReLU to columns of a hidden layer's outputs."""
    rows = columns.matrix
    relu_rows(columns.last - columns.first, rows.array, rows.offset, rows.row_step, n_samples)
