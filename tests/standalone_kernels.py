"""Kernels of one operation each, made of the device functions that the package's own kernels inline.

No command runs them: the tests compare them with the reference, and the benchmarks with NumPy.
"""

import numpy as np
from numba import prange

from fastmnist.kernels.activations import output_delta_row, relu_gradient_rows, relu_rows, softmax_row
from fastmnist.kernels.jit import inlined, kernel
from fastmnist.kernels.layout import aligned_zeros, part_bounds
from fastmnist.kernels.matmul import (
    DEPTH_BLOCK,
    Matrix,
    add_wide_product,
    block_of,
    clear_rows,
    fill_rows,
)
from fastmnist.kernels.products import add_input_gradient
from fastmnist.kernels.simd import LANES
from fastmnist.kernels.tiles import TILE_REGISTERS, TILE_ROWS


@kernel
def relu(activations, n_parts):
    """Replace activations by max(activations, 0)."""
    for index in prange(n_parts):
        _relu(activations, np.intp(index), n_parts)


@inlined
def _relu(activations, part, n_parts):
    n_samples, stride = activations.shape
    first, last = part_bounds(n_samples, part, n_parts)
    relu_rows(stride // LANES, activations, first * stride, stride, last - first)


@kernel
def relu_gradient(activations, delta, sums, n_parts):
    """Replace delta by 0 where activations <= 0 (at a tie too); fill sums (n_out,) with its column sums."""
    for index in prange(n_parts):
        _relu_gradient(activations, delta, sums, np.intp(index), n_parts)


@inlined
def _relu_gradient(activations, delta, sums, part, n_parts):
    n_samples, stride = activations.shape
    first, last = part_bounds(stride // LANES, part, n_parts)
    columns = sums[first * LANES : last * LANES]
    relu_gradient_rows(last - first, activations, delta, first * LANES, stride, n_samples, columns)


@kernel
def softmax(logits, n, out, n_parts):
    """Fill out with the softmax of the first n columns of each row of logits."""
    for sample in prange(logits.shape[0]):
        _softmax(logits, n, out, np.intp(sample))


@inlined
def _softmax(logits, n, out, sample):
    softmax_row(logits, sample * logits.shape[1], n, out, sample * out.shape[1])


@kernel
def softmax_cross_entropy_gradient(logits, n, labels, smoothing, losses, out, n_parts):
    """Fill losses with each sample's cross-entropy, out with the gradient of their mean in the logits.

    `smoothing` (float32) is the share of the labels that is spread over all classes; see `output_delta_row`.
    """
    for sample in prange(logits.shape[0]):
        _softmax_cross_entropy_gradient(logits, n, labels, smoothing, losses, out, np.intp(sample))


@inlined
def _softmax_cross_entropy_gradient(logits, n, labels, smoothing, losses, out, sample):
    n_samples, stride = logits.shape
    flat = out.reshape(-1)
    losses[sample] = output_delta_row(
        logits, sample * stride, n, np.intp(labels[sample]), smoothing, n_samples, flat, sample * stride
    )


@inlined
def tile_bounds(n_rows, part, n_parts):
    """Return (first, last) of one of `n_parts` nearly equal parts of the rows, cut between tiles."""
    first, last = part_bounds((n_rows + TILE_ROWS - 1) // TILE_ROWS, part, n_parts)
    return min(first * TILE_ROWS, n_rows), min(last * TILE_ROWS, n_rows)


@kernel
def matmul(inputs, weights, biases, out, n_parts):
    """Fill out (n_samples, n_out) with inputs @ weights + biases."""
    for index in prange(n_parts):
        _matmul(inputs, weights, biases, out, np.intp(index), n_parts)


@inlined
def _matmul(inputs, weights, biases, out, part, n_parts):
    first, last = tile_bounds(inputs.shape[0], part, n_parts)
    n_registers, rows = weights.shape[1] // LANES, block_of(Matrix(out, 0, out.shape[1], 1), first, 0)
    fill_rows(n_registers, out, rows.offset, rows.row_step, last - first, biases, 0)
    add_wide_product(
        n_registers,
        block_of(Matrix(inputs, 0, inputs.shape[1], 1), first, 0),
        Matrix(weights, 0, weights.shape[1], 1),
        rows,
        last - first,
        weights.shape[0],
    )


@kernel
def matmul_input_gradient(sparse_at, delta, weights, panels, out, n_parts):
    """Fill out (n_samples, n_in), the loss's gradient in the inputs, with delta @ weights.T.

    The rows of `weights` and the width of `out` are zero-padded to whole registers; `panels` is
    (n_parts, DEPTH_BLOCK * TILE_REGISTERS * 16) of working memory. sparse_at: see kernels/products.py.
    """
    for index in prange(n_parts):
        _matmul_input_gradient(sparse_at, delta, weights, panels, out, np.intp(index), n_parts)


@inlined
def _matmul_input_gradient(sparse_at, delta, weights, panels, out, part, n_parts):
    first, last = part_bounds(weights.shape[0] // LANES, part, n_parts)
    columns = block_of(Matrix(out.reshape(-1), 0, out.shape[1], 1), 0, first * LANES)
    clear_rows(last - first, out, columns.offset, columns.row_step, delta.shape[0])
    add_input_gradient(
        sparse_at,
        last - first,
        Matrix(delta.reshape(-1), 0, delta.shape[1], 1),
        block_of(Matrix(weights, 0, weights.shape[1], 1), first * LANES, 0),
        panels[part],
        columns,
        delta.shape[0],
        delta.shape[1],
    )


@kernel
def matmul_weight_gradient(inputs, delta, out, n_parts):
    """Fill out (n_in, n_out), the loss's gradient in the weights, with inputs.T @ delta."""
    for index in prange(n_parts):
        _matmul_weight_gradient(inputs, delta, out, np.intp(index), n_parts)


@inlined
def _matmul_weight_gradient(inputs, delta, out, part, n_parts):
    first, last = tile_bounds(out.shape[0], part, n_parts)
    n_registers = out.shape[1] // LANES
    clear_rows(n_registers, out, first * out.shape[1], out.shape[1], last - first)
    add_wide_product(
        n_registers,
        block_of(Matrix(inputs, 0, 1, inputs.shape[1]), first, 0),
        Matrix(delta, 0, delta.shape[1], 1),
        block_of(Matrix(out, 0, out.shape[1], 1), first, 0),
        last - first,
        inputs.shape[0],
    )


def make_panels(n_parts):
    """Return the working memory of `matmul_input_gradient`."""
    return aligned_zeros(n_parts * DEPTH_BLOCK * TILE_REGISTERS * LANES).reshape(n_parts, -1)
