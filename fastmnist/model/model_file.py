"""A model, and its file: the parameters and what is known about them, in an .npz as arrays_file.py writes it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fastmnist.errors import AnyPath, ModelError, TrainingError, printable
from fastmnist.model.arrays_file import (
    MAX_OVERHEAD,
    Arrays,
    Kind,
    UnsoundError,
    check_checksum,
    load_arrays,
    reading,
    save_arrays,
)
from fastmnist.model.calibration import calibrated
from fastmnist.model.network import Network
from fastmnist.shapes import N_PIXELS, PREPROCESS_MODES, is_class_name

MAX_BYTES = 64 * 2**20
MAX_MEMBERS = 40
KIND = Kind("model", format_version=1, max_bytes=MAX_BYTES, max_members=MAX_MEMBERS)
SHIPPED = Path(__file__).parent / "shipped.npz"


@dataclass
class Model:
    """A network and what is known about it.

    trained: the network as it was trained and is stored; `network` is the one to predict with.
    class_names: the name of each class, written as the label of a prediction.
    preprocess: how image files are brought into the form of the training images, one of PREPROCESS_MODES.
    temperature: what calibrates the confidences (calibration.py), None if it was never fitted.
    stored_as: the dtype of the parameters in the file, float32 or float16.
    origin: how the model was made: versions, recipe, checksums, accuracies.
    """

    trained: Network
    class_names: list[str]
    preprocess: str
    temperature: float | None = None
    stored_as: str = "float32"
    origin: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def network(self) -> Network:
        """The network whose confidences are calibrated."""
        return self.trained if self.temperature is None else calibrated(self.trained, self.temperature)

    @property
    def checksum(self) -> str | None:
        """The SHA-256 of the file it was loaded from."""
        return self.origin.get("checksum")

    @property
    def metadata(self) -> dict[str, Any]:
        """All that is known, as the file states it."""
        facts: dict[str, Any] = {
            "class_names": self.class_names,
            "preprocess": self.preprocess,
            "layer_sizes": list(self.trained.layer_sizes),
        }
        if self.temperature is not None:
            facts["temperature"] = self.temperature
        if self.stored_as != "float32":
            facts["stored_as"] = self.stored_as
        return {**self.origin, **facts}


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


def save_model(path: AnyPath, model: Model) -> None:
    """Write a model file atomically. Equal models give equal bytes.

    The parameters are float32, or float16 (after `round_to_float16`) as `stored_as` says. Raises OutputError when the
    file can't be written; an old file is then untouched.
    """
    network, dtype = model.trained, np.dtype(model.stored_as)
    arrays: Arrays = {}
    for layer in range(network.n_layers):
        arrays[f"weights_{layer}"] = network.weights(layer).astype(dtype, copy=False)
        arrays[f"biases_{layer}"] = network.biases(layer).astype(dtype, copy=False)
    save_arrays(path, KIND, arrays, model.metadata)


def load_model(path: AnyPath) -> Model:
    """Read a model file.

    Raises ModelError, naming the file and what to do, for anything that is not a whole, sound model.
    """
    missing = "expected a model: train one with 'fastmnist train'"
    with reading(path, ModelError, missing=missing, advice="train a new model or restore this one"):
        return _load(Path(os.fsdecode(path)))


def _load(path: Path) -> Model:
    arrays, metadata = load_arrays(path, KIND)
    network = _network_of(arrays, metadata)
    if not _is_temperature(metadata.get("temperature", 1.0)):
        raise UnsoundError("a temperature that is not a number from 0.05 to 20")
    check_checksum(arrays, metadata)
    facts = {
        name: metadata[name] for name in ("class_names", "preprocess", "temperature", "stored_as") if name in metadata
    }
    return Model(network, origin={name: metadata[name] for name in metadata.keys() - facts.keys()}, **facts)


def _network_of(arrays: Arrays, metadata: dict[str, Any]) -> Network:
    """Return the network of the arrays; raises UnsoundError unless they are its layers and nothing else."""
    n_layers = len(arrays) // 2
    expected = {f"{kind}_{layer}" for kind in ("weights", "biases") for layer in range(n_layers)}
    if not arrays or set(arrays) != expected:
        names = ", ".join(printable(name) for name in sorted(arrays)) or "nothing"
        raise UnsoundError(f"holds {names}, expected weights_0, biases_0, weights_1, ...")
    dtype = metadata.get("stored_as", "float32")
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
    if metadata.get("preprocess") not in PREPROCESS_MODES:
        raise UnsoundError(
            f"preprocessing {printable(str(metadata.get('preprocess')))}, expected {', '.join(PREPROCESS_MODES)}: "
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
