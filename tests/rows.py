"""Predictions to write, made up."""

import numpy as np

from fastmnist.inputs.batch import Batch, Predictions


def predictions_of(
    paths,
    indices=None,
    labels=None,
    confidences=None,
    failed=(),
    probabilities=None,
    first_number=0,
    step=1,
    refused=(),
):
    """Predictions for rows of `paths`; of one path and a range of `indices`, a row for each of them."""
    if isinstance(indices, range):
        paths = list(paths) * len(indices)
    n = len(paths)
    numbers = range(first_number, first_number + n * step, step)
    pixels = np.zeros((n, 784), np.uint8)
    return Predictions(
        Batch(paths, indices or [None] * n, numbers, pixels, dict.fromkeys(failed, "why")),
        np.zeros(n, np.uint8) if labels is None else np.array(labels, np.uint8),
        np.ones(n, np.float32) if confidences is None else np.array(confidences, np.float32),
        probabilities,
        dict.fromkeys(refused, "it looks like nothing"),
    )


def written(row_format, *predictions):
    """The header and all rows, as bytes."""
    return row_format.header + b"".join(bytes(piece) for some in predictions for piece in row_format.rows(some))
