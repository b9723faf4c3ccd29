"""Threads that share the rows of a batch (all of them, or one where that is faster), or that each do a task."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeVar

from fastmnist.threads import Pace, startable, wait_until_gone

CHUNK = 128  # files for a thread at a time: about 2 ms of work, against 20 us to hand it over
CHUNKS_PER_THREAD = 4  # at least, so that no thread waits long for the last one
PROBE = 8  # files for a thread to begin with, twice: the first load libraries, the second tell how long one takes
TRIAL_SECONDS = 0.025  # for the way, all threads or one, that is not known to be faster: a batch would be too long
SETTLE_SECONDS = 0.025  # threads just started or woken may share a core for so long, and then look no faster than one
PLAINLY_FASTER = 0.8  # of the processor's time: if threads take less than this, one is not tried. It would take as
# long as all of them together, a little less where they contend for the interpreter lock
BATCH_SECONDS = 0.5  # rows appear this often, however large the pictures
FIRST_ROWS = 32  # of the first batch: each row may be a photo, or a scan of many pages
BATCH_ROWS = 1024  # at most: while a batch is read the last one is labelled, and the job's last waits for nothing else
AHEAD = 8  # tasks for each thread that may wait for those before them

Done = TypeVar("Done")

# Does something for a slice of the rows; returns row within the slice -> message where that failed.
Work = Callable[[slice], dict[int, str]]


class _Caller(Executor):
    """A pool without threads: what is submitted is done there and then."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001, RUF100  # whoever asks for the result gets it
            done.set_exception(error)
        return done


class _Pool(ThreadPoolExecutor):
    """A pool whose threads are gone after `shutdown`, for the system too, and which is left without being waited for.

    A thread that ends holds a lock of OpenCV's some microseconds longer than Python waits for it. In a process that is
    forked in that moment the lock stays held, and OpenCV waits for it for ever.
    """

    def __exit__(self, *_exception: object) -> None:
        self.shutdown(cancel_futures=True)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            for thread in self._threads:
                wait_until_gone(thread)


def open_pool(threads: int) -> Executor:
    """Return a pool of `threads` threads, or of as many as can be started, maybe none."""
    n_more = startable(threads + 1) - 1
    return _Pool(n_more, thread_name_prefix="decode") if n_more else _Caller()


def in_order(pool: Executor, tasks: Iterable[Callable[[], Done]], threads: int) -> Iterator[Done]:
    """Yield what the tasks return, in order; the pool's `threads` threads do them, a few ahead of what is taken."""
    waiting: deque[Future[Done]] = deque()
    for task in tasks:
        waiting.append(pool.submit(task))
        while waiting and (waiting[0].done() or len(waiting) > AHEAD * threads):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


class _Chunk(NamedTuple):
    """What became of a slice of the rows: its errors by row, when it was begun and done, the processor's seconds."""

    errors: dict[int, str]
    start: float
    stop: float
    cpu: float


class Workers:
    """A pool of threads, ended with the context."""

    def __init__(self, threads: int) -> None:
        self._pool: Executor | None = None  # begun when it is first needed
        self._pace = Pace(threads)
        self._threads = threads  # of the last slice
        self._seconds = 0.0  # worked since that number changed
        self._seconds_per_row = BATCH_SECONDS / FIRST_ROWS  # to begin with
        self._n_probes_left = 2

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def rows_per_batch(self) -> int:
        """Return how many rows take about BATCH_SECONDS, by the last batch, but not more than BATCH_ROWS."""
        return max(1, min(BATCH_ROWS, int(BATCH_SECONDS / self._seconds_per_row)))

    def share(self, n_rows: int, work: Work) -> dict[int, str]:
        """Call `work` for slices of the `n_rows`, one or more; return the errors of all, by row."""
        errors: dict[int, str] = {}
        first = 0
        while first < n_rows:
            threads = self._pace.choose()
            last = n_rows
            if self._n_probes_left:
                last = min(n_rows, first + PROBE * threads)
            elif self._pace.is_trial(threads):
                last = min(n_rows, first + max(threads, int(TRIAL_SECONDS / self._seconds_per_row)))
            chunks = self._share_between(threads, range(first, last), work)
            errors |= {row: error for chunk in chunks for row, error in chunk.errors.items()}
            self._record(threads, chunks, last - first, n_rows)
            first = last
        return errors

    def _share_between(self, threads: int, rows: range, work: Work) -> list[_Chunk]:
        """Call `work` for slices of the rows in that many threads; return what became of them."""
        size = min(CHUNK, -(-len(rows) // (CHUNKS_PER_THREAD * threads))) if threads > 1 else len(rows)
        slices = [slice(row, min(row + size, rows.stop)) for row in rows[::size]]
        if threads > 1 and self._pool is None:
            self._pool = open_pool(threads)
        share = map if threads == 1 or self._pool is None else self._pool.map
        return list(share(partial(_timed, work), slices))

    def _record(self, threads: int, chunks: list[_Chunk], n: int, n_rows: int) -> None:
        """Record what `n` of the `n_rows` of a batch have cost with that many threads, if it tells anything."""
        seconds = max(chunk.stop for chunk in chunks) - min(chunk.start for chunk in chunks)
        self._seconds_per_row = seconds / n
        if threads != self._threads:
            self._threads, self._seconds = threads, 0.0
        if self._n_probes_left:
            self._n_probes_left -= 1
            return
        is_settled = threads == 1 or self._seconds >= SETTLE_SECONDS
        self._seconds += seconds
        if is_settled and (seconds > TRIAL_SECONDS / 2 or n == n_rows):  # not where the batch has cut a trial short
            self._pace.record(threads, self._seconds_per_row)
            of_one = sum(chunk.cpu for chunk in chunks)
            if seconds < PLAINLY_FASTER * of_one:
                self._pace.record(1, of_one / n)


def _timed(work: Work, rows: slice) -> _Chunk:
    start, cpu = time.perf_counter(), time.thread_time()
    errors = {rows.start + row: error for row, error in work(rows).items()}
    return _Chunk(errors, start, time.perf_counter(), time.thread_time() - cpu)
