"""The compiled training loop: forward, backward and SGD over a block of batches in one call from Python.

`parameters` and `gradient` are flat float32 buffers; each row of `layout` (n_layers, 4) int64 says where one
layer lives in them: n_in, n_out, offset of its weights, offset of its biases. So any depth shares one
compilation. Within a step every part of the work is split over outputs: the result does not depend on the
number of threads.
"""

import numpy as np
from numba import prange

from fastmnist.kernels.activations import argmax, cross_entropy, relu_gradient_part, relu_part, softmax_row
from fastmnist.kernels.jit import inlined, kernel
from fastmnist.kernels.matmul import (
    bias_gradient_part,
    input_gradient_part,
    matmul_part,
    part_bounds,
    weight_gradient_part,
)


@inlined
def layer_weights(parameters, layer):
    """Return the (n_in, n_out) view of one layer's weights; `layer` is a row of the layout."""
    return parameters[layer[2] : layer[2] + layer[0] * layer[1]].reshape(layer[0], layer[1])


@inlined
def layer_biases(parameters, layer):
    """Return the (n_out,) view of one layer's biases."""
    return parameters[layer[3] : layer[3] + layer[1]]


@inlined
def layer_outputs(workspace, layout, index, n_samples):
    """Return the (n_samples, n_out) view of one layer's outputs in a buffer of n_samples * sum(n_out)."""
    first = n_samples * layout[:index, 1].sum()
    return workspace[first : first + n_samples * layout[index, 1]].reshape(n_samples, layout[index, 1])


@inlined
def sgd_part(parameters, gradient, layer, learning_rate, weight_decay, first, last):
    """Step one layer's weight columns `first` to `last` and their biases, which are not decayed, downhill.

    The loss carries 0.5 * weight_decay * |weights|^2, so its gradient is weight_decay * weights.
    """
    weights, weights_gradient = layer_weights(parameters, layer), layer_weights(gradient, layer)
    for i in range(weights.shape[0]):
        for j in range(first, last):
            weights[i, j] -= learning_rate * (weights_gradient[i, j] + weight_decay * weights[i, j])
    biases, biases_gradient = layer_biases(parameters, layer), layer_biases(gradient, layer)
    for j in range(first, last):
        biases[j] -= learning_rate * biases_gradient[j]


@kernel
def forward(parameters, layout, inputs, activations, n_parts):
    """Fill `activations` (n_samples * sum(n_out),) with every layer's outputs; the last are the logits."""
    n_samples, n_layers = inputs.shape[0], layout.shape[0]
    for part in prange(n_parts):
        sample, stop = part_bounds(n_samples, part, n_parts)
        for index in range(n_layers):
            out = layer_outputs(activations, layout, index, n_samples)[sample:stop]
            weights, biases = (
                layer_weights(parameters, layout[index]),
                layer_biases(parameters, layout[index]),
            )
            if index == 0:
                matmul_part(inputs[sample:stop], weights, biases, out, 0, out.shape[1])
            else:
                previous = layer_outputs(activations, layout, index - 1, n_samples)[sample:stop]
                matmul_part(previous, weights, biases, out, 0, out.shape[1])
            if index < n_layers - 1:
                relu_part(out, out, 0, out.shape[1])


@kernel
def train_batches(
    parameters,
    layout,
    inputs,
    labels,
    batch_size,
    learning_rate,
    weight_decay,
    gradient,
    workspace,
    totals,
    n_parts,
):
    """Train on consecutive batches of `inputs` (n_samples, n_in), one SGD step each.

    `workspace` (2, batch_size * sum(n_out)) holds the activations and the deltas. Adds to `totals` (2,)
    float64 the sum of the samples' cross-entropies and the number of right answers, each taken before its
    batch's step.
    """
    n_layers = layout.shape[0]
    activations, deltas = workspace[0], workspace[1]
    losses = np.empty(batch_size, np.float32)
    hits = np.empty(batch_size, np.bool_)
    for start in range(0, inputs.shape[0], batch_size):
        batch = inputs[start : start + batch_size]
        n_samples = batch.shape[0]

        for index in range(n_layers):
            for part in prange(n_parts):
                layer = layout[index]
                first, last = part_bounds(layer[1], part, n_parts)
                out = layer_outputs(activations, layout, index, n_samples)
                weights, biases = layer_weights(parameters, layer), layer_biases(parameters, layer)
                if index == 0:
                    matmul_part(batch, weights, biases, out, first, last)
                else:
                    previous = layer_outputs(activations, layout, index - 1, n_samples)
                    matmul_part(previous, weights, biases, out, first, last)
                if index < n_layers - 1:
                    relu_part(out, out, first, last)

        logits = layer_outputs(activations, layout, n_layers - 1, n_samples)
        logits_delta = layer_outputs(deltas, layout, n_layers - 1, n_samples)
        for sample in prange(n_samples):
            label = labels[start + sample]
            losses[sample] = cross_entropy(logits[sample], label)
            hits[sample] = argmax(logits[sample]) == label
            softmax_row(logits[sample], logits_delta[sample])
            logits_delta[sample, label] -= np.float32(1)
            for j in range(logits.shape[1]):
                logits_delta[sample, j] /= np.float32(n_samples)

        for index in range(n_layers - 1, -1, -1):
            for part in prange(n_parts):
                layer = layout[index]
                delta = layer_outputs(deltas, layout, index, n_samples)
                first, last = part_bounds(layer[1], part, n_parts)
                weights_gradient = layer_weights(gradient, layer)
                if index == 0:
                    weight_gradient_part(batch, delta, weights_gradient, first, last)
                else:
                    previous = layer_outputs(activations, layout, index - 1, n_samples)
                    weight_gradient_part(previous, delta, weights_gradient, first, last)
                    previous_delta = layer_outputs(deltas, layout, index - 1, n_samples)
                    first, last = part_bounds(layer[0], part, n_parts)
                    input_gradient_part(delta, layer_weights(parameters, layer), previous_delta, first, last)
                    relu_gradient_part(previous, previous_delta, previous_delta, first, last)
                    first, last = part_bounds(layer[1], part, n_parts)
                bias_gradient_part(delta, layer_biases(gradient, layer), first, last)

        for part in prange(n_parts):
            for index in range(n_layers):
                first, last = part_bounds(layout[index, 1], part, n_parts)
                sgd_part(parameters, gradient, layout[index], learning_rate, weight_decay, first, last)

        for sample in range(n_samples):
            totals[0] += losses[sample]
            totals[1] += hits[sample]
