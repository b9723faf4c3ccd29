"""Arrays and one JSON string in an .npz, never a pickle: what model files and checkpoints have in common.

A file is checked from its headers before any array is made, and by a checksum before anything is used.
"""

import contextlib
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from fastmnist.errors import AnyPath, FastmnistError, printable
from fastmnist.output.atomic import atomic_file

MAX_OVERHEAD = 2**20  # what headers and metadata may take

Arrays = dict[str, NDArray[Any]]


class UnsoundError(Exception):
    """What was found and what was expected; `reading` adds the file's name and what to do."""


@contextlib.contextmanager
def reading(path: AnyPath, error_type: type[FastmnistError], *, missing: str, advice: str) -> Iterator[None]:
    """Turn what reading `path` may raise within the context into `error_type`, in one line that names the file."""
    name = printable(path)
    try:
        yield
    except FileNotFoundError:
        raise error_type(f"{name}: no such file, {missing}") from None
    except UnsoundError as error:
        raise error_type(f"{name}: {error}: {advice}") from None
    except OSError as error:
        raise error_type(f"{name}: {error.strerror or error}, expected a readable file") from None


@dataclass(frozen=True)
class Kind:
    """A kind of file, and what bounds it."""

    name: str  # as it is called in errors: "model"
    format_version: int
    max_bytes: int
    max_members: int


def save_arrays(path: AnyPath, kind: Kind, arrays: Arrays, metadata: dict[str, Any]) -> None:
    """Write a file atomically. Equal arrays and metadata give equal bytes.

    Raises OutputError when the file can't be written; an old file is then untouched.
    """
    complete = {**metadata, "format_version": kind.format_version}
    complete["checksum"] = checksum(arrays, complete)
    buffer = io.BytesIO()
    np.savez(buffer, metadata=np.array(json.dumps(complete, sort_keys=True)), **arrays)  # type: ignore[arg-type]
    with atomic_file(path) as file:
        file.write(buffer.getbuffer())


def load_arrays(path: Path, kind: Kind) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays and the metadata of a file; `check_checksum` is left to do.

    Raises UnsoundError for a file that is not of this kind, or too large; OSError where it can't be read.
    """
    if not path.is_file():
        path.stat()  # a missing file raises here
        raise UnsoundError(f"not a regular file, expected a {kind.name} file (.npz)")
    if path.stat().st_size > kind.max_bytes:
        raise UnsoundError(f"{path.stat().st_size:,} bytes, expected a {kind.name} file of at most {kind.max_bytes:,}")
    arrays = _read_arrays(path, kind)
    return arrays, _read_metadata(arrays.pop("metadata", None), kind)


def check_checksum(arrays: Arrays, metadata: dict[str, Any]) -> None:
    """Raise UnsoundError unless arrays and metadata are those that were saved."""
    if metadata.get("checksum") != checksum(arrays, metadata):
        raise UnsoundError("the checksum does not match the content, expected an undamaged file")


def _read_arrays(path: Path, kind: Kind) -> Arrays:
    """Return every array of the file, each checked from its header before it is read."""
    # Opening an archive makes an object of each member, 565 MB of a million: first count how their entries begin.
    n_entries = path.read_bytes().count(b"PK\x01\x02")
    if n_entries > 100 * kind.max_members:  # the numbers of a sound file hardly look so even once
        raise UnsoundError(f"{n_entries:,} members, expected at most {kind.max_members}")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > kind.max_members:
                raise UnsoundError(f"{len(members):,} members, expected at most {kind.max_members}")
            size = sum(member.file_size for member in members)
            if size > kind.max_bytes:
                raise UnsoundError(f"{size:,} bytes uncompressed, expected at most {kind.max_bytes:,}")
            names = [member.filename.removesuffix(".npy") for member in members]
            if len(set(names)) < len(names):
                raise UnsoundError("two members of one name, expected one of each")
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
        found = f"not a sound .npz file ({printable(str(error))})"
        raise UnsoundError(f"{found}, expected a {kind.name} file") from None


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # LZMA's memory has no bound
        raise UnsoundError(f"{printable(member.filename)} is compressed in a way that NumPy never uses")
    with archive.open(member) as stream:
        content = stream.read(member.file_size)
        if len(content) != member.file_size or stream.read(1):
            raise UnsoundError(f"{printable(member.filename)} has not the declared {member.file_size} bytes")
    buffer = io.BytesIO(content)
    version = npy_format.read_magic(buffer)
    if version != (1, 0):
        raise UnsoundError(f"{printable(member.filename)} is in npy format {version}, expected (1, 0)")
    shape, fortran_order, dtype = npy_format.read_array_header_1_0(buffer)
    n_items = 1
    for length in shape:
        n_items *= length  # Python integers: a product that can't wrap
    if dtype.hasobject:
        raise UnsoundError(f"{printable(member.filename)} holds Python objects (a pickle), expected numbers")
    if fortran_order or buffer.tell() + n_items * dtype.itemsize != len(content):
        raise UnsoundError(f"{printable(member.filename)} does not fit its header {shape} {dtype}")
    return np.frombuffer(content, dtype, offset=buffer.tell()).reshape(shape)


def _read_metadata(array: NDArray[Any] | None, kind: Kind) -> dict[str, Any]:
    if array is None or array.shape != () or array.dtype.kind != "U":
        raise UnsoundError(f"no metadata, expected a fastmnist {kind.name}")
    try:
        metadata = json.loads(str(array))
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


def checksum(arrays: Arrays, metadata: dict[str, Any]) -> str:
    """Return the SHA-256 over all arrays and over the metadata without the checksum itself."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape} {arrays[name].dtype.str}\n".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    rest = {key: value for key, value in metadata.items() if key != "checksum"}
    digest.update(json.dumps(rest, sort_keys=True).encode())
    return digest.hexdigest()
