"""A dozen everyday pictures, and how each was read: `python -m experiments.hard_pictures DATA FILE.png`.

Each is drawn around a test digit, from the seed 0, and shown three times: as a whole; the part that was read, with the
strokes that were used in colour and in their bounding box; and as 28x28 pixels. Below it are the digit that was written
and what the shipped model says.
"""

import argparse
from collections.abc import Callable

import cv2
import numpy as np

from experiments.rerender import Picture, Rendering, read_digits
from experiments.scenes import SCENES, Rng
from fastmnist.api import load
from fastmnist.errors import DataError
from fastmnist.images.colour import strongest_contrast
from fastmnist.images.explain import explain

SEED = 0
SIDE = 120  # pixels of each picture in the sheet
COLUMNS = 3


def _scene(name: str) -> Callable[[Picture, Rng], Picture]:
    def draw(digit: Picture, rng: Rng) -> Picture:
        return _decoded(SCENES[name](digit, rng))

    return draw


def _decoded(rendering: Rendering) -> Picture:
    return cv2.imdecode(np.frombuffer(rendering.content, np.uint8), cv2.IMREAD_GRAYSCALE)  # type: ignore[return-value]


def _large(digit: Picture) -> Picture:
    return np.pad(cv2.resize(digit, (130, 130), interpolation=cv2.INTER_CUBIC), ((15, 15), (25, 25)))


def underlined(digit: Picture, _rng: Rng) -> Picture:
    """Return a digit over a line that ends within the picture, and touches it."""
    picture = 235 - (_large(digit) / 255.0 * 200).astype(np.uint8)
    bottom = int(np.flatnonzero((picture < 100).any(axis=1))[-1])
    picture[bottom : bottom + 4, 12:-12] = 35
    return picture


def tight(digit: Picture, _rng: Rng) -> Picture:
    """Return a digit cut to its box, black and white, 20x20 pixels."""
    left, top, width, height = cv2.boundingRect((digit > 60).astype(np.uint8))
    cut = cv2.resize(digit[top : top + height, left : left + width], (20, 20), interpolation=cv2.INTER_AREA)
    return np.where(cut > 110, 0, 255).astype(np.uint8)


def faint(digit: Picture, rng: Rng) -> Picture:
    """Return a faint digit on noisy paper, lit from one side."""
    light = np.linspace(120, 230, 180)[np.newaxis]
    picture = light * (1 - 0.15 * _large(digit) / 255.0) + rng.normal(0, 2, (160, 180))
    return np.asarray(np.rint(picture.clip(0, 255)), np.uint8)


def coloured(digit: Picture, _rng: Rng) -> Picture:
    """Return a red digit on green paper of the same grey, in the greys in which it is read."""
    ink = _large(digit)[..., np.newaxis] / 255.0
    picture = np.array((0, 112, 0)) + (np.array((0, 0, 220)) - np.array((0, 112, 0))) * ink
    contrast = strongest_contrast(np.rint(picture).astype(np.uint8))
    assert contrast is not None  # noqa: S101  # red and green differ
    return contrast


DRAWN: dict[str, Callable[[Picture, Rng], Picture]] = {
    **{name: _scene(name) for name in SCENES},
    "box again": _scene("cell"),
    "desk again": _scene("desk"),
    "shadow again": _scene("shadow"),
    "underlined": underlined,
    "tight": tight,
    "faint": faint,
    "same grey": coloured,
}


def sheet(digits: Picture, labels: Picture) -> Picture:
    """Return all of DRAWN side by side."""
    model, tiles = load("shipped"), []
    for number, (name, draw) in enumerate(DRAWN.items()):
        rng = np.random.default_rng([SEED, number])
        position = int(rng.integers(len(digits)))
        picture = draw(digits[position], rng)
        tile = np.full((SIDE + 24, 3 * SIDE + 90, 3), 255, np.uint8)
        said = "refused"
        try:
            shown = explain(picture, model.confidences).picture
            result = model.predict(picture)
            said = f"{result.labels[0]} ({result.confidences[0]:.2f})"
        except DataError:
            shown = np.dstack([picture] * 3)
        whole = _scaled(np.dstack([picture] * 3), SIDE + 40)
        tile[: whole.shape[0], : whole.shape[1]] = whole
        shown = _scaled(shown, tile.shape[1] - whole.shape[1] - 10)
        tile[: shown.shape[0], whole.shape[1] + 4 :][:, : shown.shape[1]] = shown
        words = f"{name}: wrote {labels[position]}, read {said}"
        cv2.putText(tile, words, (2, SIDE + 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
        tiles.append(tile)
    rows = [np.hstack(tiles[first : first + COLUMNS]) for first in range(0, len(tiles), COLUMNS)]
    return np.vstack(rows)


def _scaled(picture: Picture, width: int) -> Picture:
    """Return a picture of SIDE pixels in height, or less where it would be wider than `width`."""
    scale = min(SIDE / picture.shape[0], width / picture.shape[1])
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(prog="python -m experiments.hard_pictures", description=__doc__)
    parser.add_argument("data", help="MNIST's folder")
    parser.add_argument("file", help="the PNG file to write")
    arguments = parser.parse_args()
    cv2.imwrite(arguments.file, sheet(*read_digits(arguments.data)), (cv2.IMWRITE_PNG_COMPRESSION, 9))


if __name__ == "__main__":
    main()
