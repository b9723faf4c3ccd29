"""The first layer without its zeros: 81 % of MNIST's pixels are 0 and add nothing to any product.

The non-zero inputs of a batch are listed twice. By row (one sample's inputs after another) for the forward
pass: a sample's outputs stay in registers while the rows of the weights that its pixels ask for are added up.
By column (one input's samples after another) for the weight gradient: one row of the gradient stays in
registers while the deltas of the samples that have this pixel are added up, and goes straight into the update.
Dense input only makes the lists longer.
"""

from typing import NamedTuple

import numpy as np
from numba import prange, types
from numba.extending import overload

from fastmnist.kernels.jit import inlined, kernel
from fastmnist.kernels.simd import (
    BYTES,
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


class NonzeroLists(NamedTuple):
    """The non-zero inputs of some batches. Batch b's lists begin at position b * batch_size * (n_in + 1).

    Row list: positions row_starts[s] to row_ends[s] of `row_columns` and `row_values` are sample s's inputs,
    ascending, and a sentinel, n_in. Column list: those from the end of column d - 1 to column_ends[b, d] of `column_samples` and
    `column_values` are the samples of batch b, counted from its first, that have input d.
    """

    row_starts: np.ndarray  # (n_samples,) int64
    row_ends: np.ndarray  # (n_samples,) int64
    row_columns: np.ndarray  # (n_samples * (n_in + 1),) int32
    row_values: np.ndarray  # (n_samples * (n_in + 1),) float32
    column_ends: np.ndarray  # (n_batches, n_in) int64
    column_order: np.ndarray
    column_cursors: np.ndarray
    ranks: np.ndarray
    column_samples: np.ndarray  # (n_samples * (n_in + 1),) int32
    column_values: np.ndarray  # (n_samples * (n_in + 1),) float32


def make_lists(n_samples, n_in, batch_size):
    """Return lists with room for `n_samples` samples of any density."""
    n_batches = -(-n_samples // batch_size)
    return NonzeroLists(
        np.empty(n_samples, np.int64),
        np.empty(n_samples, np.int64),
        np.empty(n_samples * (n_in + 1), np.int32),
        np.empty(n_samples * (n_in + 1), np.float32),
        np.empty((n_batches, n_in), np.int32),
        np.empty((n_batches, n_in), np.int32),
        np.empty((n_batches, n_in), np.int32),
        np.empty((n_batches, batch_size + 1), np.int32),
        np.empty(n_samples * (n_in + 1), np.int32),
        np.empty(n_samples * (n_in + 1), np.float32),
    )


def append_nonzeros(inputs, sample, columns, values, position):
    """Append one sample's non-zero inputs from `position` on; return the position after the last."""
    raise NotImplementedError("for compiled code only")


@overload(append_nonzeros)
def _append_nonzeros(inputs, sample, columns, values, position):
    if inputs.dtype == types.uint8:
        return _append_nonzero_pixels
    return _append_nonzero_floats


def _append_nonzero_floats(inputs, sample, columns, values, position):
    for column in range(inputs.shape[1]):
        value = inputs[sample, column]
        columns[position] = column
        values[position] = value
        position += value != 0
    return position


def _append_nonzero_pixels(inputs, sample, columns, values, position):
    """Walk the set bits of a mask of 64 pixels at a time: a test of every pixel takes three times as long."""
    n_in = inputs.shape[1]
    row = sample * n_in
    for first in range(0, n_in, BYTES):
        block = first
        mask = np.uint64(0)
        if first + BYTES <= n_in:
            mask = nonzero_bytes(inputs, row + first)
        else:
            for column in range(first, n_in):
                if item(inputs, row + column) != 0:
                    mask |= np.uint64(1) << np.uint64(column - first)
        while mask != 0:
            column = block + lowest_bit(mask)
            mask &= mask - np.uint64(1)
            columns[position] = column
            values[position] = np.float32(item(inputs, row + column)) * np.float32(1 / 255)
            position += 1
    return position


@inlined
def sort_by_column(lists, batch, first_sample, last_sample):
    """Fill the batch's column lists from its row lists: a counting sort, the longest lists first."""
    n_in = lists.column_ends.shape[1]
    order, ends, cursors = batch * n_in, lists.column_ends[batch], lists.column_cursors[batch]
    cursors[:] = 0
    for sample in range(first_sample, last_sample):
        for position in range(lists.row_starts[sample], lists.row_ends[sample]):
            column = item(lists.row_columns, position)
            lists.column_cursors[batch, np.uint32(column)] += 1
    # how many columns have a longer list
    ranks = lists.ranks[batch]
    ranks[:] = 0
    for column in range(n_in):
        ranks[cursors[column]] += 1
    rank = 0
    for count in range(last_sample - first_sample, -1, -1):
        n = ranks[count]
        ranks[count] = rank
        rank += n
    for column in range(n_in):
        count = cursors[column]
        rank = ranks[count]
        ranks[count] = rank + 1
        lists.column_order[batch, rank] = column
    start = lists.row_starts[first_sample]
    for rank in range(n_in):
        column = lists.column_order[batch, rank]
        count = cursors[column]
        cursors[column] = start
        start += count
        ends[rank] = start
    for sample in range(first_sample, last_sample):
        for position in range(lists.row_starts[sample], lists.row_ends[sample]):
            column = np.uint32(item(lists.row_columns, position))
            place = np.uint64(cursors[column])
            cursors[column] = place + 1
            lists.column_samples[place] = sample - first_sample
            lists.column_values[place] = item(lists.row_values, position)


@inlined
def list_batch(inputs, order, batch_size, batch, lists):
    """Fill one batch's lists."""
    n_in = inputs.shape[1]
    first_sample = batch * batch_size
    last_sample = min(first_sample + batch_size, len(order))
    position = first_sample * (n_in + 1)
    for sample in range(first_sample, last_sample):
        lists.row_starts[sample] = position
        position = append_nonzeros(inputs, order[sample], lists.row_columns, lists.row_values, position)
        lists.row_ends[sample] = position
        lists.row_columns[position] = n_in
        position += 1
    sort_by_column(lists, batch, first_sample, last_sample)


@kernel
def list_nonzeros(inputs, order, batch_size, lists, n_parts):
    """Fill the lists with the inputs of the samples `order` (n_samples,), batch after batch."""
    for batch in prange((len(order) + batch_size - 1) // batch_size):
        list_batch(inputs, order, batch_size, np.intp(batch), lists)


def _make_add_rows(lanes):
    def add_rows(weights, offset, stride, lists, cursors, n_samples, last_row, out, out_offset):
        """Add to `lanes` outputs of each sample its inputs' rows of the weights, up to `last_row`.

        `cursors` say where in its row list each sample goes on.
        """
        for s in range(n_samples):
            place = out_offset + s * stride
            total = load(out, place, lanes)
            position = item(cursors, s)
            column = item(lists.row_columns, position)
            while column < last_row:
                value = broadcast(item(lists.row_values, position), lanes)
                total = fma(value, load(weights, offset + np.intp(column) * stride, lanes), total)
                position += 1
                column = item(lists.row_columns, position)
            cursors[s] = position
            store(out, place, total)

    return add_rows


def _make_step_rows(lanes):

    def step_rows(
        parameters, velocities, offset, stride, lists, batch, first_row, last_row, start, delta, delta_offset, scalars
    ):
        """Step `lanes` columns of some rows of the weights by their gradient, inputs.T @ delta.

        `start` is the position of the first row's column list; returns that of the row after the last.
        """
        for row in range(first_row, last_row):
            end = np.intp(item(lists.column_ends, batch * lists.column_ends.shape[1] + row))
            column = np.intp(item(lists.column_order, batch * lists.column_ends.shape[1] + row))
            gradient = zeros(lanes)
            for position in range(start, end):
                value = broadcast(item(lists.column_values, position), lanes)
                place = delta_offset + np.intp(item(lists.column_samples, position)) * stride
                gradient = fma(value, load(delta, place, lanes), gradient)
            place = offset + column * stride
            weight = load(parameters, place, lanes)
            gradient = fma(broadcast(scalars.weight_decay, lanes), weight, gradient)
            if scalars.momentum != 0:
                gradient = fma(broadcast(scalars.momentum, lanes), load(velocities, place, lanes), gradient)
                store(velocities, place, gradient)
            store(parameters, place, fma(broadcast(-scalars.learning_rate, lanes), gradient, weight))
            start = end

    return step_rows


add_rows = by_width(_make_add_rows)
step_rows = by_width(_make_step_rows)
