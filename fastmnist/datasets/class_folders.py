"""Class folders: a folder of images for each class, which bears the class's name; the commonest form of own data."""

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import NamedTuple

import numpy as np

from fastmnist.datasets.idx_files import Split
from fastmnist.datasets.labelled import LabelledImages
from fastmnist.errors import AnyPath, DataError, printable, reason
from fastmnist.inputs.files import folders_within
from fastmnist.inputs.stream import open_sources
from fastmnist.shapes import MAX_CLASSES, N_PIXELS, is_class_name

_SPLIT_NAMES = {b"train": "train", b"training": "train", b"test": "test", b"testing": "test"}
_LISTED = 20  # at most so many names in a message


class ClassFolders(NamedTuple):
    """The folders `names` within `top`, in byte order."""

    top: bytes
    names: list[bytes]


def find_class_folders(directory: AnyPath, split: Split) -> ClassFolders | None:
    """Return the class folders of one split of `directory`, or None where it has no images in folders.

    With folders of class folders called `train` or `training`, `test` or `testing` (in any case) these are the
    splits; otherwise `directory` itself serves for both. Hidden folders are skipped. Raises DataError if
    `directory` can't be listed or has two folders for the split.
    """
    top = os.fsencode(directory)
    splits = _split_folders(top)
    if splits:
        own = [name for name in splits if _SPLIT_NAMES[name.lower()] == split]
        if len(own) > 1:
            raise DataError(
                f"{printable(top)}: {_listed(own)}, expected one folder of {split} images; rename the other"
            )
        if not own:
            return None
        top = os.path.join(top, own[0])
    folders = ClassFolders(top, _folders(top))
    return folders if _hold_images(folders) else None


def has_split_folder(directory: AnyPath, split: Split) -> bool:
    """Tell whether `directory` has a folder of class folders that is called like `split`. Raises DataError."""
    return any(_SPLIT_NAMES[name.lower()] == split for name in _split_folders(os.fsencode(directory)))


def read_class_folders(
    folders: ClassFolders,
    class_names: Sequence[str] | None,
    preprocess: str,
    *,
    threads: int,
    on_note: Callable[[str], None],
) -> LabelledImages:
    """Read all images of `folders`, whose names must be among `class_names`; None: the names are the classes.

    Images lie at any depth within their class's folder, found as `open_sources` finds them. The result has them in a
    mixed order, always the same. Raises DataError for folders that are no classes, and, where their names are the
    classes, for less than two folders and for empty ones.
    """
    classes = _own_names(folders) if class_names is None else list(class_names)
    label_of = _labels(folders, classes)
    prefix = len(os.path.join(folders.top, b""))
    pixels = [np.zeros((0, N_PIXELS), np.uint8)]
    labels: list[int] = []
    errors: list[str] = []
    seen: set[bytes] = set()
    for batch in open_sources(_paths(folders), preprocess, threads=threads, on_note=on_note):
        names = [path[prefix:].partition(b"/")[0] for path in batch.names]
        seen.update(names)
        sound = [row for row in range(len(names)) if row not in batch.errors]
        pixels.append(batch.pixels[sound])
        labels += [label_of[names[row]] for row in sound]
        errors += batch.errors.values()
    if class_names is None:
        _check_each_seen(folders, seen)
    # Mixed: neither training in file order nor a validation set cut from its end may meet one class after the other.
    order = np.random.RandomState(0).permutation(len(labels))
    return LabelledImages(np.concatenate(pixels)[order], np.array(labels, np.uint8)[order], classes, errors, preprocess)


def _folders(folder: bytes) -> list[bytes]:
    """Return what `folders_within` does. Raises DataError."""
    try:
        return folders_within(folder)
    except OSError as error:
        raise DataError(
            f"{printable(folder)}: {reason(error)}, expected a folder that can be listed; check its permissions"
        ) from error


def _split_folders(top: bytes) -> list[bytes]:
    """Return the names of folders of class folders that are called like a split. Raises DataError."""
    named = [name for name in _folders(top) if name.lower() in _SPLIT_NAMES]
    return [name for name in named if _folders(os.path.join(top, name))]  # without folders it is a class of that name


def _paths(folders: ClassFolders) -> list[bytes]:
    return [os.path.join(folders.top, name) for name in folders.names]


def _hold_images(folders: ClassFolders) -> bool:
    """Tell whether there is an image anywhere in the folders, sound or not."""
    with closing(open_sources(_paths(folders), "none", batch_size=1, on_note=lambda _: None)) as batches:
        return next(batches, None) is not None


def _own_names(folders: ClassFolders) -> list[str]:
    """Return the folders' names as class names. Raises DataError where they can't be such."""
    names = [os.fsdecode(name) for name in folders.names]
    for name in names:
        if not is_class_name(name):
            raise DataError(
                f"{printable(os.path.join(folders.top, os.fsencode(name)))}: not a class name, expected printable "
                "words that begin with a letter or digit; rename the folder"
            )
    if not 2 <= len(names) <= MAX_CLASSES:
        raise DataError(
            f"{printable(folders.top)}: {len(names)} class folders ({_listed(folders.names)}), expected 2 to "
            f"{MAX_CLASSES}; name the folder that holds one folder for each class"
        )
    return names


def _labels(folders: ClassFolders, classes: list[str]) -> dict[bytes, int]:
    """Return each folder's position in `classes`. Raises DataError for a folder that is none of them."""
    label_of = {os.fsencode(name): label for label, name in enumerate(classes)}
    if not label_of.keys() >= set(folders.names):
        raise DataError(
            f"{printable(folders.top)}: class folders {_listed(folders.names)}, expected some of the classes "
            f"{_listed(list(label_of))}; rename the folders, or use the model that was trained on them"
        )
    return label_of


def _check_each_seen(folders: ClassFolders, seen: set[bytes]) -> None:
    """Raise DataError if a folder holds no image: its class could never be learnt."""
    empty = [name for name in folders.names if name not in seen]
    if empty:
        raise DataError(
            f"{printable(os.path.join(folders.top, empty[0]))}: no images, expected some in each class folder; "
            "put images there or remove the folder"
        )


def _listed(names: list[bytes]) -> str:
    rest = len(names) - _LISTED
    return ", ".join(map(printable, names[:_LISTED])) + (f" and {rest} more" if rest > 0 else "")
