"""What inference.py does, with uint8 activations, int8 weights and int32 sums.

The sums of a hidden layer are scaled so that its activations lie between 0 and 255, and rounded; those of the last
layer become float32 logits. Four inputs that are all 0 are left out: that is most of a picture, and 40 % of the first
hidden layer of the shipped model, which takes 3.8 us per image instead of 9.2 in float32 (AVX-512 VNNI).
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numba import prange

from fastmnist.kernels.inference import BLOCK, answer
from fastmnist.kernels.jit import inlined, kernel
from fastmnist.kernels.lanes import MASK_BITS, lowest_bit
from fastmnist.kernels.layout import aligned_zeros, part_bounds, registers_for
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


class IntegerLayer(NamedTuple):
    """One layer: its sizes, and where it lies in flat arrays."""

    n_in: int
    n_out: int
    n_registers: int  # of a row of n_out numbers
    weights: int  # offset of its weights, in quads
    scales: int  # offset of its scales, and of its biases
    inputs: int  # offset of a block's inputs in the activations
    stride: int  # from sample to sample of these: room for whole masks, and an odd number of cache lines


class Integers(NamedTuple):
    """A network's numbers, where `layout` (n_layers, 7) says; a layer's outputs are its sums * scales + biases."""

    layout: np.ndarray
    weights: np.ndarray  # int32, each the int8 weights of one output for a quad of inputs: see `packed`
    scales: np.ndarray  # float32, whole registers for each layer
    biases: np.ndarray  # likewise


class Workspace(NamedTuple):
    """Working memory, a row for each part."""

    activations: np.ndarray  # uint8: a block's inputs of all layers
    sums: np.ndarray  # int32: a block's sums of any layer
    logits: np.ndarray  # float32: those of one sample


def make_layers(layer_sizes):
    """Return an IntegerLayer for each pair of `layer_sizes`."""
    layers = []
    weights = scales = inputs = 0
    for n_in, n_out in pairwise(layer_sizes):
        n_registers = registers_for(n_out)
        stride = -(-n_in // (QUAD * MASK_BITS)) * QUAD * MASK_BITS + CACHE_LINE
        layers.append(IntegerLayer(n_in, n_out, n_registers, weights, scales, inputs, stride))
        weights += -(-n_in // QUAD) * n_registers * LANES
        scales += n_registers * LANES
        inputs += BLOCK * stride
    return layers


def packed(weights):
    """Return int8 weights (n_in, n_out) as kernels read them: chunk after chunk of up to 8 registers of outputs.

    In a chunk, a row for each quad of inputs, and in that an int32 for each output. With one panel of rows for each
    register, a pass takes 20 % longer.
    """
    n_in, n_out = weights.shape
    n_registers, n_quads = registers_for(n_out), -(-n_in // QUAD)
    padded = np.zeros((n_quads * QUAD, n_registers * LANES), np.int8)
    padded[:n_in, :n_out] = weights
    quads = np.ascontiguousarray(padded.reshape(n_quads, QUAD, -1).transpose(0, 2, 1)).view(np.int32)[:, :, 0]
    chunks = -(-n_registers // MAX_REGISTERS)
    ends = [chunk * n_registers // chunks * LANES for chunk in range(chunks + 1)]  # as part_bounds
    return np.concatenate([quads[:, first:last].ravel() for first, last in pairwise(ends)])


def make_workspace(layers, n_parts):
    """Return working memory for so many parts."""
    last, most = layers[-1], max(layer.n_registers for layer in layers)
    return Workspace(
        aligned_zeros(n_parts * (last.inputs + BLOCK * last.stride), np.uint8).reshape(n_parts, -1),
        aligned_zeros(n_parts * BLOCK * (most | 1) * LANES, np.int32).reshape(n_parts, -1),
        aligned_zeros(n_parts * last.n_registers * LANES).reshape(n_parts, -1),
    )


@inlined
def layer_at(layout, index):
    """Return one row of the layout."""
    row = layout[index]
    return IntegerLayer(row[0], row[1], row[2], row[3], row[4], row[5], row[6])


@by_n_registers(MAX_REGISTERS)
def add_quads(n_registers, inputs, offset, stride, n_samples, weights, place, sums, sums_offset, sums_stride):
    """Add to `n_registers` of the sums of each sample the products of 64 quads of its inputs and the weights."""
    for sample in range(n_samples):
        start, out = offset + sample * stride, sums_offset + sample * sums_stride
        mask = nonzero_quads(inputs, start)
        total = load_panels(sums, out, LANES, n_registers, WIDE)
        while mask != 0:
            quad = lowest_bit(mask)
            mask &= mask - np.uint64(1)
            row = load_panels(weights, place + quad * n_registers * LANES, LANES, n_registers, WIDE)
            total = add_quad(total, load_quad(inputs, start + quad * QUAD), row)
        store_panels(sums, out, LANES, n_registers, total)


@inlined
def fill_sums(layer, weights, activations, n_samples, sums, stride):
    """Fill the sums of a layer for a block of samples, `stride` from sample to sample."""
    for sample in range(n_samples):
        for place in range(sample * stride, sample * stride + layer.n_registers * LANES, LANES):
            store(sums, place, zeros(LANES))
    chunks, n_quads = n_chunks(layer.n_registers, MAX_REGISTERS), (layer.n_in + QUAD - 1) // QUAD
    for chunk in range(chunks):
        begin, end = part_bounds(layer.n_registers, chunk, chunks)
        for quad in range(0, n_quads, MASK_BITS):
            add_quads(
                end - begin,
                activations,
                layer.inputs + quad * QUAD,
                layer.stride,
                n_samples,
                weights,
                layer.weights + (begin * n_quads + quad * (end - begin)) * LANES,
                sums,
                begin * LANES,
                stride,
            )


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
def forward_block(integers, inputs, first, last, activations, sums, stride):
    """Fill the sums of the last layer for the samples `first` to `last`."""
    n_layers, n_samples, layer = integers.layout.shape[0], last - first, layer_at(integers.layout, 0)
    for sample in range(n_samples):
        for column in range(layer.n_in):
            activations[np.uint64(sample * layer.stride + column)] = inputs[first + sample, column]
    for index in range(n_layers):
        layer = layer_at(integers.layout, index)
        fill_sums(layer, integers.weights, activations, n_samples, sums, stride)
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
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        forward_block(integers, inputs, first, last, workspace.activations[part], sums, stride)
        for sample in range(first, last):
            for column in range(0, layer.n_registers * LANES, LANES):
                scales = load(integers.scales, layer.scales + column, LANES)
                biases = load(integers.biases, layer.scales + column, LANES)
                store(row, column, scaled(load(sums, (sample - first) * stride + column, LANES), scales, biases))
            answer(row, 0, layer.n_out, sample, labels, confidences, logits, probabilities)
