"""Inputs -> batches -> predictions: streaming, in input order, in constant memory."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fastmnist.errors import ModelError
from fastmnist.inputs.batch import Batch, Predictions
from fastmnist.model.network import Network


def predict(network: Network, batches: Generator[Batch], *, probabilities: bool = False) -> Iterator[Predictions]:
    """Yield the predictions for the images of the batches, in order.

    An image that can't be read stays a row of `batch.errors`. Raises ModelError for a network whose weights are so
    large that its probabilities are not numbers.
    """
    for batch in _read_ahead(batches):
        if probabilities:
            predictions = Predictions(batch, *network.predict_probabilities(batch.pixels))
        else:
            predictions = Predictions(batch, *network.predict(batch.pixels))
        if not np.isfinite(predictions.confidences).all():
            raise ModelError("the model's probabilities are not numbers: its weights are too large; train a new one")
        yield predictions


def _read_ahead(batches: Generator[Batch]) -> Iterator[Batch]:
    """Yield the batches; while one is in use, a thread reads the next."""
    with ThreadPoolExecutor(1) as reader:
        following = reader.submit(next, batches, None)
        try:
            while (batch := following.result()) is not None:
                following = reader.submit(next, batches, None)
                yield batch
        finally:
            following.exception()  # wait for the reader thread
            batches.close()
