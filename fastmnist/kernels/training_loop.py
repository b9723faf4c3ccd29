"""The compiled training loop: forward, backward and the SGD step over a block of batches, in one call.

reference.py has the same as plain NumPy: one step is its `gradient` and `step`.

The work is split by outputs. Each part owns a range of registers (16 units each) of every hidden layer: it alone
writes these units' outputs, deltas, biases, their columns of the first layer's weights and their rows of the next
layer's. So nothing is reduced over parts, the bytes do not depend on how many there are, and the first layer's
weights never move from one core's cache to another's. The rest is arranged in as few phases as the mathematics
allows, one parallel region each: with one hidden layer a whole step is one region.
"""

import numpy as np
from numba import prange

from fastmnist.kernels.activations import argmax, output_delta_row, relu_gradient_rows
from fastmnist.kernels.dense_batches import forward_dense, step_dense
from fastmnist.kernels.forward import (
    Columns,
    apply_relu,
    columns_of,
    forward_csr,
    forward_later,
)
from fastmnist.kernels.jit import inlined, kernel
from fastmnist.kernels.lanes import transpose
from fastmnist.kernels.layout import Part, layer_at, part_bounds
from fastmnist.kernels.matmul import (
    Matrix,
    add_product,
    add_wide_product,
    block_of,
    clear_rows,
    fill_rows,
    n_chunks,
)
from fastmnist.kernels.products import add_input_gradient, add_without_zeros
from fastmnist.kernels.sgd import step_rows, without_decay
from fastmnist.kernels.simd import LANES, MAX_REGISTERS, add, load, store, zeros
from fastmnist.kernels.sparse import is_sparse, step_csc_gradient
from fastmnist.kernels.tiles import TILE_REGISTERS, TILE_ROWS
from fastmnist.kernels.workspace import AT, WANTED, Batches, Training

# A gradient reads columns of the first layer's delta again and again: for a batch, as many registers of them at a time
# as fit a first-level cache of 32 KB, but at least a few. A step of 128 x 784 x 100 on one core takes 66 us, not 76.
CACHED_REGISTERS = 512
FEW_REGISTERS = 4  # with fewer, walking the lists itself costs too much

_forward_dense, _step_dense = forward_dense.call, step_dense.call


@inlined
def add_partial_logits(training, batch, n_samples, outputs):
    """Fill the partial logits of a part: what each register of its columns of the last hidden layer adds to the logits.

    They are summed later, in one order whatever the number of parts. They alternate between two places, since another
    part may still be summing those of the batch before.
    """
    parameters, workspace = training.parameters, training.workspace
    n_layers = parameters.layout.shape[0]
    layer, previous = layer_at(parameters.layout, n_layers - 1), layer_at(parameters.layout, n_layers - 2)
    for register in range(outputs.first, outputs.last):
        unit = register * LANES
        partial = workspace.partial_logits[batch % 2, register]
        if register == 0:
            fill_rows(layer.n_registers, partial, 0, layer.stride, n_samples, parameters.values, layer.biases)
        else:
            clear_rows(layer.n_registers, partial, 0, layer.stride, n_samples)
        left = block_of(outputs.matrix, 0, (register - outputs.first) * LANES)
        right = Matrix(parameters.values, layer.weights + unit * layer.stride, layer.stride, 1)
        depth = min(LANES, previous.n_out - unit)
        add_wide_product(layer.n_registers, left, right, Matrix(partial, 0, layer.stride, 1), n_samples, depth)


@inlined
def output_delta(training, batch, n_samples, part):
    """Fill this part's copy of the loss's gradient w.r.t. the logits; part 0 also sums losses and correct predictions.

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
def delta_columns(training, index, number, part):
    """Return the columns of a layer's delta that part `number` has filled: of the last layer, `part` has all."""
    workspace, layer = training.workspace, layer_at(training.parameters.layout, index)
    if index == training.parameters.layout.shape[0] - 1:
        return Columns(Matrix(workspace.output_deltas[part.number], 0, layer.stride, 1), 0, layer.n_registers)
    return columns_of(workspace.deltas, layer, training.batches.batch_size, Part(number, part.n_parts))


@inlined
def backward(training, index, n_samples, part):
    """From a layer's delta, fill this part's columns of the delta of the layer before, then step its weights' rows.

    Also steps the biases of this part's units of the layer before, and those of the last layer.
    """
    workspace, layout = training.workspace, training.parameters.layout
    is_last = index == layout.shape[0] - 1
    layer, previous = layer_at(layout, index), layer_at(layout, index - 1)
    below = columns_of(workspace.deltas, previous, training.batches.batch_size, part)
    n_registers, rows = below.last - below.first, below.matrix
    clear_rows(n_registers, rows.array, rows.offset, rows.row_step, n_samples)
    n_sources = 1 if is_last else part.n_parts
    for number in range(n_sources):
        delta = delta_columns(training, index, number, part)
        add_to_delta(training, index, delta, below, n_samples, part)
        step_weights(training, index, n_samples, delta, part)
    sums = workspace.gradients[part.number]
    relu_gradient_rows(n_registers, workspace.activations, rows.array, rows.offset, rows.row_step, n_samples, sums)
    step_biases(training, n_registers, previous.biases + below.first * LANES, sums)
    if is_last and below.first == 0 and n_registers > 0:  # the part that reads these biases next
        sum_rows(layer.n_registers, workspace.output_deltas[part.number], layer.stride, n_samples, sums)
        step_biases(training, layer.n_registers, layer.biases, sums)


@inlined
def add_to_delta(training, index, delta, below, n_samples, part):
    """Add the contribution of some columns of a layer's delta to some columns of the previous layer's delta."""
    parameters = training.parameters
    layer, panel = layer_at(parameters.layout, index), training.workspace.panels[part.number]
    weights = block_of(
        Matrix(parameters.values, layer.weights, layer.stride, 1), below.first * LANES, delta.first * LANES
    )
    n_registers, depth = below.last - below.first, (delta.last - delta.first) * LANES
    if depth > 0:
        is_last = index == training.parameters.layout.shape[0] - 1  # whose deltas are never 0
        sparse_at = 0 if is_last else training.workspace.sparse_product[AT]
        add_input_gradient(sparse_at, n_registers, delta.matrix, weights, panel, below.matrix, n_samples, depth)


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
    """Step some columns of a later layer's weights, in the rows of this part's units of the previous layer."""
    parameters, workspace = training.parameters, training.workspace
    layer, previous = layer_at(parameters.layout, index), layer_at(parameters.layout, index - 1)
    below = columns_of(workspace.activations, previous, training.batches.batch_size, part)
    n_units = min(below.last * LANES, layer.n_in) - below.first * LANES
    gradient, activations = workspace.gradients[part.number], below.matrix
    skips_zeros = leaves_out_zeros(training, index, activations, n_samples, n_units)
    at_once, most = (LANES, FEW_REGISTERS) if skips_zeros else (TILE_ROWS, TILE_REGISTERS)
    chunks = n_chunks(delta.last - delta.first, most)
    for chunk in range(chunks):
        begin, end = part_bounds(delta.last - delta.first, chunk, chunks)
        weights = layer.weights + below.first * LANES * layer.stride + (delta.first + begin) * LANES
        width, right = (end - begin) * LANES, block_of(delta.matrix, 0, begin * LANES)
        for row in range(0, n_units, at_once):
            n_rows, out = min(at_once, n_units - row), Matrix(gradient, 0, width, 1)
            clear_rows(end - begin, gradient, 0, width, n_rows)
            if skips_zeros:
                units = transposed(activations, row, n_samples, workspace.panels[part.number])
                sparse_at = workspace.sparse_product[AT]
                add_without_zeros(sparse_at, end - begin, units, right, out, n_rows, n_samples)
            else:
                units = Matrix(activations.array, activations.offset + row, 1, activations.row_step)
                add_product(end - begin, units, right, out, n_rows, n_samples)
            step_rows(
                end - begin,
                parameters.values,
                parameters.velocities,
                weights + row * layer.stride,
                layer.stride,
                n_rows,
                gradient,
                width,
                training.scalars,
            )


@inlined
def leaves_out_zeros(training, index, activations, n_samples, n_units):
    """Return whether a later layer's gradient skips the units that are 0; record it if the code for that is wanted."""
    is_last = index == training.parameters.layout.shape[0] - 1  # which is narrow
    if is_last or n_samples % LANES != 0 or not is_sparse(activations, n_samples, n_units):
        return False
    known = training.workspace.sparse_product
    known[WANTED] = 1
    return known[AT] != 0


@inlined
def transposed(matrix, column, n_rows, panel):
    """Return 16 columns of a matrix as rows, in `panel`; n_rows is a multiple of 16."""
    for row in range(0, n_rows, LANES):
        place = matrix.offset + row * matrix.row_step + column
        transpose(matrix.array, place, matrix.row_step, panel, row, n_rows)
    return Matrix(panel, 0, n_rows, 1)


@inlined
def step_first(training, batch, n_samples, part):
    """Step this part's columns of the first layer's weights."""
    batches, layer = training.batches, layer_at(training.parameters.layout, 0)
    deltas = columns_of(training.workspace.deltas, layer, batches.batch_size, part)
    if batches.tiles.is_dense[batch]:
        workspace = training.workspace
        panels, velocities = workspace.first_weights, workspace.first_velocities
        layout, sample = training.parameters.layout, batch * batches.batch_size
        arguments = layout, batches.tiles, batch, sample, n_samples, panels, velocities, deltas, training.scalars
        _step_dense(training.dense.step, arguments)
    else:
        step_first_sparse(training, batch, deltas)


@inlined
def step_first_sparse(training, batch, deltas):
    """Step this part's columns of the first layer's weights for a batch in lists."""
    batches, workspace = training.batches, training.workspace
    layer = layer_at(training.parameters.layout, 0)
    rows = deltas.matrix
    most = min(MAX_REGISTERS, max(FEW_REGISTERS, CACHED_REGISTERS // batches.batch_size))
    chunks = n_chunks(deltas.last - deltas.first, most)
    for chunk in range(chunks):
        begin, end = part_bounds(deltas.last - deltas.first, chunk, chunks)
        column = (deltas.first + begin) * LANES
        step_csc_gradient(
            end - begin,
            batches.csc,
            batch,
            rows.array,
            rows.offset + begin * LANES,
            rows.row_step,
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
    out = columns_of(activations, layer_at(parameters.layout, index), batches.batch_size, part)
    if index == 0:
        sample, cursors = batch * batches.batch_size, training.workspace.cursors[part.number]
        tiles, weights = batches.tiles, training.workspace.first_weights
        if tiles.is_dense[batch]:
            arguments = parameters, weights, tiles, batch, sample, n_samples, cursors, out
            _forward_dense(training.dense.forward, arguments)
        else:
            forward_csr(parameters, weights, batches.csr, sample, n_samples, cursors, out)
    else:
        sparse_at = training.workspace.sparse_product[AT]
        forward_later(parameters, sparse_at, index, n_samples, batches.batch_size, activations, part)
    apply_relu(out, n_samples)
    if index == parameters.layout.shape[0] - 2:
        add_partial_logits(training, batch, n_samples, out)


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
def _run_phase(
    phase, batch, parameters, csr, csc, tiles, dense, labels, batch_size, workspace, scalars, index, n_parts
):
    """Bundle the arguments, which a parallel loop takes one by one, as Numba refuses nested tuples there."""
    training = Training(parameters, Batches(csr, csc, tiles, labels, batch_size), workspace, scalars, dense)
    run_phase(training, phase, batch, Part(index, n_parts))


@kernel
def train_batches(parameters, csr, csc, tiles, dense, labels, batch_size, workspace, scalars, n_parts):
    """Train on the batches in their order, one SGD step each; `dense` are the DenseParts that these need.

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
                phase, batch, parameters, csr, csc, tiles, dense, labels, batch_size, workspace, scalars, index, n_parts
            )
    for part in prange(n_parts):
        pack_first(parameters, workspace, True, np.intp(part), n_parts)
