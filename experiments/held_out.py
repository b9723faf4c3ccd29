"""Accuracy on digits that are neither training nor test data: `python -m experiments.held_out DATA --model MODEL`.

These are the last 10,000 training digits, which `fastmnist train` holds out with `--validation`: as they are, as
experiments/rerender.py photographs them (with other draws than for the test digits), and as scans of 8x8 pixels in 17
greys. The training of the shipped model was chosen by these figures (docs/accuracy.md), with models that were trained
with `--validation` on these digits; the shipped model itself was trained on most of them.
"""

import argparse
from collections.abc import Iterator

import cv2
import numpy as np

from experiments.normalization import SKLEARN_SCALE, Labels, as_png, auto, score
from experiments.rerender import SETS, SIDE, Picture, Rendering, render
from fastmnist.datasets.dataset import open_dataset
from fastmnist.model.model_file import find_model, load_model

N_HELD_OUT = 10_000
OTHER_DRAWS = 1_000_000  # the position that photographs begin at
RENDERED = ("all", "light-on-paper")
COARSE, BLOCK = 8, 4  # pixels of a scan's side; each is a block of BLOCK rows and columns
SLANT, STRETCH = 0.3, 1.25  # at most: columns per row, width to height


def held_out(folder: str) -> tuple[Picture, Labels]:
    """Return the held-out images, uint8 (n, 28, 28), and labels (n,) of the data set in `folder`."""
    pixels, labels = open_dataset(folder).load("train")[:2]
    return pixels[-N_HELD_OUT:].reshape(-1, SIDE, SIDE), labels[-N_HELD_OUT:]


def coarse(digit: Picture, position: int) -> Picture:
    """Return a digit, uint8 (28, 28), as a scan of 8x8 pixels, enlarged as normalization.py does scikit-learn's.

    It is slanted and stretched at random, fills the scan's longer side, and is ink or no ink before the pixels are
    averaged: so NIST's programs made such scans (Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, 1998).
    """
    rng = np.random.default_rng(position)
    slant, stretch = rng.uniform(-SLANT, SLANT), np.exp(rng.uniform(-1, 1) * np.log(STRETCH))
    side, middle = COARSE * BLOCK, (SIDE - 1) / 2
    shift = 2 * side - 4 * stretch * middle + 4 * slant * middle, 2 * side - 4 * middle
    matrix = np.array([[4 * stretch, -4 * slant, shift[0]], [0, 4, shift[1]]])
    large = cv2.warpAffine(digit, matrix, (4 * side, 4 * side), flags=cv2.INTER_LINEAR)
    left, top, width, height = cv2.boundingRect((large > 127).astype(np.uint8))
    scale = side / max(width, height)
    size = max(1, round(scale * width)), max(1, round(scale * height))
    scan = cv2.resize(large[top : top + height, left : left + width], size, interpolation=cv2.INTER_AREA)
    spare = side - size[1], side - size[0]
    ink = np.pad(scan > 127, [(space // 2, space - space // 2) for space in spare])
    counts = ink.reshape(COARSE, BLOCK, COARSE, BLOCK).sum(axis=(1, 3))
    picture = np.rint(counts * (255 / BLOCK**2)).astype(np.uint8)
    picture = 255 - cv2.resize(picture, None, fx=SKLEARN_SCALE, fy=SKLEARN_SCALE, interpolation=cv2.INTER_CUBIC)
    return np.asarray(picture, np.uint8)


def sets(digits: Picture) -> Iterator[tuple[str, Iterator[Rendering]]]:
    """Yield each set's name and the pictures of the digits, uint8 (n, 28, 28), in order."""
    yield "clean", as_png(digits)
    for name in RENDERED:
        yield name, (render(digit, OTHER_DRAWS + position, SETS[name]) for position, digit in enumerate(digits))
    yield "coarse", as_png(coarse(digit, position) for position, digit in enumerate(digits))


def main() -> None:
    """Print a line for each set."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.held_out", description="How a model reads held-out digits."
    )
    parser.add_argument("data", nargs="?", default="data", help="MNIST's folder  [data]")
    parser.add_argument("--model", required=True, help="model file, trained without these digits")
    parser.add_argument("--count", type=int, help="only the first COUNT digits")
    arguments = parser.parse_args()
    network = load_model(find_model(arguments.model)[0]).network
    digits, labels = (array[: arguments.count] for array in held_out(arguments.data))
    for name, pictures in sets(digits):
        (ours,) = score(network, pictures, labels, [auto])
        print(f"{name:15} {ours.accuracy:.2%}  {ours.refused} refused", flush=True)


if __name__ == "__main__":
    main()
