"""A file of NumPy arrays as a data set: Keras's mnist.npz, and files like it."""

import os
from dataclasses import dataclass

from fastmnist.datasets.labelled import Dataset, LabelledImages, Loading, Split, check_labels, label_squares
from fastmnist.errors import AnyPath, DataError, printable
from fastmnist.inputs import npz
from fastmnist.shapes import DIGITS

_EXPECTED = "expected images and labels in one .npz file"
_SAVE = "save them like this: numpy.savez(FILE, x_train=images, y_train=labels)"


@dataclass(frozen=True)
class NumpyFile(Dataset):
    """The file at `path`: the halves of an .npz file, or arrays that serve for both."""

    path: AnyPath

    @property
    def has_test(self) -> bool:
        """Whether there is a test set apart from the training set."""
        halves = npz.find_arrays(self.path)
        return "test" in halves and halves["test"] != halves.get("train")

    def _load(self, split: Split, how: Loading) -> LabelledImages:
        """Read one half. Raises DataError where the file does not hold its images and labels."""
        name = printable(self.path)
        file, key = npz.split_key(self.path)
        if key is not None or not npz.is_npz(file):
            raise DataError(
                f"{name}: one array, {_EXPECTED}",
                hint=f"{_SAVE}; or put x_{split}.npy and y_{split}.npy into a folder, and name that",
            )
        halves = npz.find_arrays(self.path)
        if not halves:
            raise npz.no_arrays(self.path)
        if split not in halves:
            raise DataError(f"{name}: no x_{split} or {split}_images, expected the {split} half; use another file")
        arrays = halves[split]
        if arrays.labels is None:
            raise DataError(f"{name}: only {printable(arrays.images)}, {_EXPECTED}", hint=_SAVE)
        path = os.fsdecode(self.path)
        images_path, labels_path = f"{path}:{arrays.images}", f"{path}:{arrays.labels}"
        labels = npz.read_labels(labels_path)
        check_labels(labels, len(how.class_names or DIGITS), labels_path)
        images = npz.read_images(images_path)
        if len(images) != len(labels):
            raise DataError(
                f"{printable(images_path)}: {len(images)} images, but {printable(labels_path)} has {len(labels)} "
                "labels, expected the same number; take both from the same set"
            )
        return label_squares(self.path, images, labels, how)
