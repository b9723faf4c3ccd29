"""Start-up of whole commands: compiling, paid once, and loading, paid every time."""

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.load import undisturbed
from bench.processes import environment, fastmnist_command, run_checked
from bench.settings import Settings, mnist
from bench.table import Table
from bench.timing import Timing, measure
from fastmnist.model.model_file import find_model, load_model

IMAGE = Path("tests/seven.png")


def run(settings: Settings) -> Iterator[Table]:
    """Yield the table of start-up times."""
    table = Table("Start-up, whole processes (SciPy not importable)")
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model.safetensors")
        model.write_bytes(find_model(None)[0].read_bytes())
        help_ = fastmnist_command("--help")
        predict = fastmnist_command("predict", IMAGE, "--model", model)
        _warm(table, "--help", help_, settings, "goal 0.15 s")
        warm = _warm(table, "predict of one PNG, kernels cached", predict, settings, "goal 0.7 s")
        if not settings.smoke:
            cold = _cold(table, "predict of one PNG, empty cache", predict, settings, "goal 10 s")
            _difference(table, "predict: compiling", cold, warm)
            options = ("--recipe", "seed", "--epochs", "1", "--output", Path(folder, "new.safetensors"))
            train = fastmnist_command("train", settings.data, *options)
            warm = _warm(table, "train, 1 epoch, kernels cached", train, settings)
            cold = _cold(table, "train, 1 epoch, empty cache", train, settings, "goal 25 s")
            _difference(table, "train: compiling", cold, warm)
            _cold(table, "warmup, empty cache: all kernels", fastmnist_command("warmup"), settings)
        _steady(table, model, settings)
    yield table


def _warm(table: Table, name: str, argv: list[str], settings: Settings, note: str = "") -> float:
    """Time a command whose kernels are cached."""
    run_checked(argv)
    for _ in undisturbed(table, settings):
        timing = Timing.of([run_checked(argv).seconds for _ in range(settings.repeats(9))])
        table.add_timing(name, timing, note=note)
    return timing.median


def _cold(table: Table, name: str, argv: list[str], settings: Settings, note: str = "") -> float:
    """Time a command that finds no compiled kernels."""
    for _ in undisturbed(table, settings):
        seconds = []
        for _ in range(3):
            with tempfile.TemporaryDirectory() as cache:
                seconds.append(run_checked(argv, environment(XDG_CACHE_HOME=cache)).seconds)
        table.add_timing(name, Timing.of(seconds), note=note)
    return statistics.median(seconds)


def _difference(table: Table, name: str, cold: float, warm: float) -> None:
    table.add(name, cold - warm, unit="s", note="the difference")


def _steady(table: Table, model: Path, settings: Settings) -> None:
    """Time the steady state, with everything loaded."""
    network = load_model(model).network
    one = mnist(settings).test_pixels[:1].copy()
    for _ in undisturbed(table, settings):
        timing = measure(lambda: network.predict(one), repeats=1000, warmup=100)
        table.add_timing("one image in a running process", timing, "us", "steady state; of training: see there")
