"""Peer: the notebook's training loop in NumPy, one batch at a time."""

import contextlib
import time

import numpy as np
import numpy.typing as npt

from bench.peers.common import Bytes, Floats, Parameters, Result, starting_parameters


def train(
    pixels: Bytes,
    labels: Bytes,
    *,
    hidden: tuple[int, ...],
    batch_size: int,
    epochs: int,
    learning_rate: float,
    weight_decay: float,
    momentum: float = 0.0,
    shuffle: bool = False,
    seed: int = 0,
    threads: int | None = None,
    initial: Parameters | None = None,
    dtype: npt.DTypeLike = np.float64,
) -> Result:
    """Train a network; `threads` limits BLAS and needs threadpoolctl, None leaves it all cores."""
    weights, biases = starting_parameters(pixels.shape[1], hidden, seed, initial, dtype)
    velocities = [np.zeros_like(parameter) for parameter in weights + biases]
    rng = np.random.default_rng(seed)
    with blas_threads(threads):
        start = time.perf_counter()
        inputs = pixels.astype(dtype) / 255
        for _ in range(epochs):
            order = rng.permutation(len(inputs)) if shuffle else None
            for first in range(0, len(inputs), batch_size):
                batch = slice(first, first + batch_size)
                chosen = batch if order is None else order[batch]
                gradients = gradient(inputs[chosen], labels[chosen], weights, biases, weight_decay)
                for parameter, velocity, grad in zip(weights + biases, velocities, gradients, strict=True):
                    if momentum:
                        velocity *= momentum
                        velocity += grad
                        grad = velocity
                    parameter -= learning_rate * grad
        seconds = time.perf_counter() - start
    return Result(seconds / epochs, weights, biases)


def gradient(
    inputs: Floats, labels: Bytes, weights: list[Floats], biases: list[Floats], weight_decay: float
) -> list[Floats]:
    """Return d loss / d parameter, all weights and then all biases.

    The loss is the mean cross-entropy of the softmax plus 0.5 * weight_decay * the squares of all weights.
    """
    activations = [inputs]
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        activations.append(np.maximum(activations[-1] @ w + b, 0))
    logits = activations[-1] @ weights[-1] + biases[-1]

    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    delta = probabilities
    delta[np.arange(len(labels)), labels] -= 1
    delta /= len(labels)

    weight_gradients: list[Floats] = []
    bias_gradients: list[Floats] = []
    for layer in reversed(range(len(weights))):
        weight_gradients.insert(0, activations[layer].T @ delta + weight_decay * weights[layer])
        bias_gradients.insert(0, delta.sum(axis=0))
        if layer > 0:
            delta = delta @ weights[layer].T
            delta[activations[layer] <= 0] = 0
    return weight_gradients + bias_gradients


def blas_threads(threads: int | None) -> contextlib.AbstractContextManager[object]:
    """Limit the threads of NumPy's BLAS."""
    if threads is None:
        return contextlib.nullcontext()
    from threadpoolctl import threadpool_limits

    limit: contextlib.AbstractContextManager[object] = threadpool_limits(threads, user_api="blas")
    return limit
