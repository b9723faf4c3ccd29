"""Threads that share the rows of a batch: which are tried."""

import os
import threading
from functools import partial

import pytest

from fastmnist.inputs import workers
from fastmnist.inputs.workers import PROBE, Workers, in_order, open_pool


@pytest.mark.parametrize(("cpu_seconds", "is_one_tried"), [(10.0, False), (1.3, False), (1.2, True), (0.0, True)])
def test_one_thread_is_tried_unless_all_are_plainly_faster(cpu_seconds, is_one_tried, monkeypatch):
    chosen = []

    def timed(_work, rows):
        """All slices take one second together, and so much of the processors."""
        return workers._Chunk({}, 0.0, 1.0, cpu_seconds if rows.start == 0 else 0.0)

    monkeypatch.setattr(workers, "_timed", timed)
    with Workers(2) as pool:
        choose = pool._pace.choose
        monkeypatch.setattr(pool._pace, "choose", lambda: chosen.append(choose()) or chosen[-1])
        for n_rows in (2 * PROBE, 2 * PROBE, 2, 2, 2):
            pool.share(n_rows, lambda _rows: {})
    assert chosen[:3] == [2, 2, 2]
    assert (1 in chosen) == is_one_tried


@pytest.fixture
def recorded(monkeypatch):
    """Workers, what their pace is told of, as (threads, seconds per row), and how to share rows among them.

    A row takes ROW_SECONDS of all threads.
    """
    monkeypatch.setattr(
        workers, "_timed", lambda _work, rows: workers._Chunk({}, rows.start * ROW_SECONDS, rows.stop * ROW_SECONDS, 0)
    )
    with Workers(2) as pool:
        told = []
        monkeypatch.setattr(pool._pace, "record", lambda threads, seconds: told.append((threads, seconds)))
        yield told, lambda n_rows: pool.share(n_rows, lambda _rows: {})


ROW_SECONDS = 1e-4
PROBE_ROWS = 4 * PROBE
SETTLE_ROWS = round(workers.SETTLE_SECONDS / ROW_SECONDS)
TRIAL_ROWS = round(workers.TRIAL_SECONDS / ROW_SECONDS)


def test_threads_that_have_just_begun_tell_nothing_of_their_pace(recorded):
    told, share = recorded
    share(PROBE_ROWS)
    share(SETTLE_ROWS)
    assert told == []
    share(1)
    assert told == [(2, pytest.approx(ROW_SECONDS))]


def test_nor_do_those_that_have_just_been_woken(recorded, monkeypatch):
    told, share = recorded
    share(PROBE_ROWS + SETTLE_ROWS)
    monkeypatch.setattr(workers.Pace, "choose", lambda _pace: 1)
    share(1)
    assert told == [(1, pytest.approx(ROW_SECONDS))]  # nobody had to be woken for that
    monkeypatch.setattr(workers.Pace, "choose", lambda _pace: 2)
    share(SETTLE_ROWS)
    assert len(told) == 1
    share(1)
    assert [threads for threads, _ in told] == [1, 2]


def test_a_trial_that_the_end_of_a_batch_cuts_short_tells_nothing(recorded):
    told, share = recorded
    share(PROBE_ROWS + SETTLE_ROWS)
    share(TRIAL_ROWS + TRIAL_ROWS // 4)
    assert len(told) == 1
    share(2 * TRIAL_ROWS)
    assert len(told) == 3


def test_the_threads_of_a_pool_are_gone_after_it(monkeypatch):
    waited_for, wait_until_gone = [], workers.wait_until_gone

    def noted(thread):
        waited_for.append(thread.native_id)
        wait_until_gone(thread)

    monkeypatch.setattr(workers, "wait_until_gone", noted)
    barrier = threading.Barrier(2)
    with open_pool(2) as pool:
        threads = list(pool.map(lambda _: (barrier.wait(), threading.get_native_id())[1], "ab"))
    assert sorted(waited_for) == sorted(threads)
    assert not any(os.path.exists(f"/proc/self/task/{thread}") for thread in threads)


def test_a_pool_that_is_left_begins_nothing_more():
    done, wait = [], threading.Event()
    with open_pool(1) as pool:
        pool.submit(wait.wait, 60)
        later = [pool.submit(done.append, number) for number in range(9)]
        later[-1].add_done_callback(lambda _task: wait.set())  # as it is cancelled
    assert done == []


def test_what_is_done_is_not_kept_back():
    done = []
    tasks = (partial(done.append, number) for number in range(5))
    for n_taken, _ in enumerate(in_order(workers._Caller(), tasks, threads=2), 1):
        assert len(done) == n_taken
    assert n_taken == 5
