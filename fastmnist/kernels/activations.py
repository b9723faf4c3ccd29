"""ReLU, softmax and the gradient of softmax with cross-entropy.

Shapes: all arrays (n_samples, n) float32, `labels` (n_samples,) uint8, `losses` (n_samples,) float32.
"""

import numpy as np
from numba import prange

from fastmnist.kernels.jit import inlined, kernel


@inlined
def relu_part(activations, out, first, last):
    """Fill the columns `first` to `last` of `out` with max(activations, 0); NaN stays NaN."""
    for sample in range(activations.shape[0]):
        for j in range(first, last):
            value = activations[sample, j]
            out[sample, j] = np.float32(0) if value < 0 else value


@inlined
def relu_gradient_part(activations, delta, out, first, last):
    """Fill the columns `first` to `last` of `out` with delta where activations > 0, with 0 elsewhere."""
    for sample in range(activations.shape[0]):
        for j in range(first, last):
            out[sample, j] = delta[sample, j] if activations[sample, j] > 0 else np.float32(0)


@inlined
def softmax_row(logits, out):
    """Fill `out` with the softmax of one row; subtracting the maximum keeps exp from overflowing."""
    largest = logits[0]
    for j in range(1, logits.shape[0]):
        largest = max(largest, logits[j])
    total = np.float32(0)
    for j in range(logits.shape[0]):
        out[j] = np.exp(logits[j] - largest)
        total += out[j]
    for j in range(logits.shape[0]):
        out[j] /= total


@inlined
def cross_entropy(logits, label):
    """Return -log softmax(logits)[label], computed from the logits so that no probability underflows to 0."""
    largest = logits[0]
    for j in range(1, logits.shape[0]):
        largest = max(largest, logits[j])
    total = np.float32(0)
    for j in range(logits.shape[0]):
        total += np.exp(logits[j] - largest)
    return np.log(total) + largest - logits[label]


@inlined
def argmax(row):
    """Return the index of the first largest element."""
    best = 0
    for j in range(1, row.shape[0]):
        if row[j] > row[best]:
            best = j
    return best


@kernel
def relu(activations, out, n_parts):
    """Fill out with max(activations, 0)."""
    for sample in prange(activations.shape[0]):
        relu_part(activations[sample : sample + 1], out[sample : sample + 1], 0, activations.shape[1])


@kernel
def relu_gradient(activations, delta, out, n_parts):
    """Fill out with delta where activations > 0 and with 0 elsewhere; at a tie (0) the gradient is 0."""
    for sample in prange(activations.shape[0]):
        row = slice(sample, sample + 1)
        relu_gradient_part(activations[row], delta[row], out[row], 0, activations.shape[1])


@kernel
def softmax(logits, out, n_parts):
    """Fill out with the softmax of each row of logits."""
    for sample in prange(logits.shape[0]):
        softmax_row(logits[sample], out[sample])


@kernel
def predict_labels(logits, labels, confidences, n_parts):
    """Fill labels with each row's most probable class, confidences with its probability."""
    for sample in prange(logits.shape[0]):
        row = logits[sample]
        labels[sample] = argmax(row)
        confidences[sample] = np.exp(-cross_entropy(row, labels[sample]))


@kernel
def softmax_cross_entropy_gradient(logits, labels, losses, out, n_parts):
    """Fill losses with each sample's cross-entropy, out with the gradient of their mean in the logits.

    The gradient is (softmax(logits) - one_hot(labels)) / n_samples (Bishop 2006, eq. 4.109).
    """
    n_samples = logits.shape[0]
    for sample in prange(n_samples):
        losses[sample] = cross_entropy(logits[sample], labels[sample])
        softmax_row(logits[sample], out[sample])
        out[sample, labels[sample]] -= np.float32(1)
        for j in range(logits.shape[1]):
            out[sample, j] /= np.float32(n_samples)
