"""Pieces of work -> their results from the workers of a Dask cluster, in order, with a bounded number in flight.

Scheduling, retries and the dashboard are those of Dask's `distributed`: https://distributed.dask.org
"""

import contextlib
import itertools
import logging
import pickle
import re
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Generic, NamedTuple, TypeVar

from fastmnist.cluster.worker import Done
from fastmnist.errors import ClusterError, counted, printable, reason
from fastmnist.threads import usable_cpus
from fastmnist.version import __version__

_log = logging.getLogger(__name__)

Piece = TypeVar("Piece")
Made = TypeVar("Made")

MAX_LOCAL_WORKERS = 1024
CONNECT_SECONDS = 10  # to find the scheduler, and to find it again
AHEAD = 4  # tasks for each worker: one in work, and others so that nobody waits where one takes longer
COUNT_SECONDS = 1.0  # workers come and go: they are counted this often
LOOK_SECONDS = 10.0  # after which nothing came, to see whether there are workers at all
MODEL_TRIES = 3  # in a row without one finished task: then it is the model that kills the workers
PARTS = 16  # that a piece which killed its workers is split into: 4,096 files are single ones after three steps


@dataclass(frozen=True)
class Job(Generic[Piece, Made]):
    """What the workers do.

    name: of its tasks in the dashboard, which cuts names of more than 15 letters.
    model: travels once to each worker, as bytes.
    work: a function of a module, called on a worker with the model, a piece and how many threads to use.
    split: returns a piece in at most n parts, or itself alone. give_up: returns what stands for a piece that can't
    be split and lost every worker that it was given to.
    """

    name: str
    model: object
    work: Callable[[Any, Piece, int], Made]
    split: Callable[[Piece, int], list[Piece]]
    give_up: Callable[[Piece], Made]


class _Task(NamedTuple, Generic[Piece]):
    piece: Piece
    future: Any
    model: Any  # the task that the worker has the model from
    is_alone: bool = False  # no other task of the job is with the workers


class Cluster:
    """Workers that are reached through a scheduler at `address`."""

    def __init__(self, client: Any, address: str) -> None:
        """Take a connected `distributed.Client`."""
        self._client, self._address = client, address
        self._counted_at, self._n_workers = -COUNT_SECONDS, 0

    def work_on(self, job: Job[Piece, Made], pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Done[Made]]]:
        """Yield each piece, or its parts, with what was made of it, in order.

        `pieces` is asked for a few tasks for each worker ahead, so memory does not depend on how many there are. A lost
        worker's tasks are given to others. Raises ClusterError where the scheduler is lost, or a worker has another
        fastmnist; what `job.work` raises.
        """
        tasks, pending = _Tasks(self._submit, job), iter(pieces)
        waiting: deque[_Task[Piece]] = deque()
        while True:
            is_alone = bool(waiting) and waiting[0].is_alone
            while not is_alone and len(waiting) < self._n_ahead() and (piece := next(pending, None)) is not None:
                waiting.append(tasks.task(piece))
            if not waiting:
                return
            finished = self._finished(waiting)
            yield from finished
            if finished:
                tasks.n_replaced = 0
                continue
            lost = waiting.popleft()
            if self._killer(lost) == lost.model.key:
                tasks.replace_model(lost.model, self._address)
                waiting.appendleft(tasks.task(lost.piece)._replace(is_alone=lost.is_alone))
                continue
            parts = job.split(lost.piece, PARTS)
            if len(parts) > 1:
                waiting.extendleft(tasks.task(part) for part in reversed(parts))
            elif lost.is_alone:
                yield lost.piece, Done(job.give_up(lost.piece), 0.0)
            else:
                # Another piece may have killed the workers while this one waited. Run alone, it is the one to blame.
                self._wait_for([task.future for task in waiting])
                waiting.appendleft(tasks.task(lost.piece)._replace(is_alone=True))

    def _submit(self, key: str, *arguments: Any) -> Any:
        with self._explained():
            # Of tasks submitted within this time, workers start the last one first, but rows wait for the first.
            return self._client.submit(*arguments, key=key, pure=False, fifo_timeout="0s")

    def _finished(self, waiting: deque[_Task[Piece]]) -> list[tuple[Piece, Done[Any]]]:
        """Wait for the first task; take it and those that are finished after it, none where the first has failed."""
        self._wait_for([waiting[0].future])
        n_finished = len(list(takewhile(lambda task: task.future.status == "finished", waiting)))
        tasks = [waiting.popleft() for _ in range(n_finished)]
        with self._explained():
            made = self._client.gather([task.future for task in tasks])
        return list(zip((task.piece for task in tasks), made, strict=True))

    def _wait_for(self, futures: list[Any]) -> None:
        """Wait until the tasks are finished or have failed; if no workers are left, log that once."""
        from distributed import wait

        is_told = False
        while futures:
            with self._explained(), self._client.as_current():
                try:
                    wait(futures, timeout=LOOK_SECONDS)
                    return
                except TimeoutError:
                    is_deserted = not self._client.nthreads()
            if is_deserted and not is_told:
                is_told = True
                _log.warning(f"{printable(self._address)}: no workers are left, waiting for others")

    def _killer(self, task: _Task[Piece]) -> str:
        """Return the name of the task whose workers died, this one or its model's. Raises what failed otherwise."""
        from distributed import KilledWorker

        with self._explained():
            error = task.future.exception()
        if isinstance(error, KilledWorker):
            return str(error.args[0])
        if isinstance(error, ImportError):
            raise ClusterError(f"{printable(str(error))}, expected fastmnist {__version__}; install it there")
        raise error

    def _n_ahead(self) -> int:
        """Return how many tasks to keep in flight for the workers that are connected."""
        now = time.monotonic()
        if now >= self._counted_at + COUNT_SECONDS:
            with self._explained():
                self._n_workers, self._counted_at = len(self._client.nthreads()), now
        return AHEAD * max(1, self._n_workers)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what Dask raises where the scheduler is gone into a ClusterError."""
        from distributed import CancelledError

        try:
            yield
        except (CancelledError, OSError, RuntimeError) as error:
            raise ClusterError(
                f"{printable(self._address)}: the connection to the scheduler was lost; "
                "check that the scheduler is running, and run the command again"
            ) from error


class _Tasks(Generic[Piece, Made]):
    """Makes tasks of pieces, with names of their own."""

    def __init__(self, submit: Callable[..., Any], job: Job[Piece, Made]) -> None:
        self._submit, self._job, self._call = submit, job, _entry()
        self._token, self._numbers, self._models = uuid.uuid4().hex, itertools.count(), itertools.count()
        self._model = self._sent_model()
        self.n_replaced = 0  # models since a task was done

    def task(self, piece: Piece) -> _Task[Piece]:
        key = f"{self._job.name}-{self._token}-{next(self._numbers)}"
        payload = pickle.dumps((self._job.work, piece))
        return _Task(piece, self._submit(key, self._call, __version__, payload, self._model), self._model)

    def replace_model(self, killed: Any, address: str) -> None:
        """Send the model anew, unless that was done. Raises ClusterError where workers die of it again and again.

        Dask counts the workers that were lost while they had to load it, over the whole job, and then fails for good
        whatever depends on it. They may be lost to anything.
        """
        if killed is not self._model:
            return
        self.n_replaced += 1
        if self.n_replaced == MODEL_TRIES:
            raise ClusterError(f"{printable(address)}: its workers die while loading the model; check their logs")
        self._model = self._sent_model()

    def _sent_model(self) -> Any:
        # A task, and not data that is scattered: the scheduler can have it made again whoever is lost.
        key = f"mnist-model-{self._token}-{next(self._models)}"
        return self._submit(key, self._call, __version__, pickle.dumps(self._job.model))


def _entry() -> Callable[..., Any]:
    """Return the function that workers call.

    A local function is pickled by value, so a scheduler and a worker without fastmnist can unpickle it.
    """

    def call(version: str, payload: bytes, *model: Any) -> Any:
        import importlib

        from distributed import get_worker

        worker = get_worker()
        try:
            found = importlib.import_module("fastmnist.version").__version__
        except ImportError:
            raise ImportError(f"worker {worker.address}: no fastmnist") from None
        if found != version:
            raise ImportError(f"worker {worker.address}: fastmnist {found}")
        on_worker = importlib.import_module("fastmnist.cluster.worker")
        return on_worker.work(payload, *model, threads=worker.state.nthreads) if model else on_worker.unpack(payload)

    return call


@contextmanager
def open_cluster(address: str, *, threads: int | None = None) -> Iterator[Cluster]:
    """Yield the workers of the scheduler at `address`, or of `local:N`, N processes of this machine, while it lasts.

    Local workers share `threads`, by default the CPUs of this process; others use the threads that Dask gave them, one
    task at a time. Waits for the first worker. Raises ClusterError where distributed is missing or no scheduler
    answers.
    """
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise ClusterError(
            f"{printable(str(error))}: a cluster needs the extra 'dask': pip install 'fastmnist[dask]'"
        ) from error

    with contextlib.ExitStack() as stack:
        # A model may have 64 MB, and travels as a part of a task; Dask warns of 10.
        stack.enter_context(dask.config.set({"distributed.admin.large-graph-warning-threshold": "100MB"}))
        try:
            scheduler = stack.enter_context(_local(address, threads)) if address.startswith("local:") else address
            client = stack.enter_context(Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False))
        except (OSError, ValueError, RuntimeError) as error:
            raise ClusterError(
                f"{printable(address)}: no Dask scheduler answers ({reason(error)}), expected one; "
                "check the address, and that it is running"
            ) from error
        if not client.nthreads():
            _log.info(f"{printable(address)}: no workers yet, waiting for the first")
            client.wait_for_workers(1)
        _log.info(f"{printable(address)}: {_told(client.nthreads())}, dashboard: {client.dashboard_link}")
        yield Cluster(client, address)


def _local(address: str, threads: int | None) -> Any:
    from distributed import LocalCluster

    match = re.fullmatch(r"local:(\d{1,4})", address, re.ASCII)
    n_workers = int(match[1]) if match else 0
    if not 1 <= n_workers <= MAX_LOCAL_WORKERS:
        raise ClusterError(f"{printable(address)}: expected local:N, with N from 1 to {MAX_LOCAL_WORKERS:,}")
    return LocalCluster(
        n_workers=n_workers,
        threads_per_worker=max(1, (threads or usable_cpus()) // n_workers),
        preload=[
            "fastmnist.cluster.jobs"
        ],  # all at once: at the first task the second would begin 0.35 s after the first
        memory_limit=0,  # no limit: a worker's memory is constant
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )


def _told(n_threads: dict[str, int]) -> str:
    n_workers, total = len(n_threads), sum(n_threads.values())
    return f"{counted(n_workers, 'worker')}, {counted(total, 'thread')}"
