"""The dense product of a layer and its two gradients.

Shapes, stated once: `inputs` (n_samples, n_in), `weights` (n_in, n_out), `biases` (n_out,),
`out` and `delta` (n_samples, n_out). All float32 and C-contiguous but `inputs`, which may be uint8 pixels:
those count as pixel / 255.
"""

import numpy as np
from numba import prange, types
from numba.extending import overload

from fastmnist.kernels.jit import inlined, kernel


def as_unit(value):
    """Return one input as float32: a uint8 pixel as value / 255, a float32 as it is."""
    raise NotImplementedError("for compiled code only")


@overload(as_unit, inline="always")
def _as_unit(value):
    if isinstance(value, types.Integer):
        return lambda value: np.float32(value) * np.float32(1 / 255)
    return lambda value: np.float32(value)


@inlined
def part_bounds(length, part, n_parts):
    """Return (first, last) of one of `n_parts` nearly equal parts of `range(length)`."""
    return part * length // n_parts, (part + 1) * length // n_parts


@inlined
def matmul_part(inputs, weights, biases, out, first, last):
    """Fill the columns `first` to `last` of `out` with inputs @ weights + biases."""
    for sample in range(inputs.shape[0]):
        for j in range(first, last):
            out[sample, j] = biases[j]
        for i in range(weights.shape[0]):
            value = as_unit(inputs[sample, i])
            if value != 0:
                for j in range(first, last):
                    out[sample, j] += value * weights[i, j]


@inlined
def input_gradient_part(delta, weights, out, first, last):
    """Fill the columns `first` to `last` of `out` with delta @ weights.T."""
    for sample in range(delta.shape[0]):
        for i in range(first, last):
            total = np.float32(0)
            for j in range(weights.shape[1]):
                total += delta[sample, j] * weights[i, j]
            out[sample, i] = total


@inlined
def weight_gradient_part(inputs, delta, out, first, last):
    """Fill the columns `first` to `last` of `out` with inputs.T @ delta."""
    out[:, first:last] = 0
    for sample in range(inputs.shape[0]):
        for i in range(out.shape[0]):
            value = as_unit(inputs[sample, i])
            if value != 0:
                for j in range(first, last):
                    out[i, j] += value * delta[sample, j]


@inlined
def bias_gradient_part(delta, out, first, last):
    """Fill the columns `first` to `last` of `out` with the sums of delta over the samples."""
    out[first:last] = 0
    for sample in range(delta.shape[0]):
        for j in range(first, last):
            out[j] += delta[sample, j]


@kernel
def matmul(inputs, weights, biases, out, n_parts):
    """Fill out (n_samples, n_out) with inputs @ weights + biases."""
    for part in prange(n_parts):
        first, last = part_bounds(out.shape[1], part, n_parts)
        matmul_part(inputs, weights, biases, out, first, last)


@kernel
def matmul_input_gradient(delta, weights, out, n_parts):
    """Fill out (n_samples, n_in), the loss's gradient in the inputs, with delta @ weights.T."""
    for part in prange(n_parts):
        first, last = part_bounds(out.shape[1], part, n_parts)
        input_gradient_part(delta, weights, out, first, last)


@kernel
def matmul_weight_gradient(inputs, delta, out, n_parts):
    """Fill out (n_in, n_out), the loss's gradient in the weights, with inputs.T @ delta."""
    for part in prange(n_parts):
        first, last = part_bounds(out.shape[1], part, n_parts)
        weight_gradient_part(inputs, delta, out, first, last)
