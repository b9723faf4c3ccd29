"""What the peers share: parameters, the result of a training run, and the files that they read."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

Floats = npt.NDArray[np.floating[Any]]
Bytes = npt.NDArray[np.uint8]
Parameters = tuple[list[Floats], list[Floats]]  # weights (n_in, n_out) and biases (n_out,) of every layer

N_CLASSES = 10


@dataclass(frozen=True)
class Result:
    """A finished training run.

    `seconds_per_epoch` is wall time from uint8 pixels in memory to the last update, conversions included and
    averaged over the run.
    """

    seconds_per_epoch: float
    weights: list[Floats]
    biases: list[Floats]


@dataclass(frozen=True)
class FitResult:
    """A classifier that was fitted: wall seconds of the whole `fit`, the accuracy on a test set, the epochs it took."""

    seconds: float
    accuracy: float
    epochs: int


def starting_parameters(
    n_in: int, hidden: tuple[int, ...], seed: int, initial: Parameters | None, dtype: npt.DTypeLike
) -> Parameters:
    """Copy `initial`, or else draw the notebook's start: weights 0.01 x N(0, 1), biases 0."""
    if initial is not None:
        weights, biases = initial
        return [w.astype(dtype) for w in weights], [b.astype(dtype) for b in biases]
    sizes = (n_in, *hidden, N_CLASSES)
    rng = np.random.default_rng(seed)
    pairs = list(pairwise(sizes))
    weights = [(0.01 * rng.standard_normal(pair)).astype(dtype) for pair in pairs]
    return weights, [np.zeros(n_out, dtype) for _, n_out in pairs]


def read_images(path: Path) -> Bytes:
    """Read a plain IDX file of images as pixels (n, 784)."""
    return np.fromfile(path, np.uint8, offset=16).reshape(-1, 784)


def read_labels(path: Path) -> Bytes:
    """Read a plain IDX file of labels."""
    return np.fromfile(path, np.uint8, offset=8)


def read_model(path: Path) -> Parameters:
    """Read the weights (n_in, n_out) and biases (n_out,) of a model file."""
    tensors = load_file(path)
    indices = range(0, len(tensors), 2)  # in torch.nn.Sequential; those between are of ReLU
    weights = [np.ascontiguousarray(tensors[f"{index}.weight"].T) for index in indices]
    return weights, [tensors[f"{index}.bias"] for index in indices]
