"""fastmnist from Python: load a model, predict, train, evaluate. The commands are clients of this and what lies below.

Errors are FastmnistErrors. Nothing is printed; what else a user should know is logged by the logger "fastmnist". Any
number of threads may use a model.
"""

import dataclasses
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmnist import prediction
from fastmnist.errors import AnyPath, DataError, printable
from fastmnist.inputs.arrays import Image, Images, as_file
from fastmnist.inputs.arrays import read_images as read_given
from fastmnist.inputs.batch import Batch, Predictions
from fastmnist.inputs.selection import Selection
from fastmnist.inputs.stream import open_stream
from fastmnist.kernels.jit import n_threads, using_threads
from fastmnist.model import model_file
from fastmnist.model.model_file import find_model, load_model, save_model
from fastmnist.output.atomic import check_writable
from fastmnist.result import Result, joined, result_of
from fastmnist.shapes import IMAGE_SHAPE, PREPROCESS_MODES

# `predict` needs neither data sets, training nor numbers, which take 15 to 55 ms to import: their functions do.
if TYPE_CHECKING:
    from fastmnist.cluster.engine import Cluster
    from fastmnist.datasets.labelled import LabelledImages
    from fastmnist.evaluation import Evaluation
    from fastmnist.numbers.reading import PageRead
    from fastmnist.training.loop import EpochDone
    from fastmnist.training.recipes import Recipe


class Model(model_file.Model):
    """A network and what is known about it, which predicts. Models can be pickled and copied."""

    def predict(self, images: Images, *, preprocess: str | None = None, threads: int | None = None) -> Result:
        """Name the digit in each of the images.

        `images` is a path, a picture file's bytes, an array, or a list of these. Arrays (n, 784) and (n, 28, 28) are
        treated like IDX files, (h, w) and (h, w, 3) RGB like a picture ((n, 784) where both fit); they are uint8, or
        floats from 0 to 1, which are rounded to 256 greys. Paths are those of pictures, folders, zip files, IDX files,
        tables, .npy and .npz files and Parquet files.
        `preprocess` says how pictures are brought into MNIST's form, "auto", "mnist" or "none", by default as the model
        was trained; `threads` limits the threads.

        An image that can't be read is a row with an error, and so is one that the model says is no digit, if it can
        refuse. Raises DataError for what is not an image: another type, shape or range of values.
        """
        batches = read_given(images, self._mode(preprocess), threads=_threads(threads), ask=self.confidences)
        parts = _predict(self, batches, threads, True)
        return joined([result_of(part, self.class_names) for part in parts], self.class_names)

    def predict_files(
        self,
        paths: AnyPath | Iterable[AnyPath],
        *,
        preprocess: str | None = None,
        threads: int | None = None,
        cluster: "Cluster | None" = None,
    ) -> Iterator[Result]:
        """Yield what `predict` returns, for up to 4,096 images at a time, in constant memory and in input order.

        `paths` are those that `predict` takes, in any mix, as many as you like. The workers of a `cluster`
        (`fastmnist.open_cluster`) read them, with the threads they have; raises ClusterError where that fails.
        """
        given = [paths] if isinstance(paths, str | bytes | os.PathLike) else paths
        for part in self.stream(
            map(as_file, given), preprocess=preprocess, threads=threads, probabilities=True, cluster=cluster
        ):
            yield result_of(part, self.class_names)

    def stream(
        self,
        inputs: Iterable[str | bytes],
        *,
        preprocess: str | None = None,
        threads: int | None = None,
        selection: Selection | None = None,
        probabilities: bool = False,
        cluster: "Cluster | None" = None,
    ) -> Iterator[Predictions]:
        """Yield predictions in the form that files of rows are made of; `-` is stdin, `selection` picks rows.

        Those of a `cluster` have no pixels.
        """
        if cluster is not None:
            from fastmnist.cluster import jobs

            mode = self._mode(preprocess)
            return jobs.predict(cluster, self, inputs, mode, selection=selection, probabilities=probabilities)
        batches = open_stream(
            inputs,
            self._mode(preprocess),
            threads=_threads(threads),
            selection=selection,
            ask=self.confidences,
        )
        return _predict(self, batches, threads, probabilities)

    def read(
        self,
        pictures: "Image | Sequence[Image]",
        *,
        length: int | tuple[int, int] | None = None,
        threads: int | None = None,
    ) -> list["PageRead"]:
        """Return the numbers in pictures, each with any number of digits and lines, page by page.

        `pictures` is a path, a picture file's bytes, an array (h, w) or (h, w, 3) RGB, uint8 or floats from 0 to 1, or
        a list of these; a folder's path stands for its pictures. `length` is how many digits each number has, or the
        least and the most. `threads` limits the threads.

        A picture that can't be read, or shows no number, is a page with an error. Raises DataError for what is no
        picture, and for an impossible length.
        """
        from fastmnist import reading

        return list(reading.read(self, pictures, length, _threads(threads)))

    def read_files(
        self,
        paths: AnyPath | Iterable[AnyPath],
        *,
        length: int | tuple[int, int] | None = None,
        threads: int | None = None,
        cluster: "Cluster | None" = None,
    ) -> Iterator["PageRead"]:
        """Yield what `read` returns, page by page, in constant memory and in input order.

        `paths` are pictures and folders, as many as you like, read by the workers of a `cluster` if one is given.
        """
        given = [paths] if isinstance(paths, str | bytes | os.PathLike) else paths
        return self.read_stream(map(as_file, given), length=length, threads=threads, cluster=cluster)

    def read_stream(
        self,
        inputs: Iterable[str | bytes],
        *,
        length: int | tuple[int, int] | None = None,
        threads: int | None = None,
        selection: Selection | None = None,
        cluster: "Cluster | None" = None,
    ) -> Iterator["PageRead"]:
        """Yield what `read_files` does; `-` is stdin, `selection` picks pictures."""
        if cluster is not None:
            from fastmnist.cluster import jobs

            return jobs.read(cluster, self, inputs, length, selection=selection)
        from fastmnist import reading

        return reading.read_files(self, inputs, length, _threads(threads), selection)

    def save(self, path: AnyPath) -> None:
        """Write the model file, atomically. Equal models give equal bytes. Raises OutputError."""
        save_model(path, self)

    def _mode(self, preprocess: str | None) -> str:
        return _known_mode(preprocess) or self.preprocess


def load(path: AnyPath | None = None) -> Model:
    """Load a model file; without a path $FASTMNIST_MODEL, else the model that ships with fastmnist ("shipped").

    Raises ModelError, naming the file and what to do, for anything that is not a whole, sound model.
    """
    if path is None:
        path = os.environ.get("FASTMNIST_MODEL") or "shipped"
    return _with_methods(load_model(find_model(os.fsdecode(path))[0]))


def convert(path: AnyPath, *, mean: float, std: float, class_names: Sequence[str] | None = None) -> Model:
    """Return the model of a .safetensors file that has the state_dict of Linear layers trained in PyTorch.

    `mean` and `std` are what pixels of 0 to 1 were normalised by: (pixels - mean) / std. See load_pytorch.

    Raises ModelError, naming the file and what to do, for anything but Linear layers with ReLU between them; DataError
    for a normalisation or class names that can't be.
    """
    from fastmnist.datasets.labelled import class_names_of
    from fastmnist.model.pytorch_file import load_pytorch

    if class_names is not None:
        class_names = class_names_of(set(), class_names)
    return _with_methods(load_pytorch(path, mean=mean, std=std, class_names=class_names))


def train(
    images: Images,
    labels: ArrayLike | None = None,
    *,
    test: tuple[Images, ArrayLike] | None = None,
    no_digit: Images | None = None,
    start: "AnyPath | model_file.Model | None" = None,
    recipe: "str | Recipe | None" = None,
    class_names: Sequence[str] | None = None,
    preprocess: str | None = None,
    on_epoch: Callable[["EpochDone"], object] | None = None,
    checkpoint: AnyPath | None = None,
    resume: bool = False,
    float16: bool = False,
    skip_unreadable: bool = False,
    threads: int | None = None,
    **settings: Any,
) -> Model:
    """Train a network, and return it with what is known about it.

    `images` and `labels` are as `Model.predict` takes images, and a class name or a position in `class_names` for each;
    or `images` alone is the path of a data set, as the command `train` takes it: a folder of IDX files or of class
    folders, a zip file of class folders, a table, an .npz file or Parquet files. `test` is evaluated once, at the end;
    a data set's own test set is, without being named.

    `no_digit` are images of none of the classes, as `Model.predict` takes them. The model can then refuse: an image
    that looks like none of the classes gets no label.

    `start` is a model that is trained further, or its file, "shipped" for the package's: the result has its hidden
    layers, its classes before new ones, and its preprocessing, and can refuse if it can.

    `recipe` is "seed", "default", "best", "tune" or a Recipe ("default", or "tune" with `start`), and each of its
    settings can be given by name, as in `hidden=(300, 100), epochs=5`; `augment` takes a mapping of strengths.
    `on_epoch` is called after each epoch.

    `checkpoint` is written after each epoch; `resume` continues from it, with the same data and settings, to the same
    model. `float16` halves the model's file. `skip_unreadable` leaves out images that can't be read. A network that is
    no better than chance at the end is logged as a warning. Equal data and settings give equal models, whatever the
    `threads`.

    Raises DataError for data that can't be used, TrainingError for settings that can't, or a loss that is not finite.
    """
    from fastmnist.datasets.labelled import Loading
    from fastmnist.training import loop
    from fastmnist.training.recipes import recipe_with
    from fastmnist.training.run import TrainingRun, training_sets

    first = load(start) if isinstance(start, str | bytes | os.PathLike) else start
    chosen = recipe_with(recipe, goes_on=first is not None, **settings)
    how = Loading(class_names, _known_mode(preprocess), _threads(threads))
    with _limited(threads):
        whole, test_set = training_sets(
            images, labels, test, how, start=first, no_digit=no_digit, skip_unreadable=skip_unreadable
        )
        run = TrainingRun(whole, test_set, chosen, start=first, checkpoint=checkpoint, resume=resume)
        for event in run.events():
            if on_epoch is not None and isinstance(event, loop.EpochDone):
                on_epoch(event)
        return _with_methods(run.model(float16=float16))


def evaluate(
    model: model_file.Model,
    images: Images,
    labels: ArrayLike | None = None,
    *,
    report: AnyPath | None = None,
    threads: int | None = None,
) -> "Evaluation":
    """Return how good a model is on `images` and `labels`, or on the test set of a data set's path; see `train`.

    Images that can't be read are left out and counted; one that is taken for no digit is wrong. `report` is an HTML
    file to write, which shows the figures and the mistakes. Raises DataError for data that can't be used or where no
    image is left, ModelError for a model whose outputs are not numbers, OutputError where the report can't be written.
    """
    from fastmnist.datasets.arrays import label_images, path_of
    from fastmnist.datasets.dataset import open_dataset
    from fastmnist.datasets.labelled import Loading

    if report is not None:
        check_writable(report)
    how = Loading(model.class_names, model.preprocess, _threads(threads))
    with _limited(threads):
        data: AnyPath | None = None
        if labels is not None:
            split = label_images(images, labels, how)
        else:
            data = path_of(images)
            split = open_dataset(data).load("test", *how[:2], threads=how.threads)
        figures = evaluate_labelled(model, split, data)
    if report is not None:
        write_report(report, model, split, figures, data)
    return figures


def evaluate_labelled(model: model_file.Model, images: "LabelledImages", data: AnyPath | None = None) -> "Evaluation":
    """Return how good a model is on one split of a data set, of `data`. Raises DataError if no image can be read."""
    from fastmnist import evaluation

    n_errors = len(images.errors)
    if not len(images.labels):
        prefix = "" if data is None else f"{printable(data)}: "
        raise DataError(f"{prefix}none of {n_errors:,} images can be read, expected some; replace them")
    result = evaluation.evaluate(model.network, images.pixels, images.labels, can_refuse=model.can_refuse)
    return dataclasses.replace(result, n_errors=n_errors)


def write_report(
    path: AnyPath,
    model: model_file.Model,
    images: "LabelledImages",
    figures: "Evaluation",
    data: AnyPath | None = None,
) -> None:
    """Write the HTML file that shows the figures of one split of a data set, of `data`. Raises OutputError."""
    from fastmnist.report.evaluation_page import evaluation_page
    from fastmnist.report.page import write_page

    write_page(path, evaluation_page(model, images, figures, data))


def read_images(images: Images, *, preprocess: str = "auto", threads: int | None = None) -> NDArray[np.uint8]:
    """Return the digits of images, as `Model.predict` takes them: uint8 (n, 28, 28), as a model sees them.

    Raises DataError for the first image that can't be read.
    """
    _known_mode(preprocess)
    parts = [np.zeros((0, *IMAGE_SHAPE), np.uint8)]
    for batch in read_given(images, preprocess, threads=_threads(threads)):
        if batch.errors:
            raise DataError(batch.errors[min(batch.errors)])
        parts.append(batch.pixels.reshape(-1, *IMAGE_SHAPE))
    return np.concatenate(parts)


def _predict(
    model: model_file.Model, batches: Generator[Batch], threads: int | None, probabilities: bool
) -> Iterator[Predictions]:
    """Yield the predictions; between two of them the threads are not limited."""
    parts = prediction.predict(model, batches, probabilities=probabilities)
    while True:
        with _limited(threads):
            part = next(parts, None)
        if part is None:
            return
        yield part


def _known_mode(preprocess: str | None) -> str | None:
    """Return how to preprocess. Raises DataError for what is none of PREPROCESS_MODES, nor None."""
    if preprocess is not None and preprocess not in PREPROCESS_MODES:
        raise DataError(f"preprocess {preprocess!r}, expected one of {', '.join(PREPROCESS_MODES)}")
    return preprocess


def _threads(limit: int | None) -> int:
    """Return how many threads to use. Raises DataError for an impossible limit."""
    if limit is not None and limit < 1:
        raise DataError(f"threads {limit}, expected at least 1")
    return limit or n_threads()


def _limited(threads: int | None) -> Any:
    return nullcontext() if threads is None else using_threads(threads)


def _with_methods(stored: model_file.Model) -> Model:
    return Model(**{field.name: getattr(stored, field.name) for field in dataclasses.fields(stored)})
