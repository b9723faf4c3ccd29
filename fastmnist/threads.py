"""How many threads this process should use.

The number must be known before Numba is imported, so nothing here imports it.
"""

import math
import os
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")


def usable_cpus() -> int:
    """Return how many CPUs this process may use: the affinity mask, cut by a cgroup quota. At least 1."""
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no affinity mask
        cpus = os.cpu_count() or 1
    return max(1, min(cpus, cgroup_cpus()))


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
        lines = membership.read_text().splitlines()
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
