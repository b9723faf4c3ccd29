"""Files of NumPy arrays: .npy, which holds one, and .npz, in which images and labels are told apart by name.

`FILE.npz:KEY` names one array of an .npz file.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.errors import AnyPath, DataError, printable
from fastmnist.inputs.archive import Archive
from fastmnist.inputs.files import length_of, open_regular
from fastmnist.inputs.npy import SAMPLE, NpyReader, scale_of, to_uint8
from fastmnist.remote.address import file_name

Half = Literal["train", "test"]

# What people call the images and their labels: Keras, MedMNIST; then names for sets that are not split in halves. NumPy
# itself uses arr_0 if it is given no names.
_HALVES: dict[Half, tuple[tuple[str, str], ...]] = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}
_WHOLE = (("images", "labels"), ("x", "y"), ("data", "target"), ("arr_0", "arr_1"))
_LISTED = 12  # names of arrays in a message
_MOST_ARRAYS = 100  # looked at, where no name is known


class Arrays(NamedTuple):
    """The names of an array of images and of its labels, None where they are not there."""

    images: str
    labels: str | None


@dataclass(frozen=True)
class NpyImages:
    """A checked array of images; holds no open file.

    key: the array's name in an .npz file, None for a .npy file. scale: what its values are multiplied with.
    note: what the user should know of the choice of the array, if anything.
    """

    path: AnyPath
    key: str | None
    n_images: int
    image_shape: tuple[int, int]
    scale: int
    note: str | None = None

    def batches(self, batch_size: int, first: int = 0) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the pixels from image `first` on: fresh uint8 arrays (m, side * side), m = `batch_size` or the rest.

        Raises DataError for values that are none of 256 greys, and if the file changed since it was opened.
        """
        name = _name(self.path, self.key)
        with _open_array(self.path, self.key) as reader:
            if (reader.n_items, reader.image_shape()) != (self.n_images, self.image_shape):
                raise DataError(
                    f"{name}: the array has changed since it was opened; leave the file alone while it is read"
                )
            for values in reader.image_blocks(batch_size, first):
                yield to_uint8(values, self.scale, first, name)
                first += len(values)


def is_numpy_file(path: AnyPath) -> bool:
    """Tell whether `path` is named like a file of NumPy arrays, .npy or .npz in any case, and is not a folder."""
    path = split_key(path)[0]
    return file_name(path).lower().endswith((".npy", ".npz")) and not os.path.isdir(path)


def split_key(path: AnyPath) -> tuple[AnyPath, str | None]:
    """Return the file and the name of the array in FILE.npz:KEY, (path, None) for any other path."""
    file, colon, key = os.fsdecode(path).rpartition(":")
    if colon and file.lower().endswith(".npz") and not os.path.lexists(path):
        return file, key
    return path, None


def open_images(path: AnyPath) -> NpyImages:
    """Check an array of images and return it: that of a .npy file, FILE.npz:KEY, or the one to predict in an .npz.

    Of an .npz file with halves that is the test half. A compressed array is expanded once, in constant memory. Raises
    DataError if the file is damaged, has no such array, or it holds anything but images.
    """
    file, key, note = _choose(path)
    with _open_array(file, key) as reader:
        n_sample = min(SAMPLE, reader.n_items)
        image_shape = reader.image_shape()
        sample = next(reader.image_blocks(SAMPLE)) if n_sample else np.zeros(0)
        if key is not None:  # the zip file's checksum is known to be right at the end only
            reader.skip(reader.n_items - n_sample)
            reader.check_end()
        return NpyImages(file, key, reader.n_items, image_shape, scale_of(sample), note)


def read_images(path: AnyPath) -> npt.NDArray[np.uint8]:
    """Return all images of an array (see `open_images`), uint8 (n, side, side). Raises DataError."""
    opened = open_images(path)
    images = np.empty((opened.n_images, *opened.image_shape), np.uint8)
    first = 0
    for pixels in opened.batches(1024):
        images[first : first + len(pixels)] = pixels.reshape(-1, *opened.image_shape)
        first += len(pixels)
    return images


def read_labels(path: AnyPath) -> npt.NDArray[np.uint8]:
    """Return the labels in a .npy file, FILE.npz:KEY, or an .npz file with one array: uint8 (n,). Raises DataError."""
    file, key = split_key(path)
    if key is None and is_npz(file):
        key = _only(_keys(file), file, "one array of labels")
    with _open_array(file, key) as reader:
        return reader.read_labels()


def find_arrays(path: AnyPath) -> dict[Half, Arrays]:
    """Return the images and labels of each half of an .npz file by their names, in any case.

    Arrays that are not in halves serve for both. Raises DataError if the file can't be read.
    """
    keys = {key.lower(): key for key in _keys(path)}
    found: dict[Half, Arrays] = {}
    for half, names in _HALVES.items():
        known = next((pair for pair in names if pair[0] in keys), None)
        if known is not None:
            found[half] = _arrays(keys, *known)
    if not found:
        whole = next((pair for pair in _WHOLE if pair[0] in keys), None)
        return {half: _arrays(keys, *whole) for half in _HALVES} if whole else {}
    return found


def no_arrays(path: AnyPath) -> DataError:
    """Return the error for an .npz file in which no array is known by its name."""
    keys = _keys(path)
    listed = ", ".join(map(printable, keys[:_LISTED])) or "no arrays"
    hint = f"name the array of images: {printable(path)}:{printable(keys[0])}" if keys else "save some"
    return DataError(f"{printable(path)}: {listed}, expected x_test, test_images, images or arr_0", hint=hint)


def peek_n_images(path: AnyPath) -> int:
    """Return how many images the header of what `open_images` reads names; 1 where it would raise. Never raises."""
    try:
        with _open_array(*_choose(path)[:2]) as reader:
            return reader.n_items
    except DataError:
        return 1


class _Choice(NamedTuple):
    """Which array to read, and what the user should know of the choice, if anything."""

    path: AnyPath
    key: str | None
    note: str | None = None


def _choose(path: AnyPath) -> _Choice:
    """Return the array of images that `path` means. Raises DataError if it means none."""
    file, key = split_key(path)
    if key is not None or not is_npz(file):
        return _Choice(file, key)
    halves, name = find_arrays(file), printable(file)
    if not halves:
        return _Choice(file, _only_images(file))
    if len(halves) == 1:
        return _Choice(file, next(iter(halves.values())).images)
    train, test = halves["train"].images, halves["test"].images
    note = f"{name}: reading its test half, {test}; for the training half name {name}:{train}"
    return _Choice(file, test, note if train != test else None)


def _arrays(keys: dict[str, str], images: str, labels: str) -> Arrays:
    return Arrays(keys[images], keys.get(labels))


def _only_images(path: AnyPath) -> str:
    """Return the one array of images, whatever its name. Raises DataError."""
    holding = []
    for key in _keys(path)[:_MOST_ARRAYS]:
        with contextlib.suppress(DataError), _open_array(path, key) as reader:
            reader.image_shape()
            holding.append(key)
    if len(holding) != 1:
        raise no_arrays(path)
    return holding[0]


def _only(keys: list[str], path: AnyPath, what: str) -> str:
    if len(keys) != 1:
        raise DataError(
            f"{printable(path)}: {len(keys)} arrays, expected {what}",
            hint="save images and labels as one .npz file: numpy.savez(FILE, x_train=images, y_train=labels)",
        )
    return keys[0]


def _keys(path: AnyPath) -> list[str]:
    """Return the names of the arrays in an .npz file. Raises DataError."""
    with Archive(path) as archive:
        return [os.fsdecode(name.removesuffix(b".npy")) for name in archive.names if name.endswith(b".npy")]


def is_npz(path: AnyPath) -> bool:
    """Tell whether `path` is named like an .npz file, in any case."""
    return file_name(path).lower().endswith(".npz")


def _name(path: AnyPath, key: str | None) -> str:
    return printable(path) if key is None else printable(f"{os.fsdecode(path)}:{key}")


@contextlib.contextmanager
def _open_array(path: AnyPath, key: str | None) -> Iterator[NpyReader]:
    """Yield the reader of a .npy file, or of the array `key` in an .npz file. Raises DataError."""
    if key is None:
        with open_regular(path) as file:
            yield NpyReader(file, path, length_of(file))
        return
    member = os.fsencode(f"{key}.npy")
    with Archive(path) as archive:
        if member not in archive.names:
            listed = ", ".join(map(printable, _keys(path)[:_LISTED]))
            raise DataError(f"{printable(path)}: no array {printable(key)}, expected one of {listed}; correct the name")
        yield NpyReader(archive.open(member), _name(path, key), archive.size(member))
