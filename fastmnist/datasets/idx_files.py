"""Which files of a folder are a data set's train and test images and labels."""

import os
import re
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from fastmnist.errors import AnyPath, DataError, printable, reason
from fastmnist.inputs import emnist
from fastmnist.inputs.files import folders_within
from fastmnist.inputs.idx import peek_dimensions, read_pair
from fastmnist.inputs.table import is_table, read_table

Split = Literal["train", "test"]

_SEARCH_DEPTH = 2  # folders below the given one: torchvision writes MNIST/raw
_LISTED = 8  # at most so many names in a message
_NAME = re.compile(
    r"(?P<prefix>(?:.*[-_.])?)(?P<split>train|test|t10k)[-_.](?P<kind>images|labels)"
    r"(?P<idx>[-_.]idx\d[-_.]ubyte)?(?P<gz>\.gz)?",
    re.IGNORECASE,
)
_DIMENSIONS = {"images": 3, "labels": 1}
_STANDARD_NAMES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


@dataclass(frozen=True)
class DatasetFiles:
    """The IDX files of one data set; None for what is not there."""

    train_images: Path | None = None
    train_labels: Path | None = None
    test_images: Path | None = None
    test_labels: Path | None = None


@dataclass(frozen=True)
class _Candidate:
    """A file whose name gives it a role.

    `dataset` is what the files of one data set share: their folder and what precedes the role in the name.
    `rank` orders the candidates for one role, the best lowest.
    """

    path: Path
    role: str
    dataset: tuple[Path, str]
    rank: tuple[bool, bool, bool]


def locate(directory: AnyPath) -> DatasetFiles:
    """Return the files of the data set in `directory`, or in the nearest folders below it that hold any.

    A table of pixels instead of a folder has none.

    Raises DataError if `directory` can't be listed, or if more than one file or data set could be meant.
    """
    if is_table(directory):
        return DatasetFiles()
    top = Path(os.fsdecode(directory))
    try:
        os.scandir(top).close()
    except OSError as error:
        raise DataError(f"{printable(top)}: {reason(error)}, expected a folder with a data set's IDX files") from error
    folders = [top]
    for _ in range(_SEARCH_DEPTH + 1):
        candidates = [candidate for folder in folders for candidate in _candidates(folder)]
        if candidates:
            return _choose(top, candidates)
        folders = [below for folder in folders for below in _folders(folder)]
    return DatasetFiles()


def load_split(
    directory: AnyPath, split: Split, n_classes: int = 10, *, on_note: Callable[[str], None] = lambda _note: None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return the pixels uint8 (n, 784), n > 0, and labels uint8 (n,) of one split of a folder's data set.

    A table of pixels instead of a folder is its own train and test split. `on_note` gets a line for images of
    EMNIST, which are turned upright. Raises DataError if files are missing, ambiguous, damaged, disagree, are empty,
    or a label is not below `n_classes`.
    """
    if is_table(directory):
        images_path = Path(os.fsdecode(directory))
        pixels, labels = read_table(directory, n_classes)
    else:
        images_path, labels_path = _split_files(directory, split)
        pixels, labels = read_pair(images_path, labels_path, n_classes)
    if not len(pixels):
        raise DataError(f"{printable(images_path)}: no images, expected at least one; use another data set")
    if emnist.is_emnist(images_path):
        on_note(emnist.note(images_path))
        pixels = emnist.upright(pixels)
    return pixels, labels


def _split_files(directory: AnyPath, split: Split) -> tuple[Path, Path]:
    """Return the files of images and labels of one split. Raises DataError if they are missing or ambiguous."""
    files = locate(directory)
    images_path, labels_path = (
        (files.train_images, files.train_labels) if split == "train" else (files.test_images, files.test_labels)
    )
    if images_path is None or labels_path is None:
        raise _missing(directory, files, split)
    return images_path, labels_path


def _names(folder: Path) -> list[str]:
    """Return the names in a folder, hidden ones apart, in order; nothing if it can't be listed."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []


def _folders(folder: Path) -> list[Path]:
    """Return the folders within a folder, hidden ones apart, in order; nothing if it can't be listed."""
    try:
        return [folder / os.fsdecode(name) for name in folders_within(folder)]
    except OSError:
        return []


def _candidates(folder: Path) -> Iterator[_Candidate]:
    """Yield the files in `folder` that have a role, also from within folders named like such a file."""
    for name in _names(folder):
        match = _NAME.fullmatch(name)
        if match is None:
            continue
        path = folder / name
        if not path.is_dir():
            yield from _candidate(folder, path, match)
            continue
        for inner_name in _names(path):
            inner = _NAME.fullmatch(inner_name)
            if inner is not None and not (path / inner_name).is_dir():
                yield from _candidate(folder, path / inner_name, inner)


def _candidate(folder: Path, path: Path, match: re.Match[str]) -> Iterator[_Candidate]:
    """Yield `path` as a candidate of the data set in `folder`, if its name or its content is IDX."""
    is_idx = peek_dimensions(path) == _DIMENSIONS[match["kind"].lower()]
    if is_idx or match["idx"]:  # a damaged file is still the one that is meant: reading it says what is wrong
        # Copies: torchvision leaves x beside x.gz, Kaggle's archive x/x beside x.
        rank = (not is_idx, path.parent != folder, match["gz"] is not None)
        yield _Candidate(path, _role(match), (folder, match["prefix"].lower()), rank)


def _role(match: re.Match[str]) -> str:
    split = "train" if match["split"].lower() == "train" else "test"
    return f"{split}_{match['kind'].lower()}"


def _choose(top: Path, candidates: list[_Candidate]) -> DatasetFiles:
    """Return the best candidate for every role. Raises DataError if that is not decided by rank."""
    firsts = {candidate.dataset: candidate for candidate in reversed(candidates)}
    if len(firsts) > 1:
        found = [str(first.path.relative_to(top)) for first in reversed(firsts.values())]
        raise DataError(
            f"{printable(top)}: {len(found)} data sets ({_listed(found)}), expected one; "
            "name the folder of one, or give each a folder of its own"
        )
    by_role = defaultdict(list)
    for candidate in candidates:
        by_role[candidate.role].append(candidate)
    chosen = {}
    for role, rivals in by_role.items():
        best = min(rival.rank for rival in rivals)
        equals = [rival.path for rival in rivals if rival.rank == best]
        if len(equals) > 1:
            found = [str(path.relative_to(top)) for path in equals]
            raise DataError(
                f"{printable(top)}: {len(found)} files of {role.replace('_', ' ')} ({_listed(found)}), "
                "expected one; move the others away"
            )
        chosen[role] = equals[0]
    return DatasetFiles(**chosen)


def _missing(directory: AnyPath, files: DatasetFiles, split: Split) -> DataError:
    """Return the error that says which files of `split` are missing and what is there instead."""
    present = {role: path for role, path in vars(files).items() if path is not None}
    missing = [name for role, name in _STANDARD_NAMES.items() if role.startswith(f"{split}_") and role not in present]
    names = [path.name for path in present.values()] or _names(Path(os.fsdecode(directory)))
    command = f"fastmnist download {shlex.quote(printable(directory))}"
    return DataError(
        f"{printable(directory)}: no {' and no '.join(missing)}; found {_listed(names) or 'nothing'}; "
        f"put {'it' if len(missing) == 1 else 'them'} there (.gz will do), or a folder of images for each class, "
        f"or run: {command}"
    )


def _listed(names: list[str]) -> str:
    rest = len(names) - _LISTED
    return ", ".join(map(printable, names[:_LISTED])) + (f" and {rest} more" if rest > 0 else "")
