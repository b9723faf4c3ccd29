"""The first layer without its zeros: 81 % of MNIST's pixels are 0 and add nothing to any product.

Inputs are uint8 pixels, which count as pixel / 255, or float32. An array of them has 64 numbers or more (MASK_BITS), in
however many rows.

For training, a block of batches is compressed twice. In compressed sparse rows (CSR: one sample's inputs after
another) for the forward pass: a sample's outputs stay in registers while the rows of the weights that belong to its
non-zero inputs are added up. In compressed sparse columns (CSC: one input's samples after another), a matrix for each
batch, for the weight gradient: one row of the gradient stays in registers while the deltas of the samples that have
this input are added up, and goes straight into the step. Dense input is computed correctly too; it only makes the
lists longer. Batches with few zeros are handled by dense.py.
"""

from typing import NamedTuple

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.lanes import MASK_BITS, count_bits, lowest_bit, nonzero_bits
from fastmnist.kernels.layout import part_bounds
from fastmnist.kernels.matmul import block_of, n_chunks
from fastmnist.kernels.sgd import prefetch_panels, step_panels
from fastmnist.kernels.simd import (
    CACHE_LINE,
    LANES,
    MAX_REGISTERS,
    add,
    broadcast,
    by_n_registers,
    fma,
    item,
    load_panels,
    prefetch,
    store_panels,
    zeros,
)
from fastmnist.kernels.tiles import as_unit

# Rows of the weights are stepped in an order that no processor could guess. Those of a wide layer and their velocities
# come from the third-level cache: a step of 128 x 784 x 400 takes 0.16 ms instead of 0.19 to 0.35.
ROWS_AHEAD = 2
# Share of the left side of a product that is not 0: below it, tiles take longer. Sums are taken in the same order. In
# the shipped model, 20 % of the first hidden layer is active: 9.2 us per image instead of 15.1.
SPARSE_SHARE = 0.4
AHEAD = 4  # samples: shuffled ones come from anywhere in memory; waiting for 32 of them took 5 us, now 1
WIDE = MAX_REGISTERS * LANES


class CSR(NamedTuple):
    """Compressed sparse rows: sample s has the inputs at positions starts[s] to ends[s] of `indices` and `data`.

    Each row is followed by the index n_in, so that walking a row only has to test the index.
    """

    starts: np.ndarray  # (n_samples,) int64
    ends: np.ndarray  # (n_samples,) int64
    indices: np.ndarray  # see index_type: the inputs, ascending in each row
    data: np.ndarray  # float32


class CSC(NamedTuple):
    """Compressed sparse columns of each batch, those with the most samples first: `order` says which.

    So the branch predictor can guess a column's length: it is about that of the column before. The r-th column of batch
    b is that of the input order[b, r]. It ends at position ends[b, r] of `indices` and `data`, where the next one
    begins; the batch's first begins at starts[b].
    """

    starts: np.ndarray  # (n_batches,) int64
    order: np.ndarray  # (n_batches, n_in) int32
    ends: np.ndarray  # (n_batches, n_in) int32
    indices: np.ndarray  # see index_type: the samples, counted from the batch's first
    data: np.ndarray  # float32
    cursors: np.ndarray  # (n_batches, n_in) int32: working memory
    lengths: np.ndarray  # (n_batches, batch_size + 1) int32: working memory


def index_type(n):
    """Return the type of indices up to `n`: small, since the lists are read again and again.

    With 16 bits instead of 32, ten epochs of the recipe `seed` take 1.04 s instead of 1.16, and a shuffled epoch of
    784-100-10 in batches of 128 takes 7 % less.
    """
    return np.uint16 if n < 2**16 else np.int32


def make_csr(starts, ends, capacity, n_in):
    """Return a CSR of `capacity` places, for rows from `starts` to `ends` and the index after each, which is `n_in`."""
    return CSR(starts, ends, np.empty(capacity, index_type(n_in)), np.empty(capacity, np.float32))


def make_csc(starts, capacity, n_in, batch_size):
    """Return a CSC of `capacity` places, for batches from `starts` on."""
    n_batches = len(starts)
    return CSC(
        starts,
        np.empty((n_batches, n_in), np.int32),
        np.empty((n_batches, n_in), np.int32),
        np.empty(capacity, index_type(batch_size)),
        np.empty(capacity, np.float32),
        np.empty((n_batches, n_in), np.int32),
        np.empty((n_batches, batch_size + 1), np.int32),
    )


@inlined
def nonzero_inputs(inputs, n_in, row, block):
    """Return a mask of which of one sample's 64 inputs from `block` on are not 0; bits past its last input are 0.

    `row` is where the sample's `n_in` inputs begin. The 64 numbers that are loaded always lie inside the array: if it,
    or the row, ends sooner, they begin earlier and the mask is shifted. If a row has fewer than 64, they continue into
    the next one.
    """
    first = row + block
    if block + MASK_BITS <= n_in:
        return nonzero_bits(inputs, first)
    start = min(row + max(min(block, n_in - MASK_BITS), 0), inputs.size - MASK_BITS)
    mask = nonzero_bits(inputs, start) >> np.uint64(first - start)
    if n_in < MASK_BITS:
        mask &= (np.uint64(1) << np.uint64(n_in)) - np.uint64(1)
    return mask


@inlined
def n_nonzero_inputs(inputs, n_in, row):
    """Return how many of one sample's `n_in` inputs, which begin at `row`, are not 0."""
    n_nonzero = 0
    for block in range(0, n_in, MASK_BITS):
        n_nonzero += count_bits(nonzero_inputs(inputs, n_in, row, block))
    return n_nonzero


@inlined
def fill_csr(inputs, order, first, last, csr):
    """Fill the rows of the samples `first` to `last` of `order`, where `csr.starts` says.

    Shuffled samples lie anywhere in memory, where the processor does not expect the next one: fetched one sample
    ahead, the CSR of an epoch of MNIST takes 7.5 ms instead of 18 (float32; uint8 7.1 instead of 14).
    """
    for sample in range(first, last):
        fill_row(inputs, order[sample], order[min(sample + 1, len(order) - 1)], csr, csr.starts[sample])


@inlined
def fill_row(inputs, sample, next_sample, csr, start):
    """Fill the places from `start` on with the non-zero inputs of a sample, then n_in; return the place of n_in.

    One comparison gives a bit mask of which of 64 inputs (at the end, of the remaining ones) are not 0; its set bits
    are walked. Testing every input takes three times as long. Places are unsigned, so that Numba leaves out its test
    for negative indices, which took a third of the time.
    """
    n_in = inputs.shape[1]
    place, row, next_row = np.uint64(start), sample * n_in, next_sample * n_in
    for block in range(0, n_in, MASK_BITS):
        for line in range(block, block + MASK_BITS, CACHE_LINE // inputs.itemsize):
            prefetch(inputs, next_row + line)
        mask = nonzero_inputs(inputs, n_in, row, block)
        while mask != 0:
            column = block + lowest_bit(mask)
            mask &= mask - np.uint64(1)
            csr.indices[place] = column
            csr.data[place] = as_unit(item(inputs, row + column))
            place += np.uint64(1)
    csr.indices[place] = n_in
    return place


@inlined
def copy_csr(rows, order, first, last, csr):
    """Fill the rows of the samples `first` to `last` of `order` with those of `rows`, the CSR of all samples."""
    for sample in range(first, last):
        ahead = order[min(sample + AHEAD, len(order) - 1)]
        for position in range(rows.starts[ahead], rows.ends[ahead], LANES):  # a cache line
            prefetch(rows.indices, position)
            prefetch(rows.data, position)
        source, place = rows.starts[order[sample]], csr.starts[sample]
        for position in range(rows.ends[order[sample]] - source + 1):
            csr.indices[np.uint64(place + position)] = item(rows.indices, source + position)
            csr.data[np.uint64(place + position)] = item(rows.data, source + position)


@inlined
def expand_row(csr, sample, n_in, out, place):
    """Fill `n_in` elements of `out`, from `place` on, with the inputs of a sample, zeros too."""
    for column in range(n_in):
        out[np.uint64(place + column)] = 0
    for position in range(csr.starts[sample], csr.ends[sample]):
        out[np.uint64(place + item(csr.indices, position))] = item(csr.data, position)


@inlined
def fill_csc(csr, first, last, batch, csc):
    """Fill the columns of one batch, samples `first` to `last`: two counting sorts, by length and by column."""
    order, ends = csc.order[batch], csc.ends[batch]
    cursors, lengths = csc.cursors[batch], csc.lengths[batch]
    n_in = len(order)
    for column in range(n_in):
        cursors[column] = 0
    for sample in range(first, last):
        for position in range(csr.starts[sample], csr.ends[sample]):
            cursors[np.uint32(item(csr.indices, position))] += 1
    for length in range(last - first + 1):
        lengths[length] = 0
    for column in range(n_in):
        lengths[cursors[column]] += 1
    rank = 0
    for length in range(last - first, -1, -1):  # from how many columns have a length to the rank of the first one
        count = lengths[length]
        lengths[length] = rank
        rank += count
    for column in range(n_in):
        length = cursors[column]
        order[lengths[length]] = column
        lengths[length] += 1
    end = csc.starts[batch]
    for rank in range(n_in):
        column = order[rank]
        length = cursors[column]
        cursors[column] = end
        end += length
        ends[rank] = end
    for sample in range(first, last):
        for position in range(csr.starts[sample], csr.ends[sample]):
            cursor = np.uint32(item(csr.indices, position))
            place = np.uint32(cursors[cursor])
            cursors[cursor] = place + np.uint32(1)
            csc.indices[place] = sample - first
            csc.data[place] = item(csr.data, position)


@by_n_registers(MAX_REGISTERS)
def add_csr_product(n_registers, csr, n_samples, panels, offset, step, last_column, cursors, out, out_offset, stride):
    """Add to `n_registers` of the outputs of each sample the product of its row and the weights.

    The weights lie in panels of 16 columns, `step` elements apart.

    Continues in each row at its cursor and stops, moving it, at column `last_column`: a block of rows of the
    weights stays in the first-level cache for all samples. Two sums take turns: one alone would wait for its
    last fma, 4 cycles, however few lanes it has.
    """
    for sample in range(n_samples):
        place = out_offset + sample * stride
        even, odd = load_panels(out, place, LANES, n_registers, WIDE), zeros(WIDE)
        position = item(cursors, sample)
        column = item(csr.indices, position)
        while column < last_column:
            value = broadcast(item(csr.data, position), WIDE)
            even = fma(value, load_panels(panels, offset + np.intp(column) * LANES, step, n_registers, WIDE), even)
            position += 1
            column = item(csr.indices, position)
            if column < last_column:
                value = broadcast(item(csr.data, position), WIDE)
                odd = fma(value, load_panels(panels, offset + np.intp(column) * LANES, step, n_registers, WIDE), odd)
                position += 1
                column = item(csr.indices, position)
        cursors[sample] = position
        store_panels(out, place, LANES, n_registers, add(even, odd))


@by_n_registers(MAX_REGISTERS)
def add_masked_product(n_registers, left, right, out, n_rows, depth, block):
    """Add to out (n_rows, n_registers) the product of 64 columns of left (n_rows, depth) and as many rows of right.

    They are those from `block` on; all three are Matrices. Zeros of `left` are left out without compression, which
    is 25 % faster where it is used once.
    """
    for row in range(n_rows):
        first = left.offset + row * left.row_step
        mask = nonzero_inputs(left.array, depth, first, block)
        if mask != 0:
            place = out.offset + row * out.row_step
            total = load_panels(out.array, place, LANES, n_registers, WIDE)
            while mask != 0:
                k = block + lowest_bit(mask)
                mask &= mask - np.uint64(1)
                value = broadcast(as_unit(item(left.array, first + k)), WIDE)
                vector = load_panels(right.array, right.offset + k * right.row_step, LANES, n_registers, WIDE)
                total = fma(value, vector, total)
            store_panels(out.array, place, LANES, n_registers, total)


@inlined
def is_sparse(left, n_rows, depth):
    """Return whether most of left (n_rows, depth), a Matrix whose columns lie side by side, is 0."""
    if left.array.size < MASK_BITS:
        return False
    n_nonzero = 0
    for row in range(n_rows):
        n_nonzero += n_nonzero_inputs(left.array, depth, left.offset + row * left.row_step)
    return n_nonzero < SPARSE_SHARE * n_rows * depth


@inlined
def add_sparse_product(n_registers, left, right, out, n_rows, depth):
    """Do what `add_wide_product` does, without the zeros of `left`, whose columns lie side by side."""
    chunks = n_chunks(n_registers, MAX_REGISTERS)
    for chunk in range(chunks):
        begin, end = part_bounds(n_registers, chunk, chunks)
        columns, out_columns = block_of(right, 0, begin * LANES), block_of(out, 0, begin * LANES)
        for block in range(0, depth, MASK_BITS):
            add_masked_product(end - begin, left, columns, out_columns, n_rows, depth, block)


@by_n_registers(MAX_REGISTERS)
def step_csc_gradient(n_registers, csc, batch, delta, delta_offset, stride, panels, velocities, offset, step, scalars):
    """Step `n_registers` of the columns of the weights by their gradient, inputs.T @ delta.

    The weights and their velocities lie in panels of 16 columns, `step` elements apart.
    """
    n_in, start = csc.ends.shape[1], np.intp(csc.starts[batch])
    for rank in range(n_in):
        end = np.intp(item(csc.ends, batch * n_in + rank))
        if scalars.momentum != 0:
            ahead = item(csc.order, batch * n_in + min(rank + ROWS_AHEAD, n_in - 1))
            prefetch_panels(n_registers, panels, velocities, offset + np.intp(ahead) * LANES, step)
        gradient = zeros(WIDE)
        for position in range(start, end):
            value = broadcast(item(csc.data, position), WIDE)
            place = delta_offset + np.intp(item(csc.indices, position)) * stride
            gradient = fma(value, load_panels(delta, place, LANES, n_registers, WIDE), gradient)
        start = end
        place = offset + np.intp(item(csc.order, batch * n_in + rank)) * LANES
        step_panels(n_registers, panels, velocities, place, step, gradient, scalars, WIDE)
