"""Checkpoints: all a training run needs to continue as if it had never been interrupted, bit for bit.

Shuffling and augmentation are pure functions of the seed, the epoch and the sample, so the parameters, the velocities
and the averages after an epoch are all there is to save.
"""

import os
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmnist.errors import AnyPath, TrainingError, printable
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
from fastmnist.training.loop import EpochDone, Training
from fastmnist.version import __version__

Rows = NDArray[np.float64]

MAX_TENSORS = 5
FORMAT_VERSION = 2


def save_checkpoint(path: AnyPath, training: Training, epochs: Sequence[EpochDone]) -> None:
    """Atomically write the state and what is known of the epochs so far.

    Raises OutputError when the file can't be written; an old file is then untouched.
    """
    tensors: Tensors = {**training.state(), "epochs": _as_rows(epochs)}
    save_tensors(path, _kind(training), tensors, _origin(training))


def load_checkpoint(path: AnyPath, training: Training) -> list[EpochDone]:
    """Bring a fresh `training` to the state of a checkpoint; return its epochs so far: none where there is no file.

    Raises TrainingError, naming the file and what to do, for anything that is not a whole, sound checkpoint of a run
    on the same data with the same settings.
    """
    advice = "start over without `resume`, with another `checkpoint`"
    if not os.path.lexists(path):
        return []
    with reading(path, TrainingError, "a checkpoint", missing="begin without `resume`", advice=advice):
        return _load(Path(os.fsdecode(path)), training)


def _load(path: Path, training: Training) -> list[EpochDone]:
    tensors, metadata = load_tensors(path, _kind(training))
    check_checksum(tensors, metadata)
    for what, expected in _origin(training).items():
        if metadata.get(what) != expected:
            raise UnsoundError(_difference(what, metadata.get(what), expected))
    epochs = _epochs_of(tensors.pop("epochs", None), training.recipe.epochs)
    state = training.state()
    if {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()} != {
        name: (array.shape, array.dtype) for name, array in state.items()
    }:
        raise UnsoundError("its tensors do not match the network")
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        raise UnsoundError("it has values that are not finite")
    for name, array in state.items():
        array[:] = tensors[name]
    training.epochs_done = len(epochs)
    return epochs


def _as_rows(epochs: Sequence[EpochDone]) -> Rows:
    """Return a row for each epoch, a column for each field; NaN for None."""
    return np.array([[np.nan if value is None else value for value in astuple(epoch)] for epoch in epochs], np.float64)


def _epochs_of(rows: Rows | None, most: int) -> list[EpochDone]:
    """Return what `_as_rows` was given. Raises UnsoundError unless that were 1 to `most` epochs, in order."""
    if rows is None or rows.ndim != 2 or rows.dtype != np.float64 or rows.shape[1] != len(fields(EpochDone)):
        raise UnsoundError("no table with a row for each epoch, expected a checkpoint")
    if not 1 <= len(rows) <= most or rows[:, 0].tolist() != list(range(1, len(rows) + 1)):
        raise UnsoundError(f"its rows are not epochs 1, 2, 3 and so on, at most {most}")
    return [
        EpochDone(int(epoch), *(None if np.isnan(value) else value for value in values))  # type: ignore[arg-type]
        for epoch, *values in rows.tolist()
    ]


def _kind(training: Training) -> Kind:
    """Return what bounds the file: the size of what it must hold."""
    size = (
        sum(array.nbytes for array in training.state().values()) + 8 * len(fields(EpochDone)) * training.recipe.epochs
    )
    return Kind("checkpoint", FORMAT_VERSION, size + MAX_OVERHEAD, MAX_TENSORS, ("F32", "F64"))


def _origin(training: Training) -> dict[str, Any]:
    """Return what must be equal for a run to be resumed."""
    return {"fastmnist_version": __version__, **training.origin()}


def _difference(what: str, found: Any, expected: Any) -> str:
    """Say how the checkpoint's run differs from this one."""
    if what == "recipe" and isinstance(found, dict):
        for name in [*expected, *found]:
            if found.get(name) != expected.get(name):
                return f"made with {_setting(name, found)}, expected {_setting(name, expected)}"
    if what == "train_data_sha256":
        return "made with different training data"
    if what == "start_sha256":
        return "made from a different model"
    return f"made with {what} {printable(str(found))}, expected {expected}"


def _setting(name: str, settings: dict[str, Any]) -> str:
    return printable(f"{name} {settings[name]}" if name in settings else f"no {name}")
