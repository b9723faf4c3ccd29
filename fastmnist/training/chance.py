"""Whether a trained network does better than chance."""

import math
from collections.abc import Sequence

import numpy as np

from fastmnist.errors import printable
from fastmnist.model.network import Network, Uint8

SAMPLE = 10_000  # images are enough to tell
DEVIATIONS = 3.0  # standard deviations of chance: one in 700 is that far off
HALF = 0.49  # of the other labels: whoever gets as many right has learnt something, however few there are


def why_no_better(
    network: Network, pixels: Uint8, labels: Uint8, class_names: Sequence[str], *, has_start: bool = False
) -> str | None:
    """Return a line that says that a network has learnt nothing from its training images, or None if it has.

    pixels (n, 784), labels (n,), n at least 1. It has learnt nothing if it gives all images the same label, or gets no
    more of them right than the commonest label would, within the noise of that many images: of few, it need not get
    right more than half of the rest. `has_start`: it was trained further, and did not begin with chance.
    """
    step = -(-len(labels) // SAMPLE)
    pixels, labels = np.ascontiguousarray(pixels[::step]), labels[::step]
    commonest = int(np.bincount(labels).argmax())
    share = float(np.mean(labels == commonest))
    if share == 1:
        name = printable(class_names[commonest])
        return f"the network has learnt nothing: all training images are of class {name}; check the labels"
    predicted = network.predict(pixels)[0]
    accuracy = float(np.mean(predicted == labels))
    noise = 0 if has_start else DEVIATIONS * math.sqrt(share * (1 - share) / len(labels))
    if accuracy > share + min(noise, HALF * (1 - share)) and len(np.unique(predicted)) > 1:
        return None
    return (
        f"the network has learnt nothing: it gets {100 * accuracy:.1f} % of the training images right, and "
        f"{100 * share:.1f} % of them are of one class; try a smaller `learning_rate`, `initial_scale` he or fewer "
        "hidden layers, and check the labels"
    )
