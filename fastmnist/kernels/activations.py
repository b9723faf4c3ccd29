"""ReLU, softmax, cross-entropy and their gradients, on rows as layout.py has them.

Shapes: all arrays (n_samples, n_registers in whole vectors) float32, of which the first n columns count; `labels`
(n_samples,) uint8, `losses` (n_samples,) float32.
"""

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.lanes import exp, first_lanes, largest, total
from fastmnist.kernels.simd import LANES, add, broadcast, item, load, maximum, mul, store, where_positive, zeros

NEG_INF = np.float32(-np.inf)


@inlined
def relu_rows(n_registers, activations, offset, stride, n_rows):
    """Replace `n_registers` vectors of each of `n_rows` rows by max(element, 0); NaN stays NaN."""
    for row in range(n_rows):
        for place in range(offset + row * stride, offset + row * stride + n_registers * LANES, LANES):
            vector = load(activations, place, LANES)
            store(activations, place, where_positive(vector, vector))


@inlined
def relu_gradient_rows(n_registers, activations, delta, offset, stride, n_rows, sums):
    """Replace `delta` by 0 where activations <= 0, and fill `sums` with the sums of what is left.

    The sums over the samples are the gradient of the biases.
    """
    for column in range(0, n_registers * LANES, LANES):
        column_sum = zeros(LANES)
        for row in range(n_rows):
            place = offset + row * stride + column
            vector = where_positive(load(activations, place, LANES), load(delta, place, LANES))
            store(delta, place, vector)
            column_sum = add(column_sum, vector)
        store(sums, column, column_sum)


@inlined
def softmax_row(logits, offset, n, out, out_offset):
    """Fill `out` with the softmax of n logits, zero-padded to a whole register.

    The maximum is subtracted to keep exp from overflowing. Returns (maximum, sum of the exponentials), from
    which the cross-entropy follows without a probability that might be 0.
    """
    maxima = broadcast(NEG_INF, LANES)
    for j in range(0, n, LANES):
        maxima = maximum(first_lanes(load(logits, offset + j, LANES), n - j, NEG_INF), maxima)
    top = largest(maxima)
    sums = zeros(LANES)
    for j in range(0, n, LANES):
        powers = exp(add(load(logits, offset + j, LANES), broadcast(-top, LANES)))
        powers = first_lanes(powers, n - j, np.float32(0))
        store(out, out_offset + j, powers)
        sums = add(sums, powers)
    exponentials = total(sums)
    for j in range(0, n, LANES):
        scaled = mul(load(out, out_offset + j, LANES), broadcast(np.float32(1) / exponentials, LANES))
        store(out, out_offset + j, scaled)
    return top, exponentials


@inlined
def argmax(row, offset, n):
    """Return the index of the first largest of n elements."""
    best = 0
    for j in range(1, n):
        if item(row, offset + j) > item(row, offset + best):
            best = j
    return best


@inlined
def output_delta_row(logits, offset, n, label, smoothing, n_samples, out, out_offset):
    """Fill `out` with the mean cross-entropy's gradient with respect to a sample's logits; return its cross-entropy.

    The gradient is (softmax(logits) - target) / n_samples (Bishop 2006, eq. 4.109). The target is one_hot(label), from
    which label smoothing spreads a share over all classes (Szegedy et al. 2016, sec. 7); the cross-entropy returned is
    the one without smoothing.
    """
    correct = item(logits, offset + label)  # first: `out` may be the logits' own place
    top, exponentials = softmax_row(logits, offset, n, out, out_offset)
    out[out_offset + label] -= np.float32(1) - smoothing
    share = smoothing / np.float32(n)
    for j in range(0, n, LANES):
        vector = add(load(out, out_offset + j, LANES), broadcast(-share, LANES))
        vector = first_lanes(vector, n - j, np.float32(0))
        store(out, out_offset + j, mul(vector, broadcast(np.float32(1) / np.float32(n_samples), LANES)))
    return np.log(exponentials) + (top - correct)
