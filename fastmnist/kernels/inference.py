"""From inputs to logits, or to label and confidence, in one pass over blocks of samples.

A block goes through all layers before the next one begins, so that its activations stay in the cache; parts
take whole blocks, and write nothing that another part reads.
"""

import numpy as np
from numba import prange

from fastmnist.kernels.activations import argmax, softmax_row
from fastmnist.kernels.forward import apply_relu, forward_first, forward_later
from fastmnist.kernels.jit import inlined, kernel
from fastmnist.kernels.layout import aligned_zeros, layer_at, part_bounds
from fastmnist.kernels.simd import item

BLOCK = 64  # samples


def make_space(layout, n_parts):
    """Return working memory: (n_parts, BLOCK * strides of all layers), the activations of a block per part."""
    n_outputs = BLOCK * int(layout[-1, 6] + layout[-1, 3])
    return aligned_zeros(n_parts * n_outputs).reshape(n_parts, -1)


@inlined
def forward_block(parameters, inputs, order, first, last, activations):
    """Fill the activations, the logits among them, for samples `first` to `last` of `order`."""
    n_samples = last - first
    n_layers = parameters.layout.shape[0]
    for index in range(n_layers):
        width = layer_at(parameters.layout, index).width
        if index == 0:
            forward_first(parameters, inputs, order, first, n_samples, activations)
        else:
            forward_later(parameters, index, n_samples, BLOCK, activations, 0, width)
        if index < n_layers - 1:
            apply_relu(parameters, index, n_samples, BLOCK, activations, 0, width)


@kernel
def compute_logits(parameters, inputs, order, space, logits, n_parts):
    """Fill logits (n_samples, n_classes) for inputs[order] (n_samples, n_in)."""
    for part in prange(n_parts):
        _compute_logits(parameters, inputs, order, space, logits, np.intp(part), n_parts)


@inlined
def _compute_logits(parameters, inputs, order, space, logits, part, n_parts):
    layer = layer_at(parameters.layout, parameters.layout.shape[0] - 1)
    activations = space[part]
    start, stop = part_bounds(len(order), part, n_parts)
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        forward_block(parameters, inputs, order, first, last, activations)
        for sample in range(first, last):
            offset = layer.outputs * BLOCK + (sample - first) * layer.stride
            for j in range(layer.n_out):
                logits[sample, j] = item(activations, offset + j)


@kernel
def classify(parameters, inputs, order, space, labels, confidences, probabilities, n_parts):
    """Fill labels (n_samples,) uint8 with each sample's most probable class, confidences with its probability.

    probabilities (n_samples, n_classes) get those of all classes; (n_samples, 0) if nobody wants them.
    """
    for part in prange(n_parts):
        _classify(parameters, inputs, order, space, labels, confidences, probabilities, np.intp(part), n_parts)


@inlined
def _classify(parameters, inputs, order, space, labels, confidences, probabilities, part, n_parts):
    layer = layer_at(parameters.layout, parameters.layout.shape[0] - 1)
    activations = space[part]
    start, stop = part_bounds(len(order), part, n_parts)
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        forward_block(parameters, inputs, order, first, last, activations)
        for sample in range(first, last):
            offset = layer.outputs * BLOCK + (sample - first) * layer.stride
            label = argmax(activations, offset, layer.n_out)
            softmax_row(activations, offset, layer.n_out, activations, offset)
            labels[sample] = label
            confidences[sample] = item(activations, offset + label)
            for j in range(probabilities.shape[1]):
                probabilities[sample, j] = item(activations, offset + j)
