"""What a way through a number costs, chosen anew: `python -m experiments.number_weights DATA`.

Rows of the last training digits, which the network for pieces has not seen, and letters in Hershey fonts, are cut and
read once; then the weights of numbers/ways.py are changed at random, and a change is kept where more of them are right.
Prints every change that is kept; the last is the best. Letters are drawn from seeds of their own.
"""

import argparse
import math
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

import fastmnist
from experiments import rows
from experiments.glyphs import HELD_OUT
from experiments.rerender import SIDE, Picture
from fastmnist.datasets.dataset import open_dataset
from fastmnist.images.decode import decode_picture
from fastmnist.numbers import ways as ways_module
from fastmnist.numbers.reading import UNKNOWN, Readers, find_numbers, ways_of
from fastmnist.numbers.ways import Ways, Weights, best_way, with_doubt
from fastmnist.reading import readers_of

SETS = {"clear": 500, "touching": 500, "paper": 250, "ruled": 250}
# What a share of right ones is worth, and one of letters that are read as a digit.
WORTH = {"clear": 1.5, "touching": 2.0, "told": 1.0, "paper": 1.0, "ruled": 1.0, "letters": -1.0}
LETTERS, PICTURES_OF_LETTERS, PER_PICTURE = "ACEFGHJKLMNPRTUVWXYadefhkmnprtuvwxyc", 100, 5
SEED, LETTER_SEED = 0, 11
LEAST, MOST = 0.01, 20.0  # of a weight


class Line(NamedTuple):
    """A line: its text, the ways through it, and what the network says of their glyphs."""

    text: str
    ways: Ways
    probabilities: npt.NDArray[np.float32]


def lines_of(picture: Picture, text: str, readers: Readers) -> list[Line]:
    """Return the lines of a picture; each is taken to say `text`."""
    inked = find_numbers(picture)
    lines = [] if inked is None else [segment.line for segments in inked.numbers for segment in segments]
    return [Line(text, *ways_of(line, inked, readers)[1:]) for line in lines if line is not None and inked]


def letters() -> Iterator[Picture]:
    """Yield pictures of letters, far apart."""
    for number in range(PICTURES_OF_LETTERS):
        rng = np.random.default_rng([LETTER_SEED, number])
        picture = np.full((160, 900), 255, np.uint8)
        for place in range(PER_PICTURE):
            letter, font = LETTERS[rng.integers(len(LETTERS))], int(rng.integers(8))
            size, pen = rng.uniform(2, 3), int(rng.integers(2, 9))
            cv2.putText(picture, letter, (30 + 150 * place, 110), font, size, 0, pen, cv2.LINE_AA)
        yield picture


def read(line: Line, length: tuple[int, int] | None = None) -> str:
    """Return what a line says with the weights as they are."""
    doubted = with_doubt(line.ways, line.probabilities)
    chosen = best_way(line.ways, doubted, length)
    best = [] if chosen is None else [int(doubted[arc].argmax()) for arc in chosen.arcs]
    return "".join(str(name) if name < 10 else UNKNOWN for name in best)


def shares(drawn: dict[str, list[list[Line]]], weights: Weights) -> dict[str, float]:
    """Return the share of each set that is right, and how many digits are read for a letter."""
    ways_module.WEIGHTS = weights
    found = {
        name: float(np.mean([len(lines) == 1 and read(lines[0]) == lines[0].text for lines in drawn[name]]))
        for name in SETS
    }
    touching = [lines[0] for lines in drawn["touching"] if len(lines) == 1]
    told = sum(read(line, (len(line.text), len(line.text))) == line.text for line in touching)
    n_digits = sum(character != UNKNOWN for lines in drawn["letters"] for line in lines for character in read(line))
    found["told"] = told / len(drawn["touching"])
    found["letters"] = n_digits / (PICTURES_OF_LETTERS * PER_PICTURE)
    return found


def changed(weights: Weights, rng: np.random.Generator) -> Weights:
    """Return weights of which one to three are others."""
    values = list(weights)
    for place in rng.choice(len(values), int(rng.integers(1, 4)), replace=False):
        values[place] = values[place] * math.exp(0.5 * rng.standard_normal()) + 0.1 * rng.standard_normal()
    least = [-MOST if name == "unknown" else LEAST for name in Weights._fields]  # that may be likelier than it seems
    return Weights(*(round(float(value), 3) for value in np.clip(values, least, MOST)))


def worth(found: dict[str, float]) -> float:
    """Return how good these shares are."""
    return sum(WORTH[name] * share for name, share in found.items())


def main() -> None:
    """Search."""
    parser = argparse.ArgumentParser(prog="python -m experiments.number_weights", description="Search the weights.")
    parser.add_argument("data", help="MNIST's folder")
    parser.add_argument("--tries", type=int, default=600, help="changes to try [600]")
    arguments = parser.parse_args()
    pixels, labels = open_dataset(arguments.data).load("train")[:2]
    digits = rows.Digits(pixels[-HELD_OUT:].reshape(-1, SIDE, SIDE), labels[-HELD_OUT:])
    readers = readers_of(fastmnist.load("shipped"))
    drawn = {
        name: [
            lines_of(decode_picture(row.rendering.content, b"drawn"), row.lines[0], readers)
            for row in rows.draw(name, digits, count)
        ]
        for name, count in SETS.items()
    }
    drawn["letters"] = [lines_of(picture, "", readers) for picture in letters()]
    rng, best = np.random.default_rng(SEED), Weights()
    found = shares(drawn, best)
    print(best, found)
    for _ in range(arguments.tries):
        weights = changed(best, rng)
        if worth(now := shares(drawn, weights)) > worth(found):
            best, found = weights, now
            print(best, {name: round(share, 4) for name, share in found.items()}, flush=True)


if __name__ == "__main__":
    main()
