"""`fastmnist warmup`: compile all kernels now, for an image or an install step."""

import time

import click

from fastmnist.cli.options import announce_compilation, say


@click.command()
def warmup() -> None:
    """Compile every kernel into the cache, so that no later command has to."""
    import io

    import numpy as np

    from fastmnist.kernels.cache import cache_folder
    from fastmnist.model.network import Network
    from fastmnist.output.csv import CsvWriter
    from fastmnist.output.rows import Rows
    from fastmnist.shapes import N_PIXELS
    from fastmnist.training.augmentation import Augmentation, Augmenter
    from fastmnist.training.trainer import Trainer

    announce_compilation()
    start = time.perf_counter()
    network = Network((N_PIXELS, 1, 10))
    pixels, labels, order = np.zeros((0, N_PIXELS), np.uint8), np.zeros(0, np.uint8), np.zeros(0, np.int64)
    network.logits(pixels)
    predictions = network.predict(pixels)
    CsvWriter(io.BytesIO(), ["0"]).write(Rows([b""], *predictions, first_index=0))
    Augmenter(Augmentation(), 0).distort(pixels, order, 0, 0)
    Trainer(network, batch_size=1, momentum=0, max_samples=1).train(pixels, labels, order, 0.1, 0)
    say(f"kernels ready in {cache_folder()}, {time.perf_counter() - start:.1f} s")
