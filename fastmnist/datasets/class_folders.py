"""Class folders: a folder of images for each class, named after the class; how most people lay out their own data."""

import os
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastmnist.datasets.idx_files import no_split
from fastmnist.datasets.labelled import NO_DIGIT_APART, Dataset, LabelledImages, Loading, Split, listed
from fastmnist.errors import AnyPath, DataError, printable
from fastmnist.inputs.archive import Archive
from fastmnist.inputs.paths import Ignored, find_inputs, folders_in, pictures_in
from fastmnist.inputs.stream import open_stream
from fastmnist.shapes import CLASS_NAME, MAX_CLASSES, N_PIXELS, is_class_name, is_no_digit

_SPLIT_NAMES: dict[bytes, Split] = {b"train": "train", b"training": "train", b"test": "test", b"testing": "test"}
_LISTED = 20  # class names in a message
DEEPEST = 32  # folders within each other, around the class folders of a zip file


class _Classes(NamedTuple):
    """The folders `names` within `top`, in byte order."""

    top: bytes
    names: list[bytes]

    def paths(self) -> list[bytes]:
        return [os.path.join(self.top, name) for name in self.names]


@dataclass(frozen=True)
class ClassFolders(Dataset):
    """The class folders in `directory`: those of each split, or the same for both."""

    directory: AnyPath
    splits: dict[Split, _Classes]

    @property
    def has_test(self) -> bool:
        """Whether there is a test set apart from the training set."""
        return "test" in self.splits and self.splits["test"] is not self.splits.get("train")

    def _load(self, split: Split, how: Loading) -> LabelledImages:
        """Read one split, in a shuffled order that is always the same.

        Images lie at any depth within their class's folder, found as `open_stream` finds them. Raises DataError for
        folders that are not among `class_names`; where their names are the classes, also for fewer than two folders
        and for empty ones.
        """
        if split not in self.splits:
            raise no_split(self.directory, split, {})
        folders, preprocess = self.splits[split], how.preprocess or "auto"
        classes = _own_names(folders) if how.class_names is None else list(how.class_names)
        label_of = _labels(folders, classes)
        prefix = len(os.path.join(folders.top, b""))
        pixels = [np.zeros((0, N_PIXELS), np.uint8)]
        labels: list[int] = []
        paths: list[str] = []
        errors: list[str] = []
        seen: set[bytes] = set()
        for batch in open_stream(folders.paths(), preprocess, threads=how.threads):
            names = [path[prefix:].partition(b"/")[0] for path in batch.paths]
            seen.update(names)
            sound = [row for row in range(len(names)) if row not in batch.errors]
            pixels.append(batch.pixels[sound])
            labels += [label_of[names[row]] for row in sound]
            paths += [batch.where(row) for row in sound]
            errors += batch.errors.values()
        if how.class_names is None:
            _check_each_seen(folders, seen)
        # Shuffled: in file order, training and the validation split at the end would see one class after another.
        order = np.random.RandomState(0).permutation(len(labels))
        shuffled = np.concatenate(pixels)[order], np.array(labels, np.uint8)[order]
        return LabelledImages(*shuffled, classes, errors, preprocess, names=[paths[index] for index in order])


def find_class_folders(directory: AnyPath) -> ClassFolders | None:
    """Return the class folders of `directory`, or None where it has no images in folders.

    With folders of class folders called `train` or `training`, `test` or `testing` (in any case) these are the
    splits; otherwise `directory` itself serves for both. Hidden folders are skipped. Raises DataError if
    `directory` can't be listed or has two folders for a split.
    """
    top = _top_of(os.fsencode(directory))
    tops: dict[Split, bytes] = {}
    split_folders = _split_folders(top)
    for name in split_folders:
        split = _SPLIT_NAMES[name.lower()]
        if split in tops:
            twins = [other for other in split_folders if _SPLIT_NAMES[other.lower()] == split]
            raise DataError(
                f"{printable(top)}: {listed(twins)}, expected one folder of {split} images; rename the other"
            )
        tops[split] = os.path.join(top, name)
    if not tops:
        both = _Classes(top, folders_in(top))
        return ClassFolders(directory, {"train": both, "test": both}) if _hold_images(both) else None
    splits = {split: _Classes(folder, folders_in(folder)) for split, folder in tops.items()}
    holding = {split: folders for split, folders in splits.items() if _hold_images(folders)}
    return ClassFolders(directory, holding) if holding else None


def _top_of(path: bytes) -> bytes:
    """Return the folder that holds the class folders: in a zip file, not the one folder that was zipped."""
    if not os.path.isfile(path):
        return path
    with Archive(path) as archive:
        pictures = [name.split(b"/", DEEPEST)[:-1] for name in pictures_in(archive, b"", Ignored())]
    top: list[bytes] = []
    for depth in range(DEEPEST - 1):
        names = {folders[depth] for folders in pictures if len(folders) > depth}
        if len(names) != 1 or all(len(folders) <= depth + 1 for folders in pictures):
            break
        top += names
    return os.path.join(path, *top)


def _split_folders(top: bytes) -> list[bytes]:
    """Return the names of folders of class folders that are called like a split. Raises DataError."""
    named = [name for name in folders_in(top) if name.lower() in _SPLIT_NAMES]
    return [name for name in named if folders_in(os.path.join(top, name))]  # without folders it is a class of that name


def _hold_images(folders: _Classes) -> bool:
    """Tell whether there is an image anywhere in the folders, sound or not."""
    return next(find_inputs(folders.paths()), None) is not None


def _own_names(folders: _Classes) -> list[str]:
    """Return the folders' names as class names. Raises DataError where they can't be such."""
    names = [os.fsdecode(name) for name in folders.names]
    for name in names:
        if not is_class_name(name):
            raise DataError(
                f"{printable(os.path.join(folders.top, os.fsencode(name)))}: not a class name, expected "
                f"{CLASS_NAME}; rename the folder"
            )
        if is_no_digit(name):
            raise DataError(
                f"{printable(os.path.join(folders.top, os.fsencode(name)))}: {NO_DIGIT_APART}; move the folder away"
            )
    if not 2 <= len(names) <= MAX_CLASSES:
        raise DataError(
            f"{printable(folders.top)}: {len(names)} class folders ({listed(folders.names, _LISTED)}), expected 2 to "
            f"{MAX_CLASSES}; name the folder that holds one folder for each class"
        )
    return names


def _labels(folders: _Classes, classes: list[str]) -> dict[bytes, int]:
    """Return each folder's position in `classes`. Raises DataError for a folder that is not among them."""
    label_of = {os.fsencode(name): label for label, name in enumerate(classes)}
    if not label_of.keys() >= set(folders.names):
        raise DataError(
            f"{printable(folders.top)}: class folders {listed(folders.names, _LISTED)}, expected some of the classes "
            f"{listed(list(label_of), _LISTED)}; rename the folders, or use the model that was trained on them"
        )
    return label_of


def _check_each_seen(folders: _Classes, seen: set[bytes]) -> None:
    """Raise DataError if a folder holds no image: its class could not be learnt."""
    empty = [name for name in folders.names if name not in seen]
    if empty:
        raise DataError(
            f"{printable(os.path.join(folders.top, empty[0]))}: no images, expected some in each class folder; "
            "put images there or remove the folder"
        )
