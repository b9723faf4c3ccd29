"""What a model predicts for some images, as the library returns it."""

import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fastmnist.inputs.batch import Predictions


@dataclass(frozen=True, eq=False)
class Result:
    """What a model predicts for n images, one row per image.

    An image has no label if it can't be read, or if a model that can refuse takes it for no digit.

    indices: intp (n,), the class of each image as a position in `class_names`, -1 for an image without a label.
    confidences: float32 (n,), the probability of that class, NaN for an image without a label.
    probabilities: float32 (n, n_classes), the probability of each class, NaN for an image without a label; if the model
        can refuse, they sum to at most 1.
    errors: for each image None, or one line that says why it has no label.
    refused: bool (n,), True for the images that can be read but are no digit.
    paths: the path of each image, or "<array>" or "<bytes>" if it has none.
    positions: the position of each image in its file or array, or None if that holds only one image.
    """

    indices: NDArray[np.intp]
    confidences: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    errors: list[str | None]
    refused: NDArray[np.bool_]
    paths: list[str]
    positions: list[int | None]
    class_names: list[str]

    @cached_property
    def labels(self) -> NDArray[np.str_]:
        """The class name of each image, str (n,), "" for an image without a label."""
        return np.array([*self.class_names, ""])[self.indices]

    def __len__(self) -> int:
        return len(self.indices)


def result_of(predictions: Predictions, class_names: list[str]) -> Result:
    """Return the Result of predictions, which must include probabilities."""
    batch = predictions.batch
    indices, confidences = predictions.labels.astype(np.intp), predictions.confidences.copy()
    probabilities = predictions.probabilities
    assert probabilities is not None  # noqa: S101  # they were requested
    every_error = predictions.errors
    failed = list(every_error)
    indices[failed], confidences[failed], probabilities[failed] = -1, np.nan, np.nan
    errors = [every_error.get(row) for row in range(len(indices))]
    refused = np.zeros(len(indices), np.bool_)
    refused[list(predictions.refusals)] = True
    paths = [os.fsdecode(path) for path in batch.paths]
    return Result(indices, confidences, probabilities, errors, refused, paths, list(batch.indices), list(class_names))


def joined(parts: list[Result], class_names: list[str]) -> Result:
    """Return several results as one."""
    if len(parts) == 1:
        return parts[0]
    empty = np.zeros((0, len(class_names)), np.float32)
    return Result(
        np.concatenate([np.zeros(0, np.intp), *(part.indices for part in parts)]),
        np.concatenate([np.zeros(0, np.float32), *(part.confidences for part in parts)]),
        np.concatenate([empty, *(part.probabilities for part in parts)]),
        [error for part in parts for error in part.errors],
        np.concatenate([np.zeros(0, np.bool_), *(part.refused for part in parts)]),
        [path for part in parts for path in part.paths],
        [position for part in parts for position in part.positions],
        list(class_names),
    )
