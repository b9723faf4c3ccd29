"""Fine-tuning a model: the network to start from, its classes, and the mean of the weights before and after."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastmnist.datasets.labelled import LabelledImages, class_names_of
from fastmnist.model.network import Network
from fastmnist.shapes import MAX_CLASSES

_log = logging.getLogger(__name__)


def with_classes_of(images: LabelledImages, class_names: Sequence[str], *, can_refuse: bool = False) -> LabelledImages:
    """Return images whose classes are `class_names`, in that order, followed by those that are new.

    Raises DataError if these are too many; "no digit" counts as one if the images or the model need it.
    """
    new = [name for name in images.class_names if name not in class_names]
    if new:
        _log.info(f"new classes: {', '.join(new)}")
    most = MAX_CLASSES - (can_refuse or images.n_no_digit > 0)
    names = class_names_of(set(), [*class_names, *new], most)
    positions = [names.index(name) for name in images.class_names]
    if images.n_no_digit:
        positions.append(len(names))
    return images._replace(labels=np.array(positions, np.uint8)[images.labels], class_names=names)


def begin_with(network: Network, start: Network, *, can_refuse: bool = False) -> None:
    """Give a network the parameters of one of the same layers, which may have fewer classes; new ones stay as they are.

    If `start` can refuse, its last output is that, and becomes the last of `network`. Raises ValueError for
    other layers.
    """
    if network.layer_sizes[:-1] != start.layer_sizes[:-1] or network.n_classes < start.n_classes:
        raise ValueError(f"layers {start.layer_sizes}, expected those of {network.layer_sizes}")
    for layer in range(start.n_layers):
        units = _units(network, start, layer, can_refuse)
        network.weights(layer)[:, units] = start.weights(layer)
        network.biases(layer)[units] = start.biases(layer)


def mean_with(network: Network, start: Network, keep: float, *, can_refuse: bool = False) -> Network:
    """Return the mean of two networks' weights, `keep` of `start`'s; new classes have `network`'s alone.

    `can_refuse` is that of `begin_with`.
    """
    mean = Network(network.layer_sizes)
    begin_with(mean, network)
    for layer in range(start.n_layers):
        units = _units(network, start, layer, can_refuse)
        for ours, others in (
            (mean.weights(layer), start.weights(layer)),
            (mean.biases(layer), start.biases(layer)),
        ):
            ours[..., units] += np.float32(keep) * (others - ours[..., units])
    return mean


def _units(network: Network, start: Network, layer: int, can_refuse: bool) -> NDArray[np.intp]:
    """Return where the units of a layer of `start` are in `network`."""
    units = np.arange(start.layer_sizes[layer + 1])
    if can_refuse and layer == start.n_layers - 1:
        units[-1] = network.n_classes - 1
    return units
