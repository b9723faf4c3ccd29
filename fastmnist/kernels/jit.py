"""How kernels are compiled and run: compile options, the two builds of a kernel, threads.

`@kernel` makes a callable that is compiled twice from one function, parallel and serial; both give equal
bytes, because a kernel splits its work over outputs and never reduces over threads. `@inlined` marks the
device functions that kernels are built from.
"""

import functools
import gc
import math
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba

from fastmnist.kernels import cache
from fastmnist.threads import startable, usable_cpus

NEWEST_TESTED = (0, 68)  # with a newer Numba, the code that uses its private parts has to pass a trial first

# The checked build: every load and store of a kernel is bounds-checked. Read once, at compile time. It is
# serial, because an error raised inside a parallel region is lost.
CHECKED = os.environ.get("FASTMNIST_CHECKED") == "1"

# No nnan and ninf: a NaN must stay a NaN, so that it is noticed. No reassoc: the order of a sum is part of the result,
# and the parallel and the serial build must agree on it.
FASTMATH = {"contract", "nsz"}

# Kernels allocate nothing, so Numba need not count references: 6 % of a seed epoch. (A leading underscore marks the
# option as Numba's own; where it is missing one day, it can go.)
NO_REFERENCE_COUNTS = {"_nrt": False}

# Numba respects the affinity mask, but not a cgroup's quota. What the user explicitly asked for takes precedence.
MAX_THREADS = math.inf if "NUMBA_NUM_THREADS" in os.environ else usable_cpus()

_PROCESS = os.getpid()
# Two Python threads in parallel regions would get a team of threads each; workqueue would abort the process.
_in_parallel = threading.Lock()


class _Team(threading.local):
    """The threads that the threading layer has for the Python thread that asks."""

    size = 1  # how many were found to be startable, the Python thread included


_team = _Team()


def _size_of_team(n: int) -> int:
    """Return how many of `n` threads a parallel kernel called from here can have."""
    if n > _team.size:
        _team.size = startable(n)
    return min(n, _team.size)


@functools.cache
def _can_be_parallel() -> bool:
    """Return whether Numba has threads; warn once if the environment asks for a threading layer that is missing."""
    try:
        numba.get_num_threads()
    except ValueError as error:
        warnings.warn(
            f"NUMBA_THREADING_LAYER={numba.config.THREADING_LAYER}: {str(error).splitlines()[0]} "
            "Install it (tbb: pip install tbb) or unset the variable; kernels use one thread",
            stacklevel=2,
        )
        return False
    return True


def n_threads() -> int:
    """Return how many threads parallel kernels may use, called from here.

    1 in a forked child: OpenMP's threads stay with the parent, and Numba would kill the child at a parallel region.
    1 too where Numba has no threading layer.
    """
    if os.getpid() != _PROCESS or not _can_be_parallel():
        return 1
    return int(min(numba.get_num_threads(), MAX_THREADS))


class Kernel:
    """A compiled function in two builds with equal results; calling it runs the one that is faster here.

    The function's last parameter, `n_parts`, is filled in here: asking Numba for the number of threads inside a
    kernel would make that kernel uncacheable. Any number of Python threads may call kernels: they take turns.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.serial = _compile(function, parallel=False)
        self.parallel = self.serial if CHECKED else _compile(function, parallel=True)

    def __call__(self, *args: Any) -> None:
        """Run the kernel on all its parameters but `n_parts`, with one part per thread."""
        self.with_parts(n_threads(), *args)

    def with_parts(self, n_parts: int, *args: Any) -> None:
        """Run the kernel in `n_parts` parts, the number its working memory was made for, each in a thread if possible.

        The caller states it because the number of threads may have changed since the memory was made.
        """
        if n_threads() == 1:
            self.serial(*args, n_parts)
        else:
            with _in_parallel, using_threads(_size_of_team(n_parts)):
                self.parallel(*args, n_parts)

    def in_one_part(self, *args: Any) -> None:
        """Run the serial build, whatever threads there are, on all the kernel's parameters but `n_parts`."""
        self.serial(*args, 1)


@contextmanager
def using_threads(n: int) -> Iterator[None]:
    """Let kernels use `n` threads, or all that Numba has, while the context lasts, in this Python thread only.

    In a forked child, or without a threading layer, there is one anyway, and Numba must not be asked for its threads.
    """
    if os.getpid() != _PROCESS or not _can_be_parallel():
        yield
        return
    before, wanted = numba.get_num_threads(), min(n, numba.config.NUMBA_NUM_THREADS)
    if wanted == before:
        yield
        return
    numba.set_num_threads(wanted)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def kernel(function: Callable[..., Any]) -> Kernel:
    """Make a kernel of a plain loop over `numba.prange`."""
    return Kernel(function)


def serial_kernel(function: Callable[..., Any]) -> Any:
    """Make a kernel that runs in the calling thread, without the interpreter lock: each thread does its own work."""
    return _compile(function, parallel=False)


@contextmanager
def _compiling() -> Iterator[None]:
    """Let Numba compile, whatever NUMBA_DISABLE_JIT says: Python can't run the kernels' vector code.

    The garbage collector is paused: it would scan all that Numba keeps again and again, for 14 % of the time.
    """
    before, numba.config.DISABLE_JIT = numba.config.DISABLE_JIT, 0
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        numba.config.DISABLE_JIT = before
        if was_collecting:
            gc.enable()


@_compiling()
def _njit(function: Callable[..., Any], **options: Any) -> Any:
    """Return Numba's dispatcher for `function`."""
    dispatcher = numba.njit(function, **options)
    dispatcher.compile = _compiling()(dispatcher.compile)  # which makes dispatchers too, of what `function` calls
    return dispatcher


def _private_parts() -> Any:
    """Return inlining.py, or None if it does not work; Numba's public `njit` then compiles everything."""
    try:
        from fastmnist.kernels import inlining

        version = tuple(int(part) for part in numba.__version__.split(".")[:2])
        if version <= NEWEST_TESTED or inlining.passes_trial(_njit):
            return inlining
    except (ImportError, AttributeError):  # private parts that are gone
        pass
    warnings.warn(
        f"Numba {numba.__version__} is newer than fastmnist knows: kernels take twice as long to compile; "
        "an older Numba avoids that",
        stacklevel=2,
    )
    return None


private = _private_parts()
_device_function = _njit if private is None else private.DeviceFunction
_kernel_options = {} if private is None else {"pipeline_class": private.KernelCompiler}


def inlined(function: Callable[..., Any], **options: Any) -> Any:
    """Make a device function: kernels can call it, Python cannot. It is compiled and cached as a part of them."""
    return _device_function(
        function, fastmath=FASTMATH, nogil=True, boundscheck=CHECKED, **NO_REFERENCE_COUNTS, **options
    )


def specialised(function: Callable[..., Any]) -> Any:
    """Make a device function that LLVM inlines at every call: arguments that are constant there are constant in it."""
    return inlined(function, forceinline=True)


def _compile(function: Callable[..., Any], *, parallel: bool) -> Any:
    """Return Numba's dispatcher for `function`; nothing is compiled before its first call."""
    dispatcher = _njit(
        function, parallel=parallel, fastmath=FASTMATH, nogil=True, boundscheck=CHECKED,
        **NO_REFERENCE_COUNTS, **_kernel_options,
    )  # fmt: skip
    cache.attach(dispatcher, function, "checked" if CHECKED else "parallel" if parallel else "serial")
    return dispatcher


def threading_layer() -> str:
    """Return the threading layer of parallel kernels, omp, tbb, workqueue or none; loads it, as the first one would."""
    if not _can_be_parallel():
        return "none"
    numba.np.ufunc.parallel._launch_threads()
    return str(numba.threading_layer())
