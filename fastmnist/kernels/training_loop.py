"""The compiled training loop: forward, backward and the SGD step over a block of batches, in one call.

reference.py has the same as plain NumPy: one step is its `gradient` and `step`.

The work is split by outputs. Each part owns a range of registers (16 units each) of every hidden layer: it alone
writes these units' outputs, deltas, biases, their columns of the first layer's weights and their rows of the next
layer's. So nothing is reduced over parts, the bytes do not depend on how many there are, and the first layer's
weights never move from one core's cache to another's. The rest is arranged in as few phases as the mathematics
allows, one parallel region each: with one hidden layer a whole step is one region.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from fastmnist.kernels.activations import argmax, output_delta_row, relu_gradient_rows
from fastmnist.kernels.dense import DENSE_REGISTERS, DENSE_ROWS, Tiles, step_tile_gradient
from fastmnist.kernels.forward import Parameters, apply_relu, forward_csr, forward_later, forward_tiles, outputs_matrix
from fastmnist.kernels.jit import inlined, kernel
from fastmnist.kernels.layout import aligned_zeros, layer_at, part_bounds
from fastmnist.kernels.matmul import (
    DEPTH_BLOCK,
    Matrix,
    add_product,
    add_product_columns,
    block_of,
    clear_rows,
    fill_rows,
    input_gradient_part,
    n_chunks,
)
from fastmnist.kernels.sgd import StepScalars, step_rows, without_decay
from fastmnist.kernels.simd import LANES, MAX_REGISTERS, add, load, store, zeros
from fastmnist.kernels.sparse import CSC, CSR, step_csc_gradient
from fastmnist.kernels.tiles import TILE_REGISTERS, TILE_ROWS


class Batches(NamedTuple):
    """The samples of some batches: their inputs, as compress.py has filled them, and their labels."""

    csr: CSR
    csc: CSC
    tiles: Tiles
    labels: np.ndarray  # (n_samples,) uint8
    batch_size: int


class Workspace(NamedTuple):
    """Working memory; what has a row per part is that part's alone."""

    activations: np.ndarray  # hidden layers' outputs, batch_size rows each
    deltas: np.ndarray  # the loss's gradient in these
    partial_logits: np.ndarray  # (2, registers of the last hidden layer, batch_size * stride): see add_partial_logits
    output_deltas: np.ndarray  # (n_parts, batch_size * stride)
    panels: np.ndarray  # (n_parts, DEPTH_BLOCK * TILE_REGISTERS * 16)
    gradients: np.ndarray  # (n_parts, room for a tile or a row of biases)
    cursors: np.ndarray  # (n_parts, batch_size) int64
    first_weights: np.ndarray  # (n_registers * n_in * 16,): the first layer's weights, packed; see pack_first
    first_velocities: np.ndarray  # theirs; may be empty where there is no momentum
    totals: np.ndarray  # (2,) float64: sum of cross-entropies, number of correct predictions


class Training(NamedTuple):
    """All that the parts of a step work on."""

    parameters: Parameters
    batches: Batches
    workspace: Workspace
    scalars: StepScalars


class Part(NamedTuple):
    """One of the nearly equal parts of the work, see part_bounds."""

    number: int  # from 0
    n_parts: int


def make_workspace(layers, batch_size, n_parts, momentum):
    """Return working memory for batches of up to `batch_size` samples."""
    first, last_hidden, last = layers[0], layers[-2], layers[-1]
    hidden, logits = last.outputs * batch_size, batch_size * last.stride
    packed = first.n_registers * first.n_in * LANES
    gradient = max(TILE_ROWS * TILE_REGISTERS * LANES, *(layer.stride for layer in layers))
    return Workspace(
        aligned_zeros(hidden),
        aligned_zeros(hidden),
        aligned_zeros(2 * last_hidden.n_registers * logits).reshape(2, -1, logits),
        aligned_zeros(n_parts * logits).reshape(n_parts, -1),
        aligned_zeros(n_parts * DEPTH_BLOCK * TILE_REGISTERS * LANES).reshape(n_parts, -1),
        aligned_zeros(n_parts * gradient).reshape(n_parts, -1),
        np.zeros((n_parts, batch_size), np.int64),
        aligned_zeros(packed),
        aligned_zeros(packed if momentum else 0),
        np.zeros(2, np.float64),
    )


@inlined
def add_partial_logits(training, batch, n_samples, part):
    """Fill the partial logits of this part: what each register of the last hidden layer adds to the logits.

    They are summed later, in one order whatever the number of parts. They alternate between two places, since another
    part may still be summing those of the batch before.
    """
    parameters, workspace = training.parameters, training.workspace
    n_layers = parameters.layout.shape[0]
    layer, previous = layer_at(parameters.layout, n_layers - 1), layer_at(parameters.layout, n_layers - 2)
    first, last = part_bounds(previous.n_registers, part.number, part.n_parts)
    for register in range(first, last):
        unit = register * LANES
        partial = workspace.partial_logits[batch % 2, register]
        if register == 0:
            fill_rows(layer.n_registers, partial, 0, layer.stride, n_samples, parameters.values, layer.biases)
        else:
            clear_rows(layer.n_registers, partial, 0, layer.stride, n_samples)
        offset = previous.outputs * training.batches.batch_size + unit
        left = Matrix(workspace.activations, offset, previous.stride, 1)
        right = Matrix(parameters.values, layer.weights + unit * layer.stride, layer.stride, 1)
        depth = min(LANES, previous.n_out - unit)
        add_product_columns(left, right, Matrix(partial, 0, layer.stride, 1), n_samples, depth, 0, layer.n_registers)


@inlined
def output_delta(training, batch, n_samples, part):
    """Fill this part's copy of the loss's gradient in the logits; part 0 also counts losses and correct predictions.

    Every part does all of it: that is cheaper than one more synchronisation.
    """
    batches, workspace, layout = training.batches, training.workspace, training.parameters.layout
    layer, previous = layer_at(layout, layout.shape[0] - 1), layer_at(layout, layout.shape[0] - 2)
    partial, delta = workspace.partial_logits[batch % 2], workspace.output_deltas[part.number]
    size = partial.shape[1]
    loss, n_correct = 0.0, 0
    for sample in range(n_samples):
        row = sample * layer.stride
        for column in range(row, row + layer.n_registers * LANES, LANES):
            logits = load(partial, column, LANES)
            for register in range(1, previous.n_registers):
                logits = add(logits, load(partial, register * size + column, LANES))
            store(delta, column, logits)
        label = np.intp(batches.labels[batch * batches.batch_size + sample])
        if part.number == 0:
            n_correct += argmax(delta, row, layer.n_out) == label
        smoothing = training.scalars.label_smoothing
        loss += output_delta_row(delta, row, layer.n_out, label, smoothing, n_samples, delta, row)
    if part.number == 0:
        workspace.totals[0] += loss
        workspace.totals[1] += n_correct


@inlined
def delta_matrix(training, index, part):
    """Return a layer's delta as a matrix: the last layer's is this part's own copy."""
    layout = training.parameters.layout
    layer = layer_at(layout, index)
    if index == layout.shape[0] - 1:
        return Matrix(training.workspace.output_deltas[part.number], 0, layer.stride, 1)
    return outputs_matrix(training.workspace.deltas, layer, training.batches.batch_size)


@inlined
def backward(training, index, n_samples, part):
    """From a layer's delta, fill this part's columns of the delta of the layer before, then step its weights' rows.

    Also steps the biases of this part's units of the layer before, and those of the last layer.
    """
    parameters, workspace = training.parameters, training.workspace
    layer, previous = layer_at(parameters.layout, index), layer_at(parameters.layout, index - 1)
    delta = delta_matrix(training, index, part)
    first, last = part_bounds(previous.n_registers, part.number, part.n_parts)
    weights = Matrix(parameters.values, layer.weights, layer.stride, 1)
    below = outputs_matrix(workspace.deltas, previous, training.batches.batch_size)
    panel, depth = workspace.panels[part.number], layer.n_registers * LANES
    input_gradient_part(delta, weights, panel, below, n_samples, depth, first, last)
    sums, column = workspace.gradients[part.number], first * LANES
    place = below.offset + column
    relu_gradient_rows(last - first, workspace.activations, workspace.deltas, place, previous.stride, n_samples, sums)
    step_biases(training, last - first, previous.biases + column, sums)
    step_weights(training, index, n_samples, delta, part)
    if index == parameters.layout.shape[0] - 1 and first == 0 and last > 0:  # the part that reads these biases next
        sum_rows(layer.n_registers, delta.array, layer.stride, n_samples, sums)
        step_biases(training, layer.n_registers, layer.biases, sums)


@inlined
def sum_rows(n_registers, rows, stride, n_rows, sums):
    """Fill `sums` with the sums of `n_registers` registers over `n_rows` rows."""
    for column in range(0, n_registers * LANES, LANES):
        total = zeros(LANES)
        for row in range(n_rows):
            total = add(total, load(rows, row * stride + column, LANES))
        store(sums, column, total)


@inlined
def step_biases(training, n_registers, offset, gradient):
    """Step `n_registers` of biases by their gradient."""
    parameters, scalars = training.parameters, without_decay(training.scalars)
    step_rows(n_registers, parameters.values, parameters.velocities, offset, 0, 1, gradient, 0, scalars)


@inlined
def step_weights(training, index, n_samples, delta, part):
    """Step the rows of a later layer's weights that belong to this part's units of the layer before."""
    parameters, workspace = training.parameters, training.workspace
    layer, previous = layer_at(parameters.layout, index), layer_at(parameters.layout, index - 1)
    first, last = part_bounds(previous.n_registers, part.number, part.n_parts)
    first_row, last_row = first * LANES, min(last * LANES, layer.n_in)
    gradient = Matrix(workspace.gradients[part.number], 0, TILE_REGISTERS * LANES, 1)
    activations = outputs_matrix(workspace.activations, previous, training.batches.batch_size)
    chunks = n_chunks(layer.n_registers, TILE_REGISTERS)
    for chunk in range(chunks):
        begin, end = part_bounds(layer.n_registers, chunk, chunks)
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
                training.scalars,
            )


@inlined
def step_first(training, batch, n_samples, part):
    """Step this part's columns of the first layer's weights."""
    if training.batches.tiles.is_dense[batch]:
        step_first_dense(training, batch, n_samples, part)
    else:
        step_first_sparse(training, batch, part)


@inlined
def step_first_dense(training, batch, n_samples, part):
    """Step them for a batch in tiles."""
    batches, workspace = training.batches, training.workspace
    layer = layer_at(training.parameters.layout, 0)
    start, flags = batches.tiles.starts[batch * batches.batch_size], batches.tiles.samples[batch]
    first, last = part_bounds(layer.n_registers, part.number, part.n_parts)
    chunks = n_chunks(last - first, DENSE_REGISTERS)
    for chunk in range(chunks):
        begin, end = part_bounds(last - first, chunk, chunks)
        column = (first + begin) * LANES
        delta = Matrix(workspace.deltas, column, layer.stride, 1)
        for row in range(0, layer.n_in, DENSE_ROWS):
            step_tile_gradient(
                end - begin,
                flags,
                row // DENSE_ROWS * flags.shape[1],
                n_samples,
                Matrix(batches.tiles.data, start + row, 1, layer.n_in + 1),
                delta,
                workspace.first_weights,
                workspace.first_velocities,
                column * layer.n_in + row * LANES,
                layer.n_in * LANES,
                training.scalars,
            )


@inlined
def step_first_sparse(training, batch, part):
    """Step them for a batch in lists."""
    batches, workspace = training.batches, training.workspace
    layer = layer_at(training.parameters.layout, 0)
    first, last = part_bounds(layer.n_registers, part.number, part.n_parts)
    chunks = n_chunks(last - first, MAX_REGISTERS)
    for chunk in range(chunks):
        begin, end = part_bounds(last - first, chunk, chunks)
        column = (first + begin) * LANES
        step_csc_gradient(
            end - begin,
            batches.csc,
            batch,
            workspace.deltas,
            column,
            layer.stride,
            workspace.first_weights,
            workspace.first_velocities,
            column * layer.n_in,
            layer.n_in * LANES,
            training.scalars,
        )


@inlined
def pack_first(parameters, workspace, unpack, part, n_parts):
    """Pack this part's columns of the first layer's weights into panels of 16 columns, or unpack them.

    In rows, the columns of two parts would lie side by side, and each core's prefetcher would fetch the other's
    lines over and over: a pass over the weights took 6.8 us instead of 2.0 us.
    """
    layer = layer_at(parameters.layout, 0)
    first, last = part_bounds(layer.n_registers, part, n_parts)
    for panel in range(first, last):
        for row in range(layer.n_in):
            place = layer.weights + row * layer.stride + panel * LANES
            packed = (panel * layer.n_in + row) * LANES
            if unpack:
                store(parameters.values, place, load(workspace.first_weights, packed, LANES))
            else:
                store(workspace.first_weights, packed, load(parameters.values, place, LANES))


@inlined
def samples_in(batches, batch):
    """Return how many samples a batch has: the last may have fewer."""
    return min(batches.batch_size, len(batches.labels) - batch * batches.batch_size)


@inlined
def forward(training, index, batch, n_samples, part):
    """Fill this part's outputs of a hidden layer and, where it is the last one, its partial logits."""
    parameters, batches, activations = training.parameters, training.batches, training.workspace.activations
    first, last = part_bounds(layer_at(parameters.layout, index).n_registers, part.number, part.n_parts)
    if index == 0:
        sample, cursors = batch * batches.batch_size, training.workspace.cursors[part.number]
        tiles, weights = batches.tiles, training.workspace.first_weights
        if tiles.is_dense[batch]:
            forward_tiles(parameters, weights, tiles, batch, sample, n_samples, cursors, activations, first, last)
        else:
            forward_csr(parameters, weights, batches.csr, sample, n_samples, cursors, activations, first, last)
    else:
        forward_later(parameters, index, n_samples, batches.batch_size, activations, first, last)
    apply_relu(parameters, index, n_samples, batches.batch_size, activations, first, last)
    if index == parameters.layout.shape[0] - 2:
        add_partial_logits(training, batch, n_samples, part)


@inlined
def run_phase(training, phase, batch, part):
    """Do one part of one phase; see `train_batches`."""
    n_layers = training.parameters.layout.shape[0]
    backward_layer, backward_batch = 2 * n_layers - 2 - phase, batch
    if phase == 0:
        backward_layer, backward_batch = 1, batch - 1
    if backward_layer < n_layers and backward_batch >= 0:
        n_samples = samples_in(training.batches, backward_batch)
        if backward_layer == n_layers - 1:
            output_delta(training, backward_batch, n_samples, part)
        backward(training, backward_layer, n_samples, part)
        if phase == 0:
            step_first(training, backward_batch, n_samples, part)
    n_samples = samples_in(training.batches, batch)
    if phase < n_layers - 1 and n_samples > 0:
        forward(training, phase, batch, n_samples, part)


@inlined
def _run_phase(phase, batch, parameters, csr, csc, tiles, labels, batch_size, workspace, scalars, index, n_parts):
    """Bundle what a parallel loop takes one by one: Numba refuses nested tuples there."""
    training = Training(parameters, Batches(csr, csc, tiles, labels, batch_size), workspace, scalars)
    run_phase(training, phase, batch, Part(index, n_parts))


@kernel
def train_batches(parameters, csr, csc, tiles, labels, batch_size, workspace, scalars, n_parts):
    """Train on the batches in their order, one SGD step each.

    With n hidden layers a batch takes 2n - 1 phases, between which the parts wait for each other. Phase 0
    finishes the batch before (the backward pass through the second layer, the first layer's step) and begins
    this one (first layer); phases 1 to n - 1 are the other hidden layers, n to 2n - 2 the backward pass down to
    the third layer. The sum of the samples' cross-entropies and the number of correct predictions, each taken before
    its batch's step, are added to `workspace.totals`.
    """
    n_phases = 2 * parameters.layout.shape[0] - 3
    n_batches = (len(labels) + batch_size - 1) // batch_size
    for part in prange(n_parts):
        pack_first(parameters, workspace, False, np.intp(part), n_parts)
    for step in range(n_batches * n_phases + 1):
        for part in prange(n_parts):
            phase, batch = step % n_phases, step // n_phases
            index = np.intp(part)
            _run_phase(
                phase, batch, parameters, csr, csc, tiles, labels, batch_size, workspace, scalars, index, n_parts
            )
    for part in prange(n_parts):
        pack_first(parameters, workspace, True, np.intp(part), n_parts)
