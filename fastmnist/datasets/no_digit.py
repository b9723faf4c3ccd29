"""Adds images that belong to none of the classes to a labelled training set."""

import logging

import numpy as np

from fastmnist.datasets.labelled import LabelledImages, class_names_of
from fastmnist.errors import DataError
from fastmnist.inputs.arrays import Images, read_images
from fastmnist.shapes import MAX_CLASSES

_log = logging.getLogger(__name__)


def with_no_digit(whole: LabelledImages, images: Images, threads: int) -> LabelledImages:
    """Return a training set with `images` (see inputs/arrays.py) of none of its classes before its own, read alike.

    Before, because the last images are those that may be held out. `errors` are those of `images`, which are logged.
    Raises DataError where there are none, or as many classes as labels have room for.
    """
    class_names_of(set(), whole.class_names, MAX_CLASSES - 1)
    parts, errors = [], []
    for batch in read_images(images, whole.preprocess, threads=threads):
        sound = [row for row in range(len(batch.pixels)) if row not in batch.errors] if batch.errors else slice(None)
        parts.append(batch.pixels[sound])
        errors += [batch.errors[row] for row in sorted(batch.errors)]
    for error in errors:
        _log.error(error)
    if not parts:
        raise DataError("no images given with `no_digit`, expected at least one")
    n_no_digit = sum(map(len, parts))
    labels = np.full(n_no_digit, len(whole.class_names), np.uint8)
    return whole._replace(
        pixels=np.concatenate([*parts, whole.pixels]),
        labels=np.concatenate([labels, whole.labels]),
        errors=errors,
        n_no_digit=n_no_digit,
        names=(),
    )
