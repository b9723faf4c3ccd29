"""The configuration of Numba: cache folder and threads. (Damaged caches: test_kernel_cache.py.)"""

import shutil
from pathlib import Path

import numba
import numpy as np
import pytest
from numba import prange

from fastmnist.kernels import jit


@pytest.fixture
def tell_parts(monkeypatch):
    """A kernel that fills `out` (at least n_parts) with 1 for each of its parts; compiled anew, never cached."""
    monkeypatch.setattr(jit, "_folder", None)

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
def test_with_threads_runs_on_that_many_and_sets_them_back(recorded):
    before = jit.n_threads()
    recorded.with_threads(1, "a")
    assert jit.n_threads() == before
    recorded.with_threads(before, "b")
    recorded("c")
    assert recorded.serial.calls == []
    assert recorded.parallel.calls == [(("a", 1), 1), (("b", before), before), (("c", before), before)]


@needs_threads
def test_threads_are_set_back_after_an_error(recorded):
    before = jit.n_threads()
    recorded.parallel.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        recorded.with_threads(1)
    assert jit.n_threads() == before


def test_where_there_is_one_thread_the_serial_build_runs(recorded, monkeypatch):
    monkeypatch.setattr(jit, "n_threads", lambda: 1)
    recorded("a")
    recorded.with_threads(1, "b")
    assert [arguments for arguments, _ in recorded.serial.calls] == [("a", 1), ("b", 1)]
    assert recorded.parallel.calls == []


def test_a_kernel_bears_the_name_and_the_words_of_its_function(tell_parts):
    def named(n_parts):
        """Do it."""

    kernel = jit.Kernel(named)
    assert (kernel.__name__, kernel.__doc__) == ("named", "Do it.")


def test_the_first_compilation_is_announced_once(tell_parts, monkeypatch):
    told = []
    monkeypatch.setattr(jit, "on_first_compile", lambda: told.append(1))
    out = np.zeros(9, np.int64)
    tell_parts.serial(out, 2)
    tell_parts.serial(out, 2)
    tell_parts.parallel(out, 2)
    assert told == [1]


def test_the_cache_folder_is_the_same_for_the_same_kernels():
    assert jit.cache_folder() == jit.cache_folder()


@pytest.mark.parametrize(
    ("where", "value"), [("jit.CHECKED", not jit.CHECKED), ("jit.__version__", "0.0.1"), ("jit.numba.__version__", "1")]
)
def test_another_build_or_version_has_another_cache_folder(where, value, monkeypatch):
    before = jit.cache_folder()
    monkeypatch.setattr(f"fastmnist.kernels.{where}", value)
    assert jit.cache_folder() != before
    assert jit.cache_folder().parent == before.parent


@pytest.mark.parametrize("change", ["edited", "added", "renamed"])
def test_changed_sources_have_another_cache_folder(change, monkeypatch, tmp_path):
    sources = tmp_path / "kernels"
    shutil.copytree(Path(jit.__file__).parent, sources, ignore=shutil.ignore_patterns("__pycache__"))
    before = jit.cache_folder()
    monkeypatch.setattr(jit, "__file__", str(sources / "jit.py"))
    assert jit.cache_folder() == before
    if change == "edited":
        with (sources / "simd.py").open("a") as file:
            file.write("\n")
    elif change == "added":
        (sources / "more.py").touch()
    else:
        (sources / "simd.py").rename(sources / "vectors.py")
    assert jit.cache_folder() != before


def test_other_users_of_numba_keep_their_cache_folder():
    assert numba.config.CACHE_DIR == ""
