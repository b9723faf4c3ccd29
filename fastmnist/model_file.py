"""Network <-> model file: an .npz of float32 arrays and one JSON string, never a pickle.

A file is checked from its headers before any array is made, and by a checksum before anything is used.
"""

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from fastmnist.data.preprocess import PREPROCESSES
from fastmnist.errors import AnyPath, ModelError, TrainingError, printable
from fastmnist.network import Network
from fastmnist.output import atomic_file, is_class_name

FORMAT_VERSION = 1
MAX_BYTES = 64 * 2**20
MAX_MEMBERS = 40
MAX_OVERHEAD = 2**20  # of MAX_BYTES, what headers and metadata may take
N_IN = 784  # 28x28 pixels: the only inputs that there are
SHIPPED = Path(__file__).parent / "models" / "mnist.npz"

Arrays = dict[str, NDArray[Any]]


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


def save_model(path: AnyPath, network: Network, metadata: dict[str, Any]) -> None:
    """Write a model file atomically. Equal networks and metadata give equal bytes.

    Raises OutputError when the file can't be written; an old file is then untouched.
    """
    arrays: Arrays = {}
    for layer in range(network.n_layers):
        arrays[f"weights_{layer}"] = network.weights(layer)
        arrays[f"biases_{layer}"] = network.biases(layer)
    complete = {**metadata, "format_version": FORMAT_VERSION, "layer_sizes": list(network.layer_sizes)}
    complete["checksum"] = _checksum(arrays, complete)
    buffer = io.BytesIO()
    np.savez(buffer, metadata=np.array(json.dumps(complete, sort_keys=True)), **arrays)  # type: ignore[arg-type]
    with atomic_file(path) as file:
        file.write(buffer.getbuffer())


def load_model(path: AnyPath) -> Model:
    """Read a model file.

    Raises ModelError, naming the file and what to do, for anything that is not a whole, sound model.
    """
    name = printable(path)
    try:
        return _load(Path(os.fsdecode(path)))
    except FileNotFoundError:
        raise ModelError(f"{name}: no such file, expected a model: train one with 'fastmnist train'") from None
    except _UnsoundError as error:
        raise ModelError(f"{name}: {error}: train a new model or restore this one") from None
    except OSError as error:
        raise ModelError(f"{name}: {error.strerror or error}, expected a readable model file") from None


class _UnsoundError(Exception):
    """What was found and what was expected; `load_model` adds the file and what to do."""


def _load(path: Path) -> Model:
    if not path.is_file():
        path.stat()  # a missing file raises here
        raise _UnsoundError("not a regular file, expected a model file (.npz)")
    if path.stat().st_size > MAX_BYTES:
        raise _UnsoundError(f"{path.stat().st_size:,} bytes, expected a model file of at most {MAX_BYTES:,}")
    arrays = _read_arrays(path)
    metadata = _read_metadata(arrays.pop("metadata", None))
    network = _network_of(arrays, metadata)
    if not _is_temperature(metadata.get("temperature", 1.0)):
        raise _UnsoundError("a temperature that is no number from 0.05 to 20")
    if metadata.get("checksum") != _checksum(arrays, metadata):
        raise _UnsoundError("the checksum does not match the content, expected an undamaged file")
    return Model(network, metadata)


def _read_arrays(path: Path) -> Arrays:
    """Return every array of the file, each checked from its header before it is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise _UnsoundError(f"{len(members):,} members, expected at most {MAX_MEMBERS}")
            size = sum(member.file_size for member in members)
            if size > MAX_BYTES:
                raise _UnsoundError(f"{size:,} bytes uncompressed, expected at most {MAX_BYTES:,}")
            names = [member.filename.removesuffix(".npy") for member in members]
            if len(set(names)) < len(names):
                raise _UnsoundError("two members of one name, expected one of each")
            return {name: _read_array(archive, member) for name, member in zip(names, members, strict=True)}
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        UnicodeDecodeError,
    ) as error:
        # zipfile raises all of these for damaged, encrypted or strangely compressed files
        raise _UnsoundError(f"not a sound .npz file ({printable(str(error))}), expected a model file") from None


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # LZMA's memory has no bound
        raise _UnsoundError(f"{printable(member.filename)} is compressed in a way that NumPy never uses")
    with archive.open(member) as stream:
        content = stream.read(member.file_size)
        if len(content) != member.file_size or stream.read(1):
            raise _UnsoundError(f"{printable(member.filename)} has not the declared {member.file_size} bytes")
    buffer = io.BytesIO(content)
    version = npy_format.read_magic(buffer)
    if version != (1, 0):
        raise _UnsoundError(f"{printable(member.filename)} is in npy format {version}, expected (1, 0)")
    shape, fortran_order, dtype = npy_format.read_array_header_1_0(buffer)
    n_items = 1
    for length in shape:
        n_items *= length  # Python integers: a product that can't wrap
    if dtype.hasobject:
        raise _UnsoundError(f"{printable(member.filename)} holds Python objects (a pickle), expected numbers")
    if fortran_order or buffer.tell() + n_items * dtype.itemsize != len(content):
        raise _UnsoundError(f"{printable(member.filename)} does not fit its header {shape} {dtype}")
    return np.frombuffer(content, dtype, offset=buffer.tell()).reshape(shape)


def _read_metadata(array: NDArray[Any] | None) -> dict[str, Any]:
    if array is None or array.shape != () or array.dtype.kind != "U":
        raise _UnsoundError("no metadata, expected a fastmnist model")
    try:
        metadata = json.loads(str(array))
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise _UnsoundError("its metadata is not a JSON object, expected a fastmnist model")
    if metadata.get("format_version") != FORMAT_VERSION:
        raise _UnsoundError(
            f"format version {printable(str(metadata.get('format_version')))}, "
            f"expected {FORMAT_VERSION}: another version of fastmnist wrote it"
        )
    return metadata


def _network_of(arrays: Arrays, metadata: dict[str, Any]) -> Network:
    """Return the network of the arrays; raises _UnsoundError unless they are its layers and nothing else."""
    n_layers = len(arrays) // 2
    expected = {f"{kind}_{layer}" for kind in ("weights", "biases") for layer in range(n_layers)}
    if not arrays or set(arrays) != expected:
        names = ", ".join(printable(name) for name in sorted(arrays)) or "nothing"
        raise _UnsoundError(f"holds {names}, expected weights_0, biases_0, weights_1, ...")
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.float16) or array.ndim != (2 if name.startswith("w") else 1):
            raise _UnsoundError(f"{name} is {array.shape} {array.dtype}, expected a matrix or vector of float32")
        if not np.isfinite(array).all():
            raise _UnsoundError(f"{name} has values that are not finite")
    sizes = [arrays["weights_0"].shape[0]]
    for layer in range(n_layers):
        shapes = arrays[f"weights_{layer}"].shape, arrays[f"biases_{layer}"].shape
        sizes.append(shapes[0][1])
        if shapes != ((sizes[layer], sizes[-1]), (sizes[-1],)):
            raise _UnsoundError(f"layer {layer} has shapes {shapes}, expected them to chain")
    if sizes[0] != N_IN:
        raise _UnsoundError(f"{sizes[0]} inputs, expected {N_IN}")
    if not _is_names(metadata.get("class_names"), sizes[-1]):
        raise _UnsoundError(f"class names that do not fit {sizes[-1]} classes")
    if metadata.get("preprocess") not in PREPROCESSES:
        raise _UnsoundError(
            f"preprocessing {printable(str(metadata.get('preprocess')))}, expected {', '.join(PREPROCESSES)}: "
            "another version of fastmnist wrote it"
        )
    if metadata.get("layer_sizes") != sizes:
        raise _UnsoundError(f"layers {sizes} do not fit its metadata")
    try:
        network = Network(sizes)
    except ValueError as error:
        raise _UnsoundError(str(error)) from None
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


def _checksum(arrays: Arrays, metadata: dict[str, Any]) -> str:
    """Return the SHA-256 over all arrays and over the metadata without the checksum itself."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape} {arrays[name].dtype.str}\n".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    rest = {key: value for key, value in metadata.items() if key != "checksum"}
    digest.update(json.dumps(rest, sort_keys=True).encode())
    return digest.hexdigest()
