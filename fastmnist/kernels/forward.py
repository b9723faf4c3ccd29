"""The forward pass through one layer, for some registers of its outputs; training and inference share it.

`activations` holds all layers' outputs, `batch_size` rows each, where layout.py's `outputs` says.
"""

from typing import NamedTuple

import numpy as np

from fastmnist.kernels.activations import relu_rows
from fastmnist.kernels.dense import DENSE_REGISTERS, DENSE_ROWS, add_tile_product, csr_with_zeros
from fastmnist.kernels.jit import inlined
from fastmnist.kernels.lanes import MASK_BITS
from fastmnist.kernels.layout import layer_at, part_bounds
from fastmnist.kernels.matmul import Matrix, fill_rows, matmul_part, n_chunks
from fastmnist.kernels.simd import LANES, MAX_REGISTERS, prefetch
from fastmnist.kernels.sparse import add_csr_product, add_masked_product

# Rows of the first layer's weights that stay in the first-level cache for all samples of a batch. It must not depend
# on the number of threads: where the blocks end decides in which order a sum is taken.
ROW_BLOCK = 112


class Parameters(NamedTuple):
    """A network's numbers, where `layout` (n_layers, 7) says; see layout.py."""

    layout: np.ndarray
    values: np.ndarray
    velocities: np.ndarray  # like `values`; may be empty where there is no momentum


@inlined
def outputs_matrix(buffer, layer, batch_size):
    """Return one layer's outputs, or the deltas of these, as a matrix."""
    return Matrix(buffer, layer.outputs * batch_size, layer.stride, 1)


@inlined
def prefetch_rows(csr, sample, n_samples, part, n_parts):
    """Begin to fetch one of `n_parts` parts of the rows of the next batch, those from `sample` on.

    A block of columns has little of each row, and no processor expects the next bit: 5 % of a seed epoch.
    """
    last = min(sample + n_samples, len(csr.starts)) - 1
    if sample <= last:
        first, end = part_bounds(csr.ends[last] - csr.starts[sample], part, n_parts)
        for place in range(csr.starts[sample] + first, csr.starts[sample] + end, LANES):  # a cache line
            prefetch(csr.indices, place)
            prefetch(csr.data, place)


@inlined
def forward_csr(parameters, panels, csr, sample, n_samples, cursors, activations, first, last):
    """Fill columns of the first layer's outputs, before ReLU, from the rows of the CSR from `sample` on.

    `panels` are the layer's weights in panels of 16 columns.
    """
    layer = layer_at(parameters.layout, 0)
    column = first * LANES
    biases = layer.biases + column
    fill_rows(last - first, activations, column, layer.stride, n_samples, parameters.values, biases)
    chunks = n_chunks(last - first, MAX_REGISTERS)
    for chunk in range(chunks):
        begin, end = part_bounds(last - first, chunk, chunks)
        column = (first + begin) * LANES
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
                column * layer.n_in,
                layer.n_in * LANES,
                min(row + ROW_BLOCK, layer.n_in),
                cursors,
                activations,
                column,
                layer.stride,
            )


@inlined
def forward_tiles(parameters, panels, tiles, batch, sample, n_samples, cursors, activations, first, last):
    """Fill the same for a dense batch, the samples from `sample` on.

    Those that fill no tile go the way of the others.
    """
    csr, flags = csr_with_zeros(tiles), tiles.inputs[batch]
    layer = layer_at(parameters.layout, 0)
    n_tiled, column = n_samples // DENSE_ROWS * DENSE_ROWS, first * LANES
    biases = layer.biases + column
    fill_rows(last - first, activations, column, layer.stride, n_tiled, parameters.values, biases)
    chunks = n_chunks(last - first, DENSE_REGISTERS)
    for chunk in range(chunks):
        begin, end = part_bounds(last - first, chunk, chunks)
        column = (first + begin) * LANES
        weights = Matrix(panels, column * layer.n_in, LANES, 1)
        for row in range(0, n_tiled, DENSE_ROWS):
            inputs = Matrix(csr.data, csr.starts[sample + row], layer.n_in + 1, 1)
            out = Matrix(activations, row * layer.stride + column, layer.stride, 1)
            place = row // DENSE_ROWS * flags.shape[1]
            add_tile_product(end - begin, flags, place, layer.n_in, inputs, weights, layer.n_in * LANES, out)
    rest = activations[n_tiled * layer.stride :]
    forward_csr(parameters, panels, csr, sample + n_tiled, n_samples - n_tiled, cursors, rest, first, last)


@inlined
def forward_masked(parameters, index, inputs, n_samples, batch_size, activations):
    """Fill a layer's outputs, before ReLU, from its inputs, a Matrix, of which many are 0."""
    layer = layer_at(parameters.layout, index)
    outputs = layer.outputs * batch_size
    fill_rows(layer.n_registers, activations, outputs, layer.stride, n_samples, parameters.values, layer.biases)
    chunks = n_chunks(layer.n_registers, MAX_REGISTERS)
    for chunk in range(chunks):
        begin, end = part_bounds(layer.n_registers, chunk, chunks)
        column = begin * LANES
        for block in range(0, layer.n_in, MASK_BITS):
            add_masked_product(
                end - begin,
                inputs,
                n_samples,
                layer.n_in,
                block,
                parameters.values,
                layer.weights + column,
                layer.stride,
                activations,
                outputs + column,
            )


@inlined
def forward_later(parameters, index, n_samples, batch_size, activations, first, last):
    """Fill columns of a later layer's outputs, before ReLU."""
    layer, previous = layer_at(parameters.layout, index), layer_at(parameters.layout, index - 1)
    matmul_part(
        outputs_matrix(activations, previous, batch_size),
        Matrix(parameters.values, layer.weights, layer.stride, 1),
        parameters.values,
        layer.biases,
        outputs_matrix(activations, layer, batch_size),
        n_samples,
        layer.n_in,
        first,
        last,
    )


@inlined
def apply_relu(parameters, index, n_samples, batch_size, activations, first, last):
    """Apply ReLU to columns of a hidden layer's outputs."""
    layer = layer_at(parameters.layout, index)
    relu_rows(last - first, activations, layer.outputs * batch_size + first * LANES, layer.stride, n_samples)
