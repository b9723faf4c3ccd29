"""The images that a network reads wrongly, as PNG files named by truth and guess."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastmnist.errors import AnyPath
from fastmnist.model.network import Uint8
from fastmnist.output.png import write_png
from fastmnist.shapes import SIDE


def write_misread(folder: AnyPath, pixels: Uint8, labels: Uint8, predictions: Uint8, class_names: Sequence[str]) -> int:
    """Write each image whose prediction is not its label as INDEX-true-NAME-read-NAME.png; return how many.

    pixels (n, 784), labels (n,), predictions (n,). Characters of names that file systems may not like become `_`.
    Raises OutputError when a file can't be written.
    """
    names = [re.sub(r"[^\w.-]", "_", name) for name in class_names]
    misread = np.flatnonzero(predictions != labels)
    for index in misread:
        name = f"{index:05d}-true-{names[labels[index]]}-read-{names[predictions[index]]}.png"
        write_png(Path(os.fsdecode(folder)) / name, pixels[index].reshape(SIDE, SIDE))
    return len(misread)
