"""Checkpoints: all a training run needs to continue as if it had never been interrupted, bit for bit.

Shuffling and augmentation are pure functions of the seed, the epoch and the sample, so the parameters, the
velocities and the averages after an epoch are all.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from fastmnist import __version__
from fastmnist.errors import AnyPath, TrainingError, printable
from fastmnist.model.arrays_file import (
    MAX_OVERHEAD,
    Kind,
    UnsoundError,
    check_checksum,
    load_arrays,
    reading,
    save_arrays,
)
from fastmnist.training.loop import EpochDone, Training

MAX_MEMBERS = 8
FORMAT_VERSION = 1

_FIELDS = {field.name for field in fields(EpochDone)}


def save_checkpoint(path: AnyPath, training: Training, epochs: Sequence[EpochDone]) -> None:
    """Atomically write the state and what is known of the epochs so far.

    Raises OutputError when the file can't be written; an old file is then untouched.
    """
    rows = [asdict(epoch) for epoch in epochs]
    save_arrays(path, _kind(training), dict(training.state()), {**_origin(training), "rows": rows})


def load_checkpoint(path: AnyPath, training: Training) -> list[EpochDone]:
    """Bring a fresh `training` to the state of a checkpoint; return its epochs so far.

    Raises TrainingError, naming the file and what to do, for anything that is not a whole, sound checkpoint of a run
    on the same data with the same settings.
    """
    missing = "expected a checkpoint: begin without --resume"
    advice = "start over without --resume, with another --checkpoint"
    with reading(path, TrainingError, missing=missing, advice=advice):
        return _load(Path(os.fsdecode(path)), training)


def _load(path: Path, training: Training) -> list[EpochDone]:
    arrays, metadata = load_arrays(path, _kind(training))
    check_checksum(arrays, metadata)
    for what, expected in _origin(training).items():
        if metadata.get(what) != expected:
            raise UnsoundError(_difference(what, metadata.get(what), expected))
    state = training.state()
    if {name: (array.shape, array.dtype) for name, array in arrays.items()} != {
        name: (array.shape, array.dtype) for name, array in state.items()
    }:
        raise UnsoundError("its arrays do not fit the network")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise UnsoundError("it has values that are not finite")
    epochs = _epochs_of(metadata.get("rows"), training.recipe.epochs)
    for name, array in state.items():
        array[:] = arrays[name]
    training.epochs_done = len(epochs)
    return epochs


def _epochs_of(rows: Any, most: int) -> list[EpochDone]:
    """Return the epochs of a checkpoint. Raises UnsoundError unless there are 1 to `most`, numbered from 1."""
    if not isinstance(rows, list) or not 1 <= len(rows) <= most:
        raise UnsoundError(f"not a row for each of up to {most} epochs")
    if not all(isinstance(row, dict) and set(row) == _FIELDS for row in rows):
        raise UnsoundError(f"rows of epochs without {', '.join(sorted(_FIELDS))}")
    if [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)):
        raise UnsoundError(f"rows that are not those of the epochs 1 to {len(rows)}")
    return [EpochDone(**row) for row in rows]


def _kind(training: Training) -> Kind:
    """Return what bounds the file: the size of what it must hold."""
    size = sum(array.nbytes for array in training.state().values())
    return Kind("checkpoint", FORMAT_VERSION, size + MAX_OVERHEAD, MAX_MEMBERS)


def _origin(training: Training) -> dict[str, Any]:
    """Return what must be equal for a run to be resumed."""
    return {
        "fastmnist_version": __version__,
        "recipe": training.recipe.as_metadata(),
        "train_data_sha256": training.data_sha256(),
    }


def _difference(what: str, found: Any, expected: Any) -> str:
    """Say in what the checkpoint's run and this one differ."""
    if what == "recipe" and isinstance(found, dict):
        for name in [*expected, *found]:
            if found.get(name) != expected.get(name):
                return f"made with {_setting(name, found)}, expected {_setting(name, expected)}"
    if what == "train_data_sha256":
        return "made with other training data"
    return f"made with {what} {printable(str(found))}, expected {expected}"


def _setting(name: str, settings: dict[str, Any]) -> str:
    return printable(f"{name} {settings[name]}" if name in settings else f"no {name}")
