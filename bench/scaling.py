"""Training with fewer threads, and beside other processes that compete for the cores."""

import csv
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.load import undisturbed, wait_until_quiet
from bench.processes import fastmnist_command, run_checked
from bench.settings import Settings, WrongResultError, mnist
from bench.table import Table
from bench.timing import Comparison, Timing, compare_clocks

WIDE = ("--hidden", "800,800", "--batch-size", "128", "--momentum", "0.9", "--learning-rate", "0.02", "--shuffle")
REPEATS = 3
BURNER = "while True: pass"


def run(settings: Settings) -> Iterator[Table]:
    """Yield both tables; a smoke run has none, since there is nothing to check."""
    if settings.smoke:
        return
    mnist(settings)  # says what to do where it is missing
    with tempfile.TemporaryDirectory() as folder:
        yield _threads(settings, Path(folder))
        yield _neighbours(settings, Path(folder))


def _threads(settings: Settings, folder: Path) -> Table:
    """Compare all threads with one; the models must be equal, byte for byte."""
    table = Table(f"Training with {settings.threads} threads (ours) and with 1 (peer): time per epoch")
    cases = (
        ("784-800-800-10, batch 128, momentum 0.9, 2 epochs", (*WIDE, "--epochs", "2"), "; goal on 2 cores 1.7 x"),
        ("seed recipe, 10 epochs", (), ""),
    )
    for name, options, goal in cases:
        for _ in undisturbed(table, settings):
            comparison = compare_clocks(
                partial(_epoch, settings, folder / "all", *options),
                partial(_epoch, settings, folder / "one", *options, "--threads", "1"),
                repeats=REPEATS,
            )
            if (folder / "all").read_bytes() != (folder / "one").read_bytes():
                raise WrongResultError(f"{name}: another model with another number of threads")
            table.add_comparison(name, comparison, note=f"equal models, byte for byte{goal}")
    return table


def _neighbours(settings: Settings, folder: Path) -> Table:
    """Compare the seed epoch on a quiet machine with the same beside processes that burn a core each."""
    table = Table("Seed epoch beside processes that burn a core each (ours), and on a quiet machine (peer)")
    for n_burners, goal in ((1, 3), (2, 4)):
        quiet, busy = [], []
        for _ in range(REPEATS):
            wait_until_quiet(settings)
            quiet.append(_epoch(settings, folder / "quiet"))
            with _burning(n_burners):
                busy.append(_epoch(settings, folder / "busy"))
        comparison = Comparison(Timing.of(busy), Timing.of(quiet))
        note = f"{1 / comparison.ratio:.2f} times as long; goal at most {goal}"
        table.add_comparison(f"beside {n_burners}", comparison, note=note)
    return table


def _epoch(settings: Settings, model: Path, *options: str) -> float:
    """Train in a process of its own and return the mean of the epochs' seconds."""
    history = model.with_suffix(".csv")
    command = ("train", settings.data, "--recipe", "seed", "--output", model, "--history", history)
    run_checked(fastmnist_command(*command, *options))
    with open(history, newline="", encoding="utf-8") as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    return sum(seconds) / len(seconds)


@contextmanager
def _burning(n: int) -> Iterator[None]:
    """Keep n processes busy meanwhile."""
    burners = [subprocess.Popen([sys.executable, "-c", BURNER]) for _ in range(n)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
