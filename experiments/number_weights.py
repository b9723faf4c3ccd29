"""Chooses the weights for the cost of a path through a number: `python -m experiments.number_weights DATA`.

Rows of the last training digits, which no network was trained to classify, as they are and rewritten in other
handwriting, rows with a letter or a sign among the digits, and letters in Hershey fonts are all cut and read once.
Then the weights CAREFUL and IN_NUMBER of numbers/ways.py are changed at random, and a change is kept if more rows are
right. Prints every change that is kept; the last one is the best, and its calibration follows. Letters are drawn from
seeds of their own.

The digits as they are, the neat end of MNIST's training set, are easier than its test digits: 99.7 % of them are
classified correctly one by one, against 99.5 % of the test digits and 99.2 % of those in other handwriting.
"""

import argparse
import contextlib
import math
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

import fastmnist
from experiments import glyphs, rows
from experiments.fonts import LETTERS
from experiments.rerender import SIDE, Picture
from experiments.training_set import written
from fastmnist.datasets.dataset import open_dataset
from fastmnist.errors import DataError
from fastmnist.images.decode import decode_picture
from fastmnist.images.normalize import normalize
from fastmnist.numbers import ways as ways_module
from fastmnist.numbers.reading import UNKNOWN, Readers, find_numbers, ways_of
from fastmnist.numbers.ways import Answers, Chosen, Ways, Weights, choose
from fastmnist.reading import readers_of

SETS = {"clear": 500, "touching": 600, "paper": 200, "ruled": 150}
MIXED = 250  # rows with a letter or a sign
# What a share of right ones is worth, and one of letters that are read as a digit.
WORTH = {"clear": 1.5, "touching": 2.0, "told": 1.0, "paper": 1.0, "ruled": 1.0, "mixed": 0.25, "letters": -1.5}
PICTURES_OF_LETTERS, PER_PICTURE = 100, 5
HANDS = "plain", "rewritten"
BINS = 15  # of the calibration error
SEED, LETTER_SEED = 0, 11
STRENGTH, MARGIN = 0.5, 40  # of other hands, see `written`; pixels around such a digit
MOST = 20.0  # of a weight
OF_CAREFUL = 0.4  # of the changes are of the first reading's weights
MAY_BE_WORTH = {"cut", "unknown", "unknown_piece"}  # weights that may be below 0


class Both(NamedTuple):
    """The weights of the first reading and of the second."""

    careful: Weights
    in_number: Weights


class Line(NamedTuple):
    """A line: the ways through it, and what the networks say of their glyphs."""

    ways: Ways
    answers: Answers


class Row(NamedTuple):
    """What a picture says, and the lines that were found in it."""

    text: str
    lines: list[Line]


def held_out(folder: str) -> dict[str, rows.Digits]:
    """Return the last training digits of a data set as they are, and in other hands."""
    pixels, labels = open_dataset(folder).load("train")[:2]
    plain = rows.Digits(pixels[-glyphs.HELD_OUT :].reshape(-1, SIDE, SIDE), labels[-glyphs.HELD_OUT :])
    return dict(zip(HANDS, (plain, rewritten(plain)), strict=True))


def rewritten(digits: rows.Digits) -> rows.Digits:
    """Return digits as other hands would write them; a picture that the normaliser refuses gives the digit itself."""
    images = digits.images.copy()
    for number, image in enumerate(images):
        with contextlib.suppress(DataError):
            large = written(image, np.random.default_rng([SEED, number]), STRENGTH)
            images[number] = normalize(np.pad(large, MARGIN))
    return rows.Digits(images, digits.labels)


def row_of(picture: Picture, text: str, readers: Readers) -> Row:
    """Return the lines of a picture that says `text`."""
    inked = find_numbers(picture)
    lines = [] if inked is None else [segment.line for segments in inked.numbers for segment in segments]
    return Row(text, [Line(*ways_of(line, inked, readers)[1:]) for line in lines if line is not None and inked])


def mixed(digits: rows.Digits) -> Iterator[tuple[Picture, str]]:
    """Yield pictures of rows, apart or touching, with one letter or sign each."""
    for number in range(MIXED):
        rng = np.random.default_rng([LETTER_SEED, 1, number])
        chosen = rng.integers(len(digits.images), size=int(rng.integers(2, 7)))
        figures = [glyphs.ink_of(digits.images[n]) for n in chosen]
        text, place = "".join(str(digits.labels[n]) for n in chosen), int(rng.integers(len(chosen) + 1))
        figures.insert(place, glyphs.letter(rng))
        ink = glyphs.side_by_side(figures, rows.GAPS if number % 2 else glyphs.TOUCHING, rng).max(axis=0)
        scale = rng.uniform(*rows.SCALES)
        large = cv2.resize(ink, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        yield np.asarray(255 - np.pad(large, 20), np.uint8), text[:place] + UNKNOWN + text[place:]


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


def drawn_rows(folder: str, readers: Readers) -> dict[str, list[Row]]:
    """Return all rows, by the names of their sets."""
    drawn, of_hands = {}, held_out(folder)
    for hand, digits in of_hands.items():
        for name, count in SETS.items():
            drawn[f"{hand} {name}"] = [
                row_of(decode_picture(row.rendering.content, b"drawn"), row.lines[0], readers)
                for row in rows.draw(name, digits, count)
            ]
    drawn["plain mixed"] = [row_of(picture, text, readers) for picture, text in mixed(of_hands["plain"])]
    drawn["letters"] = [row_of(picture, "", readers) for picture in letters()]
    return drawn


def read(line: Line, length: tuple[int, int] | None = None) -> str:
    """Return what a line says with the weights as they are."""
    return text_of(choose(*line, length))


def text_of(chosen: Chosen | None) -> str:
    """Return the text of a way."""
    labels = [] if chosen is None else chosen.labels
    return "".join(str(label) if label < glyphs.NO_DIGIT else UNKNOWN for label in labels)


def shares(drawn: dict[str, list[Row]], both: Both) -> dict[str, float]:
    """Return the share of each set that is right, and how many digits are read for a letter."""
    ways_module.CAREFUL, ways_module.IN_NUMBER = both
    found = {}
    for name, some in drawn.items():
        lines = [(row.text, row.lines[0]) for row in some if len(row.lines) == 1]
        found[name] = sum(read(line) == text for text, line in lines) / len(some)
        if name.endswith("touching"):
            told = sum(read(line, (len(text), len(text))) == text for text, line in lines)
            found[name.replace("touching", "told")] = told / len(some)
    all_letters = [line for row in drawn["letters"] for line in row.lines]
    n_digits = sum(character != UNKNOWN for line in all_letters for character in read(line))
    return found | {"letters": n_digits / (PICTURES_OF_LETTERS * PER_PICTURE)}


def either_changed(both: Both, rng: np.random.Generator) -> Both:
    """Return both weights, one of which is changed."""
    if rng.random() < OF_CAREFUL:
        return Both(changed(both.careful, rng), both.in_number)
    return Both(both.careful, changed(both.in_number, rng))


def changed(weights: Weights, rng: np.random.Generator) -> Weights:
    """Return weights of which one to three are others."""
    values = list(weights)
    for place in rng.choice(len(values), int(rng.integers(1, 4)), replace=False):
        values[place] = values[place] * math.exp(0.5 * rng.standard_normal()) + 0.1 * rng.standard_normal()
    least = [-MOST if name in MAY_BE_WORTH else 0.0 for name in Weights._fields]
    return Weights(*(round(float(value), 3) for value in np.clip(values, least, MOST)))


def worth(found: dict[str, float]) -> float:
    """Return how good these shares are."""
    return sum(WORTH[name.split()[-1]] * share for name, share in found.items())


class Calibration(NamedTuple):
    """Of texts: how sure they are, float64 (n,), and whether they are right, bool (n,)."""

    confidences: npt.NDArray[np.float64]
    is_right: npt.NDArray[np.bool_]

    @property
    def error(self) -> float:
        """The expected calibration error."""
        bins = np.minimum((self.confidences * BINS).astype(int), BINS - 1)
        off = np.bincount(bins, self.confidences - self.is_right, BINS)
        return float(np.abs(off).sum() / len(bins))

    def with_odds(self, times: float) -> "Calibration":
        """Return it with odds so many times as high."""
        odds = times * self.confidences / np.maximum(1e-12, 1 - self.confidences)
        return Calibration(odds / (1 + odds), self.is_right)

    @property
    def likelihood(self) -> float:
        """The mean logarithm of how likely what is, right or wrong, was said to be."""
        of_what_is = np.where(self.is_right, self.confidences, 1 - self.confidences)
        return float(np.log(np.maximum(1e-12, of_what_is)).mean())


def calibration(drawn: dict[str, list[Row]], hand: str) -> Calibration:
    """Return how sure the texts of rows of a hand are, with the weights as they are."""
    some = [row for name in SETS for row in drawn[f"{hand} {name}"] if len(row.lines) == 1]
    chosen = [choose(*row.lines[0]) for row in some]
    confidences = np.array([0.0 if way is None else way.confidence for way in chosen])
    is_right = np.array([text_of(way) == row.text for way, row in zip(chosen, some, strict=True)])
    return Calibration(confidences, is_right)


def print_calibration(drawn: dict[str, list[Row]]) -> None:
    """Print the calibration error of each hand, as it is and with the odds that fit rewritten digits best."""
    of_hands = {hand: calibration(drawn, hand) for hand in HANDS}
    rewritten_ones = of_hands["rewritten"]
    times = max(np.geomspace(0.02, 50, 400).tolist(), key=lambda times: rewritten_ones.with_odds(times).likelihood)
    print(f"ODDS {ways_module.ODDS} ->", round(times * ways_module.ODDS, 2))
    for hand, now in of_hands.items():
        print(f"calibration error, {hand}: {now.error:.3f} -> {now.with_odds(times).error:.3f}")


def main() -> None:
    """Search."""
    parser = argparse.ArgumentParser(prog="python -m experiments.number_weights", description="Search the weights.")
    parser.add_argument("data", help="MNIST's folder")
    parser.add_argument("--tries", type=int, default=600, help="changes to try [600]")
    arguments = parser.parse_args()
    drawn = drawn_rows(arguments.data, readers_of(fastmnist.load("shipped")))
    rng, best = np.random.default_rng(SEED), Both(ways_module.CAREFUL, ways_module.IN_NUMBER)
    found = shares(drawn, best)
    print(best, {name: round(share, 4) for name, share in found.items()}, flush=True)
    for _ in range(arguments.tries):
        both = either_changed(best, rng)
        if worth(now := shares(drawn, both)) > worth(found):
            best, found = both, now
            print(best, {name: round(share, 4) for name, share in found.items()}, flush=True)
    ways_module.CAREFUL, ways_module.IN_NUMBER = best
    print_calibration(drawn)


if __name__ == "__main__":
    main()
