"""The compiled training loop: forward, backward and the SGD step over a block of batches, in one call.

The work is split by outputs. Each part owns a range of vector columns of every hidden layer: it alone writes
these units' outputs, deltas, biases, their columns of the first layer's weights and their rows of the next
layer's. So nothing is reduced over parts, the bytes do not depend on how many there are, and the first layer's
weights never move from one core's cache to another's. The rest is arranged in as few phases as the mathematics
allows, one parallel region each: with one hidden layer a whole step is one region.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from fastmnist.kernels.activations import argmax, output_delta_row, relu_gradient_rows
from fastmnist.kernels.forward import apply_relu, forward_later, forward_listed, outputs_matrix
from fastmnist.kernels.jit import inlined, kernel
from fastmnist.kernels.layout import aligned_zeros, layer_at, part_bounds
from fastmnist.kernels.matmul import (
    DEPTH_BLOCK,
    TILE_ROWS,
    TILE_WIDTH,
    Matrix,
    add_product,
    add_product_columns,
    block_of,
    clear_rows,
    fill_rows,
    input_gradient_part,
    n_chunks,
)
from fastmnist.kernels.sgd import step_rows, without_decay
from fastmnist.kernels.simd import LANES, MAX_WIDTH, add, load, store, zeros
from fastmnist.kernels.sparse import ColumnLists, RowLists, step_weight_rows


class Batches(NamedTuple):
    """The samples of some batches: their non-zero inputs and their labels."""

    rows: RowLists
    columns: ColumnLists
    labels: np.ndarray  # (n_samples,) uint8
    batch_size: int


class Workspace(NamedTuple):
    """Working memory; what has a row per part is that part's alone."""

    activations: np.ndarray  # hidden layers' outputs, batch_size rows each
    deltas: np.ndarray  # the loss's gradient in these
    logits: np.ndarray  # (2, blocks of 16 units of the last hidden layer, batch_size * stride): shares of the logits
    output_deltas: np.ndarray  # (n_parts, batch_size * stride)
    panels: np.ndarray  # (n_parts, DEPTH_BLOCK * TILE_WIDTH * 16)
    gradients: np.ndarray  # (n_parts, room for a tile or a row of biases)
    cursors: np.ndarray  # (n_parts, batch_size) int64
    first_weights: np.ndarray  # (width * n_in * 16,): the first layer's weights in panels of 16 columns
    first_velocities: np.ndarray  # theirs; may be empty where there is no momentum
    totals: np.ndarray  # (2,) float64: sum of cross-entropies, number of right answers


def make_workspace(layout, batch_size, n_parts, momentum):
    """Return working memory for batches of up to `batch_size` samples."""
    stride, last = int(layout[-1, 3]), layout[-1]
    hidden = int(last[6]) * batch_size
    first = int(layout[0, 2] * layout[0, 0]) * LANES
    return Workspace(
        aligned_zeros(hidden),
        aligned_zeros(hidden),
        aligned_zeros(2 * int(layout[-2, 2]) * batch_size * stride).reshape(2, -1, batch_size * stride),
        aligned_zeros(n_parts * batch_size * stride).reshape(n_parts, -1),
        aligned_zeros(n_parts * DEPTH_BLOCK * TILE_WIDTH * LANES).reshape(n_parts, -1),
        aligned_zeros(n_parts * max(TILE_ROWS * TILE_WIDTH * LANES, int(layout[:, 3].max()))).reshape(n_parts, -1),
        np.zeros((n_parts, batch_size), np.int64),
        aligned_zeros(first),
        aligned_zeros(first if momentum else 0),
        np.zeros(2, np.float64),
    )


@inlined
def share_logits(parameters, batches, space, batch, n_samples, part, n_parts):
    """Compute what this part's units of the last hidden layer add to the logits, a share per 16 units.

    The shares are added up later, in one order whatever the number of parts. They alternate between two
    places, since another part may still be adding up those of the batch before.
    """
    n_layers = parameters.layout.shape[0]
    layer, previous = layer_at(parameters.layout, n_layers - 1), layer_at(parameters.layout, n_layers - 2)
    first, last = part_bounds(previous.width, part, n_parts)
    for block in range(first, last):
        unit = block * LANES
        shares = space.logits[batch % 2, block]
        if block == 0:
            fill_rows(layer.width, shares, 0, layer.stride, n_samples, parameters.values, layer.biases)
        else:
            clear_rows(layer.width, shares, 0, layer.stride, n_samples)
        left = Matrix(space.activations, previous.outputs * batches.batch_size + unit, previous.stride, 1)
        right = Matrix(parameters.values, layer.weights + unit * layer.stride, layer.stride, 1)
        depth = min(LANES, previous.n_out - unit)
        add_product_columns(left, right, Matrix(shares, 0, layer.stride, 1), n_samples, depth, 0, layer.width)


@inlined
def output_delta(parameters, batches, space, batch, n_samples, scalars, part):
    """Fill this part's copy of the loss's gradient in the logits; part 0 also counts losses and right answers.

    Every part does all of it: that is cheaper than one more synchronisation.
    """
    n_layers = parameters.layout.shape[0]
    layer, previous = layer_at(parameters.layout, n_layers - 1), layer_at(parameters.layout, n_layers - 2)
    shares, delta = space.logits[batch % 2], space.output_deltas[part]
    block_size = shares.shape[1]
    loss, n_right = 0.0, 0
    for sample in range(n_samples):
        row = sample * layer.stride
        for column in range(row, row + layer.width * LANES, LANES):
            logits = load(shares, column, LANES)
            for block in range(1, previous.width):
                logits = add(logits, load(shares, block * block_size + column, LANES))
            store(delta, column, logits)
        label = np.intp(batches.labels[batch * batches.batch_size + sample])
        if part == 0:
            n_right += argmax(delta, row, layer.n_out) == label
        loss += output_delta_row(delta, row, layer.n_out, label, scalars.label_smoothing, n_samples, delta, row)
    if part == 0:
        space.totals[0] += loss
        space.totals[1] += n_right


@inlined
def delta_matrix(parameters, batches, space, index, part):
    """Return a layer's delta as a matrix: the last layer's is this part's own copy."""
    layer = layer_at(parameters.layout, index)
    if index == parameters.layout.shape[0] - 1:
        return Matrix(space.output_deltas[part], 0, layer.stride, 1)
    return outputs_matrix(space.deltas, layer, batches.batch_size)


@inlined
def backward(parameters, batches, space, index, n_samples, scalars, part, n_parts):
    """From a layer's delta, fill this part's columns of the delta of the layer before, then step its weights' rows.

    Also steps the biases of this part's units of the layer before, and those of the last layer.
    """
    layer, previous = layer_at(parameters.layout, index), layer_at(parameters.layout, index - 1)
    delta = delta_matrix(parameters, batches, space, index, part)
    first, last = part_bounds(previous.width, part, n_parts)
    weights = Matrix(parameters.values, layer.weights, layer.stride, 1)
    below = outputs_matrix(space.deltas, previous, batches.batch_size)
    input_gradient_part(delta, weights, space.panels[part], below, n_samples, layer.width * LANES, first, last)
    no_decay = without_decay(scalars)
    sums, width, column = space.gradients[part], last - first, first * LANES
    relu_gradient_rows(width, space.activations, space.deltas, below.offset + column, previous.stride, n_samples, sums)
    step_rows(width, parameters.values, parameters.velocities, previous.biases + column, 0, 1, sums, 0, no_decay)
    step_weights(parameters, batches, space, index, n_samples, scalars, delta, part, n_parts)
    if index == parameters.layout.shape[0] - 1 and first == 0 and last > 0:  # the part that reads these biases next
        sum_rows(layer.width, delta.array, layer.stride, n_samples, sums)
        step_rows(layer.width, parameters.values, parameters.velocities, layer.biases, 0, 1, sums, 0, no_decay)


@inlined
def sum_rows(width, rows, stride, n_rows, sums):
    """Fill `sums` with the sums of `width` vector columns over `n_rows` rows."""
    for column in range(0, width * LANES, LANES):
        total = zeros(LANES)
        for row in range(n_rows):
            total = add(total, load(rows, row * stride + column, LANES))
        store(sums, column, total)


@inlined
def step_weights(parameters, batches, space, index, n_samples, scalars, delta, part, n_parts):
    """Step the rows of a later layer's weights that belong to this part's units of the layer before."""
    layer, previous = layer_at(parameters.layout, index), layer_at(parameters.layout, index - 1)
    first, last = part_bounds(previous.width, part, n_parts)
    first_row, last_row = first * LANES, min(last * LANES, layer.n_in)
    gradient = Matrix(space.gradients[part], 0, TILE_WIDTH * LANES, 1)
    activations = outputs_matrix(space.activations, previous, batches.batch_size)
    chunks = n_chunks(layer.width, TILE_WIDTH)
    for chunk in range(chunks):
        begin, end = part_bounds(layer.width, chunk, chunks)
        column = begin * LANES
        for row in range(first_row, last_row, TILE_ROWS):
            n_rows = min(TILE_ROWS, last_row - row)
            clear_rows(end - begin, gradient.array, 0, gradient.row_step, n_rows)
            transposed = Matrix(activations.array, activations.offset + row, 1, activations.row_step)
            add_product(end - begin, transposed, block_of(delta, 0, column), gradient, n_rows, n_samples)
            step_rows(
                end - begin,
                parameters.values,
                parameters.velocities,
                layer.weights + row * layer.stride + column,
                layer.stride,
                n_rows,
                gradient.array,
                gradient.row_step,
                scalars,
            )


@inlined
def step_first(parameters, batches, space, batch, scalars, part, n_parts):
    """Step this part's columns of the first layer's weights."""
    layer = layer_at(parameters.layout, 0)
    first, last = part_bounds(layer.width, part, n_parts)
    chunks = n_chunks(last - first, MAX_WIDTH)
    start = batches.rows.starts[batch * batches.batch_size]
    for chunk in range(chunks):
        begin, end = part_bounds(last - first, chunk, chunks)
        column = (first + begin) * LANES
        step_weight_rows(
            end - begin,
            batches.columns,
            batch,
            start,
            space.deltas,
            column,
            layer.stride,
            space.first_weights,
            space.first_velocities,
            column * layer.n_in,
            layer.n_in * LANES,
            scalars,
        )


@inlined
def fold_first(parameters, space, back, part, n_parts):
    """Copy this part's columns of the first layer's weights to their panels, or back to the parameters.

    In rows, the columns of two parts would lie side by side, and each core's prefetcher would fetch the other's
    lines over and over: a pass over the weights took 6.8 us instead of 2.0 us.
    """
    layer = layer_at(parameters.layout, 0)
    first, last = part_bounds(layer.width, part, n_parts)
    for panel in range(first, last):
        for row in range(layer.n_in):
            place = layer.weights + row * layer.stride + panel * LANES
            folded = (panel * layer.n_in + row) * LANES
            if back:
                store(parameters.values, place, load(space.first_weights, folded, LANES))
            else:
                store(space.first_weights, folded, load(parameters.values, place, LANES))


@inlined
def samples_in(batches, batch):
    """Return how many samples a batch has: the last may have fewer."""
    first = batch * batches.batch_size
    return min(batches.batch_size, len(batches.labels) - first)


@inlined
def run_phase(phase, batch, parameters, rows, columns, labels, batch_size, space, scalars, part, n_parts):
    """Do one part of one phase; see `train_batches`."""
    batches = Batches(rows, columns, labels, batch_size)
    n_layers = parameters.layout.shape[0]
    backward_layer, backward_batch = 2 * n_layers - 2 - phase, batch
    if phase == 0:
        backward_layer, backward_batch = 1, batch - 1
    if backward_layer < n_layers and backward_batch >= 0:
        n_samples = samples_in(batches, backward_batch)
        if backward_layer == n_layers - 1:
            output_delta(parameters, batches, space, backward_batch, n_samples, scalars, part)
        backward(parameters, batches, space, backward_layer, n_samples, scalars, part, n_parts)
        if phase == 0:
            step_first(parameters, batches, space, backward_batch, scalars, part, n_parts)
    n_samples = samples_in(batches, batch)
    if phase < n_layers - 1 and n_samples > 0:
        first, last = part_bounds(layer_at(parameters.layout, phase).width, part, n_parts)
        if phase == 0:
            sample = batch * batch_size
            cursors, panels = space.cursors[part], space.first_weights
            forward_listed(parameters, panels, rows, sample, n_samples, cursors, space.activations, first, last)
        else:
            forward_later(parameters, phase, n_samples, batch_size, space.activations, first, last)
        apply_relu(parameters, phase, n_samples, batch_size, space.activations, first, last)
        if phase == n_layers - 2:
            share_logits(parameters, batches, space, batch, n_samples, part, n_parts)


@kernel
def train_batches(parameters, rows, columns, labels, batch_size, space, scalars, n_parts):
    """Train on the batches in their order, one SGD step each.

    With n hidden layers a batch takes 2n - 1 phases, between which the parts wait for each other. Phase 0
    finishes the batch before (the backward pass through the second layer, the first layer's step) and begins
    this one (first layer); phases 1 to n - 1 are the other hidden layers, n to 2n - 2 the backward pass down to
    the third layer. `space.totals` gets the sum of the samples' cross-entropies and the number of right answers
    added, each taken before its batch's step.
    """
    n_phases = 2 * parameters.layout.shape[0] - 3
    n_batches = (len(labels) + batch_size - 1) // batch_size
    for part in prange(n_parts):
        fold_first(parameters, space, False, np.intp(part), n_parts)
    for step in range(n_batches * n_phases + 1):
        for part in prange(n_parts):
            phase, batch = step % n_phases, step // n_phases
            run_phase(
                phase, batch, parameters, rows, columns, labels, batch_size, space, scalars, np.intp(part), n_parts
            )
    for part in prange(n_parts):
        fold_first(parameters, space, True, np.intp(part), n_parts)
