"""Network <-> model file: its arrays and what is known about them, in an .npz as arrays_file.py has it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fastmnist.errors import AnyPath, ModelError, TrainingError, printable
from fastmnist.images.preprocess import PREPROCESSES
from fastmnist.model.arrays_file import (
    MAX_OVERHEAD,
    Arrays,
    Kind,
    UnsoundError,
    check_checksum,
    load_arrays,
    save_arrays,
)
from fastmnist.model.network import Network
from fastmnist.shapes import N_PIXELS, is_class_name

MAX_BYTES = 64 * 2**20
MAX_MEMBERS = 40
KIND = Kind("model", format_version=1, max_bytes=MAX_BYTES, max_members=MAX_MEMBERS)
SHIPPED = Path(__file__).parent / "shipped.npz"
STORED_AS = "stored_as"  # what the metadata calls the type of the arrays: float32, unless it says float16


@dataclass
class Model:
    """A network and what is known about it."""

    network: Network
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def class_names(self) -> list[str]:
        """The name of each class, written as the label of a prediction."""
        return list(self.metadata["class_names"])

    @property
    def preprocess(self) -> str:
        """How image files are brought into the form of the training images: one of PREPROCESSES."""
        return str(self.metadata["preprocess"])


def find_model(option: str | None) -> tuple[Path, str]:
    """Return the model file to use and where it comes from.

    The order: `option`, $FASTMNIST_MODEL, ./model.npz, the model that ships with fastmnist.
    """
    if option is not None:
        return Path(option), "--model"
    if os.environ.get("FASTMNIST_MODEL"):
        return Path(os.environ["FASTMNIST_MODEL"]), "$FASTMNIST_MODEL"
    if Path("model.npz").exists():
        return Path("model.npz"), "in this folder"
    return SHIPPED, "shipped with fastmnist"


def check_storable(layer_sizes: Sequence[int]) -> None:
    """Raise TrainingError for a network that would be too large to load: better before training than after."""
    n_bytes = 4 * sum(n_in * n_out + n_out for n_in, n_out in pairwise(layer_sizes))
    if n_bytes > MAX_BYTES - MAX_OVERHEAD:
        raise TrainingError(
            f"a network of {n_bytes:,} bytes, expected at most {MAX_BYTES - MAX_OVERHEAD:,}: "
            "use fewer or smaller layers"
        )
    max_layers = (MAX_MEMBERS - 1) // 2
    if len(layer_sizes) - 1 > max_layers:
        raise TrainingError(f"{len(layer_sizes) - 1} layers, expected at most {max_layers}: use fewer")


def round_to_float16(network: Network) -> None:
    """Round all parameters to numbers that float16 has, so that a file of half the size holds them exactly.

    Raises TrainingError, and changes nothing, where one is beyond float16's range.
    """
    with np.errstate(over="ignore"):
        rounded = network.parameters.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise TrainingError(
            f"a weight of size {np.abs(network.parameters).max():,.0f}, expected at most "
            f"{np.finfo(np.float16).max:,.0f} in float16: train without --float16, or with a smaller --learning-rate"
        )
    network.parameters[:] = rounded


def save_model(path: AnyPath, network: Network, metadata: dict[str, Any]) -> None:
    """Write a model file atomically. Equal networks and metadata give equal bytes.

    The arrays are float32, or what `metadata` says that they are stored as: float16, after `round_to_float16`. Raises
    OutputError when the file can't be written; an old file is then untouched.
    """
    dtype = np.dtype(metadata.get(STORED_AS, "float32"))
    arrays: Arrays = {}
    for layer in range(network.n_layers):
        arrays[f"weights_{layer}"] = network.weights(layer).astype(dtype, copy=False)
        arrays[f"biases_{layer}"] = network.biases(layer).astype(dtype, copy=False)
    save_arrays(path, KIND, arrays, {**metadata, "layer_sizes": list(network.layer_sizes)})


def load_model(path: AnyPath) -> Model:
    """Read a model file.

    Raises ModelError, naming the file and what to do, for anything that is not a whole, sound model.
    """
    name = printable(path)
    try:
        return _load(Path(os.fsdecode(path)))
    except FileNotFoundError:
        raise ModelError(f"{name}: no such file, expected a model: train one with 'fastmnist train'") from None
    except UnsoundError as error:
        raise ModelError(f"{name}: {error}: train a new model or restore this one") from None
    except OSError as error:
        raise ModelError(f"{name}: {error.strerror or error}, expected a readable model file") from None


def _load(path: Path) -> Model:
    arrays, metadata = load_arrays(path, KIND)
    network = _network_of(arrays, metadata)
    if not _is_temperature(metadata.get("temperature", 1.0)):
        raise UnsoundError("a temperature that is no number from 0.05 to 20")
    check_checksum(arrays, metadata)
    return Model(network, metadata)


def _network_of(arrays: Arrays, metadata: dict[str, Any]) -> Network:
    """Return the network of the arrays; raises UnsoundError unless they are its layers and nothing else."""
    n_layers = len(arrays) // 2
    expected = {f"{kind}_{layer}" for kind in ("weights", "biases") for layer in range(n_layers)}
    if not arrays or set(arrays) != expected:
        names = ", ".join(printable(name) for name in sorted(arrays)) or "nothing"
        raise UnsoundError(f"holds {names}, expected weights_0, biases_0, weights_1, ...")
    dtype = metadata.get(STORED_AS, "float32")
    if dtype not in ("float32", "float16"):
        raise UnsoundError(f"stored as {printable(str(dtype))}, expected float32 or float16")
    for name, array in arrays.items():
        if array.dtype != np.dtype(dtype) or array.ndim != (2 if name.startswith("w") else 1):
            raise UnsoundError(f"{name} is {array.shape} {array.dtype}, expected a matrix or vector of {dtype}")
        if not np.isfinite(array).all():
            raise UnsoundError(f"{name} has values that are not finite")
    sizes = [arrays["weights_0"].shape[0]]
    for layer in range(n_layers):
        shapes = arrays[f"weights_{layer}"].shape, arrays[f"biases_{layer}"].shape
        sizes.append(shapes[0][1])
        if shapes != ((sizes[layer], sizes[-1]), (sizes[-1],)):
            raise UnsoundError(f"layer {layer} has shapes {shapes}, expected them to chain")
    if sizes[0] != N_PIXELS:
        raise UnsoundError(f"{sizes[0]} inputs, expected {N_PIXELS}")
    if not _is_names(metadata.get("class_names"), sizes[-1]):
        raise UnsoundError(f"class names that do not fit {sizes[-1]} classes")
    if metadata.get("preprocess") not in PREPROCESSES:
        raise UnsoundError(
            f"preprocessing {printable(str(metadata.get('preprocess')))}, expected {', '.join(PREPROCESSES)}: "
            "another version of fastmnist wrote it"
        )
    if metadata.get("layer_sizes") != sizes:
        raise UnsoundError(f"layers {sizes} do not fit its metadata")
    try:
        network = Network(sizes)
    except ValueError as error:
        raise UnsoundError(str(error)) from None
    for layer in range(n_layers):
        network.weights(layer)[:] = arrays[f"weights_{layer}"]
        network.biases(layer)[:] = arrays[f"biases_{layer}"]
    return network


def _is_names(value: Any, n_classes: int) -> bool:
    """Tell whether `value` names the classes, each differently."""
    if not isinstance(value, list) or len(value) != n_classes:
        return False
    return all(map(is_class_name, value)) and len(set(value)) == n_classes


def _is_temperature(value: Any) -> bool:
    """Tell whether `value` is a temperature as calibration.py fits them."""
    return isinstance(value, float) and 0.04 < value < 21  # a NaN is not
