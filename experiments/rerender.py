"""MNIST's test digits as people photograph and scan them: `python -m experiments.rerender DATA FOLDER`.

Each digit is scaled by 3 to 12 and put anywhere on a canvas of twice its size, dark on light; light falls to half
across the picture, in any direction, and towards the corners; Gaussian noise of sigma 8 and JPEG of quality 70 come
last. Everything is drawn from the seed 0 and the digit's position, so a set is always the same. The ranges are our
yardstick, and are not relaxed.
"""

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from bench.machine import available_cores
from experiments.parts import in_threads
from fastmnist.datasets.dataset import open_dataset

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SEED = 0
SIDE = 28
SCALES = (3.0, 12.0)
NEUTRAL_SCALE = 6.0
CANVAS = 2  # times the digit's side
DIMMEST = 0.5  # where the light falls to
CORNER = 0.7  # what the vignette leaves in the corners
NOISE_SIGMA = 8.0
JPEG_QUALITY = 70

# What each set is made with; without it, a digit is 6 times as large, in the middle, light on dark, a lossless PNG.
EVERYTHING = frozenset({"scale", "position", "polarity", "light", "noise", "jpeg"})
SETS = {
    "neutral": frozenset[str](),
    **{name: frozenset({name}) for name in sorted(EVERYTHING)},
    "light-on-paper": frozenset({"light", "polarity"}),  # on black, uneven light shows in the ink alone
    "all": EVERYTHING,
}


class Rendering(NamedTuple):
    """A picture as a file's content."""

    suffix: str
    content: bytes


def render(digit: Picture, position: int, distortions: frozenset[str]) -> Rendering:
    """Return a digit, uint8 (28, 28), light on dark, as a picture with those distortions.

    `position` is the digit's in its set. The same numbers are drawn whatever the distortions, so a digit's scale,
    say, is the same in each set that has it.
    """
    rng = np.random.default_rng([SEED, position])
    scale, left, top, angle = rng.uniform(SCALES[0], SCALES[1]), rng.random(), rng.random(), rng.uniform(0, 2 * np.pi)
    side = round(SIDE * (scale if "scale" in distortions else NEUTRAL_SCALE))
    x, y = (left, top) if "position" in distortions else (0.5, 0.5)
    picture = _placed(digit, side, x, y)
    if "polarity" in distortions:
        picture = 255 - picture
    shaded = picture.astype(np.float32)
    if "light" in distortions:
        shaded *= _light(len(picture), angle)
    if "noise" in distortions:
        shaded += np.float32(NOISE_SIGMA) * rng.standard_normal(shaded.shape, np.float32)
    picture = np.clip(np.rint(shaded, out=shaded), 0, 255, out=shaded).astype(np.uint8)
    return _encoded(picture, distortions)


def _placed(digit: Picture, side: int, x: float, y: float) -> Picture:
    """Return the digit, `side` pixels large, on a black canvas; x and y from 0 (left, top) to 1 (right, bottom)."""
    size = CANVAS * side
    canvas = np.zeros((size, size), np.uint8)
    left, top = round(x * (size - side)), round(y * (size - side))
    canvas[top : top + side, left : left + side] = cv2.resize(digit, (side, side), interpolation=cv2.INTER_CUBIC)
    return canvas


def _light(size: int, angle: float) -> Floats:
    """Return the light on a square of that size: 1 at one side, falling to DIMMEST in the direction of `angle`.

    The vignette is 1 in the middle, and falls with the squared distance to CORNER in the corners.
    """
    axis: Floats = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = math.cos(angle), math.sin(angle)
    along = np.float32(x) * axis[None, :] + np.float32(y) * axis[:, None]
    slope = np.float32((1 - DIMMEST) / 2 / (abs(x) + abs(y)))  # which `along` reaches in the corners
    light: Floats = np.float32((1 + DIMMEST) / 2) - slope * along
    light *= 1 - (1 - CORNER) / 2 * (axis[None, :] ** 2 + axis[:, None] ** 2)
    return light


def _encoded(picture: Picture, distortions: frozenset[str]) -> Rendering:
    if "jpeg" in distortions:
        return Rendering(".jpg", cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1].tobytes())
    return Rendering(".png", cv2.imencode(".png", picture, (cv2.IMWRITE_PNG_COMPRESSION, 1))[1].tobytes())


def render_all(digits: Picture, distortions: frozenset[str], threads: int) -> Iterator[Rendering]:
    """Yield `digits`, uint8 (n, 28, 28), rendered, in order; memory stays bounded."""
    return in_threads(lambda position: render(digits[position], position, distortions), len(digits), threads)


def read_digits(folder: str) -> tuple[Picture, npt.NDArray[np.uint8]]:
    """Return the test images, uint8 (n, 28, 28), and labels of the data set in `folder`."""
    pixels, labels = open_dataset(folder).load("test")[:2]
    return pixels.reshape(-1, SIDE, SIDE), labels


def main() -> None:
    """Write a set of rendered test digits as class folders, which `fastmnist evaluate FOLDER` reads."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.rerender", description="Write MNIST's test digits as people photograph them."
    )
    parser.add_argument("data", help="MNIST's folder")
    parser.add_argument("folder", type=Path, help="where to write LABEL/POSITION.jpg (or .png)")
    parser.add_argument("--distortion", choices=SETS, default="all", help="one alone instead of all")
    parser.add_argument("--count", type=int, help="only the first COUNT")
    arguments = parser.parse_args()
    digits, labels = read_digits(arguments.data)
    for label in np.unique(labels):
        (arguments.folder / str(label)).mkdir(parents=True, exist_ok=True)
    renderings = render_all(digits[: arguments.count], SETS[arguments.distortion], available_cores())
    for position, (label, rendering) in enumerate(zip(labels, renderings, strict=False)):
        path = arguments.folder / str(label) / f"{position:05d}{rendering.suffix}"
        path.write_bytes(rendering.content)
    print(f"{len(digits[: arguments.count]):,} pictures written to {arguments.folder}")


if __name__ == "__main__":
    main()
