"""What fastmnist must compute, in plain NumPy float64: obvious, slow, and independent of the kernels.

Shapes as in the kernels: inputs (n_samples, n_in), weights (n_in, n_out), biases (n_out,), delta
(n_samples, n_out), labels (n_samples,). Parameters are lists, one array per layer.
"""

import numpy as np


def as_unit(inputs):
    """Pixels count as pixel / 255, other inputs as they are."""
    return inputs / 255.0 if inputs.dtype == np.uint8 else inputs.astype(np.float64)


def matmul(inputs, weights, biases):
    return as_unit(inputs) @ weights.astype(np.float64) + biases


def matmul_input_gradient(delta, weights):
    return delta.astype(np.float64) @ weights.T.astype(np.float64)


def matmul_weight_gradient(inputs, delta):
    return as_unit(inputs).T @ delta.astype(np.float64)


def relu(activations):
    return np.maximum(activations, 0)


def relu_gradient(activations, delta):
    return np.where(activations > 0, delta, 0)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def cross_entropy(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]


def softmax_cross_entropy_gradient(logits, labels, smoothing=0.0):
    """The gradient of the mean cross-entropy in the logits, with a share of each label spread over all classes."""
    n_classes = logits.shape[1]
    targets = (1 - smoothing) * np.eye(n_classes)[labels] + smoothing / n_classes
    return (softmax(logits) - targets) / len(labels)


def forward(weights, biases, inputs):
    """All layers' outputs, the logits last."""
    outputs: list[np.ndarray] = []
    for layer in range(len(weights)):
        outputs.append(matmul(outputs[-1] if outputs else inputs, weights[layer], biases[layer]))
        if layer < len(weights) - 1:
            outputs[-1] = relu(outputs[-1])
    return outputs


def loss(weights, biases, inputs, labels, weight_decay):
    """Mean cross-entropy plus 0.5 * weight_decay * the squares of all weights, not of the biases."""
    penalty = sum((w.astype(np.float64) ** 2).sum() for w in weights)
    return cross_entropy(forward(weights, biases, inputs)[-1], labels).mean() + 0.5 * weight_decay * penalty


def gradient(weights, biases, inputs, labels, weight_decay, smoothing=0.0):
    """The gradient of `loss` in each layer's weights and biases."""
    outputs = forward(weights, biases, inputs)
    delta = softmax_cross_entropy_gradient(outputs[-1], labels, smoothing)
    weights_gradient, biases_gradient = [None] * len(weights), [None] * len(weights)
    for layer in reversed(range(len(weights))):
        previous = outputs[layer - 1] if layer else inputs
        weights_gradient[layer] = matmul_weight_gradient(previous, delta) + weight_decay * weights[layer]
        biases_gradient[layer] = delta.sum(axis=0)
        if layer:
            delta = relu_gradient(previous, matmul_input_gradient(delta, weights[layer]))
    return weights_gradient, biases_gradient


def train(
    weights,
    biases,
    inputs,
    labels,
    *,
    batch_size,
    learning_rate,
    weight_decay,
    momentum=0.0,
    nesterov=False,
    label_smoothing=0.0,
):
    """One epoch of SGD in file order; returns each batch's mean cross-entropy before its step.

    Changes the float64 arrays in place. Momentum as in PyTorch: v = momentum * v + gradient, w -= rate * v, or
    w -= rate * (gradient + momentum * v) with Nesterov's.
    """
    losses = []
    parameters = [*weights, *biases]
    velocities = [np.zeros_like(parameter) for parameter in parameters]
    for start in range(0, len(inputs), batch_size):
        batch, answers = inputs[start : start + batch_size], labels[start : start + batch_size]
        losses.append(cross_entropy(forward(weights, biases, batch)[-1], answers).mean())
        gradients = gradient(weights, biases, batch, answers, weight_decay, label_smoothing)
        for parameter, velocity, slope in zip(parameters, velocities, [*gradients[0], *gradients[1]], strict=True):
            velocity *= momentum
            velocity += slope
            parameter -= learning_rate * (slope + momentum * velocity if nesterov else velocity)
    return losses
