"""A model, and its file: the parameters and what is known about them, as tensor_file.py writes them.

The tensors are named and laid out as those of torch.nn.Sequential(Linear, ReLU, Linear, ...): `0.weight` (n_out, n_in),
`0.bias` (n_out,), `2.weight`, ... Their inputs are pixels / 255. They are the weights as they were trained: where the
metadata has a temperature, whoever reads the file divides the logits by it. If it says `no_digit`, there is one more
output than class names: the last one means that the image belongs to none of the classes.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fastmnist.errors import AnyPath, ModelError, TrainingError, printable
from fastmnist.model.calibration import calibrated
from fastmnist.model.integer_network import LEAST, MOST, MOST_POWER, MOST_UNITS, IntegerNetwork, Rounding
from fastmnist.model.network import Float32, Network, Uint8
from fastmnist.model.tensor_file import (
    MAX_OVERHEAD,
    Kind,
    Tensors,
    UnsoundError,
    check_checksum,
    load_tensors,
    reading,
    save_tensors,
)
from fastmnist.shapes import N_PIXELS, PREPROCESS_MODES, is_class_name

MAX_BYTES = 64 * 2**20
MAX_LAYERS = 19
MAX_NAMES = 32 * 2**10  # bytes of the class names in the header, half of it
MAX_NAMES_SHOWN = 100  # characters of the class names in what Python shows of a model
KIND = Kind("model", 2, MAX_BYTES, max_tensors=2 * MAX_LAYERS, types=("F32", "F16"))
SHIPPED = Path(__file__).parent / "shipped.safetensors"
GLYPHS = Path(__file__).parent / "glyphs.safetensors"  # names pieces of the numbers that `read` reads
# MNIST's training set, as `train_data_sha256` names it: models of it are tested on the test set that comes with it, as
# the shipped model is.
MNIST_SHA256 = "edc0d1098aa497be14ace79ddd5171e5a3dcf9c4d196c015389203eb3ba1f59b"
LOCAL = "model.safetensors"  # what `train` writes and the commands find
WITH_PACKAGE = "shipped with fastmnist"  # where SHIPPED comes from


@dataclass
class Model:
    """A network and what is known about it.

    trained: the network as it was trained and is stored; `network` is the one to predict with.
    class_names: the name of each class, written as the label of a prediction. If the network has one more output, the
        last one stands for "no digit".
    preprocess: how image files are brought into the form of the training images, one of PREPROCESS_MODES.
    temperature: what calibrates the confidences (calibration.py), None if it was never fitted.
    stored_as: the dtype of the parameters in the file, float32 or float16.
    rounding: how predictions are computed with integers (integer_network.py), None where they are not.
    origin: how the model was made: versions, recipe, checksums, accuracies.
    """

    trained: Network
    class_names: list[str]
    preprocess: str
    temperature: float | None = None
    stored_as: str = "float32"
    rounding: Rounding | None = None
    origin: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return the main facts in one line; `origin` may hold thousands of characters."""
        names = ", ".join(self.class_names)
        facts = [
            "-".join(map(str, self.trained.layer_sizes)),
            f"classes ({names})" if len(names) <= MAX_NAMES_SHOWN else f"{len(self.class_names)} classes",
            "can refuse" if self.can_refuse else "can't refuse",
            f"preprocess {self.preprocess}",
        ]
        if self.test_accuracy is not None:
            facts.append(f"test accuracy {100 * self.test_accuracy:.2f} %")
        if self.checksum is not None:
            facts.append(f"checksum {self.checksum[:12]}")
        return f"<{type(self).__name__} {', '.join(facts)}>"

    @cached_property
    def network(self) -> Network:
        """The network whose confidences are calibrated."""
        if self.rounding is not None:
            return IntegerNetwork(self.trained, self.rounding, self.temperature or 1.0)
        return self.trained if self.temperature is None else calibrated(self.trained, self.temperature)

    @cached_property
    def uncalibrated(self) -> Network:
        """The network that `network` would be without a temperature."""
        return self.trained if self.rounding is None else IntegerNetwork(self.trained, self.rounding)

    @property
    def can_refuse(self) -> bool:
        """Whether the model can say that an image belongs to none of the classes."""
        return self.trained.n_classes == len(self.class_names) + 1

    def confidences(self, images: Uint8) -> Float32:
        """Return the confidence that each of the images (n, 28, 28) belongs to one of the classes: float32 (n,).

        It is the most probable class's probability, never that of "no digit".
        """
        return self.network.confidences(images, len(self.class_names))

    def probabilities(self, images: Uint8) -> Float32:
        """Return how probable each class is for images (n, 28, 28), and last that it is none: (n, n_classes + 1).

        The last is 0 where the model can't refuse. One thread computes them.
        """
        of_outputs = self.network.probabilities_of_few(images)
        missing = len(self.class_names) + 1 - of_outputs.shape[1]
        return np.pad(of_outputs, ((0, 0), (0, missing))) if missing else of_outputs

    @property
    def for_pieces(self) -> "Model | None":
        """The model for pieces of ink that were cut apart: the one in the package if the classes are digits, else None.

        A cut damages the ink on both sides; that model was trained on such pieces (experiments/glyphs.py).
        """
        of_digits = _glyphs()
        return of_digits if self.class_names == of_digits.class_names else None

    @property
    def checksum(self) -> str | None:
        """The SHA-256 of the file it was loaded from."""
        return self.origin.get("checksum")

    @property
    def test_accuracy(self) -> float | None:
        """The accuracy on the test set that came with its training set, None if there was none."""
        share = self.origin.get("test_accuracy")
        return share if isinstance(share, float) and 0 <= share <= 1 else None

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
            facts["temperature_folded"] = False  # into the last layer of the file: it is not
        if self.stored_as != "float32":
            facts["stored_as"] = self.stored_as
        if self.rounding is not None:
            powers = [" ".join(map(str, of_layer)) for of_layer in self.rounding.powers]  # a line of `info` each
            facts["int8"] = {"powers": powers, "largest": self.rounding.largest}
        if self.can_refuse:
            facts["no_digit"] = True
        return {**self.origin, **facts}


def find_model(option: str | None) -> tuple[Path, str]:
    """Return the model file to use and where it comes from.

    The order: `option`, $FASTMNIST_MODEL, ./model.safetensors, the model that ships with fastmnist. The first two may
    name that one, "shipped".
    """
    given, origin = option, "--model"
    if given is None:
        given, origin = os.environ.get("FASTMNIST_MODEL") or None, "$FASTMNIST_MODEL"
    if given == "shipped":
        return SHIPPED, WITH_PACKAGE
    if given is not None:
        return Path(given), origin
    if Path(LOCAL).exists():
        return Path(LOCAL), "in this folder"
    return SHIPPED, WITH_PACKAGE


@cache
def _glyphs() -> Model:
    return load_model(GLYPHS)


def shipped_if_better(model: Model) -> Model | None:
    """Return the shipped model if it is known to be better on the test set that `model` was tested on, else None."""
    if model.test_accuracy is None or model.origin.get("train_data_sha256") != MNIST_SHA256:
        return None
    shipped = load_model(SHIPPED)
    return shipped if (shipped.test_accuracy or 0.0) > model.test_accuracy else None


def check_storable(layer_sizes: Sequence[int], class_names: Sequence[str] = (), *, int8: bool = False) -> None:
    """Raise TrainingError for a model that would be too large to load: better before training than after."""
    if int8 and (n_units := sum(layer_sizes[1:-1])) > MOST_UNITS:
        raise TrainingError(
            f"{n_units:,} hidden units, expected at most {MOST_UNITS:,} for integers", hint="leave out `int8`"
        )
    size = len(json.dumps(json.dumps(list(class_names))))
    if size > MAX_NAMES:
        raise TrainingError(f"class names of {size:,} bytes, expected at most {MAX_NAMES:,}", hint="use shorter names")
    n_bytes = 4 * sum(n_in * n_out + n_out for n_in, n_out in pairwise(layer_sizes))
    if n_bytes > MAX_BYTES - MAX_OVERHEAD:
        raise TrainingError(
            f"a network of {n_bytes:,} bytes, expected at most {MAX_BYTES - MAX_OVERHEAD:,}",
            hint="use fewer or smaller layers",
        )
    if len(layer_sizes) - 1 > MAX_LAYERS:
        raise TrainingError(f"{len(layer_sizes) - 1} layers, expected at most {MAX_LAYERS}", hint="use fewer")


def round_to_float16(network: Network) -> None:
    """Round all parameters to numbers that float16 has, so that a file of half the size holds them exactly.

    Raises TrainingError, and changes nothing, where one is beyond float16's range.
    """
    with np.errstate(over="ignore"):
        rounded = network.parameters.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise TrainingError(
            f"a weight of size {np.abs(network.parameters).max():,.0f}, expected at most "
            f"{np.finfo(np.float16).max:,.0f} in float16",
            hint="train without `float16`, or with a smaller `learning_rate`",
        )
    network.parameters[:] = rounded


def save_model(path: AnyPath, model: Model) -> None:
    """Write a model file atomically. Equal models give equal bytes.

    The parameters are float32, or float16 (after `round_to_float16`) as `stored_as` says. Raises OutputError when the
    file can't be written; an old file is then untouched.
    """
    network, dtype = model.trained, np.dtype(model.stored_as)
    tensors: Tensors = {}
    for layer in range(network.n_layers):
        tensors[f"{2 * layer}.weight"] = np.ascontiguousarray(network.weights(layer).T, dtype)
        tensors[f"{2 * layer}.bias"] = network.biases(layer).astype(dtype)
    save_tensors(path, KIND, tensors, model.metadata)


def load_model(path: AnyPath) -> Model:
    """Read a model file.

    Raises ModelError, naming the file and what to do, for anything that is not a complete, valid model.
    """
    with reading(
        path,
        ModelError,
        "a model",
        missing="train one with 'fastmnist train', or use shipped, the one that comes with fastmnist",
        advice="train a new model or restore this one",
    ):
        return _load(Path(os.fsdecode(path)))


def _load(path: Path) -> Model:
    tensors, metadata = load_tensors(path, KIND)
    network = _network_of(tensors, metadata)
    if not _is_temperature(metadata.get("temperature", 1.0)):
        raise UnsoundError("a temperature that is not a number from 0.05 to 20")
    if metadata.get("temperature_folded", False) is not False:
        raise UnsoundError("a temperature that is folded into the last layer, expected one that is not")
    rounding = _rounding_of(metadata["int8"], network.layer_sizes[1:-1]) if "int8" in metadata else None
    check_checksum(tensors, metadata)
    facts = {
        name: metadata[name] for name in ("class_names", "preprocess", "temperature", "stored_as") if name in metadata
    }
    rest = metadata.keys() - facts.keys() - {"temperature_folded", "no_digit", "int8"}
    return Model(network, rounding=rounding, origin={name: metadata[name] for name in rest}, **facts)


def _network_of(tensors: Tensors, metadata: dict[str, Any]) -> Network:
    """Return the network of the tensors; raises UnsoundError unless they are its layers and nothing else."""
    sizes = _sizes_of(tensors, metadata.get("stored_as", "float32"))
    if sizes[0] != N_PIXELS:
        raise UnsoundError(f"{sizes[0]} inputs, expected {N_PIXELS}")
    can_refuse = metadata.get("no_digit", False)
    if not isinstance(can_refuse, bool):
        raise UnsoundError("no_digit in its metadata is neither true nor false")
    n_names = sizes[-1] - can_refuse
    if not _is_names(metadata.get("class_names"), n_names) or (can_refuse and not n_names):
        besides = ' and "no digit"' if can_refuse else ""
        raise UnsoundError(f"class names that do not match {n_names} classes{besides}")
    if metadata.get("preprocess") not in PREPROCESS_MODES:
        raise UnsoundError(
            f"preprocessing {printable(str(metadata.get('preprocess')))}, expected {', '.join(PREPROCESS_MODES)}: "
            "another version of fastmnist wrote it"
        )
    if metadata.get("layer_sizes") != sizes:
        raise UnsoundError(f"layers {sizes} do not match its metadata")
    try:
        network = Network(sizes)
    except ValueError as error:
        raise UnsoundError(str(error)) from None
    for layer in range(network.n_layers):
        network.weights(layer)[:] = tensors[f"{2 * layer}.weight"].T
        network.biases(layer)[:] = tensors[f"{2 * layer}.bias"]
    return network


def _sizes_of(tensors: Tensors, dtype: Any) -> list[int]:
    """Return the layer sizes of the tensors; raises UnsoundError unless they are of layers that chain."""
    n_layers = len(tensors) // 2
    if not tensors or set(tensors) != {
        f"{2 * layer}.{kind}" for layer in range(n_layers) for kind in ("weight", "bias")
    }:
        names = ", ".join(printable(name) for name in sorted(tensors)) or "nothing"
        raise UnsoundError(f"holds {names}, expected 0.weight, 0.bias, 2.weight, ...")
    if dtype not in ("float32", "float16"):
        raise UnsoundError(f"stored as {printable(str(dtype))}, expected float32 or float16")
    for name, tensor in tensors.items():
        if tensor.dtype != np.dtype(dtype) or tensor.ndim != (2 if name.endswith("weight") else 1):
            raise UnsoundError(f"{name} is {tensor.shape} {tensor.dtype}, expected a matrix or vector of {dtype}")
        if not np.isfinite(tensor).all():
            raise UnsoundError(f"{name} has values that are not finite")
    sizes = [tensors["0.weight"].shape[1]]
    for layer in range(n_layers):
        shapes = tensors[f"{2 * layer}.weight"].shape, tensors[f"{2 * layer}.bias"].shape
        sizes.append(shapes[0][0])
        if shapes != ((sizes[-1], sizes[layer]), (sizes[-1],)):
            raise UnsoundError(f"layer {layer} has shapes {shapes}, expected them to chain")
    return sizes


def _is_names(value: Any, n_classes: int) -> bool:
    """Tell whether `value` names the classes, each differently."""
    if not isinstance(value, list) or len(value) != n_classes:
        return False
    return all(map(is_class_name, value)) and len(set(value)) == n_classes


def _is_temperature(value: Any) -> bool:
    """Tell whether `value` is a temperature as calibration.py fits them."""
    return isinstance(value, float) and 0.04 < value < 21  # a NaN is not


def _rounding_of(value: Any, n_units: Sequence[int]) -> Rounding:
    """Return what the metadata say of integers, for hidden layers of so many units. Raises UnsoundError."""
    if not isinstance(value, dict) or value.keys() != set(Rounding._fields) or sum(n_units) > MOST_UNITS:
        raise UnsoundError(f"int8 in its metadata is not powers and largest of up to {MOST_UNITS:,} units")
    largest = value["largest"]
    if not isinstance(largest, list) or len(largest) != len(n_units) or not all(map(_is_activation, largest)):
        raise UnsoundError("int8 in its metadata has no largest activation for each hidden layer")
    try:
        powers = [list(map(int, of_layer.split())) for of_layer in value["powers"]]
    except (AttributeError, TypeError, ValueError):
        powers = []
    if list(map(len, powers)) != list(n_units) or any(abs(power) > MOST_POWER for power in chain(*powers)):
        raise UnsoundError("int8 in its metadata has no small power for each hidden unit")
    return Rounding(powers, largest)


def _is_activation(value: Any) -> bool:
    return isinstance(value, float) and LEAST <= value <= MOST  # a NaN is not
