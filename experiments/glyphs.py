"""What lies between the cuts of drawn rows, digits or not: `python -m experiments.glyphs DATA OUT`.

The network that reads numbers is trained on these (`make model`). Rows of MNIST's training digits, of letters and of
signs, apart or touching, are drawn as pictures and cut by the product's own reader. What lies between two cuts counts
as a digit if it contains most of one and little else, as no digit if it lacks much of one or contains much of others,
and is left out if that is hard to say. OUT gets IDX files for
`fastmnist train OUT --no-digit OUT/no-digits-idx3-ubyte`: the digits, after digits drawn with a pen and before MNIST's
own; and what is no digit, after the images of experiments/no_digits.py. The last training digits are in none of these
files: the reader's weights are chosen on rows of them. Everything is drawn from the seed 0 and the number of the row.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from experiments import no_digits
from experiments.figures import LETTERS, SIGNS
from experiments.parts import in_parts
from experiments.pen import cut, drawn
from experiments.rerender import SIDE, Picture
from experiments.rows import lit, on_paper, turned
from experiments.training_set import INTERPOLATIONS, drawn_digits, drawn_labels, written
from fastmnist.datasets.dataset import open_dataset
from fastmnist.errors import DataError
from fastmnist.inputs.idx import write_images, write_labels
from fastmnist.numbers.cuts import Cuts
from fastmnist.numbers.cuts import cut as find_cuts
from fastmnist.numbers.finding import find_numbers
from fastmnist.numbers.ways import find_ways, pieces

Rng = np.random.Generator
Labels = npt.NDArray[np.uint8]

SEED, COUNT = 0, 80_000
HELD_OUT = 2_000  # training digits
DRAWN, DRAWN_NO_DIGITS = 20_000, 40_000  # images with a digit drawn with a pen, and of what is none otherwise
NO_DIGIT = 10  # its label
MOST_FIGURES = 6  # of a row
OTHERS, MIXED = 0.2, 0.15  # share of the rows that have no digits, and that have some
REWRITTEN = 0.5  # share of the digits, and of the letters, that are drawn in another hand,
STRENGTH, SIZES = (0.2, 0.9), (0.85, 1.1)  # so far from their own, see `written`, and as large
COARSE, COARSE_SIDES = 0.25, (7, 14)  # share of the coarse scans; pixels of a digit's longer side in them
TOUCHING, APART = (-3.5, 1.0), (-1.0, 12.0)  # pixels between the ink's boxes, at MNIST's scale; two in three touch
SCALES = 1.5, 4.0
MOST, LITTLE = 0.85, 0.3  # of a figure's ink: a digit has so much of one, no more than LITTLE of any other,
FEW, MUCH = 0.7, 0.5  # no digit has less than FEW, or more than MUCH of another; what has most of a figure may have FEW
PER_CLASS, NONE_PER_FIGURE = 6, 3  # images of a class in a row at most, and of what is none for each figure


class Row(NamedTuple):
    """Drawn figures: their ink, uint8 (height, width), the figure each pixel is of, likewise, and their labels."""

    ink: Picture
    figure_of: Picture
    labels: list[int]


def row(digits: Picture, labels: Labels, rng: Rng) -> Row:
    """Return figures side by side, some or all of them of `digits`, uint8 (n, 28, 28)."""
    kind = rng.random()
    share = 1.0 if kind < OTHERS else 0.4 if kind < OTHERS + MIXED else 0.0
    figures, names = [], []
    for _ in range(int(rng.integers(1, MOST_FIGURES, endpoint=True))):
        if rng.random() < share:
            figures.append(_seen(letter(rng), rng))
            names.append(NO_DIGIT)
        else:
            chosen = int(rng.integers(len(digits)))
            figures.append(_seen(_digit(digits[chosen], rng), rng))
            names.append(int(labels[chosen]))
    layers = side_by_side(figures, TOUCHING if rng.random() < 0.65 else APART, rng)
    scale = rng.uniform(*SCALES)
    size = round(layers.shape[2] * scale), round(layers.shape[1] * scale)
    large = np.stack([cv2.resize(layer, size, interpolation=cv2.INTER_CUBIC) for layer in layers])
    return Row(large.max(axis=0), large.argmax(axis=0).astype(np.uint8), names)


def _digit(digit: Picture, rng: Rng) -> Picture:
    """Return a digit, of MNIST or in another hand, (28, width)."""
    if rng.random() < REWRITTEN:
        return _rewritten(digit, rng)
    return ink_of(digit)


def _seen(figure: Picture, rng: Rng) -> Picture:
    """Return a figure (28, width) as it is, or as a coarse scan shows it, with full contrast."""
    if rng.random() > COARSE:
        return figure
    height, width = figure.shape
    scale = int(rng.integers(*COARSE_SIDES, endpoint=True)) / 20
    small = _scaled(figure, scale).astype(np.float32)
    small *= np.float32(255 / max(1.0, float(small.max())))
    how = INTERPOLATIONS[rng.integers(len(INTERPOLATIONS))]
    return np.clip(np.rint(cv2.resize(small, (width, height), interpolation=how)), 0, 255).astype(np.uint8)


def ink_of(digit: Picture) -> Picture:
    """Return the columns of a digit, (28, 28), that have ink: (28, width)."""
    left, _, width, _ = cv2.boundingRect((digit > 60).astype(np.uint8))
    return digit[:, left : left + width]


def _rewritten(figure: Picture, rng: Rng) -> Picture:
    """Return a figure (28, 28) in another hand, (28, width)."""
    figure = written(figure, rng, rng.uniform(*STRENGTH))
    figure = _scaled(figure, 20 / max(figure.shape) * rng.uniform(*SIZES))
    return np.pad(figure, (((SIDE - len(figure)) // 2, (SIDE + 1 - len(figure)) // 2), (0, 0)))


def letter(rng: Rng) -> Picture:
    """Return a letter or a sign, (28, width)."""
    table = list((LETTERS if rng.random() < 0.75 else SIGNS).values())
    ways = table[rng.integers(len(table))]
    figure = cut(drawn(ways[rng.integers(len(ways))], rng))
    figure = _scaled(figure, 20 / max(len(figure), 0.6 * figure.shape[1]) * rng.uniform(0.7, 1.1))[: SIDE - 2]
    below = min(4, SIDE - len(figure))
    figure = np.pad(figure, ((SIDE - below - len(figure), below), (0, 0)))
    if rng.random() < REWRITTEN and figure.shape[1] <= SIDE:  # as coarse as the digits are, too
        missing = SIDE - figure.shape[1]
        return _rewritten(np.pad(figure, ((0, 0), (missing // 2, missing - missing // 2))), rng)
    return figure


def _scaled(figure: Picture, scale: float) -> Picture:
    size = max(2, round(figure.shape[1] * scale)), max(2, round(len(figure) * scale))
    return np.asarray(cv2.resize(figure, size, interpolation=cv2.INTER_AREA), np.uint8)


def side_by_side(figures: list[Picture], gaps: tuple[float, float], rng: Rng) -> Picture:
    """Return figures (28, width) at their places in a row, a layer each: uint8 (n, height, width)."""
    layers = np.zeros((len(figures), SIDE + 8, sum(figure.shape[1] + 14 for figure in figures)), np.uint8)
    right = 4.0
    for number, (layer, figure) in enumerate(zip(layers, figures, strict=True)):
        left = max(0, round(right + (rng.uniform(*gaps) if number else 0)))
        top = 4 + round(rng.uniform(-1.5, 1.5))
        layer[top : top + SIDE, left : left + figure.shape[1]] = figure
        right = left + figure.shape[1]
    return layers[:, :, : int(right) + 4]


def as_picture(drawn_row: Row, rng: Rng) -> tuple[Picture, Picture]:
    """Return a row written on paper, in grey, and the figure that each of its pixels is of: uint8 (height, width)."""
    margin = round(rng.uniform(0.2, 1) * min(len(drawn_row.ink), 100))
    ink, figure_of = (np.pad(plane, margin) for plane in (drawn_row.ink, drawn_row.figure_of))
    is_photograph = rng.random() < 0.4
    paper, pen = (rng.uniform(190, 250), rng.uniform(15, 90)) if is_photograph else (255.0, 0.0)
    picture = on_paper(ink.astype(np.float32) / np.float32(255), paper, pen, np.zeros(4, int))
    if is_photograph:
        picture += rng.normal(0, rng.uniform(1, 6), picture.shape).astype(np.float32)
        if rng.random() < 0.5:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.2)), np.float32)
    if rng.random() < 0.4:
        degrees = rng.uniform(-4, 4)
        picture = turned(lit(picture, rng), degrees)
        figure_of = turned(figure_of.astype(np.float32), degrees, cv2.INTER_NEAREST).astype(np.uint8)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8), figure_of


def glyphs_of(number: int, digits: Picture, labels: Labels) -> tuple[Picture, Labels]:
    """Return what lies between the cuts of a row, uint8 (n, 28, 28), and what it is, (n,): always the same."""
    rng = np.random.default_rng([SEED, number])
    drawn_row = row(digits, labels, rng)
    picture, figure_of = as_picture(drawn_row, rng)
    try:
        inked = find_numbers(picture, is_clean=True)
    except DataError:
        inked = None
    images, names = [np.empty((0, SIDE, SIDE), np.uint8)], [np.empty(0, np.uint8)]
    if inked is not None:
        shape = inked.page.ink.shape
        figure_of = np.asarray(cv2.resize(figure_of, shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
        whole = np.bincount(figure_of[inked.page.ink > 127], minlength=len(drawn_row.labels))
        lines = [segment.line for segments in inked.numbers for segment in segments]
        for line in [line for line in lines if line is not None]:
            cuts = find_cuts(line, inked.page.ink, inked.part_of)
            ways = find_ways(cuts, line.height)
            name = _names(cuts, ways.starts, ways.ends, figure_of, whole, np.array(drawn_row.labels))
            chosen = _some(np.where(ways.counts > 0, name, -1), NONE_PER_FIGURE * len(drawn_row.labels), rng)
            images.append(pieces(cuts, ways, chosen))
            names.append(name[chosen].astype(np.uint8))
    return np.concatenate(images), np.concatenate(names)


def _names(
    cuts: Cuts,
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    figure_of: Picture,
    whole: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Return what the ink between each start and end is: a digit, NO_DIGIT, or -1 where that is hard to say.

    whole: int64 (n,), the pixels of each figure.
    """
    height, width = cuts.ink.shape
    here = figure_of[cuts.top : cuts.top + height, cuts.left : cuts.left + width]
    lefts = np.stack([np.bincount(here[left], minlength=len(whole)) for left in _left_of_cuts(cuts)])
    pixels = np.maximum(0, lefts[ends] - lefts[starts])
    figure, arcs = pixels.argmax(axis=1), np.arange(len(starts))
    of_figures = pixels / np.maximum(1, whole)
    most = np.minimum(of_figures[arcs, figure], pixels[arcs, figure] / np.maximum(1, pixels.sum(axis=1)))
    of_figures[arcs, figure] = 0
    of_others = of_figures.max(axis=1)
    is_none = (most < FEW) | (of_others > MUCH) | (labels[figure] == NO_DIGIT)
    best = np.zeros(len(whole))
    np.maximum.at(best, figure, most)
    is_one = ((most >= MOST) | (most == best[figure])) & (of_others < LITTLE)
    return np.where(is_none, NO_DIGIT, np.where(is_one, labels[figure], -1))


def _left_of_cuts(cuts: Cuts) -> list[npt.NDArray[np.bool_]]:
    columns = np.arange(cuts.ink.shape[1])
    is_ink, parts = cuts.cores >= 0, cuts.parts[:, None, None]
    is_left = (cuts.cores < parts) | ((cuts.cores == parts) & (columns <= cuts.seams[:, :, None]))
    return list(is_left & is_ink)


def _some(names: npt.NDArray[np.int64], n_none: int, rng: Rng) -> npt.NDArray[np.int64]:
    """Return the positions of some names in order: few of each digit, and at most `n_none` of no digit."""
    order = rng.permutation(len(names))
    most = [PER_CLASS] * NO_DIGIT + [n_none]
    return np.sort(np.concatenate([order[names[order] == name][:n] for name, n in enumerate(most)]))


def _rows(numbers: range, digits: Picture, labels: Labels) -> tuple[Picture, Labels]:
    """Return the glyphs of some rows."""
    found = [glyphs_of(number, digits, labels) for number in numbers]
    return np.concatenate([images for images, _ in found]), np.concatenate([names for _, names in found])


def draw(digits: Picture, labels: Labels, count: int, n_others: int = DRAWN_NO_DIGITS) -> tuple[Picture, Labels]:
    """Return images of what is no digit otherwise, then the glyphs of so many rows, in order."""
    others = in_parts(partial(no_digits.no_digits, digits=digits), n_others)
    images, names = zip(*in_parts(partial(_rows, digits=digits, labels=labels), count), strict=True)
    return np.concatenate([*others, *images]), np.concatenate([np.full(n_others, NO_DIGIT, np.uint8), *names])


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.glyphs", description="Write what lies between the cuts of drawn rows."
    )
    parser.add_argument("data", help="MNIST's folder")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--count", type=int, default=COUNT, help=f"rows to draw [{COUNT:,}]")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    pixels, labels = open_dataset(arguments.data).load("train")[:2]
    digits, labels = pixels.reshape(-1, SIDE, SIDE)[:-HELD_OUT], labels[:-HELD_OUT]
    images, names = draw(digits, labels, arguments.count)
    is_digit = names < NO_DIGIT
    write_images(
        arguments.out / "train-images-idx3-ubyte", np.concatenate([drawn_digits(DRAWN), images[is_digit], digits])
    )
    write_labels(
        arguments.out / "train-labels-idx1-ubyte", np.concatenate([drawn_labels(DRAWN), names[is_digit], labels])
    )
    write_images(arguments.out / "no-digits-idx3-ubyte", images[~is_digit])
    pixels, labels = open_dataset(arguments.data).load("test")[:2]
    write_images(arguments.out / "t10k-images-idx3-ubyte", pixels.reshape(-1, SIDE, SIDE))
    write_labels(arguments.out / "t10k-labels-idx1-ubyte", labels)
    print(f"{is_digit.sum():,} digits of rows and {(~is_digit).sum():,} images of none written to {arguments.out}")


if __name__ == "__main__":
    main()
