"""Weights trained in PyTorch -> a model: the state_dict of Linear layers with ReLU between them, as safetensors.

Such a file does not say how the pixels were normalised, so that has to be given, nor that every layer but the last is
followed by a ReLU, which is assumed. A softmax at the end has no weights and makes no difference.
"""

import math
import os
import re
from collections.abc import Sequence
from numbers import Real
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors import SafetensorError

from fastmnist.errors import AnyPath, DataError, ModelError, TrainingError, printable
from fastmnist.inputs.pickles import is_pickle
from fastmnist.model.model_file import MAX_BYTES, Model, check_storable
from fastmnist.model.network import Network
from fastmnist.model.tensor_file import (
    METADATA_KEY,
    Tensors,
    UnsoundError,
    check_shapes,
    header_of,
    read_content,
    reading,
    unsound,
)
from fastmnist.shapes import N_PIXELS
from fastmnist.version import __version__

_KIND = "PyTorch weights"
_EXPECTED = "expected only Linear layers"
_TYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64}


def load_pytorch(path: AnyPath, *, mean: float, std: float, class_names: Sequence[str] | None = None) -> Model:
    """Return the model of a .safetensors file that has a PyTorch network's state_dict.

    The network takes (pixels / 255 - mean) / std, as torchvision's Normalize((mean,), (std,)) leaves them. That is
    folded into its first layer, W (n_out, n_in) and b, which becomes W / std and b - mean / std * (W summed over its
    inputs). Without `class_names` the classes are "0", "1", "2", ...

    The layers may have any names. They are put in the order in which their sizes chain; layers that could change places
    are ordered by the numbers in their names. A layer without a bias gets one of zeros.

    Raises ModelError, naming the file, for anything that is not a valid file of Linear layers, and DataError for an
    impossible `mean` or `std`.
    """
    are_numbers = isinstance(mean, Real) and isinstance(std, Real)
    if not (are_numbers and math.isfinite(mean) and math.isfinite(std) and std > 0):
        raise DataError(f"mean {mean!r} and std {std!r}, expected finite numbers, std above 0")
    missing = "save it from PyTorch with safetensors.torch.save_file"
    advice = "save the state_dict of a network of Linear layers with ReLU between them"
    with reading(path, ModelError, f"{_KIND} (.safetensors)", missing=missing, advice=advice):
        tensors = _load(Path(os.fsdecode(path)))
        layers = _in_order(_linear_layers(tensors))
        network = _network_of(tensors, layers, mean, std)
        names = [str(label) for label in range(network.n_classes)] if class_names is None else list(class_names)
        if len(names) != network.n_classes:
            raise UnsoundError(f"{network.n_classes} outputs, expected one for each of {len(names)} class names")
        converted = {"from": "PyTorch", "layers": layers, "mean": float(mean), "std": float(std)}
        return Model(network, names, "auto", origin={"fastmnist_version": __version__, "converted": converted})


def _load(path: Path) -> Tensors:
    """Return the tensors of a file. Raises UnsoundError, ModelError, OSError."""
    content = read_content(path, _KIND, MAX_BYTES)
    is_safetensors = content[8:9] == b"{"  # as the format demands; a header's size may look like a pickle's first bytes
    if not is_safetensors and (b"/data.pkl" in content or is_pickle(path, content)):  # torch.save writes zip files
        raise ModelError(_refusal(path))
    header = header_of(content, _KIND)
    metadata = header.pop("__metadata__", None)
    if isinstance(metadata, dict) and METADATA_KEY in metadata:
        raise ModelError(f"{printable(path)}: already a fastmnist model, expected {_KIND}; use it as it is")
    check_shapes(header, _KIND, MAX_BYTES)
    try:
        entries = sorted(safetensors.deserialize(content), key=itemgetter(0))  # it returns them in random order
    except SafetensorError as error:
        raise unsound(_KIND, printable(str(error))) from None
    _check_layers({name: entry["shape"] for name, entry in entries})
    return {name: _array(name, entry) for name, entry in entries}


def _refusal(path: Path) -> str:
    """Return the error about a file that torch.save wrote: one line, with the Python that converts it."""
    return (
        f"{printable(path)}: a pickle, as torch.save writes it, which can run arbitrary code when loaded, expected a "
        ".safetensors file; convert it with Python: import torch; from safetensors.torch import save_file; "
        f"save_file(torch.load({path.name!r}, map_location='cpu', weights_only=True), {path.stem + '.safetensors'!r})"
    )


def _check_layers(shapes: dict[str, list[int]]) -> None:
    """Raise UnsoundError unless all tensors, of these shapes, are weights and biases of Linear layers."""
    for name, shape in shapes.items():
        module, _, kind = name.rpartition(".")
        is_bias = kind == "bias" and bool(shape) and shape == shapes.get(f"{module}.weight", [])[:1]
        if not module and kind in ("weight", "bias"):
            raise UnsoundError(f"{printable(name)} has no layer's name before it, {_EXPECTED}")
        if is_bias or (kind == "weight" and len(shape) == 2):
            continue
        if kind == "weight" and len(shape) > 2:
            what = "a convolution"
        elif kind in ("running_mean", "running_var", "num_batches_tracked") or (kind == "weight" and len(shape) == 1):
            what = "a normalisation"
        else:
            what = "neither the weight nor the bias of a layer"
        raise UnsoundError(f"{printable(name)} {tuple(shape)} is {what}, {_EXPECTED}")
    if not shapes:
        raise UnsoundError(f"no tensors, {_EXPECTED}")


def _array(name: str, entry: dict[str, Any]) -> NDArray[Any]:
    """Return a tensor of a checked file. Raises UnsoundError where it is not of finite numbers."""
    if entry["dtype"] not in _TYPES:
        found = printable(str(entry["dtype"]))
        raise UnsoundError(
            f"{printable(name)} is of type {found}, expected {', '.join(_TYPES)}, as .float() makes them"
        )
    array = np.frombuffer(entry["data"], _TYPES[entry["dtype"]]).reshape(entry["shape"])
    if not np.isfinite(array).all():
        raise UnsoundError(f"{printable(name)} has values that are not finite, expected finite ones")
    return array


def _linear_layers(tensors: Tensors) -> dict[str, tuple[int, int]]:
    """Return each layer's outputs and inputs, by its name."""
    return {
        name.rpartition(".")[0]: (tensor.shape[0], tensor.shape[1])
        for name, tensor in tensors.items()
        if tensor.ndim == 2
    }


def _in_order(sizes: dict[str, tuple[int, int]]) -> list[str]:
    """Return the names of layers in the order in which each takes the outputs of the one before.

    Where several fit, one whose outputs the rest takes comes before one whose outputs it does not take; and then those
    whose names differ by their numbers alone come in the order of these. Raises UnsoundError where that does not tell.
    """
    told = ", ".join(f"{printable(name)} {shape}" for name, shape in sizes.items())
    order: list[str] = []
    n_in = N_PIXELS
    while rest := sorted(sizes.keys() - set(order)):
        fitting = [name for name in rest if sizes[name][1] == n_in]
        going_on = [
            name for name in fitting if any(sizes[name][0] == sizes[other][1] for other in rest if other != name)
        ]
        following = going_on or fitting
        if not following:
            raise UnsoundError(
                f"layers {told}, expected the first to take {N_PIXELS} inputs, and each the outputs of the one before"
            )
        if len({re.sub("[0-9]+", "0", name) for name in following}) > 1:
            names = " and ".join(printable(name) for name in following)
            raise UnsoundError(f"{names} could each come next, expected layers with numbers in their names")
        order.append(min(following, key=_numbers))
        n_in = sizes[order[-1]][0]
    return order


def _numbers(name: str) -> list[tuple[int, str]]:
    """Return the numbers in a name as what sorts like them, however long they are."""
    digits = [number.lstrip("0") for number in re.findall("[0-9]+", name)]
    return [(len(number), number) for number in digits]


def _network_of(tensors: Tensors, layers: list[str], mean: float, std: float) -> Network:
    """Return the network that takes pixels / 255. Raises UnsoundError where there can't be one."""
    sizes = [N_PIXELS, *(len(tensors[f"{name}.weight"]) for name in layers)]
    if sizes[-1] == 1:
        raise UnsoundError("only one output, expected one for each class")
    try:
        check_storable(sizes)
        network = Network(sizes)
    except TrainingError as error:
        raise UnsoundError(error.cause) from None
    except ValueError as error:
        raise UnsoundError(str(error)) from None
    with np.errstate(over="ignore", invalid="ignore"):  # what is beyond float32 is found below
        for layer, name in enumerate(layers):
            weights = tensors[f"{name}.weight"].astype(np.float64)
            biases = tensors.get(f"{name}.bias", np.zeros(len(weights))).astype(np.float64)
            if layer == 0:
                biases -= mean / std * weights.sum(axis=1)
                weights /= std
            network.weights(layer)[:] = weights.T
            network.biases(layer)[:] = biases
    if not np.isfinite(network.parameters).all():
        raise UnsoundError(f"weights too large for float32 with mean {mean} and std {std}, expected smaller ones")
    return network
