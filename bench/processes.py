"""Running whole commands, and worker processes for the peers."""

import importlib.util
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from subprocess import DEVNULL
from types import TracebackType
from typing import IO, Any, TypeVar

from bench.settings import WrongResultError
from bench.timing import ProcessTiming, run_process

# Numba imports SciPy if it is installed, as it is with the peers; that takes 0.15 s that fastmnist alone doesn't need.
WITHOUT_SCIPY = "import sys; sys.modules['scipy'] = None; from fastmnist.cli.main import run; run()"

T = TypeVar("T")


def fastmnist_command(*arguments: str | Path) -> list[str]:
    """Return the command line of `fastmnist ARGUMENTS` as it runs where no peer is installed."""
    scipy = importlib.util.find_spec("scipy") is not None
    program = ["-c", WITHOUT_SCIPY] if scipy else ["-m", "fastmnist"]
    return [sys.executable, *program, *map(str, arguments)]


def peer_command(name: str, *arguments: str | Path) -> list[str]:
    """Return the command line of a script of bench/peers."""
    return [sys.executable, "-m", f"bench.peers.{name}", *map(str, arguments)]


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of a new process, without what fastmnist sets in this one for Numba and OpenMP."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "GOMP_"))}
    return kept | changes


def run_checked(argv: list[str], env: dict[str, str] | None = None, stdout: IO[bytes] | int = DEVNULL) -> ProcessTiming:
    """Run one whole command, which must succeed."""
    timing = run_process(argv, env or environment(), stdout)
    if timing.returncode:
        raise WrongResultError(f"{' '.join(argv)} failed with {timing.returncode}: {timing.stderr}")
    return timing


class PeerProcess:
    """A process for one peer, which keeps its threads, settings and memory apart from the others'.

    For example, fastmnist limits OpenMP's spinning, which would slow PyTorch in the same process.
    """

    def __enter__(self) -> "PeerProcess":
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), _forget_our_environment)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Return function(*args, **kwargs), called in that process."""
        return self._pool.submit(function, *args, **kwargs).result()


def _forget_our_environment() -> None:
    for name in set(os.environ) - set(environment()):
        del os.environ[name]
