"""Confidences that mean what they say: of the answers given with 90 %, nine in ten should be right.

Temperature scaling (Guo, Pleiss, Sun and Weinberger 2017, On Calibration of Modern Neural Networks, section 4.2): all
logits are divided by one number, the temperature, fitted on samples that the network was not trained on. No label
changes.
"""

import numpy as np

from fastmnist.model.network import Float32, Network, Uint8
from fastmnist.shapes import NO_DIGIT_SHARE

LOWEST, HIGHEST = 0.05, 20.0  # where every sample is right, the best temperature would be 0
_HALVINGS = 60  # of the range's logarithm: as exact as a float64 is


def fit_temperature(logits: Float32, labels: Uint8) -> float:
    """Return the temperature from 0.05 to 20 at which the mean cross-entropy of held-out samples is least.

    logits: float32 (n, n_classes), n at least 1. labels: uint8 (n,), all below n_classes.

    The cross-entropy is convex in s = 1 / temperature, so its slope, mean(E_p[z] - z_label) where p = softmax(s z),
    changes sign once: bisection finds where.
    """
    exact = logits.astype(np.float64)
    exact -= exact.max(axis=1, keepdims=True)
    right = exact[np.arange(len(labels)), labels]
    low, high = np.log(1 / HIGHEST), np.log(1 / LOWEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        powers = np.exp(np.exp(middle) * exact)
        expectation = (powers * exact).sum(axis=1) / powers.sum(axis=1)
        if (expectation - right).mean() < 0:
            low = middle
        else:
            high = middle
    return float(np.exp(-(low + high) / 2))


def calibrated(network: Network, temperature: float) -> Network:
    """Return a network whose logits are those of `network` divided by `temperature`: its last layer is scaled."""
    scaled = Network(network.layer_sizes)
    scaled.parameters[:] = network.parameters
    scaled.weights(network.n_layers - 1)[:] /= np.float32(temperature)
    scaled.biases(network.n_layers - 1)[:] /= np.float32(temperature)
    return scaled


def expecting_few_of_no_digit(network: Network, share: float) -> Network:
    """Return a network that expects NO_DIGIT_SHARE of the images to be no digit; of those it learnt from, `share` were.

    The prior odds go into the bias of its last output (Saerens, Latinne and Decaestecker 2002, Adjusting the Outputs of
    a Classifier to New a Priori Probabilities, section 2.2). So it can learn what no digit is from any number of images
    and still give digits the benefit of the doubt.
    """
    changed = Network(network.layer_sizes)
    changed.parameters[:] = network.parameters
    odds = NO_DIGIT_SHARE / (1 - NO_DIGIT_SHARE) / (share / (1 - share))
    changed.biases(network.n_layers - 1)[-1] += np.float32(np.log(odds))
    return changed
