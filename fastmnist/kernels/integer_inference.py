"""What inference.py does, with uint8 activations, int8 weights and int32 sums.

The sums of a hidden layer are scaled so that its activations lie between 0 and 255, and rounded; those of the last
layer become float32 logits. Four inputs that are all 0 are left out: that is most of a picture, and 40 % of the first
hidden layer of the shipped model, which takes 3.8 us per image instead of 9.2 in float32 (AVX-512 VNNI). Processors
with AMX multiply whole tiles, zeros included: 1.2 to 2 us on one thread where the other way takes 3.4 to 5.3.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numba import prange

from fastmnist.kernels import amx
from fastmnist.kernels.inference import BLOCK, answer
from fastmnist.kernels.jit import inlined, kernel
from fastmnist.kernels.lanes import MASK_BITS, lowest_bit
from fastmnist.kernels.layout import aligned_zeros, part_bounds, registers_for, row_stride
from fastmnist.kernels.matmul import n_chunks
from fastmnist.kernels.quads import QUAD, add_quad, load_quad, nonzero_quads, scaled, store_rounded
from fastmnist.kernels.simd import (
    CACHE_LINE,
    LANES,
    MAX_REGISTERS,
    by_n_registers,
    load,
    load_panels,
    store,
    store_panels,
    zeros,
)

WIDE = MAX_REGISTERS * LANES
FEW_FOR_TILES = 16  # samples: for fewer, which tiles take as long as 32 for, zeros are left out instead


class IntegerLayer(NamedTuple):
    """One layer: its sizes, and where it lies in flat arrays."""

    n_in: int
    n_out: int
    n_quads: int  # of inputs: whole tiles, as amx.py has them
    n_registers: int  # of a row of n_out numbers
    weights: int  # offset of its weights, in quads
    scales: int  # offset of its scales, and of its biases
    inputs: int  # offset of a block's inputs in the activations
    stride: int  # from sample to sample of these: room for whole masks, and an odd number of cache lines


class Integers(NamedTuple):
    """A network's numbers, where `layout` (n_layers, 8) says; a layer's outputs are its sums * scales + biases."""

    layout: np.ndarray
    weights: np.ndarray  # int32, each the int8 weights of one output for a quad of inputs: see `packed`
    scales: np.ndarray  # float32, whole registers for each layer
    biases: np.ndarray  # likewise


class Workspace(NamedTuple):
    """Working memory, a row for each part."""

    activations: np.ndarray  # uint8: a block's inputs of all layers
    sums: np.ndarray  # int32: a block's sums of any layer
    logits: np.ndarray  # float32: those of one sample
    tiles: np.ndarray  # uint8 (64,), for all parts: see amx.configuration


def make_layers(layer_sizes):
    """Return an IntegerLayer for each pair of `layer_sizes`."""
    layers = []
    weights = scales = inputs = 0
    for n_in, n_out in pairwise(layer_sizes):
        n_quads, n_registers = quads_for(n_in), registers_for(n_out)
        stride = -(-n_in // (QUAD * MASK_BITS)) * QUAD * MASK_BITS + CACHE_LINE
        layers.append(IntegerLayer(n_in, n_out, n_quads, n_registers, weights, scales, inputs, stride))
        weights += n_quads * sum(row_stride(last - first) for first, last in _chunks_of(n_registers))
        scales += n_registers * LANES
        inputs += BLOCK * stride
    return layers


def quads_for(n_in):
    """Return how many quads of inputs weights are packed for: enough for whole tiles."""
    return -(-n_in // amx.ROW_BYTES) * amx.ROWS


def packed(weights):
    """Return int8 weights (n_in, n_out) as kernels read them: chunk after chunk of up to 8 registers of outputs.

    In a chunk, a row for each quad of inputs, and in that an int32 for each output. With one panel of rows for each
    register, a pass takes 20 % longer. A row takes an odd number of cache lines: a tile's 16 rows, if they were 8 lines
    apart, would lie in an eighth of the cache, and 10,000 images take 1.95 instead of 1.40 us each.
    """
    n_in, n_out = weights.shape
    n_registers, n_quads = registers_for(n_out), quads_for(n_in)
    padded = np.zeros((n_quads * QUAD, n_registers * LANES), np.int8)
    padded[:n_in, :n_out] = weights
    quads = np.ascontiguousarray(padded.reshape(n_quads, QUAD, -1).transpose(0, 2, 1)).view(np.int32)[:, :, 0]
    chunks = []
    for first, last in _chunks_of(n_registers):
        chunks.append(np.zeros((n_quads, row_stride(last - first)), np.int32))
        chunks[-1][:, : last - first] = quads[:, first:last]
    return np.concatenate([chunk.ravel() for chunk in chunks])


def _chunks_of(n_registers):
    """Return the first column of each chunk of outputs, and the one after the last, as `part_bounds` has them."""
    n = -(-n_registers // MAX_REGISTERS)
    return list(pairwise([chunk * n_registers // n * LANES for chunk in range(n + 1)]))


def make_workspace(layers, n_parts):
    """Return working memory for so many parts."""
    last, most = layers[-1], max(layer.n_registers for layer in layers)
    return Workspace(
        aligned_zeros(n_parts * (last.inputs + BLOCK * last.stride), np.uint8).reshape(n_parts, -1),
        aligned_zeros(n_parts * BLOCK * (most | 1) * LANES, np.int32).reshape(n_parts, -1),
        aligned_zeros(n_parts * last.n_registers * LANES).reshape(n_parts, -1),
        amx.configuration(),
    )


@inlined
def layer_at(layout, index):
    """Return one row of the layout."""
    row = layout[index]
    return IntegerLayer(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7])


@inlined
def stride_of(n_registers):
    """Return how far apart the rows of a chunk of weights lie: layout.row_stride, for a kernel."""
    return (n_registers | 1) * LANES


@by_n_registers(MAX_REGISTERS)
def add_quads(n_registers, inputs, offset, stride, n_samples, weights, place, step, sums, sums_offset, sums_stride):
    """Add to `n_registers` of the sums of each sample the products of 64 quads of its inputs and the weights.

    `step`: from one quad's weights to the next one's.
    """
    for sample in range(n_samples):
        start, out = offset + sample * stride, sums_offset + sample * sums_stride
        mask = nonzero_quads(inputs, start)
        total = load_panels(sums, out, LANES, n_registers, WIDE)
        while mask != 0:
            quad = lowest_bit(mask)
            mask &= mask - np.uint64(1)
            row = load_panels(weights, place + quad * step, LANES, n_registers, WIDE)
            total = add_quad(total, load_quad(inputs, start + quad * QUAD), row)
        store_panels(sums, out, LANES, n_registers, total)


@inlined
def fill_sums_of_nonzero(layer, weights, activations, n_samples, sums, stride):
    """Fill the sums of a layer for a block of samples, `stride` from sample to sample, from quads that are not 0."""
    for sample in range(n_samples):
        for place in range(sample * stride, sample * stride + layer.n_registers * LANES, LANES):
            store(sums, place, zeros(LANES))
    place, chunks = layer.weights, n_chunks(layer.n_registers, MAX_REGISTERS)
    for chunk in range(chunks):
        begin, end = part_bounds(layer.n_registers, chunk, chunks)
        step = stride_of(end - begin)
        for quad in range(0, layer.n_quads, MASK_BITS):
            add_quads(
                end - begin,
                activations,
                layer.inputs + quad * QUAD,
                layer.stride,
                n_samples,
                weights,
                place + quad * step,
                step,
                sums,
                begin * LANES,
                stride,
            )
        place += layer.n_quads * step


@inlined
def fill_sums_in_tiles(layer, weights, activations, n_samples, sums, stride):
    """Do what `fill_sums_of_nonzero` does, with two tiles of samples times two of outputs at a time, whatever is 0.

    Where one tile of outputs is left, it is taken twice.
    """
    place, chunks = layer.weights, n_chunks(layer.n_registers, MAX_REGISTERS)
    for chunk in range(chunks):
        begin, end = part_bounds(layer.n_registers, chunk, chunks)
        step = stride_of(end - begin)
        for register in range(begin, end, 2):
            other = min(register + 1, end - 1)
            weights_at = place + (register - begin) * LANES, place + (other - begin) * LANES
            for sample in range(0, n_samples, 2 * amx.ROWS):
                inputs_at = layer.inputs + sample * layer.stride
                _multiply_tiles(layer, activations, inputs_at, weights, weights_at, step)
                above, below = sample * stride, (sample + amx.ROWS) * stride
                amx.store_tile(0, sums, above + register * LANES, stride)
                amx.store_tile(1, sums, above + other * LANES, stride)
                amx.store_tile(2, sums, below + register * LANES, stride)
                amx.store_tile(3, sums, below + other * LANES, stride)
        place += layer.n_quads * step


@inlined
def _multiply_tiles(layer, activations, inputs_at, weights, weights_at, step):
    """Fill the tiles 0 to 3 with the sums of two tiles of samples times two of outputs, with weights at two places."""
    amx.clear_tile(0)
    amx.clear_tile(1)
    amx.clear_tile(2)
    amx.clear_tile(3)
    for quad in range(0, layer.n_quads, amx.ROWS):
        above = inputs_at + quad * QUAD
        amx.load_tile(4, activations, above, layer.stride)
        amx.load_tile(5, activations, above + amx.ROWS * layer.stride, layer.stride)
        amx.load_tile(6, weights, weights_at[0] + quad * step, step)
        amx.load_tile(7, weights, weights_at[1] + quad * step, step)
        amx.add_products(0, 4, 6)
        amx.add_products(1, 4, 7)
        amx.add_products(2, 5, 6)
        amx.add_products(3, 5, 7)


if amx.COMPILED:

    @inlined
    def fill_sums(layer, weights, activations, n_samples, sums, stride, is_in_tiles):
        """Fill the sums of a layer in one of two ways."""
        if is_in_tiles:
            fill_sums_in_tiles(layer, weights, activations, n_samples, sums, stride)
        else:
            fill_sums_of_nonzero(layer, weights, activations, n_samples, sums, stride)

else:

    @inlined
    def fill_sums(layer, weights, activations, n_samples, sums, stride, _is_in_tiles):
        """Fill the sums of a layer in the only way there is."""
        fill_sums_of_nonzero(layer, weights, activations, n_samples, sums, stride)


@inlined
def fill_inputs(integers, layer, sums, stride, n_samples, above, activations):
    """Fill the inputs of the layer `above` from a layer's sums; rounding applies ReLU."""
    for column in range(0, layer.n_registers * LANES, LANES):
        scales = load(integers.scales, layer.scales + column, LANES)
        biases = load(integers.biases, layer.scales + column, LANES)
        for sample in range(n_samples):
            numbers = scaled(load(sums, sample * stride + column, LANES), scales, biases)
            store_rounded(activations, above.inputs + sample * above.stride + column, numbers)


@inlined
def forward_block(integers, inputs, first, last, activations, sums, stride, is_in_tiles):
    """Fill the sums of the last layer for the samples `first` to `last`."""
    n_layers, n_samples, layer = integers.layout.shape[0], last - first, layer_at(integers.layout, 0)
    for sample in range(n_samples):
        for column in range(layer.n_in):
            activations[np.uint64(sample * layer.stride + column)] = inputs[first + sample, column]
    for index in range(n_layers):
        layer = layer_at(integers.layout, index)
        fill_sums(layer, integers.weights, activations, n_samples, sums, stride, is_in_tiles)
        if index < n_layers - 1:
            above = layer_at(integers.layout, index + 1)
            fill_inputs(integers, layer, sums, stride, n_samples, above, activations)


@kernel
def classify_integers(integers, inputs, workspace, labels, confidences, logits, probabilities, n_parts):
    """Do what inference.classify does, for uint8 inputs."""
    for part in prange(n_parts):
        _classify(integers, inputs, workspace, labels, confidences, logits, probabilities, np.intp(part), n_parts)


@inlined
def _classify(integers, inputs, workspace, labels, confidences, logits, probabilities, part, n_parts):
    layer = layer_at(integers.layout, integers.layout.shape[0] - 1)
    sums, row = workspace.sums[part], workspace.logits[part]
    stride = sums.size // BLOCK
    start, stop = part_bounds(len(labels), part, n_parts)
    is_in_tiles = stop - start >= FEW_FOR_TILES and amx.begin(workspace.tiles)
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        forward_block(integers, inputs, first, last, workspace.activations[part], sums, stride, is_in_tiles)
        for sample in range(first, last):
            for column in range(0, layer.n_registers * LANES, LANES):
                scales = load(integers.scales, layer.scales + column, LANES)
                biases = load(integers.biases, layer.scales + column, LANES)
                store(row, column, scaled(load(sums, (sample - first) * stride + column, LANES), scales, biases))
            answer(row, 0, layer.n_out, sample, labels, confidences, logits, probabilities)
    if is_in_tiles:
        amx.end(workspace.tiles)
