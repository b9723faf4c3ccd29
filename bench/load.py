"""How much CPU time other processes use during a measurement: a busy machine spoils every figure."""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from bench.machine import available_cores
from bench.settings import Settings
from bench.table import Table

STAT = Path("/proc/stat")  # Linux only; elsewhere the load is unknown and not reported
DISTURBED = 0.05  # of all CPUs' time, used by others while a row was measured
PATIENCE_SECONDS = 60
ATTEMPTS = 3
TOO_SHORT = 0.5  # seconds: the kernel's counters have a resolution of 0.01 s


def undisturbed(table: Table, settings: Settings) -> Iterator[None]:
    """Repeat a loop's body, which adds rows to the table, until no other process disturbed it.

    After ATTEMPTS attempts the rows are kept, marked as disturbed.
    """
    n_rows = len(table.rows)
    for _ in range(1 if settings.smoke else ATTEMPTS):
        del table.rows[n_rows:]
        wait_until_quiet(settings)
        others, start = _seconds_of_others(), time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        share = (_seconds_of_others() - others) / seconds / (os.cpu_count() or 1)
        if share <= DISTURBED or seconds < TOO_SHORT:
            return
    for index, row in enumerate(table.rows[n_rows:], n_rows):
        note = "; ".join(filter(None, [row.note, f"DISTURBED: others used {share:.0%} of the CPUs"]))
        table.rows[index] = replace(row, note=note)


def wait_until_quiet(settings: Settings) -> None:
    """Wait up to PATIENCE_SECONDS for the other processes to go idle; if they don't, warn once on stderr."""
    deadline = time.perf_counter() + (0 if settings.smoke else PATIENCE_SECONDS)
    while _share_of_others(0.3) > DISTURBED:
        if time.perf_counter() > deadline:
            _say_once(f"bench: other processes keep the {available_cores()} CPUs busy, which spoils the figures")
            return


@cache
def _say_once(line: str) -> None:
    print(line, file=sys.stderr)


def _share_of_others(seconds: float) -> float:
    before = _seconds_of_others()
    time.sleep(seconds)
    return (_seconds_of_others() - before) / seconds / (os.cpu_count() or 1)


def _seconds_of_others() -> float:
    """CPU seconds since the machine started, without those of this process and its finished children."""
    if not STAT.exists():
        return 0.0
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, STAT.read_text().split(maxsplit=9)[1:9])
    all_seconds = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return all_seconds - sum(os.times()[:4])
