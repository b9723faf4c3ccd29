"""Peer: JAX, the whole epoch as one compiled scan over the batches.

Measured and kept: pixels stay uint8 until their batch is scaled, and a shuffled epoch gathers batch by batch.
Converting or permuting the whole set first is slower, by the memory traffic of 188 MB.
"""

import os
import time
from typing import Any

import numpy as np

from bench.peers.common import Bytes, Parameters, Result, starting_parameters


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
    threads: int = 2,
    initial: Parameters | None = None,
) -> Result:
    """Train a network; the first call of a process fixes the number of threads."""
    os.environ.setdefault("NPROC", str(threads))  # XLA sizes its thread pool by it, once
    import jax
    import jax.numpy as jnp

    epoch = jax.jit(_make_epoch(batch_size, learning_rate, weight_decay, momentum, shuffle), donate_argnums=(0,))
    start_parameters = starting_parameters(pixels.shape[1], hidden, seed, initial, np.float32)

    def run(n_epochs: int) -> Any:
        parameters = [tuple(map(jnp.array, layer)) for layer in zip(*start_parameters, strict=True)]
        state = parameters, jax.tree.map(jnp.zeros_like, parameters) if momentum else None
        key = jax.random.key(seed)
        start = time.perf_counter()
        inputs, targets = jnp.asarray(pixels), jnp.asarray(labels)
        for number in range(n_epochs):
            state = epoch(state, inputs, targets, jax.random.fold_in(key, number))
        jax.tree.map(lambda array: array.block_until_ready(), state)
        return time.perf_counter() - start, state[0]

    run(1)
    seconds, layers = run(epochs)
    weights, biases = ([np.array(array) for array in arrays] for arrays in zip(*layers, strict=True))
    return Result(seconds / epochs, weights, biases)


def _make_epoch(batch_size: int, learning_rate: float, weight_decay: float, momentum: float, shuffle: bool) -> Any:
    """Return the function (state, pixels, labels, key) -> state that runs one epoch."""
    import jax

    loss = _make_loss(weight_decay)

    def step(state: Any, pixels: Any, labels: Any) -> Any:
        parameters, velocities = state
        gradients = jax.grad(loss)(parameters, pixels, labels)
        if velocities is not None:
            velocities = jax.tree.map(lambda v, g: momentum * v + g, velocities, gradients)
            gradients = velocities
        return jax.tree.map(lambda p, g: p - learning_rate * g, parameters, gradients), velocities

    def epoch(state: Any, pixels: Any, labels: Any, key: Any) -> Any:
        whole = len(pixels) // batch_size * batch_size
        if shuffle:
            order = jax.random.permutation(key, len(pixels))
            chosen = order[:whole].reshape(-1, batch_size)
            state, _ = jax.lax.scan(lambda s, i: (step(s, pixels[i], labels[i]), None), state, chosen)
            rest = pixels[order[whole:]], labels[order[whole:]]
        else:
            batches = (
                pixels[:whole].reshape(-1, batch_size, pixels.shape[1]),
                labels[:whole].reshape(-1, batch_size),
            )
            state, _ = jax.lax.scan(lambda s, batch: (step(s, *batch), None), state, batches)
            rest = pixels[whole:], labels[whole:]
        if whole < len(pixels):  # a scan's batches are all of one size: the last, smaller one comes after it
            state = step(state, *rest)
        return state

    return epoch


def _make_loss(weight_decay: float) -> Any:
    """Return the loss (parameters, pixels, labels) -> mean cross-entropy plus the weights' decay."""
    import jax
    import jax.numpy as jnp

    def loss(parameters: Any, pixels: Any, labels: Any) -> Any:
        *first, (last_weights, last_biases) = parameters
        activations = pixels.astype(jnp.float32) / 255
        for weights, biases in first:
            activations = jax.nn.relu(activations @ weights + biases)
        log_probabilities = jax.nn.log_softmax(activations @ last_weights + last_biases)
        cross_entropy = -jnp.mean(jnp.take_along_axis(log_probabilities, labels[:, None].astype(int), axis=1))
        return cross_entropy + 0.5 * weight_decay * sum(jnp.sum(weights**2) for weights, _ in parameters)

    return loss
