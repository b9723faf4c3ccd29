"""The images that a network reads wrongly, as PNG files named by truth and guess."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastmnist.data.pictures import write_png
from fastmnist.errors import AnyPath, OutputError, printable, reason
from fastmnist.network import Uint8

SIDE = 28


def check_folder(folder: AnyPath) -> None:
    """Make a folder for misread images. Raises OutputError if that fails or it has files: they would be mixed up."""
    try:
        os.makedirs(folder, exist_ok=True)
        used = bool(os.listdir(folder))
    except OSError as error:
        raise OutputError(f"{printable(folder)}: {reason(error)}, expected a folder for --errors") from None
    if used:
        raise OutputError(f"{printable(folder)}: not empty, expected a new folder for --errors; name another one")


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
