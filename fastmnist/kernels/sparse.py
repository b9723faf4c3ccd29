"""The first layer without its zeros: 81 % of MNIST's pixels are 0 and add nothing to any product.

The non-zero inputs of a batch are listed twice. By row (one sample's inputs after another) for the forward
pass: a sample's outputs stay in registers while the rows of the weights that its pixels ask for are added up.
By column (one input's samples after another) for the weight gradient: one row of the gradient stays in
registers while the deltas of the samples that have this input are added up, and goes straight into the step.
Dense input only makes the lists longer.
"""

from typing import NamedTuple

import numpy as np
from numba import prange, types
from numba.extending import overload

from fastmnist.kernels.jit import inlined, kernel
from fastmnist.kernels.matmul import as_unit
from fastmnist.kernels.simd import (
    BYTES,
    MAX_WIDTH,
    broadcast,
    by_width,
    fma,
    item,
    load,
    lowest_bit,
    nonzero_bytes,
    store,
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


def append_nonzeros(inputs, sample, columns, values, position):
    """Append one sample's non-zero inputs from `position` on; return the position behind the last."""
    raise NotImplementedError("for compiled code only")


@overload(append_nonzeros)
def _append_nonzeros(inputs, sample, columns, values, position):
    return _append_nonzero_pixels if inputs.dtype == types.uint8 else _append_nonzero_floats


def _append_nonzero_floats(inputs, sample, columns, values, position):
    for column in range(inputs.shape[1]):
        value = inputs[sample, column]
        columns[position] = column  # overwritten by the next one if it does not count
        values[position] = value
        position += value != 0
    return position


def _append_nonzero_pixels(inputs, sample, columns, values, position):
    """Walk the set bits of a mask of 64 pixels at a time; a test of every pixel takes three times as long."""
    n_in = inputs.shape[1]
    row = sample * n_in
    for first in range(0, n_in, BYTES):
        mask = np.uint64(0)
        if first + BYTES <= n_in:
            mask = nonzero_bytes(inputs, row + first)
        else:
            for column in range(first, n_in):
                if item(inputs, row + column) != 0:
                    mask |= np.uint64(1) << np.uint64(column - first)
        while mask != 0:
            column = first + lowest_bit(mask)
            mask &= mask - np.uint64(1)
            columns[position] = column
            values[position] = as_unit(item(inputs, row + column))
            position += 1
    return position


@inlined
def list_rows(inputs, order, first, last, slot, rows):
    """Fill the row lists from `slot` on with the samples `first` to `last` of `order`."""
    position = slot * (inputs.shape[1] + 1)
    for sample in range(first, last):
        rows.starts[slot + sample - first] = position
        position = append_nonzeros(inputs, order[sample], rows.columns, rows.values, position)
        rows.ends[slot + sample - first] = position
        rows.columns[position] = inputs.shape[1]
        position += 1


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
            column = np.uint32(item(rows.columns, position))
            place = np.uint32(cursors[column])
            cursors[column] = place + np.uint32(1)
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
    list_rows(inputs, order, first, last, first, rows)
    list_columns(rows, first, last, batch, columns)


def _make_add_weight_rows(lanes):
    def add_weight_rows(rows, n_samples, weights, offset, stride, last_column, cursors, out, out_offset):
        """Add to `lanes` outputs of each sample the rows of the weights that its inputs ask for.

        Goes on in each sample's list at `cursors` and stops, moving these, at column `last_column`: a block of
        rows stays in the cache for all samples.
        """
        for sample in range(n_samples):
            place = out_offset + sample * stride
            total = load(out, place, lanes)
            position = item(cursors, sample)
            column = item(rows.columns, position)
            while column < last_column:
                value = broadcast(item(rows.values, position), lanes)
                total = fma(value, load(weights, offset + np.intp(column) * stride, lanes), total)
                position += 1
                column = item(rows.columns, position)
            cursors[sample] = position
            store(out, place, total)

    return add_weight_rows


def _make_step_weight_rows(lanes):
    def step_weight_rows(columns, batch, start, delta, delta_offset, parameters, velocities, offset, stride, scalars):
        """Step `lanes` columns of the weights by their gradient, inputs.T @ delta.

        `start` is where the batch's column lists begin. See sgd.py for the step.
        """
        n_in = columns.ends.shape[1]
        for rank in range(n_in):
            end = np.intp(item(columns.ends, batch * n_in + rank))
            velocity = zeros(lanes)
            for position in range(start, end):
                value = broadcast(item(columns.values, position), lanes)
                place = delta_offset + np.intp(item(columns.samples, position)) * stride
                velocity = fma(value, load(delta, place, lanes), velocity)
            start = end
            place = offset + np.intp(item(columns.columns, batch * n_in + rank)) * stride
            weight = load(parameters, place, lanes)
            velocity = fma(broadcast(scalars.weight_decay, lanes), weight, velocity)
            if scalars.momentum != 0:
                velocity = fma(broadcast(scalars.momentum, lanes), load(velocities, place, lanes), velocity)
                store(velocities, place, velocity)
            store(parameters, place, fma(broadcast(-scalars.learning_rate, lanes), velocity, weight))

    return step_weight_rows


add_weight_rows = by_width(_make_add_weight_rows, MAX_WIDTH)
step_weight_rows = by_width(_make_step_weight_rows, MAX_WIDTH)
