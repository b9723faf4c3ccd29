"""The four IDX files, or NumPy files, of a data set: found by name, in the folder layouts that people use."""

import os
import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from fastmnist.datasets.labelled import Dataset, LabelledImages, Loading, Split, check_labels, label_squares, listed
from fastmnist.errors import AnyPath, DataError, printable, reason
from fastmnist.inputs import idx, npz
from fastmnist.inputs.files import folders_within
from fastmnist.inputs.paths import IMAGE_SUFFIXES
from fastmnist.shapes import DIGITS

_WHOLE = (".csv", ".csv.gz", ".npz", ".zip")  # names of files that are a data set by themselves
_SEARCH_DEPTH = 2  # folders below the given one: torchvision writes MNIST/raw
_NAMES = (
    re.compile(
        r"(?P<prefix>(?:.*[-_.])?)(?P<split>train|test|t10k)[-_.](?P<kind>images|imgs|labels)"
        r"(?P<form>[-_.]idx\d[-_.](?:ubyte|int)|\.np[yz])?(?P<gz>\.gz)?",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?P<prefix>(?:.*[-_.])?)(?P<kind>[xy])[-_](?P<split>train|test)(?P<form>\.npy)(?P<gz>)", re.IGNORECASE
    ),
)
_KINDS = {"images": "images", "imgs": "images", "x": "images", "labels": "labels", "y": "labels"}
_STANDARD_NAMES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


@dataclass(frozen=True)
class IdxFiles(Dataset):
    """The IDX files in a folder, by their roles: train_images, train_labels, test_images, test_labels."""

    directory: AnyPath
    paths: dict[str, Path] = field(default_factory=dict)

    @property
    def has_test(self) -> bool:
        """Whether there is a test set."""
        return "test_images" in self.paths

    def _load(self, split: Split, how: Loading) -> LabelledImages:
        """Read one split."""
        images_path, labels_path = self.paths.get(f"{split}_images"), self.paths.get(f"{split}_labels")
        if images_path is None or labels_path is None:
            raise no_split(self.directory, split, self.paths)
        labels = _reader(labels_path).read_labels(labels_path)
        check_labels(labels, len(how.class_names or DIGITS), labels_path)
        images = _reader(images_path).read_images(images_path)
        if len(images) != len(labels):
            raise DataError(
                f"{printable(images_path)}: {len(images)} images, but {printable(labels_path)} has {len(labels)} "
                "labels, expected the same number; take both files from the same set"
            )
        return label_squares(images_path, images, labels, how)


def _reader(path: Path) -> ModuleType:
    """Return the module that reads a file."""
    return npz if npz.is_numpy_file(path) else idx


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


def find_idx_files(directory: AnyPath) -> IdxFiles:
    """Return the IDX files in `directory`, or in the nearest folders below it that have any.

    Raises DataError if `directory` can't be listed, or if more than one file or data set could be meant.
    """
    top = Path(os.fsdecode(directory))
    try:
        os.scandir(top).close()
    except (OSError, ValueError) as error:  # a NUL in the path is a ValueError
        hint = f"correct the path, or fetch MNIST there: {_download(top)}" if not os.path.lexists(top) else None
        raise DataError(
            f"{printable(top)}: {reason(error)}, expected a folder with a data set's IDX files", hint=hint
        ) from error
    for folders in folders_near(directory):
        candidates = [candidate for folder in folders for candidate in _candidates(folder)]
        if candidates:
            return IdxFiles(directory, _choose(top, candidates))
    return IdxFiles(directory)


def folders_near(directory: AnyPath) -> Iterator[list[Path]]:
    """Yield a folder, then those in it, and so on: where the files of a data set may be, nearest first."""
    folders = [Path(os.fsdecode(directory))]
    for _ in range(_SEARCH_DEPTH + 1):
        yield folders
        folders = [below for folder in folders for below in _folders(folder)]


def no_split(directory: AnyPath, split: Split, present: dict[str, Path]) -> DataError:
    """Return the error that says which files of `split` are missing and what is there instead."""
    loose = _loose_pictures(Path(os.fsdecode(directory)))
    if loose and not present:
        return DataError(
            f"{printable(directory)}: {listed(loose, 2)} outside class folders, "
            "expected a folder of pictures for each class",
            hint="put the pictures of each digit into a folder named after it, 0/ to 9/",
        )
    missing = [name for role, name in _STANDARD_NAMES.items() if role.startswith(f"{split}_") and role not in present]
    names = [path.name for path in present.values()] or _names(Path(os.fsdecode(directory)))
    whole = [name for name in names if name.lower().endswith(_WHOLE)]
    if whole:
        file = next((name for name in whole if split in name.lower()), whole[0])
        hint = f"name the file itself: {printable(os.path.join(os.fsdecode(directory), file))}"
    else:
        hint = (
            f"put {'it' if len(missing) == 1 else 'them'} there (.gz will do), or a folder of images for each class, "
            f"or run: {_download(directory)}"
        )
    found = f"no {' and no '.join(missing)}; found {listed(names) or 'nothing'}"
    return DataError(f"{printable(directory)}: {found}", hint=hint)


def _download(directory: AnyPath) -> str:
    return f"fastmnist download {shlex.quote(printable(directory))}"


def _loose_pictures(folder: Path) -> list[str]:
    """Return the names of the pictures in a folder that are in none of its folders."""
    return [name for name in _names(folder) if os.fsencode(name).lower().rpartition(b".")[2] in IMAGE_SUFFIXES]


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
        match = _match(name)
        if match is None:
            continue
        path = folder / name
        if not path.is_dir():
            yield from _candidate(folder, path, match)
            continue
        for inner_name in _names(path):
            inner = _match(inner_name)
            if inner is not None and not (path / inner_name).is_dir():
                yield from _candidate(folder, path / inner_name, inner)


def _match(name: str) -> re.Match[str] | None:
    return next((match for pattern in _NAMES if (match := pattern.fullmatch(name))), None)


def _candidate(folder: Path, path: Path, match: re.Match[str]) -> Iterator[_Candidate]:
    """Yield `path` as a candidate of the data set in `folder`, if its name or its content tells the form."""
    kind = _KINDS[match["kind"].lower()]
    is_idx = idx.holds(kind, idx.peek_magic(path))
    if is_idx or match["form"]:  # a damaged file is still the one that is meant: reading it says what is wrong
        # Duplicates: torchvision leaves x beside x.gz, Kaggle's archive x/x beside x.
        rank = (not is_idx, path.parent != folder, bool(match["gz"]))
        split = "train" if match["split"].lower() == "train" else "test"
        yield _Candidate(path, f"{split}_{kind}", (folder, match["prefix"].lower()), rank)


def _choose(top: Path, candidates: list[_Candidate]) -> dict[str, Path]:
    """Return the best candidate for every role. Raises DataError if that is not decided by rank."""
    firsts = {candidate.dataset: candidate for candidate in reversed(candidates)}
    if len(firsts) > 1:
        found = [str(first.path.relative_to(top)) for first in reversed(firsts.values())]
        raise DataError(
            f"{printable(top)}: {len(found)} data sets ({listed(found)}), expected one; "
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
                f"{printable(top)}: {len(found)} files of {role.replace('_', ' ')} ({listed(found)}), "
                "expected one; move the others away"
            )
        chosen[role] = equals[0]
    return {role: chosen[role] for role in _STANDARD_NAMES if role in chosen}
