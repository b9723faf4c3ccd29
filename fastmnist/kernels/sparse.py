"""The first layer without its zeros: 81 % of MNIST's pixels are 0 and add nothing to any product.

Inputs are uint8 pixels, which count as pixel / 255, or float32, at least 64 of them (MASK_BITS).

For training, the non-zero inputs of a batch are listed twice. By row (one sample's inputs after another) for the
forward pass: a sample's outputs stay in registers while the rows of the weights that its inputs ask for are added
up. By column (one input's samples after another) for the weight gradient: one row of the gradient stays in
registers while the deltas of the samples that have this input are added up, and goes straight into the step.
Dense input only makes the lists longer.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from fastmnist.kernels.jit import inlined, kernel
from fastmnist.kernels.lanes import MASK_BITS, lowest_bit, nonzero_bits
from fastmnist.kernels.matmul import as_unit
from fastmnist.kernels.simd import (
    LANES,
    MAX_WIDTH,
    add,
    broadcast,
    by_width,
    fma,
    item,
    load,
    load_panels,
    store,
    store_panels,
    zeros,
)


class RowLists(NamedTuple):
    """Each sample's non-zero inputs: positions starts[s] to ends[s] of `columns` (ascending) and `values`.

    A column n_in stands behind each list, so that walking it needs no other test than that of the column.
    """

    starts: np.ndarray  # (n_samples,) int64
    ends: np.ndarray  # (n_samples,) int64
    columns: np.ndarray  # (n_samples * (n_in + 1),) int32
    values: np.ndarray  # (n_samples * (n_in + 1),) float32


class ColumnLists(NamedTuple):
    """Each input's samples in a batch that have it, the inputs with the longest lists first.

    The branch predictor knows the length of such a list: the one before had it too. Rank r's list ends at
    position ends[b, r] of `samples` (counted from the batch's first) and `values`, where the next one begins;
    batch b's first begins where its first sample's row list does.
    """

    columns: np.ndarray  # (n_batches, n_in) int32: the input of each rank
    ends: np.ndarray  # (n_batches, n_in) int32
    samples: np.ndarray  # (n_samples * (n_in + 1),) int32
    values: np.ndarray  # (n_samples * (n_in + 1),) float32
    cursors: np.ndarray  # (n_batches, n_in) int32: working memory
    lengths: np.ndarray  # (n_batches, batch_size + 1) int32: working memory


def make_row_lists(n_samples, n_in):
    """Return row lists with room for `n_samples` samples of any density."""
    capacity = n_samples * (n_in + 1)
    starts, ends = np.empty(n_samples, np.int64), np.empty(n_samples, np.int64)
    return RowLists(starts, ends, np.empty(capacity, np.int32), np.empty(capacity, np.float32))


def make_column_lists(n_samples, n_in, batch_size):
    """Return column lists with room for `n_samples` samples of any density."""
    n_batches, capacity = -(-n_samples // batch_size), n_samples * (n_in + 1)
    return ColumnLists(
        np.empty((n_batches, n_in), np.int32),
        np.empty((n_batches, n_in), np.int32),
        np.empty(capacity, np.int32),
        np.empty(capacity, np.float32),
        np.empty((n_batches, n_in), np.int32),
        np.empty((n_batches, batch_size + 1), np.int32),
    )


@inlined
def list_rows(inputs, order, first, last, rows):
    """Fill the row lists of the samples `first` to `last` of `order`.

    One compare gives a bit mask of the non-zero ones of 64 inputs (of the last ones, the rest of 64); its set bits
    are walked. A test of every input takes three times as long. Places are unsigned: so Numba leaves out its test
    for negative indices, which took a third of the time.
    """
    n_in = inputs.shape[1]
    place = np.uint64(first * (n_in + 1))
    for sample in range(first, last):
        row = order[sample] * n_in
        rows.starts[sample] = place
        for block in range(0, n_in, MASK_BITS):
            mask = nonzero_bits(inputs, row + min(block, n_in - MASK_BITS))
            mask >>= np.uint64(max(block + MASK_BITS - n_in, 0))
            while mask != 0:
                column = block + lowest_bit(mask)
                mask &= mask - np.uint64(1)
                rows.columns[place] = column
                rows.values[place] = as_unit(item(inputs, row + column))
                place += np.uint64(1)
        rows.ends[sample] = place
        rows.columns[place] = n_in
        place += np.uint64(1)


@inlined
def list_columns(rows, first, last, batch, columns):
    """Fill one batch's column lists from its row lists: two counting sorts, by length and by column."""
    order, ends = columns.columns[batch], columns.ends[batch]
    cursors, lengths = columns.cursors[batch], columns.lengths[batch]
    n_in = len(order)
    for column in range(n_in):
        cursors[column] = 0
    for sample in range(first, last):
        for position in range(rows.starts[sample], rows.ends[sample]):
            cursors[np.uint32(item(rows.columns, position))] += 1
    for length in range(last - first + 1):
        lengths[length] = 0
    for column in range(n_in):
        lengths[cursors[column]] += 1
    rank = 0
    for length in range(last - first, -1, -1):  # from how many lists have a length to where the first one goes
        count = lengths[length]
        lengths[length] = rank
        rank += count
    for column in range(n_in):
        length = cursors[column]
        order[lengths[length]] = column
        lengths[length] += 1
    end = rows.starts[first]
    for rank in range(n_in):
        column = order[rank]
        length = cursors[column]
        cursors[column] = end
        end += length
        ends[rank] = end
    for sample in range(first, last):
        for position in range(rows.starts[sample], rows.ends[sample]):
            cursor = np.uint32(item(rows.columns, position))
            place = np.uint32(cursors[cursor])
            cursors[cursor] = place + np.uint32(1)
            columns.samples[place] = sample - first
            columns.values[place] = item(rows.values, position)


@kernel
def list_nonzeros(inputs, order, batch_size, rows, columns, n_parts):
    """Fill the lists of the samples `order` (n_samples,) of `inputs`, batch after batch."""
    for index in prange((len(order) + batch_size - 1) // batch_size):
        _list_batch(inputs, order, batch_size, rows, columns, np.intp(index))


@inlined
def _list_batch(inputs, order, batch_size, rows, columns, batch):
    first = batch * batch_size
    last = min(first + batch_size, len(order))
    list_rows(inputs, order, first, last, rows)
    list_columns(rows, first, last, batch, columns)


def _make_add_listed_rows(lanes):
    def add_listed_rows(rows, n_samples, panels, offset, step, last_column, cursors, out, out_offset, stride):
        """Add to `lanes` outputs of each sample the rows of the weights that its row list asks for.

        The weights lie in panels of 16 columns, `step` elements apart.

        Goes on in each list at `cursors` and stops, moving these, at column `last_column`: a block of rows of the
        weights stays in the first-level cache for all samples. Two sums take turns: one alone would wait for its
        last fma, 4 cycles, however few lanes it has.
        """
        for sample in range(n_samples):
            place = out_offset + sample * stride
            even, odd = load(out, place, lanes), zeros(lanes)
            position = item(cursors, sample)
            column = item(rows.columns, position)
            while column < last_column:
                value = broadcast(item(rows.values, position), lanes)
                even = fma(value, load_panels(panels, offset + np.intp(column) * LANES, step, lanes), even)
                position += 1
                column = item(rows.columns, position)
                if column < last_column:
                    value = broadcast(item(rows.values, position), lanes)
                    odd = fma(value, load_panels(panels, offset + np.intp(column) * LANES, step, lanes), odd)
                    position += 1
                    column = item(rows.columns, position)
            cursors[sample] = position
            store(out, place, add(even, odd))

    return add_listed_rows


def _make_add_weight_rows(lanes):
    def add_weight_rows(inputs, order, first, n_samples, block, weights, offset, stride, out, out_offset):
        """Add to `lanes` outputs of each sample the rows of the weights that 64 of its inputs ask for.

        The same without lists, for inputs that are used once: 25 % faster there. The samples are those of `order`
        from `first` on, the inputs those from `block` on.
        """
        n_in = inputs.shape[1]
        for sample in range(n_samples):
            row = order[first + sample] * n_in
            mask = nonzero_bits(inputs, row + min(block, n_in - MASK_BITS))
            mask >>= np.uint64(max(block + MASK_BITS - n_in, 0))
            if mask != 0:
                place = out_offset + sample * stride
                total = load(out, place, lanes)
                while mask != 0:
                    column = block + lowest_bit(mask)
                    mask &= mask - np.uint64(1)
                    value = broadcast(as_unit(item(inputs, row + column)), lanes)
                    total = fma(value, load(weights, offset + column * stride, lanes), total)
                store(out, place, total)

    return add_weight_rows


def _make_step_weight_rows(lanes):
    def step_weight_rows(columns, batch, start, delta, delta_offset, stride, panels, velocities, offset, step, scalars):
        """Step `lanes` columns of the weights by their gradient, inputs.T @ delta.

        `start` is where the batch's column lists begin. The weights and their velocities lie in panels of 16
        columns, `step` elements apart. See sgd.py for the step.
        """
        n_in = columns.ends.shape[1]
        for rank in range(n_in):
            end = np.intp(item(columns.ends, batch * n_in + rank))
            change = zeros(lanes)
            for position in range(start, end):
                value = broadcast(item(columns.values, position), lanes)
                place = delta_offset + np.intp(item(columns.samples, position)) * stride
                change = fma(value, load(delta, place, lanes), change)
            start = end
            place = offset + np.intp(item(columns.columns, batch * n_in + rank)) * LANES
            weight = load_panels(panels, place, step, lanes)
            change = fma(broadcast(scalars.weight_decay, lanes), weight, change)
            if scalars.momentum != 0:
                momentum = broadcast(scalars.momentum, lanes)
                velocity = fma(momentum, load_panels(velocities, place, step, lanes), change)
                store_panels(velocities, place, step, velocity)
                change = fma(momentum, velocity, change) if scalars.nesterov else velocity
            store_panels(panels, place, step, fma(broadcast(-scalars.learning_rate, lanes), change, weight))

    return step_weight_rows


add_listed_rows = by_width(_make_add_listed_rows, MAX_WIDTH)
add_weight_rows = by_width(_make_add_weight_rows, MAX_WIDTH)
step_weight_rows = by_width(_make_step_weight_rows, MAX_WIDTH)
