"""MNIST's training digits as other people write and scan them: `python -m experiments.training_set DATA OUT`.

The model that ships is trained on these (`make model`). OUT gets the IDX files that `fastmnist train OUT` takes: first
digits drawn with a pen in the styles taught at several schools (figures.py); then each training digit, followed by
copies of it, drawn larger, with a different stroke width, slant, rotation and proportion. Drawn digits and copies are
rendered as a sharp or a coarse scan, of any contrast, dark on light or light on dark, and normalised to MNIST's form by
the product's own normaliser. Everything is drawn from the seed 0 and the digit's position. The training digits keep
their order, so that a `--validation` of a multiple of COPIES + 1 images holds out digits together with all their
copies. Nothing of the test set is used; its files are copied as they are.
"""

import argparse
import contextlib
import math
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from experiments.figures import DIGITS
from experiments.parts import in_parts
from experiments.pen import drawn
from experiments.rerender import SIDE, Picture
from fastmnist.datasets.dataset import open_dataset
from fastmnist.datasets.labelled import Split
from fastmnist.errors import DataError
from fastmnist.images.normalize import normalize
from fastmnist.inputs.idx import write_images, write_labels

SEED = 0
COPIES = 2
DRAWN = 30_000  # digits drawn with a pen,
IN_TURN = "01234567891234567890111"  # of these classes: the 1 has many forms, some of which look like a 7
LARGE = 6  # a digit is drawn this many times as large
SLANT, TURN, STRETCH = 0.45, 12.0, 1.45  # at most: columns per row, degrees, width to height
STROKES = 0.55, 1.7  # times the width of the strokes
COARSE, COARSE_DRAWN = 0.75, 0.3  # share of the coarse scans: of copies, of drawn digits
COARSE_SIDES, FINE_SIDES = (7, 14), (20, 120)  # a digit's longest side in pixels, of a coarse and a fine scan
UPSCALES = 8  # a coarse scan is scaled up by 1 to this factor
BLUR = 0.04  # sigma, at most, of a fine scan: times the digit's side
MARGIN = 0.3  # at most, times the digit's side
CONTRAST, NOISE = 80.0, 0.06  # grey levels between ink and paper, at least; sigma, at most, times those

INTERPOLATIONS = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC)


def copies_of(digit: Picture, position: int) -> Picture:
    """Return copies of a digit, uint8 (28, 28), as uint8 (COPIES, 28, 28) in MNIST's form.

    `position` is the digit's in its set. A picture that the normaliser refuses gives the digit itself.
    """
    copies = np.empty((COPIES, SIDE, SIDE), np.uint8)
    for number in range(COPIES):
        rng = np.random.default_rng([SEED, position, number])
        try:
            copies[number] = normalize(scanned(written(digit, rng), rng))
        except DataError:
            copies[number] = digit
    return copies


def written(digit: Picture, rng: np.random.Generator, strength: float = 1) -> Picture:
    """Return a digit, uint8 (28, 28), as another hand would write it, large: uint8 (height, width).

    `strength`: how far it may go, 1 for as far as the constants above say.
    """
    slant, turn = strength * rng.uniform(-SLANT, SLANT), math.radians(strength * rng.uniform(-TURN, TURN))
    stretch = math.exp(strength * rng.uniform(-1, 1) * math.log(STRETCH) / 2)
    turned = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    matrix = LARGE * turned @ np.array([[stretch, -slant], [0, 1 / stretch]])
    side = 2 * SIDE * LARGE  # nothing is lost
    middle = np.full(2, side / 2) - matrix @ np.full(2, (SIDE - 1) / 2)
    large = np.asarray(
        cv2.warpAffine(digit, np.column_stack([matrix, middle]), (side, side), flags=cv2.INTER_CUBIC), np.uint8
    )
    return _cut(_with_strokes(_cut(large), rng.uniform(*STROKES) ** strength))


def _cut(large: Picture) -> Picture:
    """Return a drawn digit without the empty rows and columns around it; all of it where it is empty."""
    left, top, width, height = cv2.boundingRect((large > 127).astype(np.uint8))
    return large[top : top + height, left : left + width] if width else large


def _with_strokes(large: Picture, factor: float) -> Picture:
    """Return a drawn digit with strokes this many times as wide."""
    core = np.pad((large > 127).astype(np.uint8), 1)
    # Within a stroke of width w the mean distance to its edge is w / 4.
    width = 4 * float(cv2.distanceTransform(core, cv2.DIST_L2, 3)[core > 0].mean()) if core.any() else 0.0
    change = round(abs(factor - 1) * width)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (change + 1, change + 1))
    padded = np.pad(large, change + 1)
    return (cv2.dilate if factor > 1 else cv2.erode)(padded, kernel).astype(np.uint8)


def scanned(large: Picture, rng: np.random.Generator, coarse: float = COARSE) -> Picture:
    """Return a drawn digit as a picture of it, uint8 of any size: coarse or fine, dark on light or light on dark.

    `coarse` is the chance of a coarse scan.
    """
    margins = rng.uniform(0, MARGIN * max(large.shape), 4).astype(int)
    if rng.random() < coarse:
        if rng.random() < 0.5:  # of ink or no ink, as fax machines see it
            large = np.where(large > 127, 255, 0).astype(np.uint8)
        side = float(rng.integers(*COARSE_SIDES, endpoint=True))
        ink = _shrunk(np.pad(large, margins.reshape(2, 2)), side / max(large.shape))
        times, how = int(rng.integers(1, UPSCALES, endpoint=True)), INTERPOLATIONS[rng.integers(len(INTERPOLATIONS))]
        ink = np.asarray(cv2.resize(ink, None, fx=times, fy=times, interpolation=how), np.uint8)
    else:
        side = rng.uniform(*FINE_SIDES)
        ink = _shrunk(np.pad(large, margins.reshape(2, 2)), side / max(large.shape))
        ink = np.asarray(cv2.GaussianBlur(ink, (0, 0), rng.uniform(0.01, BLUR) * side), np.uint8)
    contrast = rng.uniform(CONTRAST, 255)
    darkest = rng.uniform(0, 255 - contrast)
    shaded = darkest + contrast / 255 * (255.0 - ink if rng.random() < 0.5 else ink.astype(float))
    shaded += rng.uniform(0, NOISE) * contrast * rng.standard_normal(shaded.shape)
    return np.asarray(np.clip(np.rint(shaded), 0, 255), np.uint8)


def _shrunk(large: Picture, scale: float) -> Picture:
    height, width = (max(1, round(scale * side)) for side in large.shape)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(large, (width, height), interpolation=interpolation), np.uint8)


def drawn_digit(position: int) -> Picture:
    """Return a digit that is drawn with a pen, of IN_TURN, in MNIST's form: uint8 (28, 28)."""
    rng = np.random.default_rng([SEED, position, COPIES])  # numbers that no copy draws
    ways = DIGITS[IN_TURN[position % len(IN_TURN)]]
    while True:
        with contextlib.suppress(DataError):  # one scan in a hundred is too coarse to be read
            return normalize(scanned(drawn(ways[rng.integers(len(ways))], rng), rng, COARSE_DRAWN))


def drawn_digits(count: int) -> Picture:
    """Return so many drawn digits, uint8 (count, 28, 28)."""
    return np.concatenate(in_parts(_drawn, count))


def _drawn(positions: range) -> Picture:
    return np.array([drawn_digit(position) for position in positions])


def drawn_labels(count: int) -> npt.NDArray[np.uint8]:
    """Return the labels of `drawn_digits`, uint8 (count,)."""
    return np.resize(np.array(list(IN_TURN), np.uint8), count)


def with_copies(digits: Picture) -> Picture:
    """Return digits, uint8 (n, 28, 28), each followed by its copies: uint8 (n * (COPIES + 1), 28, 28)."""
    copies = np.concatenate(in_parts(partial(_copies, digits=digits), len(digits)))
    return np.concatenate([digits[:, np.newaxis], copies], axis=1).reshape(-1, SIDE, SIDE)


def _copies(positions: range, digits: Picture) -> Picture:
    return np.array([copies_of(digits[position], position) for position in positions])


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.training_set",
        description="Write MNIST's training digits as other people write and scan them.",
    )
    parser.add_argument("data", help="MNIST's folder")
    parser.add_argument("out", type=Path, help="folder to write")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    prefixes: dict[Split, str] = {"train": "train", "test": "t10k"}
    for split, prefix in prefixes.items():
        pixels, labels = open_dataset(arguments.data).load(split)[:2]
        digits = pixels.reshape(-1, SIDE, SIDE)
        if split == "train":
            pen = drawn_digits(DRAWN)
            digits = np.concatenate([pen, with_copies(digits)])
            labels = np.concatenate([drawn_labels(DRAWN), labels.repeat(1 + COPIES)])
        write_images(arguments.out / f"{prefix}-images-idx3-ubyte", digits)
        write_labels(arguments.out / f"{prefix}-labels-idx1-ubyte", labels)
        print(f"{len(digits):,} {split} images written to {arguments.out}")


if __name__ == "__main__":
    main()
