"""`predict` and `read` on a cluster: what the client hands out, what a worker makes of it."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from fastmnist import prediction, reading
from fastmnist.cluster.engine import Cluster, Job
from fastmnist.errors import ClusterError, printable, reason
from fastmnist.inputs.batch import Batch, Predictions
from fastmnist.inputs.runs import Run, find_picture_runs, find_runs, read_run
from fastmnist.inputs.selection import Selection
from fastmnist.inputs.stream import within
from fastmnist.kernels.jit import using_threads
from fastmnist.model.model_file import Model
from fastmnist.numbers.number import PageRead
from fastmnist.reading import Length
from fastmnist.remote.address import is_address
from fastmnist.shapes import N_PIXELS

Part = TypeVar("Part")

TASK_SECONDS = 1.0  # a lost worker costs a few; Dask needs some milliseconds for each task
FEWEST_FILES, MOST_FILES = 16, 4096  # in a task; their paths are all that the client holds


class _Order(NamedTuple):
    """A run of files, or images that could only be read by the client, and how they are read.

    folder: where relative paths begin, None where all are absolute.
    """

    rows: Run | Batch
    preprocess: str = "none"
    probabilities: bool = False
    length: Length = None
    folder: str | None = None


class _Rows(NamedTuple, Generic[Part]):
    """The rows of a run, and a file that is not there, if it is the first of them."""

    parts: list[Part]
    missing: bytes | None = None


class _FilesPerTask:
    """How many files take about TASK_SECONDS, by the last task."""

    def __init__(self) -> None:
        self._n_files = 4 * FEWEST_FILES

    def __call__(self) -> int:
        return self._n_files

    def record(self, rows: Run | Batch, seconds: float) -> None:
        if isinstance(rows, Run) and rows.indices is None and seconds > 0:
            wanted = int(TASK_SECONDS * len(rows) / seconds)
            self._n_files = min(MOST_FILES, max(FEWEST_FILES, wanted))


def predict(
    cluster: Cluster,
    model: Model,
    inputs: Iterable[str | bytes],
    preprocess: str,
    *,
    selection: Selection | None = None,
    probabilities: bool = False,
) -> Iterator[Predictions]:
    """Yield what `prediction.predict` makes of the images of `inputs`, without their pixels; workers read them.

    Raises ClusterError.
    """
    n_files = _FilesPerTask()
    runs = find_runs(inputs, preprocess, selection or Selection(), n_files, model.confidences)
    orders = (_Order(rows, preprocess, probabilities, folder=_folder(rows)) for rows in runs)
    job = Job("mnist-predict", replace(model), _predict, _split, _unpredicted)
    broken = None  # the last file whose images could not be read to the end: later runs of it would say the same
    for order, done in cluster.work_on(job, orders):
        n_files.record(order.rows, done.seconds)
        file = _file_of(order)
        if file is not None and file == broken:
            continue
        for part in _present(done.made):
            if file is not None and None in part.batch.indices:
                broken = file
            yield part


def read(
    cluster: Cluster,
    model: Model,
    inputs: Iterable[str | bytes],
    length: Length,
    *,
    selection: Selection | None = None,
) -> Iterator[PageRead]:
    """Yield what `reading.read_files` makes of pictures; workers read them.

    Raises ClusterError, and DataError for an impossible length, or stdin.
    """
    reading.as_range(length)
    n_files = _FilesPerTask()
    runs = find_picture_runs(inputs, selection or Selection(), n_files)
    orders = (_Order(run, length=length, folder=_folder(run)) for run in runs)
    job = Job("mnist-read", replace(model), _read, _split, _unread)
    for order, done in cluster.work_on(job, orders):
        n_files.record(order.rows, done.seconds)
        yield from _present(done.made)


def _file_of(order: _Order) -> bytes | None:
    """Return the file of a run that is a part of one."""
    rows = order.rows
    return rows.inputs[0].path if isinstance(rows, Run) and rows.indices is not None else None


def _folder(rows: Run | Batch) -> str | None:
    paths = [] if isinstance(rows, Batch) else [found.path for found in rows.inputs]
    return None if all(os.path.isabs(path) or is_address(path) for path in paths) else os.getcwd()


def _present(rows: _Rows[Part]) -> list[Part]:
    """Return the parts. Raises ClusterError where a worker did not find a file that is there."""
    if rows.missing is not None and os.path.lexists(rows.missing):
        raise ClusterError(
            f"{printable(rows.missing)}: a worker has no such file, expected the client's storage under the "
            "same path; mount it there"
        )
    return rows.parts


def _predict(model: Model, order: _Order, threads: int) -> _Rows[Predictions]:
    """Return the predictions for a run, on a worker."""
    with _at(order.folder), using_threads(threads):
        rows = order.rows
        batches = (
            read_run(rows, order.preprocess, threads=threads, ask=model.confidences)
            if isinstance(rows, Run)
            else (batch for batch in [rows])
        )
        parts = [_light(part) for part in prediction.predict(model, batches, probabilities=order.probabilities)]
        return _Rows(parts, _missing(rows))


def _read(model: Model, order: _Order, threads: int) -> _Rows[PageRead]:
    """Return the pages of a run, on a worker."""
    assert isinstance(order.rows, Run)  # noqa: S101
    with _at(order.folder), using_threads(threads):
        return _Rows(list(reading.read_run(model, order.rows, order.length, threads)), _missing(order.rows))


@contextlib.contextmanager
def _at(folder: str | None) -> Iterator[None]:
    """Make relative paths begin in a folder: the process is Dask's, one task runs at a time. Raises ClusterError."""
    if folder is None:
        yield
        return
    before = os.getcwd()
    try:
        os.chdir(folder)
    except OSError as error:
        raise ClusterError(
            f"{printable(folder)}: a worker can't enter it ({reason(error)}), expected the client's storage under the "
            "same path; mount it there"
        ) from error
    try:
        yield
    finally:
        os.chdir(before)


def _missing(rows: Run | Batch) -> bytes | None:
    if isinstance(rows, Batch) or is_address(rows.inputs[0].path) or os.path.lexists(rows.inputs[0].path):
        return None
    return rows.inputs[0].path


def _light(part: Predictions) -> Predictions:
    """Return predictions without their pixels, which nobody needs any more."""
    return replace(part, batch=replace(part.batch, pixels=np.zeros((0, N_PIXELS), np.uint8)))


def _split(order: _Order, n_parts: int) -> list[_Order]:
    if isinstance(order.rows, Batch):
        raise ClusterError("workers die while predicting images that were read here; check their logs")
    return [order._replace(rows=part) for part in order.rows.split(n_parts)]


def _unpredicted(order: _Order) -> _Rows[Predictions]:
    path, index, number = _only_row(order)
    batch = Batch([path], [index], [number], np.zeros((0, N_PIXELS), np.uint8), {})
    batch.errors[0] = _deadly(batch.where(0))
    return _Rows([Predictions(batch, np.zeros(1, np.uint8), np.zeros(1, np.float32))])


def _unread(order: _Order) -> _Rows[PageRead]:
    path, _, number = _only_row(order)
    return _Rows([PageRead(path, number, None, error=_deadly(printable(path)))])


def _only_row(order: _Order) -> tuple[bytes, int | None, int]:
    """Return the path, index and number of a run of one row."""
    assert isinstance(order.rows, Run)  # noqa: S101  # others are not split
    found, indices = order.rows.inputs[0], order.rows.indices
    return within(found.path, found.inner), None if indices is None else indices[0], order.rows.numbers[0]


def _deadly(where: str) -> str:
    return f"{where}: every worker that read it died, expected a picture; replace it, or check the workers' logs"
