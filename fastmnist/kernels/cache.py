"""Compiled kernels on disk, so that only a version's first use compiles them. The cache is optional.

Numba's own cache looks at the time stamp of one source file and misses changes in the others. So ours is in a folder
named by a hash of all kernel sources, private to the user (cache files are pickles), made when something is saved.
"""

import hashlib
import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import config

from fastmnist.folders import user_cache
from fastmnist.version import __version__

_log = logging.getLogger(__name__)

try:  # Numba's private parts; without them `attach` uses the public cache
    from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache

    HAS_PRIVATE_CACHE = True
except ImportError:
    CompileResultCacheImpl = FunctionCache = NullCache = object
    HAS_PRIVATE_CACHE = False


class KernelCacheWarning(UserWarning):
    """The kernel cache can't be used; kernels are compiled again instead."""


_announced = False


def _announce_compile() -> None:
    """Log, once per version, that kernels have to be compiled rather than loaded.

    A version's folder is made when its first kernel is saved. Later commands that need other kernels log nothing: the
    user must not see "first run" twice.
    """
    global _announced
    if not _announced and _folder is not None and not os.path.exists(_folder):  # Path.exists raises for some
        _log.info("compiling kernels (first run only, about 10 s)")
    _announced = True


def cache_folder() -> Path | None:
    """Return the folder of compiled kernels: one for each version of their sources, of Numba and of fastmnist.

    It is below NUMBA_CACHE_DIR where that is set, else below the user's cache folder; None for a user without a home.
    """
    user_folder = Path(config.CACHE_DIR).absolute() / "fastmnist" if config.CACHE_DIR else user_cache()
    if user_folder is None:
        return None
    digest = hashlib.sha256(f"{__version__} {numba.__version__}".encode())
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.name.encode() + source.read_bytes())
    return user_folder / f"kernels-{digest.hexdigest()[:16]}"


_folder = cache_folder()


def check_folder(folder: Path) -> None:
    """Raise OSError unless `folder` is the user's own and writable, or missing where it can be made."""
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(nearest, os.W_OK | os.X_OK) or (nearest == folder and folder.stat().st_uid != os.geteuid()):
        raise PermissionError(0, "not writable by this user")


_warned = False


def _warn_once(message: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(f"kernel cache {message}", KernelCacheWarning, stacklevel=2)


def _recompiled_always(folder: Path, why: object) -> None:
    _warn_once(f"{folder}: {why}; kernels are recompiled in every process")


class _Locator:
    """Tells Numba's cache where a function's files lie."""

    def __init__(self, folder: Path, line: int) -> None:
        self.folder, self._line = folder, line

    def get_cache_path(self) -> str:
        return str(self.folder)

    def ensure_cache_path(self) -> None:
        """Make the folder, within a private one. Raises OSError where it can't be used."""
        self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_folder(self.folder.parent)
        self.folder.mkdir(exist_ok=True)

    def get_source_stamp(self) -> str:
        return ""  # the folder's name has the hash of the sources

    def get_disambiguator(self) -> str:
        return str(self._line)


class _Files(CompileResultCacheImpl):
    """Numba's file names and formats, in a folder of ours."""

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        code = function.__code__
        self._lineno = code.co_firstlineno
        self._locator = _Locator(folder, self._lineno)
        self._filename_base = self.get_filename_base(f"{Path(code.co_filename).stem}.{function.__qualname__}", "")


def _nobody_compiles(_kernel: str) -> bool:
    return False


# Called before a kernel is compiled, with its name and build, as in "read_with serial": has another process stored it?
is_compiled_elsewhere: Callable[[str], bool] = _nobody_compiles


class _SafeCache(FunctionCache):
    """Numba's cache, made optional: whatever can't be read is dropped and recompiled, with one warning."""

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        self._impl_class = lambda function: _Files(function, folder)
        self._kernel = f"{function.__qualname__} {folder.name}"
        super().__init__(function)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        overload = self._load(sig, target_context)
        if overload is None:
            _announce_compile()
            if self._enabled and is_compiled_elsewhere(self._kernel):
                overload = self._load(sig, target_context)
        return overload

    def _load(self, sig: Any, target_context: Any) -> Any:
        try:
            check_folder(self._impl.locator.folder.parent)
        except OSError as error:
            self.disable()
            _recompiled_always(self._impl.locator.folder, error.strerror)
            return None
        try:
            # Not super().load_overload: that first registers everything that Numba can compile, which takes 0.12 s of a
            # command's 0.45 s, and the machine code that is loaded here needs none of it.
            return self._load_overload(sig, target_context)
        except Exception as error:  # noqa: BLE001, RUF100  # a damaged pickle raises anything
            _warn_once(f"{self.cache_path}: {type(error).__name__}; recompiling")
            self._drop()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            self._save_overload(sig, data)
        except (OSError, EOFError) as error:
            self.disable()
            _recompiled_always(self._impl.locator.folder, getattr(error, "strerror", None) or error)

    def _drop(self) -> None:
        """Remove this function's index, so that no later run trips over it."""
        try:
            Path(self._cache_file._index_path).unlink(missing_ok=True)
        except OSError:
            self.disable()


class _NoCache(NullCache):
    """No cache, where there is no place for one."""

    def load_overload(self, sig: Any, target_context: Any) -> None:
        _announce_compile()
        _warn_once(
            "has no folder: set HOME, XDG_CACHE_HOME or NUMBA_CACHE_DIR; kernels are recompiled in every process"
        )


def attach(dispatcher: Any, function: Callable[..., Any], build: str) -> None:
    """Give a dispatcher, which compiles one `build` of `function`, its place in the cache.

    A build has a folder of its own, because Numba's key is the same for all of them.
    """
    if _folder is None:
        if HAS_PRIVATE_CACHE:
            dispatcher._cache = _NoCache()
        return
    folder = _folder / build
    if HAS_PRIVATE_CACHE and hasattr(dispatcher, "_cache"):
        dispatcher._cache = _SafeCache(function, folder)
        return
    _warn_once(f"{folder}: Numba {numba.__version__} is too new for this version; using Numba's own cache")
    # Only around this line: other libraries of the process keep their own cache folders.
    before, config.CACHE_DIR = config.CACHE_DIR, str(folder)
    try:
        dispatcher.enable_caching()
    except (OSError, RuntimeError) as error:
        _recompiled_always(folder, error)
    finally:
        config.CACHE_DIR = before
