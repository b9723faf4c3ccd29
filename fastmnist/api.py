"""The Python API: load a model, predict, train, evaluate. The commands are built on this and the modules below it.

Errors are FastmnistErrors. Nothing is printed; anything else a user should know goes to the logger "fastmnist". Any
number of threads may share a model.
"""

import dataclasses
import operator
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

# `predict` needs no data sets, training or number reading, which take 15 to 55 ms to import: only the functions that
# need them import them.
if TYPE_CHECKING:
    from fastmnist.cluster.engine import Cluster
    from fastmnist.datasets.labelled import LabelledImages
    from fastmnist.evaluation import Evaluation
    from fastmnist.numbers.number import PageRead
    from fastmnist.training.loop import EpochDone
    from fastmnist.training.recipes import Recipe


class Model(model_file.Model):
    """A trained network and what is known about it, for making predictions. Models can be pickled and copied."""

    def predict(self, images: Images, *, preprocess: str | None = None, threads: int | None = None) -> Result:
        """Name the digit in each of the images.

        `images` is a path, a picture file's bytes, an array, or a list of these. Arrays (n, 784) and (n, 28, 28) are
        treated like IDX files, arrays (h, w) and (h, w, 3) RGB like a picture; one that fits both is taken as (n, 784).
        Arrays are uint8, or floats from 0 to 1, which are rounded to 256 greys. A path names a picture, a folder, a zip
        file, an IDX file, a table, a .npy or .npz file, or a Parquet file.
        `preprocess` is how pictures are normalised to MNIST's form: "auto", "mnist" or "none"; by default, whatever the
        model was trained with. `threads` limits the number of threads.

        An image that can't be read becomes a row with an error; so does one that the model takes for no digit, if the
        model can refuse. Raises DataError for anything that is not an image: a wrong type, shape or range of values.
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

        `paths` are paths of anything that `predict` accepts, in any mix and number. With a `cluster` (see
        `fastmnist.open_cluster`), its workers read them with their own threads; raises ClusterError if that fails.
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
        """Yield predictions in the form from which rows are written; `-` is stdin, and `selection` picks rows.

        Predictions from a `cluster` have no pixels.
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
        a list of these; the path of a folder stands for the pictures in it. `length` is how many digits each number
        has, or the smallest and largest number of digits. `threads` limits the number of threads.

        A picture that can't be read, or that shows no number, becomes a page with an error. Raises DataError for
        anything that is not a picture, and for an impossible length.
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

        `paths` are pictures and folders, any number of them. If a `cluster` is given, its workers read them.
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
    """Load a model file; without a path, $FASTMNIST_MODEL or else the model that ships with fastmnist ("shipped").

    Raises ModelError, naming the file and what to do, for anything that is not a complete, valid model.
    """
    if path is None:
        path = os.environ.get("FASTMNIST_MODEL") or "shipped"
    file = path if isinstance(path, os.PathLike) else find_model(os.fsdecode(path))[0]  # Path("shipped") is a file
    return _with_methods(load_model(file))


def convert(path: AnyPath, *, mean: float, std: float, class_names: Sequence[str] | None = None) -> Model:
    """Make a model from a .safetensors file that holds the state_dict of Linear layers trained in PyTorch.

    `mean` and `std` are what the pixels, from 0 to 1, were normalised with, (pixels - mean) / std; they are folded
    into the first layer.

    Raises ModelError, naming the file and what to do, for anything but Linear layers with ReLU between them, and
    DataError for an impossible `mean` or `std`, or class names that can't be used.
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
    int8: bool = False,
    skip_unreadable: bool = False,
    threads: int | None = None,
    **settings: Any,
) -> Model:
    """Train a network and return it as a model.

    `images` is anything that `Model.predict` accepts, and `labels` has a class name, or position in `class_names`, for
    each image. Or `images` alone is the path of a data set, as for the command `train`: a folder of IDX files or of
    class folders, a zip file of class folders, a table, an .npz file or Parquet files. `test` is a pair of images and
    labels that is evaluated once, at the end; a data set's own test set is used without being named.

    `no_digit` are images that belong to none of the classes, in any form that `Model.predict` accepts. The model can
    then refuse: an image that looks like none of the classes gets no label.

    `start` is a model to fine-tune, or its file, or "shipped" for the one in the package. The result has that model's
    hidden layers, its classes before any new ones, and its preprocessing, and can refuse if that model can.

    `recipe` is "seed", "default", "best", "tune" or a Recipe; the default is "default", or "tune" with `start`. Any of
    its settings can be overridden by name, as in `hidden=(300, 100), epochs=5`; `augment` takes a mapping of strengths.
    `on_epoch` is called after each epoch.

    `checkpoint` is a file to write after each epoch; `resume` continues from it, if it exists, with the same data and
    settings, and gives the same model. `float16` halves the size of the model file. With `int8`, the model predicts
    with integers, with the same answers on every processor: 2 to 3.5 times as fast where it has AVX-512 VNNI, more with
    AMX, a little faster elsewhere. `skip_unreadable` skips images that can't be read. If the network ends up no better
    than chance, a warning is logged. Equal data and settings give equal models, whatever `threads` is.

    Raises DataError for unusable data, and TrainingError for unusable settings or a loss that is not finite.
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
        run = TrainingRun(
            whole, test_set, chosen, start=first, checkpoint=checkpoint, resume=resume, float16=float16, int8=int8
        )
        for event in run.events():
            if on_epoch is not None and isinstance(event, loop.EpochDone):
                on_epoch(event)
        return _with_methods(run.model())


def evaluate(
    model: model_file.Model,
    images: Images,
    labels: ArrayLike | None = None,
    *,
    report: AnyPath | None = None,
    threads: int | None = None,
) -> "Evaluation":
    """Evaluate a model on `images` and `labels`, or on the test set of the data set at a path; see `train`.

    Images that can't be read are left out and counted; an image taken for no digit counts as wrong. `report` is an HTML
    file to write, which shows the figures and the mistakes. Raises DataError for unusable data or if no image is left,
    ModelError for a model whose outputs are not finite, and OutputError if the report can't be written.
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
    """Evaluate a model on one split of the data set at `data`. Raises DataError if no image can be read."""
    from fastmnist import evaluation

    n_errors = len(images.errors)
    if not len(images.labels):
        prefix = "" if data is None else f"{printable(data)}: "
        raise DataError(f"{prefix}none of the {n_errors:,} images can be read, expected some; replace them")
    result = evaluation.evaluate(model.network, images.pixels, images.labels, can_refuse=model.can_refuse)
    return dataclasses.replace(result, n_errors=n_errors)


def write_report(
    path: AnyPath,
    model: model_file.Model,
    images: "LabelledImages",
    figures: "Evaluation",
    data: AnyPath | None = None,
) -> None:
    """Write the HTML report about one split of the data set at `data`. Raises OutputError."""
    from fastmnist.report.evaluation_page import evaluation_page
    from fastmnist.report.page import write_page

    write_page(path, evaluation_page(model, images, figures, data))


def read_images(images: Images, *, preprocess: str = "auto", threads: int | None = None) -> NDArray[np.uint8]:
    """Return images, in any form that `Model.predict` accepts, as a model sees them: uint8 (n, 28, 28).

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
    """Yield the predictions; the limit on threads holds only while a prediction is being made."""
    parts = prediction.predict(model, batches, probabilities=probabilities)
    while True:
        with _limited(threads):
            part = next(parts, None)
        if part is None:
            return
        yield part


def _known_mode(preprocess: str | None) -> str | None:
    """Return `preprocess`. Raises DataError unless it is None or one of PREPROCESS_MODES."""
    if preprocess is not None and preprocess not in PREPROCESS_MODES:
        raise DataError(f"preprocess {preprocess!r}, expected one of {', '.join(PREPROCESS_MODES)}")
    return preprocess


def _threads(limit: int | None) -> int:
    """Return how many threads to use. Raises DataError for an impossible limit."""
    if limit is None:
        return n_threads()
    try:
        wanted = operator.index(limit)
    except TypeError:
        raise DataError(f"threads {limit!r}, expected a whole number, at least 1") from None
    if wanted < 1:
        raise DataError(f"threads {wanted}, expected at least 1")
    return wanted


def _limited(threads: int | None) -> Any:
    return nullcontext() if threads is None else using_threads(threads)


def _with_methods(stored: model_file.Model) -> Model:
    return Model(**{field.name: getattr(stored, field.name) for field in dataclasses.fields(stored)})
