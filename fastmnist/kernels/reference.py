"""What the kernels compute, in plain NumPy float64: read this first. Obvious, slow, and independent of the kernels.

Shapes as in the kernels: inputs (n_samples, n_in), weights (n_in, n_out), biases (n_out,), delta (n_samples, n_out),
labels (n_samples,). `Layers` are lists, one array per layer.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Layers = list[Array]


def as_unit(inputs: Array) -> Array:
    """Return inputs as float64: uint8 pixels count as pixel / 255, others as they are."""
    return inputs / 255.0 if inputs.dtype == np.uint8 else inputs.astype(np.float64)


def matmul(inputs: Array, weights: Array, biases: Array) -> Array:
    """Return a layer's outputs before its activation."""
    return as_unit(inputs) @ weights.astype(np.float64) + biases


def matmul_input_gradient(delta: Array, weights: Array) -> Array:
    """Return the gradient of the loss with respect to a layer's inputs."""
    return delta.astype(np.float64) @ weights.T.astype(np.float64)


def matmul_weight_gradient(inputs: Array, delta: Array) -> Array:
    """Return the gradient of the loss with respect to a layer's weights."""
    return as_unit(inputs).T @ delta.astype(np.float64)


def relu(activations: Array) -> Array:
    """Return max(activations, 0)."""
    return np.maximum(activations, 0)


def relu_gradient(activations: Array, delta: Array) -> Array:
    """Return `delta` where activations > 0, else 0."""
    return np.where(activations > 0, delta, 0)


def softmax(logits: Array) -> Array:
    """Return the probabilities of the classes."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def cross_entropy(logits: Array, labels: Array) -> Array:
    """Return each sample's cross-entropy."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    entropies: Array = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    return entropies


def softmax_cross_entropy_gradient(logits: Array, labels: Array, smoothing: float = 0.0) -> Array:
    """Return the gradient of the mean cross-entropy with respect to the logits (Bishop 2006, eq. 4.109).

    `smoothing` is the share of each label that is spread over all classes (Szegedy et al. 2016, sec. 7).
    """
    n_classes = logits.shape[1]
    targets = (1 - smoothing) * np.eye(n_classes)[labels] + smoothing / n_classes
    slope: Array = (softmax(logits) - targets) / len(labels)
    return slope


def forward(weights: Layers, biases: Layers, inputs: Array) -> Layers:
    """Return all layers' outputs, the logits last."""
    outputs: Layers = []
    for layer in range(len(weights)):
        outputs.append(matmul(outputs[-1] if outputs else inputs, weights[layer], biases[layer]))
        if layer < len(weights) - 1:
            outputs[-1] = relu(outputs[-1])
    return outputs


def loss(weights: Layers, biases: Layers, inputs: Array, labels: Array, weight_decay: float) -> float:
    """Return the mean cross-entropy plus 0.5 * weight_decay * the squares of all weights, not of the biases."""
    penalty = sum((w.astype(np.float64) ** 2).sum() for w in weights)
    return float(cross_entropy(forward(weights, biases, inputs)[-1], labels).mean() + 0.5 * weight_decay * penalty)


def gradient(
    weights: Layers, biases: Layers, inputs: Array, labels: Array, weight_decay: float, smoothing: float = 0.0
) -> tuple[Layers, Layers]:
    """Return the gradient of `loss` with respect to each layer's weights and biases (backpropagation)."""
    outputs = forward(weights, biases, inputs)
    delta = softmax_cross_entropy_gradient(outputs[-1], labels, smoothing)
    weights_gradient, biases_gradient = list(weights), list(biases)
    for layer in reversed(range(len(weights))):
        previous = outputs[layer - 1] if layer else inputs
        weights_gradient[layer] = matmul_weight_gradient(previous, delta) + weight_decay * weights[layer]
        biases_gradient[layer] = delta.sum(axis=0)
        if layer:
            delta = relu_gradient(previous, matmul_input_gradient(delta, weights[layer]))
    return weights_gradient, biases_gradient


def step(
    parameter: Array, velocity: Array, slope: Array, learning_rate: float, momentum: float, nesterov: bool
) -> None:
    """Take one SGD step in place (Sutskever et al. 2013, in PyTorch's form)."""
    velocity *= momentum
    velocity += slope
    parameter -= learning_rate * (slope + momentum * velocity if nesterov else velocity)


def train(
    weights: Layers,
    biases: Layers,
    inputs: Array,
    labels: Array,
    *,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    label_smoothing: float = 0.0,
) -> list[float]:
    """Train one epoch in file order, in place on float64 arrays; return each batch's cross-entropy before its step."""
    losses = []
    parameters = [*weights, *biases]
    velocities = [np.zeros_like(parameter) for parameter in parameters]
    for start in range(0, len(inputs), batch_size):
        batch, answers = inputs[start : start + batch_size], labels[start : start + batch_size]
        losses.append(float(cross_entropy(forward(weights, biases, batch)[-1], answers).mean()))
        slopes = gradient(weights, biases, batch, answers, weight_decay, label_smoothing)
        for parameter, velocity, slope in zip(parameters, velocities, [*slopes[0], *slopes[1]], strict=True):
            step(parameter, velocity, slope, learning_rate, momentum, nesterov)
    return losses
