"""Tensors and one JSON string in a .safetensors file: what model files and checkpoints have in common.

The format: https://github.com/huggingface/safetensors. A header in JSON says where each tensor lies, and the rest are
their bytes: nothing to unpack, nothing to execute. The library checks that the tensors fill the file exactly. What
it does not bound is checked here, before it sees the file: the header's size (60 MB of it would cost 680 MB and 3 s),
names that come twice, types of tensors, surplus metadata (several keys would be written in random order).
"""

import contextlib
import hashlib
import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from fastmnist.errors import AnyPath, FastmnistError, OutputError, printable
from fastmnist.output.atomic import atomic_file

MAX_HEADER = 64 * 2**10
MAX_OVERHEAD = MAX_HEADER + 8
MAX_SIDES = 8  # of a tensor
METADATA_KEY = "fastmnist"

Tensors = dict[str, NDArray[Any]]


class UnsoundError(Exception):
    """What was found and what was expected; `reading` adds the file's name and what to do."""


@contextlib.contextmanager
def reading(
    path: AnyPath, error_type: type[FastmnistError], expected: str, *, missing: str, advice: str
) -> Iterator[None]:
    """Turn what reading `path` may raise within the context into `error_type`, which names the file.

    The hint is what to do where it is `missing`, or the `advice` where it is not the `expected` file.
    """
    name = printable(path)
    try:
        yield
    except FileNotFoundError:
        raise error_type(f"{name}: no such file, expected {expected}", hint=missing) from None
    except UnsoundError as error:
        raise error_type(f"{name}: {error}", hint=advice) from None
    except OSError as error:
        raise error_type(f"{name}: {error.strerror or error}, expected a readable file") from None


@dataclass(frozen=True)
class Kind:
    """A kind of file, and what bounds it."""

    name: str  # as it is called in errors: "model"
    format_version: int
    max_bytes: int
    max_tensors: int
    types: tuple[str, ...]  # of tensors, as safetensors calls them


def save_tensors(path: AnyPath, kind: Kind, tensors: Tensors, metadata: dict[str, Any]) -> None:
    """Write a file atomically. Equal tensors and metadata give equal bytes.

    Raises OutputError when the file can't be written, or would have a header that is too large to be read again; an
    old file is then untouched.
    """
    complete = {**metadata, "format_version": kind.format_version}
    complete["checksum"] = checksum(tensors, complete)
    content = safetensors.numpy.save(tensors, {METADATA_KEY: json.dumps(complete, sort_keys=True)})
    if (size := _header_size(content)) > MAX_HEADER:
        raise OutputError(f"{printable(path)}: metadata of {size:,} bytes, expected at most {MAX_HEADER:,}")
    with atomic_file(path) as file:
        file.write(content)


def load_tensors(path: Path, kind: Kind) -> tuple[Tensors, dict[str, Any]]:
    """Return the tensors and the metadata of a file; `check_checksum` is left to do.

    Raises UnsoundError for a file that is not of this kind, or too large; OSError where it can't be read.
    """
    content = read_content(path, kind.name, kind.max_bytes)
    if content.startswith(b"PK\x03\x04"):
        raise UnsoundError(f"an .npz file, expected a {kind.name} file of this version of fastmnist (.safetensors)")
    text = _check_header(header_of(content, kind.name), kind)
    try:
        return safetensors.numpy.load(content), _metadata_of(text, kind)
    except SafetensorError as error:
        raise unsound(kind.name, printable(str(error))) from None


def read_content(path: Path, kind: str, max_bytes: int) -> bytes:
    """Return a file's bytes; `kind` is what was expected. Raises UnsoundError, OSError."""
    try:
        status = path.stat()
    except ValueError:  # a NUL in it
        raise FileNotFoundError from None
    if not stat.S_ISREG(status.st_mode):
        raise UnsoundError(f"not a regular file, expected a {kind} file (.safetensors)")
    if status.st_size > max_bytes:
        raise UnsoundError(f"{status.st_size:,} bytes, expected a {kind} file of at most {max_bytes:,}")
    with open(path, "rb") as file:
        return file.read(max_bytes)


def check_checksum(tensors: Tensors, metadata: dict[str, Any]) -> None:
    """Raise UnsoundError unless tensors and metadata are those that were saved."""
    if metadata.get("checksum") != checksum(tensors, metadata):
        raise UnsoundError("the checksum does not match the content, expected an undamaged file")


def _header_size(content: bytes) -> int:
    return int.from_bytes(content[:8], "little")


def unsound(kind: str, found: str) -> UnsoundError:
    """Return the error for a file that is not valid safetensors."""
    return UnsoundError(f"not a valid .safetensors file ({found}), expected a {kind} file")


def header_of(content: bytes, kind: str) -> dict[str, Any]:
    """Return a file's header, in which no name comes twice, unchecked besides.

    Raises UnsoundError for a header that the library should not see.
    """
    size = _header_size(content)
    if len(content) < 8 or size > len(content) - 8:
        raise unsound(kind, f"{len(content):,} bytes, too few for its header")
    if size > MAX_HEADER:
        raise unsound(kind, f"a header of {size:,} bytes, more than {MAX_HEADER:,}")

    def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise UnsoundError("a duplicate name in the header, expected each name once")
        return dict(pairs)

    try:
        header = json.loads(content[8 : 8 + size].decode("utf-8"), object_pairs_hook=without_duplicates)
    except (ValueError, RecursionError):
        raise unsound(kind, "its header is not JSON") from None
    if not isinstance(header, dict):
        raise unsound(kind, "its header is not a JSON object")
    return header


def _check_header(header: dict[str, Any], kind: Kind) -> str:
    """Return the metadata. Raises UnsoundError for a header of another kind of file."""
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or set(metadata) != {METADATA_KEY} or not isinstance(metadata[METADATA_KEY], str):
        raise UnsoundError(f"no metadata, or keys other than {METADATA_KEY!r}, expected a fastmnist {kind.name} file")
    if len(header) > kind.max_tensors:
        raise UnsoundError(f"{len(header):,} tensors, expected at most {kind.max_tensors}")
    for name, entry in header.items():
        found = entry.get("dtype") if isinstance(entry, dict) else None
        if found not in kind.types:
            known = " or ".join(sorted(kind.types))
            raise UnsoundError(f"{printable(name)} is of type {printable(str(found))}, expected {known}")
    check_shapes(header, kind.name, kind.max_bytes)
    text: str = metadata[METADATA_KEY]
    return text


def check_shapes(header: dict[str, Any], kind: str, max_bytes: int) -> None:
    """Raise UnsoundError unless each side of each tensor is one that a file of this kind could have.

    The library checks that all elements are there; of none, a side may be of any length.
    """
    for name, entry in header.items():
        shape = entry.get("shape") if isinstance(entry, dict) else None
        sides = shape if isinstance(shape, list) and len(shape) <= MAX_SIDES else [None]
        if not all(type(side) is int and 0 <= side <= max_bytes for side in sides):
            raise unsound(kind, f"a shape of {printable(name)} that can't be")


def _metadata_of(text: str, kind: Kind) -> dict[str, Any]:
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise UnsoundError(f"its metadata is not a JSON object, expected a fastmnist {kind.name}")
    if metadata.get("format_version") != kind.format_version:
        raise UnsoundError(
            f"format version {printable(str(metadata.get('format_version')))}, "
            f"expected {kind.format_version}: another version of fastmnist wrote it"
        )
    return metadata


def checksum(tensors: Tensors, metadata: dict[str, Any]) -> str:
    """Return the SHA-256 over all tensors and over the metadata without the checksum itself."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].shape} {tensors[name].dtype.str}\n".encode())
        digest.update(np.ascontiguousarray(tensors[name]).data)
    rest = {key: value for key, value in metadata.items() if key != "checksum"}
    digest.update(json.dumps(rest, sort_keys=True).encode())
    return digest.hexdigest()
