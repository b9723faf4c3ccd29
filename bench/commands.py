"""Whole commands beside scripts that do the same with other libraries: from start to exit, kernels cached."""

import csv
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.checks import check_labels
from bench.load import undisturbed
from bench.machine import NOT_INSTALLED, version
from bench.peers.common import Bytes, read_model
from bench.processes import fastmnist_command, peer_command, run_checked
from bench.settings import DataSet, Settings, mnist
from bench.table import Table
from bench.timing import Timing, compare_clocks
from bench.write_images import write
from fastmnist.kernels import reference
from fastmnist.model.model_file import Model, save_model
from fastmnist.shapes import DIGITS
from fastmnist.training.loop import Training
from fastmnist.training.recipes import SEED


@dataclass(frozen=True)
class Case:
    """A command, and the peer's script that does the same."""

    name: str
    ours: list[str]
    peer: list[str]
    packages: tuple[str, ...]  # that the peer needs
    goal: float


def run(settings: Settings) -> Iterator[Table]:
    """Yield the table of the commands; all files that they need are made for it, and removed."""
    digits = mnist(settings)
    table = Table("Whole commands, 784-100-10, kernels cached")
    n_idx, n_png = (10_000, 500) if settings.smoke else (1_000_000, 60_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _save_model(digits, folder / "model.safetensors")
        if (free := shutil.disk_usage(folder).free) < 2 * n_idx * digits.pixels.shape[1]:
            table.add("predict", None, note=f"{free / 1e9:.1f} GB of disk are free, which is too little")
            yield table
            return
        _predict_idx(n_idx, digits, folder, table, settings)
        _predict_folder(n_png, digits, folder, table, settings)
        if not settings.smoke:
            _train(folder, table, settings)
    yield table


def _save_model(digits: DataSet, path: Path) -> None:
    """Train the network of the recipe `seed` for an epoch, and save it."""
    training = Training(digits.pixels, digits.labels, SEED.with_settings(epochs=1))
    for _ in training.run():
        pass
    save_model(path, Model(training.network, list(DIGITS), "auto"))


def _predict_idx(n_images: int, digits: DataSet, folder: Path, table: Table, settings: Settings) -> None:
    """Compare on one large IDX file: the test images over and over."""
    path = folder / "images.idx"
    with open(path, "wb") as file:
        file.write(np.array([0x803, n_images, 28, 28], ">u4").tobytes())
        for first in range(0, n_images, len(digits.test_pixels)):
            file.write(digits.test_pixels[: n_images - first].tobytes())
    expected = np.resize(_labels_of(digits.test_pixels, folder), n_images)
    name = f"predict of {n_images:,} images in an IDX file"
    _predict(name, path, "predict_idx", ("onnx", "onnxruntime"), 4, expected, table, settings)
    path.unlink()


def _predict_folder(n_images: int, digits: DataSet, folder: Path, table: Table, settings: Settings) -> None:
    """Compare on a folder of PNG files."""
    pixels = digits.pixels[:n_images]
    write(pixels.reshape(-1, 28, 28), folder / "images")
    name, packages = f"predict of {n_images:,} PNG files", ("onnx", "onnxruntime", "pillow")
    expected = _labels_of(pixels, folder)
    _predict(name, folder / "images", "predict_folder", packages, 2.5, expected, table, settings)


def _predict(
    name: str,
    source: Path,
    script: str,
    packages: tuple[str, ...],
    goal: float,
    expected: Bytes,
    table: Table,
    settings: Settings,
) -> None:
    """Add the time and the memory of `predict` for one input."""
    folder = source.parent
    model, ours_csv, peer_csv = folder / "model.safetensors", folder / "ours.csv", folder / "peer.csv"
    ours = fastmnist_command("predict", source, "--model", model, "-o", ours_csv)
    case = Case(name, ours, peer_command(script, model, source, peer_csv), packages, goal)
    peaks = _compare(case, table, settings)
    ours_mb, peer_mb = (peak / 1e6 if peak else None for peak in peaks)
    table.add("    its peak memory", ours_mb, peer_mb, unit="MB", note="goal: ours below 400 MB")
    for who, path in (("ours", ours_csv), ("peer", peer_csv)):
        if path.exists():
            _check_rows(f"{name}, {who}", path, expected)


def _train(folder: Path, table: Table, settings: Settings) -> None:
    """Compare the seed recipe as a command: data read, trained, model saved."""
    ours = fastmnist_command("train", settings.data, "--recipe", "seed", "--output", folder / "new.safetensors")
    theirs = peer_command("train_seed", settings.data, folder / "new.pt")
    _compare(Case("train: the seed recipe, 10 epochs", ours, theirs, ("torch",), 6), table, settings)


def _compare(case: Case, table: Table, settings: Settings) -> tuple[int, int]:
    """Add a command's row; return the peak memory of ours and of the peer, 0 where there is none."""
    peaks = {"ours": 0, "peer": 0}

    def clock(who: str, argv: list[str]) -> float:
        done = run_checked(argv)
        peaks[who] = max(peaks[who], done.peak_bytes)
        return done.seconds

    clock("ours", case.ours)  # untimed: compiles where it must, and brings the input into memory
    missing = [package for package in case.packages if version(package) == NOT_INSTALLED]
    for _ in undisturbed(table, settings):
        if missing or settings.smoke:
            timing = Timing.of([clock("ours", case.ours) for _ in range(settings.repeats(3))])
            note = "no peer in a smoke run" if settings.smoke else f"{NOT_INSTALLED}: {', '.join(missing)}"
            table.add_timing(case.name, timing, note=note)
        else:
            comparison = compare_clocks(
                lambda: clock("ours", case.ours), lambda: clock("peer", case.peer), repeats=settings.repeats(3)
            )
            note = f"peer: a script with {', '.join(case.packages)}; goal {case.goal:g} x"
            table.add_comparison(case.name, comparison, note=note)
    return peaks["ours"], peaks["peer"]


def _labels_of(pixels: Bytes, folder: Path) -> Bytes:
    """Return what the model says, by float64 arithmetic."""
    labels: Bytes = (
        reference.forward(*read_model(folder / "model.safetensors"), pixels)[-1].argmax(axis=1).astype(np.uint8)
    )
    return labels


def _check_rows(name: str, path: Path, expected: Bytes) -> None:
    """Check that the CSV file has the expected labels, row for row."""
    with open(path, newline="", encoding="utf-8") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    check_labels(name, np.array(labels, np.uint8), expected)
