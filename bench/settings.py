"""The options of one benchmark run, and its data."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.machine import available_cores
from bench.peers.common import Bytes
from fastmnist.datasets.dataset import open_dataset

SMOKE_SAMPLES = 4000


class WrongResultError(Exception):
    """Ours or a peer computed a wrong result, so its time is meaningless."""


@dataclass(frozen=True)
class Settings:
    """The options of `python -m bench`."""

    smoke: bool  # little data, few repeats, no peer but NumPy
    data: Path  # MNIST
    fashion: Path  # Fashion-MNIST; may be missing

    @property
    def threads(self) -> int:
        """The threads that ours and the peers get."""
        return available_cores()

    def repeats(self, full: int) -> int:
        """How often to time something that a full run times `full` times."""
        return min(2, full) if self.smoke else full


@dataclass(frozen=True)
class DataSet:
    """Pixels (n, 784) and labels (n,) to train on, and others to test with."""

    name: str
    pixels: Bytes
    labels: Bytes
    test_pixels: Bytes
    test_labels: Bytes

    def inverted(self) -> "DataSet":
        """Return the same images in black on white: hardly a zero among the pixels."""
        return DataSet(
            f"inverted {self.name}", 255 - self.pixels, self.labels, 255 - self.test_pixels, self.test_labels
        )


def mnist(settings: Settings) -> DataSet:
    """Return MNIST; in a smoke run part of it, or synthetic images if it is missing."""
    if settings.data.is_dir():
        data = read("MNIST", settings.data)
    elif settings.smoke:
        data = _made_up()
    else:
        raise SystemExit(f"{settings.data}: no data set; run: fastmnist download {settings.data}")
    if not settings.smoke:
        return data
    n = SMOKE_SAMPLES
    return DataSet(
        f"{n:,} of {data.name}", data.pixels[:n], data.labels[:n], data.test_pixels[:n], data.test_labels[:n]
    )


def read(name: str, folder: Path) -> DataSet:
    """Read a data set from a folder."""
    dataset = open_dataset(folder)
    return DataSet(name, *dataset.load("train")[:2], *dataset.load("test")[:2])


def _made_up() -> DataSet:
    """Return ten noisy patterns, as learnable and as sparse (81 % zeros) as digits."""
    rng = np.random.default_rng(0)
    patterns = rng.random((10, 784)) < 0.19
    labels = rng.integers(0, 10, 2 * SMOKE_SAMPLES, dtype=np.uint8)
    shown = patterns[labels] ^ (rng.random((len(labels), 784)) < 0.05)
    pixels = (shown * rng.integers(1, 256, shown.shape)).astype(np.uint8)
    half = SMOKE_SAMPLES
    return DataSet("made-up images", pixels[:half], labels[:half], pixels[half:], labels[half:])
