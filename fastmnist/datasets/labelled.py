"""One split of a labelled data set, in any source format."""

import logging
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.errors import AnyPath, DataError, printable
from fastmnist.images.mnist_form import in_mnist_form
from fastmnist.images.preprocess import check_size, read_squares
from fastmnist.inputs import emnist
from fastmnist.inputs.levels import levels_of
from fastmnist.inputs.workers import Workers
from fastmnist.shapes import CLASS_NAME, DIGITS, IMAGE_SHAPE, MAX_CLASSES, N_PIXELS, is_class_name, is_no_digit

_log = logging.getLogger(__name__)

Uint8 = npt.NDArray[np.uint8]
Split = Literal["train", "test"]

SAMPLE, SHARE = 1000, 0.95  # the first SAMPLE images are in MNIST's form if this share of them is
MAX_LISTED = 8  # names in a message
NO_DIGIT_APART = "expected real classes only; pass images that belong to none of them with `no_digit`"


class LabelledImages(NamedTuple):
    """One split of a data set.

    pixels: uint8 (n, 784), n > 0 unless there are errors. labels: uint8 (n,), positions in `class_names`; those of
        the first `n_no_digit`, which are none of the classes, are the number of the classes.
    errors: a line for each image that can't be read and is not among the n.
    preprocess: how image files are brought into the form of these images, one of PREPROCESS_MODES.
    names: what a message calls each of the n images; () where they have no files of their own, and none is missing.
    """

    pixels: Uint8
    labels: Uint8
    class_names: list[str]
    errors: list[str]
    preprocess: str
    n_no_digit: int = 0
    names: Sequence[str] = ()


class Loading(NamedTuple):
    """How a split is to be loaded; see Dataset.load."""

    class_names: Sequence[str] | None
    preprocess: str | None
    threads: int


class Dataset:
    """A labelled data set: IDX files, arrays, Parquet files, class folders or a table of pixels."""

    @property
    def has_test(self) -> bool:
        """Whether there is a test set apart from the training set."""
        raise NotImplementedError

    def load(
        self,
        split: Split,
        class_names: Sequence[str] | None = None,
        preprocess: str | None = None,
        *,
        threads: int = 1,
    ) -> LabelledImages:
        """Read one split.

        `class_names` are the classes in the order of their labels; by default the names of the class folders in byte
        order, else 0 to 9. `preprocess` is one of PREPROCESS_MODES; the default is "auto", but "none" for pixels in
        another form than MNIST's. Up to `threads` threads read images; what is ignored or can't be read is logged.
        Raises DataError if there is no such split, or it is damaged, empty or has other classes.
        """
        images = self._load(split, Loading(class_names, preprocess, threads))
        for error in images.errors:
            _log.error(error)
        return images

    def _load(self, split: Split, how: Loading) -> LabelledImages:
        raise NotImplementedError


def label_squares(path: AnyPath, images: Uint8, labels: Uint8, how: Loading) -> LabelledImages:
    """Return the images of the IDX file, array or table `path`, (n, side, side), and labels (n,) as one split.

    Images that are not 28x28 are scaled as pictures are. Raises DataError for no images and for labels that are not
    below the number of classes.
    """
    classes = list(DIGITS if how.class_names is None else how.class_names)
    if not len(images):
        raise DataError(f"{printable(path)}: no images, expected at least one; use another data set")
    check_size(images.shape[1:], how.preprocess, path)
    levels = levels_of(images, how.preprocess)
    for note in levels.notes(path):
        _log.warning(note)
    images = levels.applied(images)
    if emnist.is_emnist(path):
        _log.warning(emnist.note(path))
        images = images.transpose(0, 2, 1)
    if how.preprocess == "mnist" or images.shape[1:] != IMAGE_SHAPE:
        return _normalized(path, np.ascontiguousarray(images), labels, how._replace(class_names=classes))
    pixels = np.ascontiguousarray(images).reshape(len(images), N_PIXELS)
    return LabelledImages(pixels, labels, classes, [], how.preprocess or preprocess_for(pixels))


def class_names_of(labels: set[str], given: Sequence[str] | None, most: int = MAX_CLASSES) -> list[str]:
    """Return the class names: those `given`; or else the digits, if all labels are digits; or else the labels, sorted.

    Raises DataError for names that can't be class names, or more than `most`.
    """
    names = list(given if given is not None else DIGITS if labels <= set(DIGITS) else sorted(labels))
    for name in names:
        if not is_class_name(name):
            raise DataError(f"class name {name!r}: expected {CLASS_NAME}")
    for name in [*names, *sorted(labels)]:
        if is_no_digit(name):
            raise DataError(f"class name {name!r}: {NO_DIGIT_APART}")
    if not 2 <= len(names) == len(set(names)) <= most:
        raise DataError(f"{len(names)} class names, expected 2 to {most}, all different")
    return names


def check_labels(labels: Uint8, n_classes: int, path: AnyPath) -> None:
    """Raise DataError naming the first of `labels` (n,) that is not one of 0 to `n_classes` - 1."""
    outside = labels >= n_classes
    if outside.any():
        index, largest = int(outside.argmax()), int(labels.max())
        raise DataError(
            f"{printable(path)}: label {labels[index]} at index {index}, expected 0 to {n_classes - 1}",
            hint="use the labels that belong to the images; to train on them, give the names of all "
            f"{largest + 1} classes, starting with label 0: `class_names` {_example(path, largest)}",
        )


def _example(path: AnyPath, largest: int) -> str:
    """Return what could be given as `class_names` for labels up to the `largest`."""
    if emnist.is_emnist(path) and largest == len(ascii_uppercase):  # EMNIST letters: 1 is A, and nothing is 0
        return ",".join(["none", *ascii_uppercase])
    return "NAME,NAME,..."


def preprocess_for(pixels: Uint8) -> str:
    """Return how image files are brought into the form of `pixels` (n, 784): "auto" if it is MNIST's."""
    images = pixels[:SAMPLE].reshape(-1, *IMAGE_SHAPE)
    return "auto" if not len(images) or float(in_mnist_form(images).mean()) >= SHARE else "none"


def _normalized(path: AnyPath, images: Uint8, labels: Uint8, how: Loading) -> LabelledImages:
    """Return images (n, side, side), all brought into MNIST's form, without those that hold no digit."""
    pixels = np.empty((len(images), N_PIXELS), np.uint8)
    preprocess = how.preprocess or "auto"

    def normalize(rows: slice) -> dict[int, str]:
        digits, errors = read_squares(
            images[rows], preprocess, lambda index: f"{printable(path)}: image {rows.start + index}"
        )
        pixels[rows] = digits.reshape(-1, N_PIXELS)
        return errors

    with Workers(how.threads) as workers:
        errors = workers.share(len(images), normalize)
    is_sound = np.ones(len(images), np.bool_)
    is_sound[list(errors)] = False
    messages = [errors[row] for row in sorted(errors)]
    return LabelledImages(
        pixels[is_sound],
        labels[is_sound],
        list(how.class_names or DIGITS),
        messages,
        preprocess,
        names=numbered(is_sound),
    )


def numbered(is_sound: npt.NDArray[np.bool_]) -> list[str]:
    """Return names for the readable images, for images that have nothing but their positions to tell them apart."""
    return [f"image {position}" for position in np.flatnonzero(is_sound).tolist()]


def listed(names: Sequence[AnyPath], most: int = MAX_LISTED) -> str:
    """Return names for a message, the first `most` of them."""
    rest = len(names) - most
    return ", ".join(map(printable, names[:most])) + (f" and {rest} more" if rest > 0 else "")
