"""How kernels are compiled and run: two builds, threads, and a Numba that is newer than we know."""

import gc
import os
import subprocess
import sys
import threading

import numba
import numpy as np
import pytest
from conftest import HANGS_AFTER, cli_environment, noted
from numba import prange
from numba.core import event

from fastmnist.kernels import cache, jit


@pytest.fixture
def tell_parts(monkeypatch, tmp_path):
    """A kernel that fills `out` (at least n_parts) with 1 for each of its parts; always compiled, never cached."""
    monkeypatch.setattr(cache, "_folder", tmp_path)

    @jit.kernel
    def tell_parts(out, n_parts):
        for part in prange(n_parts):
            out[part] = 1

    return tell_parts


def n_parts_of(run):
    out = np.zeros(64, np.int64)
    run(out)
    return int(out.sum())


class Recorder:
    """Stands for one build of a kernel and notes how many threads it was run with."""

    def __init__(self, error=None):
        self.calls, self.error = [], error

    def __call__(self, *arguments):
        self.calls.append((arguments, numba.get_num_threads()))
        if self.error:
            raise self.error


@pytest.fixture
def recorded(tell_parts):
    """A kernel whose builds only note their calls."""
    tell_parts.serial, tell_parts.parallel = Recorder(), Recorder()
    return tell_parts


needs_threads = pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")


def test_a_kernel_is_told_the_number_of_threads(tell_parts):
    assert n_parts_of(tell_parts) == jit.n_threads() == numba.config.NUMBA_NUM_THREADS


def test_python_cannot_call_an_inlined_function_before_and_after_a_kernel_has():
    @jit.inlined
    def seven():
        return 7

    @numba.njit
    def caller():
        return seven()

    for _ in range(2):
        with pytest.raises(TypeError):
            seven()
        assert caller() == 7


def test_both_builds_do_all_parts(tell_parts):
    for n_parts in (1, 2, 5):
        assert n_parts_of(lambda out, n=n_parts: tell_parts.serial(out, n)) == n_parts
        assert n_parts_of(lambda out, n=n_parts: tell_parts.parallel(out, n)) == n_parts


@needs_threads
def test_a_kernel_runs_in_as_many_threads_as_parts_and_sets_them_back(recorded):
    before = jit.n_threads()
    recorded.with_parts(1, "a")
    assert jit.n_threads() == before
    recorded.with_parts(before, "b")
    recorded("c")
    recorded.with_parts(before + 1, "d")
    assert recorded.serial.calls == []
    expected = [(("a", 1), 1), (("b", before), before), (("c", before), before), (("d", before + 1), before)]
    assert recorded.parallel.calls == expected


@needs_threads
def test_one_python_thread_at_a_time_runs_a_parallel_kernel(recorded):
    inside, most = [], []

    def run(*_):
        inside.append(1)
        most.append(len(inside))
        os.sched_yield()
        inside.pop()

    recorded.parallel = run
    threads = [threading.Thread(target=lambda: [recorded() for _ in range(200)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 1600


@needs_threads
def test_threads_are_set_back_after_an_error(recorded):
    before = jit.n_threads()
    recorded.parallel.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        recorded.with_parts(1)
    assert jit.n_threads() == before


def test_where_there_is_one_thread_the_serial_build_runs(recorded, monkeypatch):
    monkeypatch.setattr(jit, "n_threads", lambda: 1)
    recorded("a")
    recorded.with_parts(3, "b")
    assert [arguments for arguments, _ in recorded.serial.calls] == [("a", 1), ("b", 3)]
    assert recorded.parallel.calls == []


@needs_threads
def test_in_one_part_a_kernel_runs_its_serial_build_whatever_threads_there_are(recorded):
    recorded.in_one_part("a")
    assert [arguments for arguments, _ in recorded.serial.calls] == [("a", 1)]
    assert recorded.parallel.calls == []


def test_a_kernel_bears_the_name_and_the_words_of_its_function(tell_parts):
    def named(n_parts):
        """Do it."""

    kernel = jit.Kernel(named)
    assert (kernel.__name__, kernel.__doc__) == ("named", "Do it.")


@pytest.mark.parametrize("is_first_run", [True, False])
def test_the_first_compilation_of_a_version_is_announced_once(is_first_run, tell_parts, monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "_announced", False)
    monkeypatch.setattr(cache, "_folder", tmp_path / "none" if is_first_run else tmp_path)
    out = np.zeros(9, np.int64)
    with noted(with_compiling=True) as notes:
        tell_parts.serial(out, 2)
        tell_parts.serial(out, 2)
        tell_parts.parallel(out, 2)
    assert notes == ["compiling kernels (first run only, about 10 s)"] * is_first_run


class CollectorNotes(event.Listener):
    """Notes whether garbage is collected when a compilation begins and ends."""

    def __init__(self):
        self.states = []

    def on_start(self, _):
        self.states.append(gc.isenabled())

    on_end = on_start


@pytest.mark.parametrize("was_collecting", [True, False])
def test_garbage_is_not_collected_while_a_kernel_is_compiled(was_collecting, tell_parts):
    before, notes = gc.isenabled(), CollectorNotes()
    (gc.enable if was_collecting else gc.disable)()
    try:
        with event.install_listener("numba:compile", notes):
            tell_parts.serial.compile((numba.types.int64[::1], numba.types.intp))
        assert notes.states
        assert not any(notes.states)
        assert gc.isenabled() == was_collecting
    finally:
        (gc.enable if before else gc.disable)()


def test_other_users_of_numba_keep_their_cache_folder():
    assert numba.config.CACHE_DIR == ""


USE = """
import sys, warnings
import numpy as np
warnings.simplefilter("always")
{change}
from fastmnist.model.network import Network
for _ in range(2):
    print(Network.random((784, 16, 10), 0).predict(np.full((3, 784), 99, np.uint8))[1].tobytes().hex())
"""
NEWER = "import numba; numba.__version__ = '99.0'"
CHANGES = {
    "the compiler is gone": ("sys.modules['fastmnist.kernels.inlining'] = None", ["twice as long to compile"]),
    "a trial fails": (
        f"{NEWER}; import fastmnist.kernels.inlining as module; module._IRLibrary.finalize = lambda self: 1 / 0",
        ["twice as long to compile"],
    ),
    "it is newer, and works": (NEWER, []),
    "the cache is gone": (
        "import numba.core.caching as module; del module.CompileResultCacheImpl",
        ["Numba's own cache"],
    ),
}


@pytest.fixture(scope="module")
def usual():
    return use("")


def use(change, **environment):
    """What a network says in a process that begins with a `change`, and its warnings."""
    run = subprocess.run(
        [sys.executable, "-c", USE.format(change=change)],
        env=cli_environment(**environment), capture_output=True, text=True, timeout=HANGS_AFTER,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout, [line for line in run.stderr.splitlines() if "Warning: " in line]


@pytest.mark.parametrize("change", CHANGES)
def test_a_numba_without_the_private_parts_is_used_in_public_ways_with_one_warning(change, usual, tmp_path):
    code, expected = CHANGES[change]
    for _ in range(2):  # the second time from the cache
        said, warned = use(code, XDG_CACHE_HOME=str(tmp_path))
        assert said == usual[0]
        assert len(warned) == len(expected)
        assert all(words in line for words, line in zip(expected, warned, strict=True))
