"""Inputs -> batches -> predictions: streaming, in input order, in constant memory."""

from collections.abc import Generator, Iterator

import numpy as np

from fastmnist.errors import ModelError
from fastmnist.inputs.batch import Batch, Predictions
from fastmnist.inputs.workers import open_pool
from fastmnist.model.model_file import Model
from fastmnist.shapes import NO_DIGIT


def predict(model: Model, batches: Generator[Batch], *, probabilities: bool = False) -> Iterator[Predictions]:
    """Yield the predictions for the images of the batches, in order.

    An image that can't be read stays a row of `batch.errors`; one that looks like none of the classes becomes one of
    `refusals`. Raises ModelError for a network whose weights are so large that its probabilities are not finite.
    """
    network, n_classes = model.network, len(model.class_names)
    for batch in _read_ahead(batches):
        if probabilities:
            labels, confidences, of_all = network.predict_probabilities(batch.pixels)
            of_classes = np.ascontiguousarray(of_all[:, :n_classes])
        else:
            labels, confidences = network.predict(batch.pixels)
            of_classes = None
        if not np.isfinite(confidences).all():
            raise ModelError("the model's probabilities are not finite: its weights are too large; train a new one")
        refused = np.flatnonzero(labels == n_classes).tolist()
        refusals = {row: _refusal(batch, row, confidences[row]) for row in refused if row not in batch.errors}
        yield Predictions(batch, labels, confidences, of_classes, refusals)


def _refusal(batch: Batch, row: int, probability: np.float32) -> str:
    return f"{batch.where(row)}: {NO_DIGIT}: it looks like nothing the model knows ({probability:.2f})"


def _read_ahead(batches: Generator[Batch]) -> Iterator[Batch]:
    """Yield the batches; while one is in use, a thread reads the next."""
    with open_pool(1) as reader:
        following = reader.submit(next, batches, None)
        try:
            while (batch := following.result()) is not None:
                following = reader.submit(next, batches, None)
                yield batch
        finally:
            following.exception()  # wait for the reader thread
            batches.close()
