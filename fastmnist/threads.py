"""How many threads this process should use, and how many are worth using.

What Numba reads when it is imported is set here, so nothing here imports it.
"""

import logging
import math
import os
import threading
import time
from pathlib import Path

_log = logging.getLogger(__name__)

CGROUP_ROOT = Path("/sys/fs/cgroup")

# libgomp's idle threads spin by default; beside a busy neighbour that makes an epoch up to 150 times slower. A short
# spin keeps it within 3 times and costs nothing on a quiet machine. workqueue costs 90 us a parallel region where omp
# costs 1.1 us. OpenCV decodes one picture in each of our own threads: no pool inside the pool.
PROGRAM_ENVIRONMENT = {
    "GOMP_SPINCOUNT": "10000",
    "NUMBA_THREADING_LAYER_PRIORITY": "omp tbb workqueue",
    "OPENCV_FOR_THREADS_NUM": "1",
}


def set_up_program() -> None:
    """Set what libgomp, Numba and OpenCV read when they are loaded, unless the user has. For programs only."""
    for name, value in PROGRAM_ENVIRONMENT.items():
        os.environ.setdefault(name, value)


_told_too_few = False


def startable(n: int) -> int:
    """Return how many of `n` threads, the calling one among them, could run at once now: at least 1.

    A limit (`ulimit -u`, or a container's on processes) also counts what others have started, so the only way to find
    out is to try. libgomp ends the process if it can't start a thread. The first shortage is logged.
    """
    global _told_too_few
    enough = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(n - 1):
            thread = threading.Thread(target=enough.wait)
            thread.start()
            started.append(thread)
    except RuntimeError:  # can't start new thread
        if not _told_too_few:
            _told_too_few = True
            _log.warning("the limit on threads is reached (ulimit -u, or the container's): using fewer threads")
    finally:
        enough.set()
        for thread in started:
            wait_until_gone(thread)
    return len(started) + 1


def wait_until_gone(thread: threading.Thread) -> None:
    """Wait until the system no longer counts `thread`, on Linux a moment longer than Python does."""
    thread.join()
    while os.path.exists(f"/proc/self/task/{thread.native_id}"):
        time.sleep(0.0001)


def usable_cpus() -> int:
    """Return how many CPUs this process may use: the affinity mask, cut by a cgroup quota. At least 1."""
    return usable_cpus_and_reason()[0]


def usable_cpus_and_reason() -> tuple[int, str]:
    """Return how many CPUs this process may use, and in words what limits them."""
    machine = os.cpu_count() or 1
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no affinity mask
        cpus = machine
    quota = cgroup_cpus()
    if quota < cpus:
        return max(1, quota), f"cgroup quota, of {cpus} CPUs"
    return max(1, cpus), "all CPUs" if cpus == machine else f"affinity mask, of {machine} CPUs"


def cgroup_cpus(root: Path = CGROUP_ROOT, membership: Path = Path("/proc/self/cgroup")) -> int:
    """Return the tightest CPU quota of this process's cgroups (v2, or v1's cpu controller), rounded up.

    A very large number stands for "no quota".
    """
    quotas = [math.inf]
    for folder in _cgroup_folders(root, membership):
        try:
            if (folder / "cpu.max").exists():  # v2: "quota period" or "max period"
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text().strip()
                period = (folder / "cpu.cfs_period_us").read_text().strip()
            if quota not in ("max", "-1"):
                quotas.append(math.ceil(int(quota) / int(period)))
        except (OSError, ValueError, ZeroDivisionError):
            continue  # no controller here, or not one we can read: no quota from it
    return int(min(min(quotas), 2**31))


def _cgroup_folders(root: Path, membership: Path) -> list[Path]:
    """Return the folders whose quotas bind this process: its own cgroup and all above it."""
    try:
        lines = membership.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return [root]
    folders = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "cpu" if controllers else root
        folder = top / path.strip("/")
        folders.extend([folder, *(parent for parent in folder.parents if parent.is_relative_to(top))])
    return folders or [root]


class Pace:
    """Chooses between one thread and all of them by what they have cost so far; results must not depend on it.

    Waiting for the other threads can cost more than they gain: beside busy neighbours (with both cores taken, a
    seed epoch took 10 times as long), where entering a parallel region is expensive, or where threads contend for
    the GIL (small image files). Both ways are timed, the faster one is used, and the other is retried: soon at first,
    then only now and then. A trial goes on until it is recorded.
    """

    SOON = 2  # recorded calls before the slower way is tried again for the first time; twice as many each time after,
    RETRY = 16  # up to that many, at least,
    RARELY = 64  # and that many at most
    TRIAL_COST = 0.02  # what trials may cost between these, as a share of the time

    def __init__(self, most: int) -> None:
        """Choose between 1 and `most`."""
        self._ways = (most, 1)
        self._seconds: dict[int, float] = {}  # threads -> seconds per unit of work, the better of the last two calls
        self._last: dict[int, float] = {}  # that of the last call
        self._calls = 0  # since the last trial
        self._wait = self.SOON

    def choose(self) -> int:
        """Return how many threads to use for the next call."""
        for way in self._ways:
            if way not in self._seconds:
                return way
        best, (most, one) = self._best(), self._ways
        other = one if best == most else most
        excess = self._seconds[other] / self._seconds[best] - 1
        is_due = self._calls + 1 >= min(self.RARELY, max(self._wait, excess / self.TRIAL_COST))
        return other if is_due else best

    def is_trial(self, threads: int) -> bool:
        """Return whether using `threads` is a trial rather than the way that is known to be faster."""
        return len(self._seconds) < len(set(self._ways)) or threads != self._best()

    def _best(self) -> int:
        """Return the way that is known to be faster."""
        return min(self._ways, key=lambda way: self._seconds[way])

    def record(self, threads: int, seconds_per_unit: float) -> None:
        """Record what a call with `threads` cost. One slow call says little: something else may have run just then."""
        self._calls += 1
        if threads not in self._seconds:
            self._calls = 0
        elif self.is_trial(threads):
            self._calls, self._wait = 0, min(self.RETRY, 2 * self._wait)
        self._seconds[threads] = min(seconds_per_unit, self._last.get(threads, seconds_per_unit))
        self._last[threads] = seconds_per_unit
