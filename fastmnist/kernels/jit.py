"""The only place that configures Numba: compile options, cache folder, threads.

`@kernel` makes a callable that is compiled twice from one function, parallel and serial; both give equal
bytes, because a kernel splits its work over outputs and never reduces over threads. `@inlined` marks the
plain functions that kernels are built from.
"""

import hashlib
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastmnist import __version__
from fastmnist.threads import usable_cpus

# libgomp's idle threads spin by default; beside a busy neighbour that makes an epoch up to 150 times slower.
# A short spin keeps it within 3 times and costs nothing on a quiet machine. Both are read when numba loads.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
if "numba" not in sys.modules:
    os.environ.setdefault("NUMBA_NUM_THREADS", str(usable_cpus()))

import numba
import platformdirs
from numba.core import config
from numba.core.caching import FunctionCache, NullCache

from fastmnist.kernels.inlining import Ingredient

# The checked build: every load and store of a kernel is bounds-checked. Read once, at compile time. It is
# serial, because an error raised inside a parallel region is lost.
CHECKED = os.environ.get("FASTMNIST_CHECKED") == "1"

# No nnan and ninf: a NaN must stay one, to be seen. No reassoc: the order of a sum is part of the result,
# and the parallel and the serial build must agree on it.
FASTMATH = {"contract", "nsz"}

# Kernels allocate nothing, so Numba need not count references: 6 % of a seed epoch. (A leading underscore marks the
# option as Numba's own; where it is missing one day, it can go.)
NO_REFERENCE_COUNTS = {"_nrt": False}

# workqueue costs 90 us a parallel region where omp costs 1.1 us.
config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]


class KernelCacheWarning(UserWarning):
    """The kernel cache can't be used; kernels are compiled anew instead."""


# Called once, before the first kernel of this process that must be compiled, not loaded.
on_first_compile: Callable[[], None] | None = None


def _announce_compile() -> None:
    global on_first_compile
    listener, on_first_compile = on_first_compile, None
    if listener is not None:
        listener()


def cache_folder() -> Path:
    """Return the folder of compiled kernels: the user's own, one for each version of the kernels' sources.

    Numba's cache looks at the time stamp of one source file only, and misses a change in another one.
    """
    digest = hashlib.sha256(f"{__version__} {numba.__version__} {CHECKED}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + source.read_bytes())
    return platformdirs.user_cache_path("fastmnist") / f"kernels-{digest.hexdigest()[:16]}"


def _prepare_cache_folder() -> Path | None:
    """Return the cache folder, made private, or None with one warning where it can't be used."""
    folder = cache_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.geteuid() or not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(0, "not this user's to write")
    except OSError as error:
        _warn_once(f"{folder}: {error.strerror}; kernels are compiled anew in every process")
        return None
    return folder


_warned = False


def _warn_once(message: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(f"kernel cache {message}", KernelCacheWarning, stacklevel=2)


class _SafeCache(FunctionCache):
    """Numba's cache, never needed: what can't be read is dropped and compiled anew, with one warning."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            # Not super().load_overload: that first registers all that Numba can compile, 0.12 s of a command's 0.45 s,
            # and what is loaded here is machine code that needs nothing of it.
            with self._guard_against_spurious_io_errors():
                overload = self._load_overload(sig, target_context)
        except Exception as error:  # noqa: BLE001, RUF100  # a damaged pickle raises anything
            _warn_once(f"{self.cache_path}: {type(error).__name__}; compiling anew")
            overload = None
            self._drop()
        if overload is None:
            _announce_compile()
        return overload

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except (OSError, EOFError) as error:
            _warn_once(f"{self.cache_path}: {error}; kernels are compiled anew in every process")

    def _drop(self) -> None:
        """Remove this function's index, so that no later run trips over it."""
        try:
            Path(self._cache_file._index_path).unlink(missing_ok=True)
        except OSError:
            self.disable()


class _NoCache(NullCache):
    def load_overload(self, sig: Any, target_context: Any) -> None:
        _announce_compile()


_folder = _prepare_cache_folder()


def _cache_of(function: Callable[..., Any], build: str) -> NullCache | FunctionCache:
    """Return a cache for one build of a function; Numba's own key would mix up its builds."""
    if _folder is None:
        return _NoCache()
    # Only around this line: other libraries of the process keep their own cache folders.
    before, config.CACHE_DIR = config.CACHE_DIR, str(_folder / build)
    try:
        return _SafeCache(function)
    except RuntimeError:  # Numba finds no place for the cache: the sources are in no file, the disk is full
        _warn_once(f"{_folder / build}: can't be written; kernels are compiled anew in every process")
        return _NoCache()
    finally:
        config.CACHE_DIR = before


def _compile(function: Callable[..., Any], *, parallel: bool) -> Any:
    """Return Numba's dispatcher for `function`; nothing is compiled before its first call."""
    dispatcher = numba.njit(
        function, parallel=parallel, fastmath=FASTMATH, nogil=True, boundscheck=CHECKED, **NO_REFERENCE_COUNTS
    )
    dispatcher._cache = _cache_of(function, "parallel" if parallel else "serial")
    return dispatcher


class Kernel:
    """A compiled function in two builds of equal results; called, it runs the one that pays here.

    The function's last parameter, `n_parts`, is filled in here with the number of threads: asking Numba for
    it inside a kernel would make that kernel uncacheable.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.serial = _compile(function, parallel=False)
        self.parallel = self.serial if CHECKED else _compile(function, parallel=True)

    def __call__(self, *args: Any) -> Any:
        """Run the kernel on all its parameters but `n_parts`."""
        n = n_threads()
        return self.serial(*args, 1) if n == 1 else self.parallel(*args, n)

    def with_threads(self, n: int, *args: Any) -> Any:
        """Run the kernel on `n` threads, at most `n_threads()`."""
        all_threads = n_threads()
        if n == all_threads:
            return self(*args)
        numba.set_num_threads(n)
        try:
            return self.parallel(*args, n)
        finally:
            numba.set_num_threads(all_threads)


def kernel(function: Callable[..., Any]) -> Kernel:
    """Make a kernel of a plain loop over `numba.prange`."""
    return Kernel(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Make a function that kernels can call, and Python cannot; it is compiled and cached as a part of them."""
    return Ingredient(function, fastmath=FASTMATH, nogil=True, boundscheck=CHECKED, **NO_REFERENCE_COUNTS)


def n_threads() -> int:
    """Return how many threads parallel kernels use."""
    return int(numba.get_num_threads())


def threading_layer() -> str:
    """Return the threading layer of parallel kernels, omp, tbb or workqueue; loads it, as the first kernel would."""
    numba.np.ufunc.parallel._launch_threads()
    return str(numba.np.ufunc.parallel.threading_layer())
