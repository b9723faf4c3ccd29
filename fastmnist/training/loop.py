"""The training loop: epochs of compiled blocks of batches, reported as events. Never prints."""

import copy
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from fastmnist.errors import ModelError, TrainingError
from fastmnist.evaluation import evaluate
from fastmnist.model.network import FEW, Float32, Network, Order, Uint8
from fastmnist.shapes import N_PIXELS
from fastmnist.training.augmentation import Augmenter
from fastmnist.training.blocks import Blocks, Inputs, KeptBlocks, KeptRows
from fastmnist.training.recipes import HE, Recipe
from fastmnist.training.start import begin_with
from fastmnist.training.trainer import Trainer

# A compiled call cannot be interrupted and shows no progress, so one does this much and no more: a few hundredths of a
# second, half a second on a slow machine. The clock does not decide it, because where calls end decides how the losses
# are summed: equal runs must give equal bytes.
MULTIPLICATIONS_PER_CALL = 20_000_000_000
SAMPLES_PER_CALL = 2048  # the lists of their non-zero inputs fit a second-level cache or two
INPUTS_PER_CALL = SAMPLES_PER_CALL * N_PIXELS  # the lists have room for all of them
MAX_INPUTS = 2**31 - 1  # positions in the lists are int32
MAX_FEATURES = 2**16 - 1  # of a sample: which input a place in the lists is of has 16 bits


@dataclass(frozen=True)
class BlockDone:
    """Some more batches are done: `n_samples` of this epoch's samples so far."""

    epoch: int
    n_samples: int


@dataclass(frozen=True)
class EpochDone:
    """An epoch is done.

    `train_loss` is the mean cross-entropy (without L2 and label smoothing) and `train_accuracy` the share of correct
    predictions, both accumulated over the epoch, before each batch's step, on the augmented images. `seconds` is wall
    time without the validation; the first epoch's includes all preparation. `learning_rate` is the last batch's. The
    validation figures are None if no samples are held out.
    """

    epoch: int
    seconds: float
    learning_rate: float
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None


class Training:
    """One training run: `network` is trained while `run()` is iterated.

    With averaged weights, `network` holds the averages, and another one is trained. `held_out` are the pixels and
    labels of the validation split, (0, n_in) and (0,) without one.
    """

    def __init__(
        self,
        pixels: Inputs,
        labels: Uint8,
        recipe: Recipe,
        n_classes: int = 10,
        start: Network | None = None,
        *,
        start_can_refuse: bool = False,
    ) -> None:
        """Take pixels (n_samples, n_in) and labels (n_samples,), n_samples at least 1.

        Rows in their place are for recipes without augmentation and validation, and without checkpoints.

        With `start`, training begins with its parameters; its layers are the recipe's, and its last output stays the
        last one where that is "no digit". Raises TrainingError for settings that do not fit the data.
        """
        n_samples = len(pixels) - recipe.validation
        if n_samples < 1:
            raise too_many_held_out(recipe.validation, len(pixels))
        if pixels.shape[1] > MAX_FEATURES:
            raise TrainingError(f"{pixels.shape[1]:,} inputs, expected at most {MAX_FEATURES:,}")
        if recipe.augment and (pixels.dtype != np.uint8 or pixels.shape[1] != N_PIXELS):
            raise TrainingError(f"augmentation of {pixels.shape[1]} inputs: expected images of 28 x 28 pixels")
        self.pixels, self.labels, self.recipe = pixels[:n_samples], labels[:n_samples], recipe
        self._all = pixels, labels
        self.held_out = cast(Uint8 | Float32, pixels[n_samples:]), labels[n_samples:]
        layer_sizes = (pixels.shape[1], *recipe.hidden, n_classes)
        scale = None if recipe.initial_scale == HE else float(recipe.initial_scale)
        self.network = trained = Network.random(layer_sizes, recipe.seed, scale)
        self.start = start
        if start is not None:
            begin_with(trained, start, can_refuse=start_can_refuse)
        if recipe.average:
            trained = copy.deepcopy(trained)
        max_samples = _samples_per_call(trained.n_in, trained.parameters.size, recipe.batch_size)
        self._trainer = Trainer(
            trained,
            recipe.batch_size,
            recipe.momentum,
            max_samples,
            nesterov=recipe.nesterov,
            label_smoothing=recipe.label_smoothing,
            blocks=_blocks_for(recipe),
        )
        self._augmenter = Augmenter(recipe.augment, max_samples) if recipe.augment else None
        self._data_sha256 = ""
        self.epochs_done = 0

    def data_sha256(self) -> str:
        """Return the SHA-256 of the training pixels and labels, those held out included."""
        if not self._data_sha256:
            self._data_sha256 = sha256_of(cast(Uint8 | Float32, self._all[0]), self._all[1])
        return self._data_sha256

    def origin(self) -> dict[str, Any]:
        """Return what decides what comes of the training: recipe, data, and the parameters that it began with."""
        known: dict[str, Any] = {"recipe": self.recipe.as_metadata(), "train_data_sha256": self.data_sha256()}
        if self.start is not None:
            known["start_sha256"] = hashlib.sha256(self.start.parameters.tobytes()).hexdigest()
        return known

    def state(self) -> dict[str, Float32]:
        """Return all that training has changed, as views: restoring a copy resumes training exactly."""
        average = {"average": self.network.parameters} if self.recipe.average else {}
        return {**self._trainer.state(), **average}

    def compile(self) -> None:
        """Compile the training kernels, or load them from the cache, so that no epoch's time includes it.

        The loop comes last: it takes as long as the others together, and another process may be compiling it.
        """
        pixels, _, order = self._samples(np.zeros(0, np.int64), 1)
        self._trainer.blocks.of(pixels, order)
        self.network.predict(np.zeros((FEW + 1, self.network.n_in), pixels.dtype))  # as validation and test do
        self._trainer.compile()

    def run(self) -> Iterator[BlockDone | EpochDone]:
        """Train, yielding after each block of batches and each epoch; begins after epoch `epochs_done`.

        Raises TrainingError as soon as the loss is no longer a finite number.
        """
        self.compile()
        start = time.perf_counter()
        for epoch in range(self.epochs_done + 1, self.recipe.epochs + 1):
            order = self._order(epoch)
            loss, n_correct, done = 0.0, 0, 0
            while done < len(order):
                block = order[done : done + self._trainer.max_samples]
                block_loss, block_correct = self._train(block, epoch, done)
                loss, n_correct, done = loss + block_loss, n_correct + block_correct, done + len(block)
                if not np.isfinite(loss):
                    raise _diverged("loss", epoch)
                yield BlockDone(epoch, done)
            seconds = time.perf_counter() - start
            if not np.isfinite(self.network.parameters).all():  # no loss shows what the last step did
                raise _diverged("weights", epoch)
            self.epochs_done = epoch
            rate = self._rate(epoch, done - len(block), len(block))
            yield EpochDone(epoch, seconds, rate, loss / done, n_correct / done, *self._validate(epoch))
            start = time.perf_counter()

    def _train(self, order: Order, epoch: int, done: int) -> tuple[float, int]:
        """Train on a block of samples, before which the epoch has `done` others; keep up the averages."""
        rate = self._rate(epoch, done, len(order))
        figures = self._trainer.train(*self._samples(order, epoch), rate, self.recipe.weight_decay)
        if self.recipe.average and len(order):
            self._average(epoch, done, len(order))
        return figures

    def _samples(self, order: Order, epoch: int) -> tuple[Inputs, Uint8, Order]:
        """Return the pixels and labels among which the samples of a block are, distorted or not, and their order."""
        if not self._augmenter:
            return self.pixels, self.labels, order
        images = cast(Uint8, self.pixels)  # as the constructor has seen to
        distorted = self._augmenter.distort(images, order, self.recipe.seed, epoch)
        return distorted, self.labels[order], np.arange(len(order))

    def _rate(self, epoch: int, done: int, n_samples: int) -> float:
        """Return a block's learning rate: that in its middle."""
        return self.recipe.rate_at(epoch - 1 + (done + n_samples / 2) / len(self.labels))

    def _average(self, epoch: int, done: int, n_samples: int) -> None:
        """Take a block's result into the averages, whose weights fall by e over `recipe.average` epochs.

        (Polyak and Juditsky 1992, with the exponential weights of Szegedy et al. 2016.) The first blocks get equal
        weights, so that the average does not remember the random beginning.
        """
        epochs_done = epoch - 1 + (done + n_samples) / len(self.labels)
        share = n_samples / len(self.labels)
        weight = max(1 - np.exp(-share / self.recipe.average), share / epochs_done)
        average = self.network.parameters
        average += np.float32(weight) * (self._trainer.network.parameters - average)

    def _validate(self, epoch: int) -> tuple[float | None, float | None]:
        """Return the loss and the accuracy on the samples that are held out."""
        if not self.recipe.validation:
            return None, None
        try:
            evaluation = evaluate(self.network, *self.held_out)
        except ModelError:
            raise _diverged("outputs", epoch) from None
        return evaluation.loss, evaluation.accuracy

    def _order(self, epoch: int) -> Order:
        """Return the order of the samples in an epoch, a pure function of the seed and the epoch."""
        if not self.recipe.shuffle:
            return np.arange(len(self.pixels), dtype=np.int64)
        return np.random.RandomState([self.recipe.seed, epoch]).permutation(len(self.pixels))


def sha256_of(pixels: Uint8 | Float32, labels: Uint8) -> str:
    """Return the SHA-256 of a set's pixels (n, n_in) and labels (n,), by which it is known again."""
    digest = hashlib.sha256()
    for array in (pixels, labels):
        digest.update(np.ascontiguousarray(array).data)  # without a copy: they may be large
    return digest.hexdigest()


def _samples_per_call(n_in: int, n_parameters: int, batch_size: int) -> int:
    """Return how many samples one compiled call trains on: whole batches, at least one. Raises TrainingError."""
    if batch_size * (n_in + 1) > MAX_INPUTS:
        raise TrainingError(
            f"batches of {batch_size:,} x {n_in:,} inputs, expected at most {MAX_INPUTS:,} in all: use smaller batches"
        )
    most = min(SAMPLES_PER_CALL, INPUTS_PER_CALL // n_in)
    most = min(most, MULTIPLICATIONS_PER_CALL // (3 * n_parameters))  # forward, and two gradients
    return batch_size * max(1, most // batch_size)


def _blocks_for(recipe: Recipe) -> type[Blocks]:
    """Return how the blocks of samples are compressed: what other epochs need again stays."""
    if recipe.augment or recipe.epochs == 1:
        return Blocks
    return KeptRows if recipe.shuffle else KeptBlocks


def too_many_held_out(n_held_out: int, n_images: int) -> TrainingError:
    """Return the error of a validation set that leaves no image to train on."""
    return TrainingError(
        f"{n_held_out:,} of {n_images:,} images held out, expected some to be left for training",
        hint="choose a smaller `validation`",
    )


def _diverged(what: str, epoch: int) -> TrainingError:
    return TrainingError(
        f"training diverged: the {what} in epoch {epoch} overflowed, expected finite numbers",
        hint="try a smaller `learning_rate`",
    )
