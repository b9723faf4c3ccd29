"""The training loop: epochs of compiled blocks of batches, told as events. Never prints."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fastmnist.errors import TrainingError
from fastmnist.model_file import check_storable
from fastmnist.network import Float32, Network, Order, Trainer, Uint8
from fastmnist.recipes import Recipe

# A compiled call hears no signals and shows no progress, so one does this much and no more: some hundredths of a
# second, on a slow machine half of one. It is not measured by the clock, because where the calls part decides how
# the losses are summed: equal runs must give equal bytes.
MULTIPLICATIONS_PER_CALL = 20_000_000_000
SAMPLES_PER_CALL = 2048  # the lists of their non-zero inputs fit a second-level cache or two


@dataclass(frozen=True)
class BlockDone:
    """Some more batches are done: `n_samples` of this epoch's samples so far."""

    epoch: int
    n_samples: int


@dataclass(frozen=True)
class EpochDone:
    """An epoch is done.

    `train_loss` is the mean cross-entropy (without L2) and `train_accuracy` the share of right answers, both
    running over the epoch, before each batch's step. `seconds` is wall time; the first epoch's includes all
    preparation.
    """

    epoch: int
    seconds: float
    train_loss: float
    train_accuracy: float
    n_samples: int


class Training:
    """One training run: `network` is trained while `run()` is iterated."""

    def __init__(self, pixels: Uint8 | Float32, labels: Uint8, recipe: Recipe, n_classes: int = 10) -> None:
        """Take pixels (n_samples, n_in) and labels (n_samples,), n_samples at least 1.

        Raises TrainingError for a network that no model file may hold.
        """
        self.pixels, self.labels, self.recipe = pixels, labels, recipe
        layer_sizes = (pixels.shape[1], *recipe.hidden, n_classes)
        check_storable(layer_sizes)
        self.network = Network.random(layer_sizes, recipe.seed, recipe.initial_scale)
        max_samples = _samples_per_call(self.network.parameters.size, recipe.batch_size)
        self._trainer = Trainer(self.network, recipe.batch_size, recipe.momentum, max_samples)

    def data_sha256(self) -> str:
        """Return the SHA-256 of the training pixels and labels."""
        return hashlib.sha256(self.pixels.tobytes() + self.labels.tobytes()).hexdigest()

    def compile(self) -> None:
        """Compile the training kernels, or load them from the cache, so that no epoch's time includes it."""
        self._train(np.zeros(0, np.int64))

    def run(self) -> Iterator[BlockDone | EpochDone]:
        """Train, yielding after each block of batches and each epoch.

        Raises TrainingError as soon as the loss is no longer a finite number.
        """
        self.compile()
        start = time.perf_counter()
        for epoch in range(1, self.recipe.epochs + 1):
            order = self._order(epoch)
            loss, n_right, done = 0.0, 0, 0
            while done < len(order):
                block = order[done : done + self._trainer.max_samples]
                block_loss, block_right = self._train(block)
                loss, n_right, done = loss + block_loss, n_right + block_right, done + len(block)
                if not np.isfinite(loss):
                    raise _diverged("loss", epoch)
                yield BlockDone(epoch, done)
            seconds = time.perf_counter() - start
            if not np.isfinite(self.network.parameters).all():  # the last step's harm shows in no loss
                raise _diverged("weights", epoch)
            yield EpochDone(epoch, seconds, loss / done, n_right / done, done)
            start = time.perf_counter()

    def _train(self, order: Order) -> tuple[float, int]:
        recipe = self.recipe
        return self._trainer.train(self.pixels, self.labels, order, recipe.learning_rate, recipe.weight_decay)

    def _order(self, epoch: int) -> Order:
        """Return the order of the samples in an epoch, a pure function of the seed and the epoch."""
        if not self.recipe.shuffle:
            return np.arange(len(self.pixels), dtype=np.int64)
        return np.random.RandomState([self.recipe.seed, epoch]).permutation(len(self.pixels))


def _samples_per_call(n_parameters: int, batch_size: int) -> int:
    """Return how many samples one compiled call trains on: whole batches, at least one."""
    most = min(SAMPLES_PER_CALL, MULTIPLICATIONS_PER_CALL // (3 * n_parameters))  # forward, and two gradients
    return batch_size * max(1, most // batch_size)


def _diverged(what: str, epoch: int) -> TrainingError:
    return TrainingError(
        f"the {what} in epoch {epoch} left the range of numbers, expected them finite: training diverged; "
        "try a smaller --learning-rate"
    )
