"""A model that is trained further: the network it begins with, its classes, and the mean with what came of it."""

from collections.abc import Sequence

import numpy as np

from fastmnist.datasets.labelled import LabelledImages, class_names_of
from fastmnist.model.network import Network


def with_classes_of(images: LabelledImages, class_names: Sequence[str]) -> LabelledImages:
    """Return images whose classes are `class_names`, in that order, followed by those that are new.

    Raises DataError where these are too many.
    """
    new = [name for name in images.class_names if name not in class_names]
    names = class_names_of(set(), [*class_names, *new])
    positions = np.array([names.index(name) for name in images.class_names], np.uint8)
    return images._replace(labels=positions[images.labels], class_names=names)


def begin_with(network: Network, start: Network) -> None:
    """Give a network the parameters of one of the same layers, which may have fewer classes; new ones stay as they are.

    Raises ValueError for other layers.
    """
    if network.layer_sizes[:-1] != start.layer_sizes[:-1] or network.n_classes < start.n_classes:
        raise ValueError(f"layers {start.layer_sizes}, expected those of {network.layer_sizes}")
    for layer in range(start.n_layers):
        n_out = start.layer_sizes[layer + 1]
        network.weights(layer)[:, :n_out] = start.weights(layer)
        network.biases(layer)[:n_out] = start.biases(layer)


def mean_with(network: Network, start: Network, keep: float) -> Network:
    """Return the mean of two networks' weights, `keep` of `start`'s; new classes have `network`'s alone."""
    mean = Network(network.layer_sizes)
    begin_with(mean, network)
    for layer in range(start.n_layers):
        n_out = start.layer_sizes[layer + 1]
        for ours, others in (
            (mean.weights(layer)[:, :n_out], start.weights(layer)),
            (mean.biases(layer)[:n_out], start.biases(layer)),
        ):
            ours += np.float32(keep) * (others - ours)
    return mean
