"""A folder of labelled images, in any of the forms that people have -> pixels, labels and class names."""

import os
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from fastmnist.datasets.class_folders import find_class_folders, has_split_folder, read_class_folders
from fastmnist.datasets.idx_files import DatasetFiles, Split, load_split, locate
from fastmnist.datasets.labelled import LabelledImages
from fastmnist.errors import AnyPath
from fastmnist.images.preprocess import in_mnist_form
from fastmnist.inputs.stream import open_sources
from fastmnist.inputs.table import is_table
from fastmnist.shapes import DIGITS, IMAGE_SHAPE

SEEN, MOSTLY = 1000, 0.95  # so many images tell the form of all, if such a share of them has it


def load(
    directory: AnyPath,
    split: Split,
    class_names: Sequence[str] | None = None,
    preprocess: str | None = None,
    *,
    threads: int = 1,
    on_note: Callable[[str], None],
) -> LabelledImages:
    """Return one split of the data set in `directory`: IDX files, or class folders where there are none.

    A table of pixels (.csv) instead of a folder is its own train and test split.

    `class_names` are the classes, in the order of their labels. By default they are the names of the class folders,
    in byte order, and 0 to 9 for IDX files. `preprocess` is one of PREPROCESSES; "none" is the default for IDX files
    of another form than MNIST's, else "auto". Up to `threads` threads read images; `on_note` gets a line for what is
    passed over. Raises DataError if there is no such split, or it is damaged, empty or of other classes.
    """
    files = locate(directory)
    if files == DatasetFiles() and not is_table(directory):
        folders = find_class_folders(directory, split)
        if folders is not None:
            return read_class_folders(folders, class_names, preprocess or "auto", threads=threads, on_note=on_note)
    classes = list(DIGITS if class_names is None else class_names)
    pixels, labels = load_split(directory, split, len(classes), on_note=on_note)
    if preprocess == "mnist":
        path = files.train_images if split == "train" else files.test_images
        return _normalized(os.fsencode(path or directory), labels, classes, threads, on_note)
    return LabelledImages(pixels, labels, classes, [], preprocess or _preprocess_for(pixels))


def _preprocess_for(pixels: npt.NDArray[np.uint8]) -> str:
    """Return how image files are brought into the form of `pixels`, uint8 (n, 784): "auto" if it is MNIST's."""
    images = pixels[:SEEN].reshape(-1, *IMAGE_SHAPE)
    return "auto" if float(in_mnist_form(images).mean()) >= MOSTLY else "none"


def _normalized(
    path: bytes, labels: npt.NDArray[np.uint8], classes: list[str], threads: int, on_note: Callable[[str], None]
) -> LabelledImages:
    """Return the images of an IDX file, all brought into MNIST's form, with their labels (n,)."""
    pixels: list[npt.NDArray[np.uint8]] = []
    errors: list[str] = []
    is_sound, first = np.ones(len(labels), np.bool_), 0
    for batch in open_sources([path], "mnist", threads=threads, on_note=on_note):
        failed = np.zeros(len(batch.pixels), np.bool_)
        failed[list(batch.errors)] = True
        is_sound[first : first + len(failed)] = ~failed
        pixels.append(batch.pixels[~failed])
        errors += batch.errors.values()
        first += len(failed)
    return LabelledImages(np.concatenate(pixels), labels[is_sound], classes, errors, "mnist")


def has_test_set(directory: AnyPath) -> bool:
    """Tell whether `directory` has a test set apart from its training set. Raises DataError if it can't be listed."""
    if is_table(directory):
        return False
    files = locate(directory)
    return files.test_images is not None or (files == DatasetFiles() and has_split_folder(directory, "test"))
