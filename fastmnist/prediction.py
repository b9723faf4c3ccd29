"""Sources -> batches -> predictions: streaming, in input order, in constant memory."""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from fastmnist.data.sources import Batch, open_sources
from fastmnist.errors import ModelError
from fastmnist.network import Float32, Network, Uint8


@dataclass(frozen=True)
class Predictions:
    """A batch with the most probable label and its probability for each row; rows in `batch.errors` have none."""

    batch: Batch
    labels: Uint8
    confidences: Float32


def predict(
    network: Network,
    inputs: Sequence[str | bytes],
    preprocess: str = "auto",
    *,
    threads: int,
    on_note: Callable[[str], None],
) -> Iterator[Predictions]:
    """Yield the predictions for every image of `inputs` (image files, folders, IDX files), in order.

    `preprocess` is one of PREPROCESSES (data/preprocess.py).

    An image that can't be read is a row of `batch.errors`, not an exception. `on_note` is called with a
    line for what the user should know besides (files that were passed over). Raises ModelError for a network
    whose weights are so large that its probabilities are no numbers.
    """
    for batch in _read_ahead(open_sources(inputs, preprocess, threads=threads, on_note=on_note)):
        labels, confidences = network.predict(batch.pixels)
        if not np.isfinite(confidences).all():
            raise ModelError("the model's probabilities are no numbers: its weights are too large; train a new one")
        yield Predictions(batch, labels, confidences)


def _read_ahead(batches: Generator[Batch]) -> Iterator[Batch]:
    """Yield the batches; the next one is read in a thread while one is worked on."""
    with ThreadPoolExecutor(1) as reader:
        following = reader.submit(next, batches, None)
        try:
            while (batch := following.result()) is not None:
                following = reader.submit(next, batches, None)
                yield batch
        finally:
            following.exception()  # waits until nobody is reading any more
            batches.close()
