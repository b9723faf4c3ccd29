"""Sources -> batches -> predictions: streaming, in input order, in constant memory."""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from fastmnist.errors import ModelError
from fastmnist.inputs.batch import Batch
from fastmnist.inputs.selection import Selection
from fastmnist.inputs.stream import open_sources
from fastmnist.model.network import Float32, Network, Uint8


@dataclass(frozen=True)
class Predictions:
    """A batch with the most probable label and its probability for each row; rows in `batch.errors` have none.

    `probabilities`, float32 (m, n_classes), are there if they were asked for.
    """

    batch: Batch
    labels: Uint8
    confidences: Float32
    probabilities: Float32 | None


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
    """Yield the predictions for the images of `inputs` (see data/sources.py), in order: all, or the `selection`.

    `preprocess` is one of PREPROCESSES (data/preprocess.py).

    An image that can't be read is a row of `batch.errors`, not an exception. `on_note` is called with a
    line for what the user should know besides (files that were passed over). Raises ModelError for a network
    whose weights are so large that its probabilities are no numbers.
    """
    sources = open_sources(inputs, preprocess, threads=threads, on_note=on_note, selection=selection)
    for batch in _read_ahead(sources):
        if probabilities:
            labels, confidences, all_of_them = network.predict_probabilities(batch.pixels)
        else:
            (labels, confidences), all_of_them = network.predict(batch.pixels), None
        if not np.isfinite(confidences).all():
            raise ModelError("the model's probabilities are no numbers: its weights are too large; train a new one")
        yield Predictions(batch, labels, confidences, all_of_them)


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
