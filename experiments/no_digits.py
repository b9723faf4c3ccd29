"""Images that show no digit: `python -m experiments.no_digits DATA OUT` writes them for `train --no-digit OUT`.

Letters, signs, joined digits and halves of digits, blots, lines and noise, drawn with a pen, scanned, and normalised to
MNIST's form by the product's own normaliser; and digits that stand close together, which it would separate. Shapes that
many people write just like a digit are left out: O, l, S, Z, half an 8.
Everything is drawn from the seed 0 and the number of the image.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from experiments.figures import DIGITS, LETTERS, SIGNS
from experiments.parts import in_parts
from experiments.pen import Picture, cut, drawn, scribble
from experiments.training_set import scanned, written
from fastmnist.datasets.dataset import open_dataset
from fastmnist.errors import DataError
from fastmnist.images.normalize import normalize
from fastmnist.inputs.idx import write_images
from fastmnist.numbers.glyphs import place_glyph
from fastmnist.shapes import IMAGE_SHAPE, SIDE

# Halves that are no digits: the upper one of a 3 is a 7.
UPPER_HALVES, LOWER_HALVES = "05", "0235"
SEED, COUNT = 0, 60_000
COARSE = 0.0  # share of the coarse scans: of seven pixels, a letter is what a digit is
_TRIES = 20  # at a picture that the normaliser does not refuse


def letter(rng: np.random.Generator, digits: Picture) -> Picture:
    """Return a letter."""
    return _any_of(LETTERS, rng)


def sign(rng: np.random.Generator, digits: Picture) -> Picture:
    """Return a sign, or scribbling."""
    return scribble(rng) if rng.random() < 0.2 else _any_of(SIGNS, rng)


def joined(rng: np.random.Generator, digits: Picture) -> Picture:
    """Return two or three digits side by side, or one above another, that touch."""
    is_above, height = rng.random() < 0.15, 120
    figures = [_digit(rng, digits, "023456789" if is_above else "0123456789") for _ in range(2 + (rng.random() < 0.25))]
    parts = [_high(figure, height).T if is_above else _high(figure, height) for figure in figures]
    for gap in range(-int(rng.integers(2, 12)), -height, -4):
        row = _row(parts, gap)
        if cv2.connectedComponents((row > 100).astype(np.uint8))[0] == 2:  # one piece, and what is around it
            break
    return row.T if is_above else row


def _row(parts: list[Picture], gap: int) -> Picture:
    """Return pictures side by side, so many pixels apart, or so far into each other, but never one behind another."""
    lefts = [0]
    for part in parts[:-1]:
        lefts.append(lefts[-1] + max(part.shape[1] + gap, 2 * part.shape[1] // 3))
    row = np.zeros(
        (max(map(len, parts)), max(x + part.shape[1] for x, part in zip(lefts, parts, strict=True))), np.uint8
    )
    for x, part in zip(lefts, parts, strict=True):
        top = (len(row) - len(part)) // 2
        place = row[top : top + len(part), x : x + part.shape[1]]
        np.maximum(place, part, out=place)
    return row


def apart(rng: np.random.Generator, digits: Picture) -> Picture:
    """Return two or three digits that stand close together, in MNIST's form."""
    parts = [_high(_digit(rng, digits, "0123456789"), 120) for _ in range(2 + (rng.random() < 0.2))]
    return place_glyph(_row(parts, int(rng.integers(4, 40))))


def half(rng: np.random.Generator, digits: Picture) -> Picture:
    """Return the upper or the lower half of a digit, cut clean."""
    is_upper = rng.random() < 0.3
    digit = rng.choice(list(UPPER_HALVES if is_upper else LOWER_HALVES))
    figure = drawn(_way(DIGITS[digit], rng), rng)
    rows = round(len(figure) * rng.uniform(0.35, 0.5))
    return cut(figure[:rows] if is_upper else figure[-rows:])


def blot(rng: np.random.Generator, digits: Picture) -> Picture:
    """Return a blot, wider than a 1 is: an ellipse, a rectangle, or what spilt ink looks like."""
    height = int(rng.integers(60, 120))
    width = round(height * rng.uniform(0.65, 3))
    blank = np.zeros((height, width), np.uint8)
    kind = rng.integers(3)
    if kind == 0:
        cv2.ellipse(blank, (width // 2, height // 2), (width // 2 - 1, height // 2 - 1), 0, 0, 360, 255, -1)
    elif kind == 1:
        blank[:] = 255
    else:
        cloud = cv2.GaussianBlur(rng.standard_normal((120, 120)), (0, 0), rng.uniform(5, 20))
        blank = np.where(cloud > np.quantile(cloud, rng.uniform(0.4, 0.85)), 255, 0).astype(np.uint8)
    return np.pad(cut(blank), round(rng.uniform(0.2, 0.5) * height))


def lines(rng: np.random.Generator, digits: Picture) -> Picture:
    """Return one to three lines, more or less horizontal."""
    large = np.zeros((140, 140), np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        y, rise, thick = rng.uniform(20, 120), rng.uniform(-30, 30), int(rng.integers(2, 18))
        left, right = rng.uniform(0, 40), rng.uniform(90, 140)
        ends = [(round(left), round(y - rise / 2)), (round(right), round(y + rise / 2))]
        cv2.line(large, ends[0], ends[1], 255, thick, cv2.LINE_AA)
    return cut(large)


def noise(rng: np.random.Generator, digits: Picture) -> Picture:
    """Return noise of any grain, as an image (28, 28)."""
    kind = rng.integers(4)
    if kind == 0:
        return rng.integers(0, rng.integers(2, 257), IMAGE_SHAPE).astype(np.uint8)
    if kind == 1:  # dots, few or many, or none
        return np.where(rng.random(IMAGE_SHAPE) < rng.uniform(0, 0.5) ** 2, rng.integers(30, 256), 0).astype(np.uint8)
    if kind == 2:  # clouds
        cloud = cv2.GaussianBlur(rng.standard_normal(IMAGE_SHAPE), (0, 0), rng.uniform(0.5, 3))
        cloud = (cloud - cloud.min()) / np.ptp(cloud) * rng.uniform(30, 255)
        return np.where(cloud > rng.uniform(0, 150), cloud, 0).astype(np.uint8)
    image = np.zeros(IMAGE_SHAPE, np.uint8)  # a speck
    y, x, height, width = rng.integers(0, SIDE), rng.integers(0, SIDE), *rng.integers(1, 5, 2)
    image[y : y + height, x : x + width] = rng.integers(30, 256)
    return image


def plain(rng: np.random.Generator, digits: Picture) -> Picture:
    """Return one grey, or one that falls from side to side, as an image (28, 28)."""
    slope = np.linspace(rng.integers(256), rng.integers(256), SIDE).round().astype(np.uint8)
    image = np.tile(slope, (SIDE, 1))
    return np.ascontiguousarray(image.T if rng.random() < 0.5 else image)


Kind = Callable[[np.random.Generator, Picture], Picture]

# What is drawn, and as an image in MNIST's form; how often.
SCANNED: dict[Kind, float] = {letter: 0.36, sign: 0.2, joined: 0.15, half: 0.05, blot: 0.05, lines: 0.04}
AS_IS: dict[Kind, float] = {apart: 0.06, noise: 0.07, plain: 0.02}
KINDS = {**SCANNED, **AS_IS}


def no_digit(seed: int, number: int, digits: Picture, kind: Kind | None = None) -> Picture:
    """Return a picture of no digit in MNIST's form, uint8 (28, 28): the same for equal numbers.

    `digits`, uint8 (n, 28, 28), are what joined ones are made of.
    """
    rng = np.random.default_rng([seed, number])
    for _ in range(_TRIES):
        what = kind or list(KINDS)[rng.choice(len(KINDS), p=list(KINDS.values()))]
        figure = what(rng, digits)
        if what in AS_IS:
            return figure
        try:
            return normalize(scanned(figure, rng, COARSE))
        except DataError:
            continue
    return np.zeros(IMAGE_SHAPE, np.uint8)


def no_digits(numbers: range, digits: Picture) -> Picture:
    """Return the images of these numbers, uint8 (n, 28, 28)."""
    return np.array([no_digit(SEED, number, digits) for number in numbers])


def _any_of(table: dict[str, list[str]], rng: np.random.Generator) -> Picture:
    return drawn(_way(list(table.values())[rng.integers(len(table))], rng), rng)


def _way(ways: list[str], rng: np.random.Generator) -> str:
    return ways[rng.integers(len(ways))]


def _digit(rng: np.random.Generator, digits: Picture, names: str) -> Picture:
    """Return a digit as large as a pen draws it; one in two is of MNIST, whichever it is, where all `names` will do."""
    if len(names) == len(DIGITS) and rng.random() < 0.5:
        return written(digits[rng.integers(len(digits))], rng)
    return drawn(_way(DIGITS[rng.choice(list(names))], rng), rng)


def _high(figure: Picture, height: int) -> Picture:
    width = max(8, round(figure.shape[1] * height / len(figure)))
    return np.asarray(cv2.resize(figure, (width, height)), np.uint8)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.no_digits", description="Write images of what is no digit, for train --no-digit."
    )
    parser.add_argument("data", help="MNIST's folder")
    parser.add_argument("out", type=Path, help="IDX file to write")
    parser.add_argument("--count", type=int, default=COUNT, help=f"how many [{COUNT:,}]")
    arguments = parser.parse_args()
    digits = open_dataset(arguments.data).load("train").pixels.reshape(-1, *IMAGE_SHAPE)
    images = np.concatenate(in_parts(partial(no_digits, digits=digits), arguments.count))
    write_images(arguments.out, images)
    print(f"{len(images):,} images written to {arguments.out}")


if __name__ == "__main__":
    main()
