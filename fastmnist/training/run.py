"""A training run from labelled images to a model: its checkpoints, the test at its end, its calibration."""

import logging
import os
from collections.abc import Iterator, Sequence

from numpy.typing import ArrayLike

from fastmnist.datasets.arrays import label_images, path_of
from fastmnist.datasets.dataset import open_dataset
from fastmnist.datasets.labelled import Dataset, LabelledImages, Loading, Split, class_names_of
from fastmnist.datasets.no_digit import with_no_digit
from fastmnist.errors import AnyPath, DataError, TrainingError, counted, printable
from fastmnist.evaluation import Evaluation, evaluate
from fastmnist.inputs.arrays import Images
from fastmnist.model.calibration import expecting_few_of_no_digit, fit_temperature
from fastmnist.model.integer_network import IntegerNetwork, rounding_for
from fastmnist.model.model_file import Model, check_storable, round_to_float16
from fastmnist.output.atomic import check_writable
from fastmnist.training.chance import why_no_better
from fastmnist.training.checkpoint import load_checkpoint, save_checkpoint
from fastmnist.training.loop import BlockDone, EpochDone, Training, too_many_held_out
from fastmnist.training.recipes import Recipe
from fastmnist.training.start import mean_with, with_classes_of
from fastmnist.version import __version__

_log = logging.getLogger(__name__)

MOST_EPOCHS = 200  # in a model's history: 8 to 10 kB of a header that may have 64
_HISTORY = ("epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")

_TRAIN, _TEST, _NO_DIGIT = "images of the training set", "images of the test set", "images of no digit"


def training_sets(
    images: Images,
    labels: ArrayLike | None,
    test: tuple[Images, ArrayLike] | None,
    how: Loading,
    *,
    start: Model | None = None,
    no_digit: Images | None = None,
    skip_unreadable: bool = False,
) -> tuple[LabelledImages, LabelledImages | None]:
    """Return the training set and the test set, from images and labels or from a data set's path; see api.train.

    Images are read as those of `start` were, unless `how` says otherwise. Those of `no_digit` are read the same way and
    come before the rest of the training set, in the same arrays. With `skip_unreadable`, images that can't be read are
    left out and counted; otherwise they raise DataError, as training on the rest would give a different model. Raises
    DataError also if no image is left.
    """
    if start is not None and how.preprocess is None:
        how = how._replace(preprocess=start.preprocess)
    if how.class_names is not None:
        class_names_of(set(), how.class_names)
    if test is not None and not (isinstance(test, tuple | list) and len(test) == 2):
        raise DataError("a test set that is not a pair, expected images and labels: test=(images, labels)")
    if labels is None:
        data = path_of(images)
        dataset, prefix = open_dataset(data), f"{printable(data)}: "
        whole = _whole(_load(dataset, "train", how), prefix, _TRAIN, skip_unreadable)
    else:
        dataset, prefix = None, ""
        whole = _whole(label_images(images, labels, how), prefix, _TRAIN, skip_unreadable)
    if no_digit is not None:
        source = f"{printable(no_digit)}: " if isinstance(no_digit, str | os.PathLike) else ""
        whole = _whole(with_no_digit(whole, no_digit, how.threads), source, _NO_DIGIT, skip_unreadable)
    as_trained = how._replace(class_names=whole.class_names, preprocess=whole.preprocess)
    if test is not None:
        return whole, _whole(label_images(*test, as_trained), "", _TEST, skip_unreadable)
    if dataset is not None and dataset.has_test:
        return whole, _whole(_load(dataset, "test", as_trained), prefix, _TEST, skip_unreadable)
    return whole, None


def _load(dataset: Dataset, split: Split, how: Loading) -> LabelledImages:
    return dataset.load(split, how.class_names, how.preprocess, threads=how.threads)


def _whole(images: LabelledImages, prefix: str, what: str, skip_unreadable: bool) -> LabelledImages:
    """Return the images. Raises DataError if any of them, or with `skip_unreadable` all, could not be read.

    `images.errors` are of `what`: one of the sets, or the images of no digit.
    """
    if not images.errors:
        return images
    n_read = images.n_no_digit if what == _NO_DIGIT else len(images.labels)
    n_errors, n_images = len(images.errors), n_read + len(images.errors)
    found = f"{prefix}{n_errors:,} of {n_images:,} {what} can't be read"
    if not skip_unreadable:
        raise DataError(
            f"{found}, expected all of them; the first: {images.errors[0]}",
            hint="replace or remove them, or leave them out with `skip_unreadable`",
        )
    if n_errors == n_images:
        raise DataError(f"{found}, expected some; replace them")
    _log.warning(f"{found} and are left out")
    return images


def _history(epochs: Sequence[EpochDone]) -> dict[str, list[float]]:
    """Return the columns of a table with a row for each epoch, or for every k-th up to the last if there are too many.

    A column that lacks a figure is left out. Figures have six decimals, as in a file of `train --history`.
    """
    step = -(-len(epochs) // MOST_EPOCHS)
    told = epochs[::-step][::-1]
    columns = {name: [getattr(epoch, name) for epoch in told] for name in _HISTORY}
    return {name: [round(value, 6) for value in column] for name, column in columns.items() if None not in column}


class TrainingRun:
    """Trains while `events` is iterated; `model` returns the result.

    epochs: the epochs so far, including those of an interrupted run. evaluation: the figures on the test set, None
    before `model` is called or without a test set. has_learnt: False if `model` found it no better than chance.
    """

    def __init__(
        self,
        images: LabelledImages,
        test_set: LabelledImages | None,
        recipe: Recipe,
        *,
        start: Model | None = None,
        checkpoint: AnyPath | None = None,
        resume: bool = False,
        float16: bool = False,
        int8: bool = False,
    ) -> None:
        """Train on `images`; write a `checkpoint` after each epoch, and `resume` an interrupted run from it.

        The model's parameters are rounded with `float16`; with `int8`, it predicts with integers.

        With `start`, fine-tune that model: the result has its hidden layers and its classes before any new ones, and
        can refuse if that model can, or if some of the images are of no digit.

        Raises TrainingError for settings that do not match the data or the checkpoint, and if a checkpoint exists
        without `resume`: a forgotten `resume` must not overwrite hours of work.
        """
        if checkpoint is not None:
            check_writable(checkpoint)
            if not resume and os.path.exists(checkpoint):
                raise TrainingError(
                    f"{printable(checkpoint)}: a checkpoint already exists",
                    hint="add `resume` to continue, or remove it",
                )
        elif resume:
            raise TrainingError("no checkpoint named, expected the file to resume from")
        if start is None and recipe.keep:
            raise TrainingError(
                f"recipe {recipe.name} (keep {recipe.keep:g}): no model to start from, expected one",
                hint="name one with `start`, such as shipped",
            )
        can_refuse = images.n_no_digit > 0
        if start is not None:
            recipe = recipe.with_settings(hidden=start.trained.layer_sizes[1:-1])
            images = with_classes_of(images, start.class_names, can_refuse=start.can_refuse)
            can_refuse |= start.can_refuse
            test_set = None if test_set is None else with_classes_of(test_set, images.class_names)
        n_outputs = len(images.class_names) + can_refuse
        check_storable((images.pixels.shape[1], *recipe.hidden, n_outputs), images.class_names, int8=int8)
        self._float16, self._int8 = float16, int8
        self._images, self._test_set, self._checkpoint, self._start = images, test_set, checkpoint, start
        n_labelled = len(images.labels) - images.n_no_digit
        if images.n_no_digit and recipe.validation >= n_labelled:
            raise too_many_held_out(recipe.validation, n_labelled)
        self._can_refuse = can_refuse
        self.training = Training(
            images.pixels,
            images.labels,
            recipe,
            n_outputs,
            None if start is None else start.trained,
            start_can_refuse=start is not None and start.can_refuse,
        )
        self.epochs: list[EpochDone] = []
        if resume and checkpoint is not None:
            self.epochs = load_checkpoint(checkpoint, self.training)
            if not self.epochs:
                _log.info(f"{printable(checkpoint)}: no checkpoint yet, starting from the first epoch")
        self._n_kept = len(self.epochs)  # epochs in the checkpoint: the last one may not have been saved
        self.evaluation: Evaluation | None = None
        self.has_learnt = True

    def events(self) -> Iterator[BlockDone | EpochDone]:
        """Train, yielding after each block of batches and each epoch. Raises TrainingError, OutputError."""
        for event in self.training.run():
            if isinstance(event, EpochDone):
                self.epochs.append(event)
                if self._checkpoint is not None:
                    save_checkpoint(self._checkpoint, self.training, self.epochs)
                    self._n_kept = len(self.epochs)
            yield event

    def how_to_resume(self) -> str | None:
        """Return a line that says what the checkpoint of an interrupted run keeps, None where there is none."""
        if self._checkpoint is None or not self._n_kept:
            return None
        return (
            f"{printable(self._checkpoint)} keeps {counted(self._n_kept, 'epoch')}; to continue, run "
            "the same command with --resume"
        )

    def model(self) -> Model:
        """Return the trained model, tested once, as it predicts, and calibrated on the images that were held out.

        It contains no dates, durations, paths or thread counts. If the network is no better than chance, that is
        logged. Raises TrainingError if the parameters can't be rounded.
        """
        network, images, start = self.training.network, self._images, self._start
        if start is not None:
            keep = self.training.recipe.keep
            network = mean_with(network, start.trained, keep, can_refuse=start.can_refuse)
        if images.n_no_digit:
            network = expecting_few_of_no_digit(network, images.n_no_digit / len(self.training.labels))
        if self._float16:
            round_to_float16(network)
        trained, rounding = network, None
        if self._int8:  # a few images for fine-tuning would not tell how to round
            known = None if start is None else start.rounding
            rounding = known or rounding_for(trained, images.pixels)
            network = IntegerNetwork(trained, rounding)
        labelled = slice(images.n_no_digit, None)
        complaint = why_no_better(
            network, images.pixels[labelled], images.labels[labelled], images.class_names, has_start=start is not None
        )
        if complaint is not None:
            self.has_learnt = False
            _log.warning(complaint)
        if self._test_set is not None:
            tested = self._test_set.pixels, self._test_set.labels
            self.evaluation = evaluate(network, *tested, can_refuse=self._can_refuse)
        origin = {
            "fastmnist_version": __version__,
            **self.training.origin(),
            "train_loss": self.epochs[-1].train_loss,
            "train_accuracy": self.epochs[-1].train_accuracy,
            "test_accuracy": self.evaluation.accuracy if self.evaluation else None,
            "history": _history(self.epochs),
        }
        stored_as = "float16" if self._float16 else "float32"
        temperature = None if start is None else start.temperature
        model = Model(trained, images.class_names, images.preprocess, temperature, stored_as, rounding, origin)
        if self.training.recipe.validation:
            pixels, labels = self.training.held_out
            figures = evaluate(network, pixels, labels, can_refuse=self._can_refuse)
            model.origin["validation_accuracy"] = figures.accuracy
            model.temperature = fit_temperature(network.logits(pixels), labels)
        return model
