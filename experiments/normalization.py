"""What normalising to MNIST's form is worth: accuracy on everyday pictures, resized or normalised.

`python -m experiments.normalization` reads the sets of experiments/rerender.py and experiments/scenes.py, MNIST's
digits as 28x28 files, and scikit-learn's 8x8 digits of 43 other people (where that is installed), with one model. A
picture in which no digit is found counts as wrong. Nothing is tuned to any of these sets.
"""

import argparse
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from bench.machine import available_cores
from experiments.rerender import SETS, SIDE, Picture, Rendering, read_digits, render_all
from experiments.scenes import SCENES, render_scenes
from fastmnist.images.decode import decode_picture
from fastmnist.images.files import read_file
from fastmnist.images.preprocess import read_digits as read_files
from fastmnist.model.model_file import find_model, load_model
from fastmnist.model.network import Network
from fastmnist.shapes import DIGITS

# Fills images, uint8 (n, 28, 28), from n paths, with a network's help; returns row -> message for those that can't be
# read.
Reader = Callable[[Sequence[bytes], Picture, Network], dict[int, str]]
Labels = npt.NDArray[np.uint8]

CHUNK = 512  # pictures that are on the disk at one time
SHARE = 32  # of them, for a thread at a time
SKLEARN_SCALE = 6
SURE = 0.9


class Score(NamedTuple):
    """How one way of reading did: accuracy, how many pictures it refused, the share wrong and surer than SURE."""

    accuracy: float
    refused: int
    surely_wrong: float


def resized(paths: Sequence[bytes], images: Picture, _network: Network) -> dict[int, str]:
    """Fill `images` with the pictures in files, only resized."""
    for row, path in enumerate(paths):
        picture = decode_picture(read_file(path), path)
        images[row] = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return {}


def auto(paths: Sequence[bytes], images: Picture, network: Network) -> dict[int, str]:
    """Fill `images` as `fastmnist predict` does."""
    return read_files(paths, "auto", images, partial(network.confidences, n_classes=len(DIGITS))).errors


def score(network: Network, pictures: Iterable[Rendering], labels: Labels, readers: list[Reader]) -> list[Score]:
    """Return what each reader's pixels of the pictures, n of them, make of the labels (n,)."""
    n_right, n_refused, n_surely = [0] * len(readers), [0] * len(readers), [0] * len(readers)
    rest, first = iter(pictures), 0
    with ThreadPoolExecutor(available_cores()) as pool, TemporaryDirectory() as folder:
        while paths := _written(islice(rest, CHUNK), Path(folder)):
            expected = labels[first : first + len(paths)]
            first += len(paths)
            for which, reader in enumerate(readers):
                images, is_read = _read(reader, network, paths, pool)
                n_refused[which] += int((~is_read).sum())
                predicted, confidences = network.predict(images.reshape(len(images), -1))
                is_right = is_read & (predicted == expected)
                n_right[which] += int(is_right.sum())
                n_surely[which] += int((is_read & ~is_right & (confidences > SURE)).sum())
    counts = zip(n_right, n_refused, n_surely, strict=True)
    return [Score(right / first, refused, surely / first) for right, refused, surely in counts]


def _written(pictures: Iterator[Rendering], folder: Path) -> list[bytes]:
    paths = []
    for position, picture in enumerate(pictures):
        path = folder / f"{position}{picture.suffix}"
        path.write_bytes(picture.content)
        paths.append(os.fsencode(path))
    return paths


def _read(
    reader: Reader, network: Network, paths: list[bytes], pool: ThreadPoolExecutor
) -> tuple[Picture, npt.NDArray[np.bool_]]:
    """Return the images of the files, uint8 (n, 28, 28), and which of them could be read, bool (n,)."""
    images, is_read = np.zeros((len(paths), SIDE, SIDE), np.uint8), np.ones(len(paths), np.bool_)

    def read(first: int) -> None:
        rows = slice(first, first + SHARE)
        is_read[[first + row for row in reader(paths[rows], images[rows], network)]] = False

    list(pool.map(read, range(0, len(paths), SHARE)))
    return images, is_read


def as_png(pictures: Iterable[Picture]) -> Iterator[Rendering]:
    """Yield the pictures, uint8 (height, width) each, as PNG files."""
    return (Rendering(".png", cv2.imencode(".png", picture)[1].tobytes()) for picture in pictures)


def sklearn_digits() -> tuple[Iterator[Rendering], Labels]:
    """Return scikit-learn's 1,797 digits, 8x8 of 0 to 16, as dark-on-light PNG files 6 times as large, and labels.

    Raises ImportError where scikit-learn is not installed.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    pictures = [
        255 - cv2.resize(image, None, fx=SKLEARN_SCALE, fy=SKLEARN_SCALE, interpolation=cv2.INTER_CUBIC)
        for image in np.rint(digits.images * 255 / 16).astype(np.uint8)
    ]
    return as_png(pictures), digits.target.astype(np.uint8)


def sets(folder: str, count: int | None) -> Iterator[tuple[str, Iterable[Rendering], Labels]]:
    """Yield each set's name, pictures and labels. Raises ImportError at the last without scikit-learn."""
    digits, labels = (array[:count] for array in read_digits(folder))
    yield "28x28 files", as_png(digits), labels
    yield "28x28 files, inverted", as_png(255 - digits), labels
    for name, distortions in SETS.items():
        yield name, render_all(digits, distortions, available_cores()), labels
    for name in SCENES:
        yield name, render_scenes(name, digits, available_cores()), labels
    yield "scikit-learn's digits", *sklearn_digits()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.normalization", description="What normalising is worth."
    )
    parser.add_argument("data", nargs="?", default="data", help="MNIST's folder  [data]")
    parser.add_argument("--model", help="model file  [as fastmnist predict chooses]")
    parser.add_argument("--count", type=int, help="only the first COUNT test digits")
    arguments = parser.parse_args()
    path, origin = find_model(arguments.model)
    network = load_model(path).network
    digits, labels = (array[: arguments.count] for array in read_digits(arguments.data))
    clean = float((network.predict(digits.reshape(len(digits), -1))[0] == labels).mean())
    print(f"model: {path} ({origin}), {clean:.2%} correct on {len(digits):,} clean test digits\n")
    print("| pictures | resized | auto | below clean | no digit found | wrong, surer than 0.9 |")
    print("|---|---:|---:|---:|---:|---:|")
    try:
        for name, pictures, expected in sets(arguments.data, arguments.count):
            plain, ours = score(network, pictures, expected, [resized, auto])
            below = f"{100 * (clean - ours.accuracy):.2f}"
            figures = f"{plain.accuracy:.2%} | {ours.accuracy:.2%} | {below} | {ours.refused} | {ours.surely_wrong:.2%}"
            print(f"| {name} | {figures} |", flush=True)
    except ImportError as error:
        print(f"\nnot installed: {error.name}; the extra 'bench' has it")


if __name__ == "__main__":
    main()
