"""The clocks of the benchmarks.

Every figure is the minimum and the median of several repeats. A peer is timed in the same run, alternating with ours
(A B A B), so that drift of the machine affects both.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO

# OpenBLAS's and OpenMP's threads spin for a while after a product, waiting for the next one, and take a core
# from whatever runs next. This much idle time between ours and the peer lets them go to sleep.
SETTLE_SECONDS = 0.2

# Sleeping threads often wake on their caller's core and compete for it until the scheduler spreads them, some 10 to
# 40 ms later; until then a product of 0.3 ms takes 1.1 ms.
WAKE_SECONDS = 0.1

LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Timing:
    """Seconds per call over a number of repeats."""

    min: float
    median: float
    max: float
    repeats: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Timing":
        """Summarise the seconds of single calls."""
        return cls(min(seconds), median(seconds), max(seconds), len(seconds))


@dataclass(frozen=True)
class Comparison:
    """Ours and a peer's timing, from one interleaved run."""

    ours: Timing
    peer: Timing

    @property
    def ratio(self) -> float:
        """How many times faster than the peer ours is: the ratio of the medians."""
        return self.peer.median / self.ours.median


@dataclass(frozen=True)
class ProcessTiming:
    """What one whole process took."""

    seconds: float
    peak_bytes: int
    returncode: int
    stderr: str


def seconds_of(function: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def seconds_when_awake(function: Callable[[], object]) -> float:
    """Wall seconds of one call, after WAKE_SECONDS of untimed ones."""
    awake = time.perf_counter() + WAKE_SECONDS
    function()
    while time.perf_counter() < awake:
        function()
    return seconds_of(function)


def measure(function: Callable[[], object], *, repeats: int, warmup: int = 1) -> Timing:
    """Time `repeats` calls of `function`, after `warmup` untimed ones."""
    for _ in range(warmup):
        function()
    return Timing.of([seconds_of(function) for _ in range(repeats)])


def compare(
    ours: Callable[[], object],
    peer: Callable[[], object],
    *,
    repeats: int,
    calls: int = 1,
    settle: float = SETTLE_SECONDS,
    wake: float = 0.0,
) -> Comparison:
    """Time ours and the peer in turn, `repeats` rounds of each, after one untimed call of both.

    Short functions need several `calls` per round. Each round then begins with untimed calls, one or `wake` seconds of
    them, which wake the threads and refill the caches.
    """

    def burst(function: Callable[[], object]) -> list[float]:
        if calls > 1:
            awake = time.perf_counter() + wake
            function()
            while time.perf_counter() < awake:
                function()
        return [seconds_of(function) for _ in range(calls)]

    ours()
    peer()
    return _interleave(lambda: burst(ours), lambda: burst(peer), repeats, settle)


def compare_clocks(
    ours: Callable[[], float],
    peer: Callable[[], float],
    *,
    repeats: int,
    settle: float = SETTLE_SECONDS,
) -> Comparison:
    """Compare functions that return their own seconds: training runs, and whole processes.

    Nothing is warmed up here: the functions decide what they time.
    """
    return _interleave(lambda: [ours()], lambda: [peer()], repeats, settle)


def _interleave(
    ours: Callable[[], list[float]], peer: Callable[[], list[float]], repeats: int, settle: float
) -> Comparison:
    ours_seconds: list[float] = []
    peer_seconds: list[float] = []
    for _ in range(repeats):
        time.sleep(settle)
        ours_seconds += ours()
        time.sleep(settle)
        peer_seconds += peer()
    return Comparison(Timing.of(ours_seconds), Timing.of(peer_seconds))


def run_process(
    argv: Sequence[str], env: dict[str, str] | None = None, stdout: IO[bytes] | int = subprocess.DEVNULL
) -> ProcessTiming:
    """Run one command from start to exit: wall time, its own peak memory, exit code, stderr.

    A failing command is not an error here: the caller checks `returncode` and can show `stderr`.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as stderr:
        report = Path(folder, "report")
        subprocess.run(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(report), *argv],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=env,
            check=False,
        )
        stderr.seek(0)
        said = stderr.read().decode(errors="replace")
        if not report.exists():
            raise OSError(f"could not start {argv[0]}: {said.strip()}")
        seconds, peak_bytes, returncode = report.read_text(encoding="ascii").split()
    return ProcessTiming(float(seconds), int(peak_bytes), int(returncode), said)
