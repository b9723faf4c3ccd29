"""Labelled images passed from Python, as a data set."""

import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmnist.datasets.labelled import (
    LabelledImages,
    Loading,
    check_labels,
    class_names_of,
    label_squares,
    numbered,
)
from fastmnist.errors import AnyPath, DataError
from fastmnist.inputs.arrays import ARRAY, Images, as_pixels, check_array, read_images
from fastmnist.shapes import IMAGE_SHAPE, MAX_CLASSES, N_PIXELS

Uint8 = NDArray[np.uint8]


def label_images(images: Images, labels: ArrayLike, how: Loading) -> LabelledImages:
    """Return images (see inputs/arrays.py) and their labels, class names or positions in them, as one split.

    Without `how.class_names`, labels that are numbers are digits; so are names, if all of them are digits; otherwise
    the names in alphabetical order are the classes. Raises DataError for labels that do not fit.
    """
    try:
        names = np.asarray(labels)
    except ValueError:
        raise DataError("labels of unequal lengths, expected one label for each image") from None
    if names.dtype.kind in "OT" and all(isinstance(name, str) for name in names.flat):  # as pandas has class names
        names = names.astype(np.str_)
    if names.ndim != 1:
        raise DataError(f"labels of shape {names.shape}, expected (n,)")
    found = set(names.tolist()) if names.dtype.kind == "U" else set()
    class_names = class_names_of(found, how.class_names)
    indices = _indices(names, class_names)
    pixels = _pixels_of(images)
    if pixels is not None:
        _check_count(len(pixels), len(indices))
        return label_squares(ARRAY, pixels.reshape(-1, *IMAGE_SHAPE), indices, how._replace(class_names=class_names))
    return _label_pictures(images, indices, class_names, how)


def path_of(data: Images) -> AnyPath:
    """Return the path of a data set that was given in place of images. Raises DataError for anything else."""
    if isinstance(data, str | os.PathLike):
        return data
    raise DataError(f"{type(data).__name__} without labels, expected labels, or the path of a data set")


def _pixels_of(images: Images) -> NDArray[np.uint8] | None:
    """Return an array of many images as a copy (n, 784), or None for other images."""
    if not isinstance(images, np.ndarray):
        return None
    check_array(images)
    pixels = as_pixels(images)
    return None if pixels is None else pixels.copy()


def _label_pictures(images: Images, indices: Uint8, class_names: list[str], how: Loading) -> LabelledImages:
    preprocess = how.preprocess or "auto"
    pixels: list[Uint8] = []
    errors: dict[int, str] = {}
    for batch in read_images(images, preprocess, threads=how.threads):
        pixels.append(batch.pixels)
        errors |= {batch.numbers[row]: error for row, error in batch.errors.items()}
    together = np.concatenate(pixels) if pixels else np.zeros((0, N_PIXELS), np.uint8)
    _check_count(len(together), len(indices))
    is_sound = np.ones(len(together), np.bool_)
    is_sound[list(errors)] = False
    return LabelledImages(
        together[is_sound],
        indices[is_sound],
        class_names,
        [errors[row] for row in sorted(errors)],
        preprocess,
        names=numbered(is_sound),
    )


def _check_count(n_images: int, n_labels: int) -> None:
    if n_images != n_labels:
        raise DataError(f"{n_images:,} images and {n_labels:,} labels, expected the same number of each")
    if not n_images:
        raise DataError("no images, expected at least one")


def _indices(labels: NDArray[Any], class_names: list[str]) -> Uint8:
    """Return the position of each label in the class names. Raises DataError."""
    if labels.dtype.kind == "U":
        position = {name: index for index, name in enumerate(class_names)}
        unknown = sorted(set(labels.tolist()) - position.keys())
        if unknown:
            raise DataError(f"label {unknown[0]!r}, expected one of the classes {', '.join(class_names[:20])}")
        return np.array([position[label] for label in labels.tolist()], np.uint8)
    if labels.dtype.kind not in "iu":
        raise DataError(f"labels of dtype {labels.dtype}, expected whole numbers or class names")
    outside = (labels < 0) | (labels >= MAX_CLASSES)
    if outside.any():
        index = int(outside.argmax())
        raise DataError(f"label {labels[index]} at index {index}, expected 0 to {len(class_names) - 1}")
    indices: Uint8 = labels.astype(np.uint8)
    check_labels(indices, len(class_names), "labels")
    return indices
