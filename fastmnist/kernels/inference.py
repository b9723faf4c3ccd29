"""From inputs to logits, labels and confidences, in one pass over blocks of samples.

A block goes through all layers before the next one begins, so that its activations stay in the cache; parts
take whole blocks, and write nothing that another part reads.
"""

import numpy as np
from numba import prange

from fastmnist.kernels.activations import argmax, softmax_row
from fastmnist.kernels.forward import apply_relu, columns_of, forward_later, forward_sparse
from fastmnist.kernels.jit import inlined, kernel
from fastmnist.kernels.layout import Part, aligned_zeros, layer_at, part_bounds
from fastmnist.kernels.matmul import Matrix
from fastmnist.kernels.simd import item
from fastmnist.kernels.sparse import is_sparse

BLOCK = 64  # samples


def make_workspace(layers, n_parts):
    """Return working memory: (n_parts, BLOCK * strides of all layers), the activations of a block per part."""
    n_outputs = BLOCK * (layers[-1].outputs + layers[-1].stride)
    return aligned_zeros(n_parts * n_outputs).reshape(n_parts, -1)


@inlined
def forward_block(parameters, inputs, first, last, activations):
    """Fill the activations, the logits among them, for the samples `first` to `last`."""
    n_samples, whole = last - first, Part(0, 1)
    n_layers = parameters.layout.shape[0]
    for index in range(n_layers):
        layer = layer_at(parameters.layout, index)
        out = columns_of(activations, layer, BLOCK, whole)
        if index == 0:
            pixels = Matrix(inputs, first * layer.n_in, layer.n_in, 1)
            forward_sparse(parameters, index, pixels, n_samples, out)
        else:
            below = columns_of(activations, layer_at(parameters.layout, index - 1), BLOCK, whole).matrix
            if is_sparse(below, n_samples, layer.n_in):
                forward_sparse(parameters, index, below, n_samples, out)
            else:
                forward_later(parameters, 0, index, n_samples, BLOCK, activations, whole)
        if index < n_layers - 1:
            apply_relu(out, n_samples)


@kernel
def classify(parameters, inputs, workspace, labels, confidences, logits, probabilities, n_parts):
    """Classify the first len(labels) of `inputs` (n_samples, n_in).

    Fills labels (n_samples,) uint8 with each sample's most probable class and confidences (n_samples,) with its
    probability; logits and probabilities (n_samples, n_classes), or (n_samples, 0) where they are not requested, with
    those of all classes.
    """
    for part in prange(n_parts):
        _classify(parameters, inputs, workspace, labels, confidences, logits, probabilities, np.intp(part), n_parts)


@inlined
def _classify(parameters, inputs, workspace, labels, confidences, logits, probabilities, part, n_parts):
    layer = layer_at(parameters.layout, parameters.layout.shape[0] - 1)
    activations = workspace[part]
    start, stop = part_bounds(len(labels), part, n_parts)
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        forward_block(parameters, inputs, first, last, activations)
        for sample in range(first, last):
            offset = layer.outputs * BLOCK + (sample - first) * layer.stride
            answer(activations, offset, layer.n_out, sample, labels, confidences, logits, probabilities)


@inlined
def answer(row, offset, n_out, sample, labels, confidences, logits, probabilities):
    """Fill in what is known of a sample by its logits, `n_out` elements of `row`, which become probabilities."""
    for j in range(logits.shape[1]):
        logits[sample, j] = item(row, offset + j)
    label = argmax(row, offset, n_out)
    softmax_row(row, offset, n_out, row, offset)
    labels[sample] = label
    confidences[sample] = item(row, offset + label)
    for j in range(probabilities.shape[1]):
        probabilities[sample, j] = item(row, offset + j)
