"""Inputs -> batches -> predictions: streaming, in input order, in constant memory."""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fastmnist.errors import ModelError
from fastmnist.inputs.batch import Batch, Predictions
from fastmnist.inputs.selection import Selection
from fastmnist.inputs.stream import open_stream
from fastmnist.model.network import Network


def predict(
    network: Network,
    inputs: Iterable[str | bytes],
    preprocess: str = "auto",
    *,
    threads: int,
    on_note: Callable[[str], None],
    selection: Selection | None = None,
    probabilities: bool = False,
) -> Iterator[Predictions]:
    """Yield the predictions for the images of `inputs` (see inputs/stream.py), in order: all, or the `selection`.

    `preprocess` is one of PREPROCESS_MODES.

    An image that can't be read is a row of `batch.errors`, not an exception. `on_note` is called with a line for what
    else the user should know, such as ignored files. Raises ModelError for a network whose weights are so large that
    its probabilities are not numbers.
    """
    stream = open_stream(inputs, preprocess, threads=threads, on_note=on_note, selection=selection)
    for batch in _read_ahead(stream):
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
