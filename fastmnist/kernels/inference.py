"""From inputs to logits, or to label and confidence, in one pass over blocks of samples.

A block goes through all layers before the next one begins, so that its activations stay in the cache; parts
take whole blocks, and write nothing that another part reads.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from fastmnist.kernels.activations import argmax, softmax_row
from fastmnist.kernels.forward import apply_relu, forward_first, forward_later
from fastmnist.kernels.jit import inlined, kernel
from fastmnist.kernels.layout import aligned_zeros, layer_at, part_bounds
from fastmnist.kernels.simd import item
from fastmnist.kernels.sparse import list_rows, make_row_lists

BLOCK = 64  # samples


class InferenceSpace(NamedTuple):
    """Working memory, a row per part."""

    activations: np.ndarray  # (n_parts, BLOCK * strides of all layers)
    cursors: np.ndarray  # (n_parts, BLOCK) int64


def make_space(layout, n_parts):
    """Return working memory and row lists for `n_parts` parts."""
    n_outputs = BLOCK * int(layout[-1, 6] + layout[-1, 3])
    space = InferenceSpace(
        aligned_zeros(n_parts * n_outputs).reshape(n_parts, -1), np.zeros((n_parts, BLOCK), np.int64)
    )
    return space, make_row_lists(n_parts * BLOCK, int(layout[0, 0]))


@inlined
def forward_block(parameters, inputs, order, first, last, rows, space, part):
    """Fill this part's activations, the logits among them, for samples `first` to `last`."""
    activations, cursors = space.activations[part], space.cursors[part]
    slot, n_samples = part * BLOCK, last - first
    list_rows(inputs, order, first, last, slot, rows)
    n_layers = parameters.layout.shape[0]
    for index in range(n_layers):
        width = layer_at(parameters.layout, index).width
        if index == 0:
            forward_first(parameters, rows, slot, n_samples, cursors, activations, 0, width)
        else:
            forward_later(parameters, index, n_samples, BLOCK, activations, 0, width)
        if index < n_layers - 1:
            apply_relu(parameters, index, n_samples, BLOCK, activations, 0, width)


@kernel
def compute_logits(parameters, inputs, order, rows, space, logits, n_parts):
    """Fill logits (n_samples, n_classes) for inputs[order] (n_samples, n_in)."""
    for part in prange(n_parts):
        _compute_logits(parameters, inputs, order, rows, space, logits, np.intp(part), n_parts)


@inlined
def _compute_logits(parameters, inputs, order, rows, space, logits, part, n_parts):
    layer = layer_at(parameters.layout, parameters.layout.shape[0] - 1)
    start, stop = part_bounds(len(order), part, n_parts)
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        forward_block(parameters, inputs, order, first, last, rows, space, part)
        for sample in range(first, last):
            offset = layer.outputs * BLOCK + (sample - first) * layer.stride
            for j in range(layer.n_out):
                logits[sample, j] = item(space.activations[part], offset + j)


@kernel
def classify(parameters, inputs, order, rows, space, labels, confidences, n_parts):
    """Fill labels (n_samples,) uint8 with each sample's most probable class, confidences with its probability."""
    for part in prange(n_parts):
        _classify(parameters, inputs, order, rows, space, labels, confidences, np.intp(part), n_parts)


@inlined
def _classify(parameters, inputs, order, rows, space, labels, confidences, part, n_parts):
    layer = layer_at(parameters.layout, parameters.layout.shape[0] - 1)
    activations = space.activations[part]
    start, stop = part_bounds(len(order), part, n_parts)
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        forward_block(parameters, inputs, order, first, last, rows, space, part)
        for sample in range(first, last):
            offset = layer.outputs * BLOCK + (sample - first) * layer.stride
            label = argmax(activations, offset, layer.n_out)
            softmax_row(activations, offset, layer.n_out, activations, offset)
            labels[sample] = label
            confidences[sample] = item(activations, offset + label)
