"""`fastmnist warmup`: compile all kernels now, for a container image or an install step."""

import os
import tempfile
import time
from typing import TYPE_CHECKING, Any

import click

from fastmnist.cli.options import quiet_option
from fastmnist.cli.terminal import say

if TYPE_CHECKING:
    from fastmnist.model.network import Network


@click.command()
@quiet_option
def warmup() -> None:
    """Compile every kernel into the cache, so that no later command has to."""
    import numpy as np

    from fastmnist.compile_aside import KERNELS, compiled_aside
    from fastmnist.inputs.batch import Batch, Predictions
    from fastmnist.kernels import dense_batches, products
    from fastmnist.kernels.cache import cache_folder
    from fastmnist.model.integer_network import IntegerNetwork, Rounding
    from fastmnist.model.network import FEW, Network
    from fastmnist.output.csv import CsvFormat
    from fastmnist.shapes import DIGITS, N_PIXELS
    from fastmnist.training.augmentation import Augmenter
    from fastmnist.training.blocks import KeptBlocks, KeptRows
    from fastmnist.training.recipes import Augmentation
    from fastmnist.training.trainer import Trainer

    start = time.perf_counter()
    network = Network((N_PIXELS, 1, 10))
    by_integers = IntegerNetwork(network, Rounding([[0]], [1.0]))
    pixels, order = np.zeros((1, N_PIXELS), np.uint8), np.zeros(1, np.int64)
    trainer = Trainer(network, batch_size=1, momentum=0, max_samples=1, blocks=KeptRows)
    with compiled_aside(*KERNELS):
        _read_all_kinds()
        for either in (network, by_integers):
            either.predict(np.zeros((FEW + 1, N_PIXELS), np.uint8))  # which are shared between threads
            either.predict(pixels)  # the serial build: pictures that could be turned ask for it
        predictions = Predictions(Batch([b""], range(1), range(1), pixels, {}), *network.predict(pixels))
        _read_a_number(network)
        list(CsvFormat(DIGITS).rows(predictions))
        Augmenter(Augmentation(), 1).distort(pixels, order, 0, 0)
        for blocks in (trainer.blocks, KeptBlocks(N_PIXELS, 1, 1)):  # of shuffled samples, and of those in order
            blocks.of(pixels, order)
        trainer.compile()
        for part in (dense_batches.forward_dense, dense_batches.step_dense, products.sparse_product):
            part.address()
    place = cache_folder() or "this process only"
    say(f"kernels ready in {place}, {time.perf_counter() - start:.1f} s")


def _read_all_kinds() -> None:
    """Read a table of pixels, a digit of 28x28 pixels, and one on a sheet that lies askew on a desk."""
    import numpy as np

    from fastmnist.images.files import FEW, read_each
    from fastmnist.inputs.stream import open_stream
    from fastmnist.output.png import write_png
    from fastmnist.shapes import IMAGE_SHAPE, N_PIXELS

    rows, columns = np.mgrid[:120, :120]
    is_sheet = (abs(rows - 60 + columns / 10) < 45) & (abs(columns - 60 - rows / 10) < 45)
    desk = np.where(is_sheet, 220, 60).astype(np.uint8)
    desk[45:70, 55:60] = 20
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("desk.png", "small.png", "table.csv")]
        write_png(paths[0], desk)
        write_png(paths[1], np.eye(*IMAGE_SHAPE, dtype=np.uint8) * 255)
        with open(paths[2], "w", encoding="ascii") as table:
            table.write(",".join(["0"] * N_PIXELS) + "\n")
        for _ in open_stream(paths):
            pass
        list(read_each([os.fsencode(paths[0])] * (FEW + 1)))


def _read_a_number(network: "Network") -> None:
    """Read a row of a bar and two that touch, which are cut."""
    import numpy as np

    from fastmnist.numbers.reading import Readers, read_numbers
    from fastmnist.shapes import DIGITS

    page = np.full((80, 160), 255, np.uint8)
    page[20:60, 30:36] = page[20:60, 60:66] = page[20:60, 84:90] = page[39:41, 66:84] = 0

    def probabilities(images: Any) -> Any:
        return np.pad(network.probabilities_of_few(images), ((0, 0), (0, 1)))

    read_numbers(page, Readers(probabilities, probabilities), DIGITS)
