"""`fastmnist warmup`: compile all kernels now, for an image or an install step."""

import time

import click

from fastmnist.cli.terminal import say


@click.command()
def warmup() -> None:
    """Compile every kernel into the cache, so that no later command has to."""
    import numpy as np

    from fastmnist.images.preprocess import to_digit
    from fastmnist.inputs.batch import Batch, Predictions
    from fastmnist.kernels.cache import cache_folder
    from fastmnist.model.network import Network
    from fastmnist.output.csv import CsvFormat
    from fastmnist.shapes import DIGITS, N_PIXELS
    from fastmnist.training.augmentation import Augmenter
    from fastmnist.training.recipes import Augmentation
    from fastmnist.training.trainer import Trainer

    start = time.perf_counter()
    network = Network((N_PIXELS, 1, 10))
    pixels, labels, order = np.zeros((1, N_PIXELS), np.uint8), np.zeros(1, np.uint8), np.zeros(1, np.int64)
    picture = np.full((60, 60), 255, np.uint8)
    picture[10:50, 28:34] = 0
    for image in (picture, to_digit(picture, "auto", b"")):
        to_digit(image, "auto", b"")
    predictions = Predictions(Batch([b""], range(1), range(1), pixels, {}), *network.predict(pixels))
    list(CsvFormat(DIGITS).rows(predictions))
    Augmenter(Augmentation(), 1).distort(pixels, order, 0, 0)
    Trainer(network, batch_size=1, momentum=0, max_samples=1).train(pixels, labels, order, 0.1, 0)
    say(f"kernels ready in {cache_folder()}, {time.perf_counter() - start:.1f} s")
