"""Fits the weights for the cost of a path through a number: `python -m experiments.number_weights DATA`.

Rows of the last training digits, which no network was trained to classify, as they are and rewritten in other
handwriting, rows with a letter or a sign among the digits, and letters in Hershey fonts are all cut and read once.
Then the weights CAREFUL and IN_NUMBER of numbers/ways.py are fitted so that what was drawn is as likely as possible:
the share of all ways that read it (a conditional random field: Lafferty, McCallum and Pereira 2001). Prints the
weights, the share of each set that is right with them, on the drawn rows and on fresh ones, and the calibration.

The digits as they are, the neat end of MNIST's training set, are easier than its test digits: 99.7 % of them are
classified correctly one by one, against 99.5 % of the test digits and 99.2 % of those in other handwriting.
"""

import argparse
import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

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
from fastmnist.numbers.finding import find_numbers
from fastmnist.numbers.number import UNKNOWN
from fastmnist.numbers.reading import Readers, ways_of
from fastmnist.numbers.ways import Answers, Chosen, Ways, Weights, choose, log_share, weighed
from fastmnist.reading import readers_of

SETS = {"clear": 1000, "touching": 1200, "paper": 400, "ruled": 300, "boxed": 500}
MIXED, MARKED = 500, 500  # rows with a letter or a sign; with points, commas, dashes and the like
PICTURES_OF_LETTERS, PER_PICTURE = 100, 5
# What a set counts in the fit: of the first reading, which must tell numbers from words, and of the second.
OF_CAREFUL = {"letters": 2.0, "mixed": 0.7, "marked": 0.05} | dict.fromkeys(SETS, 0.3) | {"boxed": 3.0}
OF_IN_NUMBER = {
    "letters": 0.0,
    "mixed": 0.25,
    "marked": 0.25,
    "clear": 1.5,
    "touching": 3.0,
    "paper": 1.0,
    "ruled": 1.0,
}
OF_IN_NUMBER["boxed"] = 0.0  # which are not read twice
TOLD = 0.5  # times as much, the same with its length told, for rows that touch
MARK_GAPS = 2, 8  # pixels between the ink of digits and marks, at MNIST's scale
UNREADABLE = -12.0  # logarithm of a share: texts that no way reads don't count more
HANDS = "plain", "rewritten"
BINS = 15  # of the calibration error
SEED, LETTER_SEED = 0, 11
STRENGTH, MARGIN = 0.5, 40  # of other hands, see `written`; pixels around such a digit
MOST = 20.0  # of a weight
MAY_BE_WORTH = {"cut", "unknown", "unknown_piece"}  # weights that may be below 0
STEP = 1e-3  # for the gradient
PRIOR = 1e-3  # times the squared distance from where the fit starts: what the rows don't tell stays as it was


class Both(NamedTuple):
    """The weights of the first reading and of the second."""

    careful: Weights
    in_number: Weights


class Line(NamedTuple):
    """A line, or what stands in a printed box: the ways through it, and what the networks say of their glyphs."""

    ways: Ways
    answers: Answers
    is_in_box: bool = False


class Row(NamedTuple):
    """What a picture says, and the lines that were found in it: one, or one for each glyph."""

    text: str
    lines: list[Line]

    def texts(self) -> list[str] | None:
        """Return what each line says, None where there are other lines."""
        if len(self.lines) == 1:
            return [self.text]
        return list(self.text) if len(self.lines) == len(self.text) else None


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
    segments = [] if inked is None else [segment for segments in inked.numbers for segment in segments]
    return Row(
        text, [Line(*ways_of(one.line, inked, readers)[1:], one.is_in_box) for one in segments if one.line and inked]
    )


def mixed(digits: rows.Digits, times: int) -> Iterator[tuple[Picture, str]]:
    """Yield pictures of rows, apart or touching, with one letter or sign each."""
    for number in range(MIXED):
        rng = np.random.default_rng([LETTER_SEED + times, 1, number])
        chosen = rng.integers(len(digits.images), size=int(rng.integers(2, 7)))
        figures = [glyphs.ink_of(digits.images[n]) for n in chosen]
        text, place = "".join(str(digits.labels[n]) for n in chosen), int(rng.integers(len(chosen) + 1))
        figures.insert(place, glyphs.letter(rng))
        picture = in_a_row(figures, rows.GAPS if number % 2 else glyphs.TOUCHING, rng)
        yield picture, text[:place] + UNKNOWN + text[place:]


def marked(digits: rows.Digits, times: int) -> Iterator[tuple[Picture, str]]:
    """Yield pictures of rows with one to three marks, which are not read."""
    for number in range(MARKED):
        rng = np.random.default_rng([LETTER_SEED + times, 2, number])
        chosen_digits = rng.integers(len(digits.images), size=int(rng.integers(2, 8)))
        figures = [glyphs.ink_of(digits.images[n]) for n in chosen_digits]
        for _ in range(int(rng.integers(1, 4))):
            figures.insert(int(rng.integers(len(figures) + 1)), mark(rng))
        yield in_a_row(figures, MARK_GAPS, rng), "".join(str(digits.labels[n]) for n in chosen_digits)


def in_a_row(figures: list[Picture], gaps: tuple[float, float], rng: np.random.Generator) -> Picture:
    """Return figures in a row, so many pixels apart, as a picture, dark on light."""
    ink = glyphs.side_by_side(figures, gaps, rng).max(axis=0)
    scale = rng.uniform(*rows.SCALES)
    large = cv2.resize(ink, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    return np.asarray(255 - np.pad(large, 20), np.uint8)


def mark(rng: np.random.Generator) -> Picture:
    """Return a point, a comma, an apostrophe, a dash or a colon where it stands beside digits, (28, width)."""
    pen, gap, middle = rng.uniform(1.5, 3.5), rng.uniform(5, 10), rng.uniform(12, 16)
    point = [(0.0, 0.0), (0.3, 0.0)]
    comma = [(rng.uniform(0, 2.5), 0.0), (0.0, rng.uniform(3, 6))]
    dash = [(0.0, 0.0), (rng.uniform(5, 13), rng.uniform(-1.5, 1.5))]
    kinds = [
        (23.0, [point]),
        (22.0, [comma]),
        (4.0, [comma]),
        (middle, [dash]),
        (middle - gap / 2, [point, [(0.0, gap), (0.3, gap)]]),
    ]
    top, strokes = kinds[rng.integers(len(kinds))]
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    for stroke in strokes:
        points = np.rint((np.array(stroke) + np.array([6, top])) * 16).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(canvas, [points], False, 255, round(pen), cv2.LINE_AA, 4)
    left, _, width, _ = cv2.boundingRect(canvas)
    return canvas[:, left : left + width]


def letters(times: int) -> Iterator[Picture]:
    """Yield pictures of letters, far apart."""
    for number in range(PICTURES_OF_LETTERS):
        rng = np.random.default_rng([LETTER_SEED + times, number])
        picture = np.full((160, 900), 255, np.uint8)
        for place in range(PER_PICTURE):
            letter, font = LETTERS[rng.integers(len(LETTERS))], int(rng.integers(8))
            size, pen = rng.uniform(2, 3), int(rng.integers(2, 9))
            cv2.putText(picture, letter, (30 + 150 * place, 110), font, size, 0, pen, cv2.LINE_AA)
        yield picture


def drawn_rows(folder: str, readers: Readers, times: int = 0) -> dict[str, list[Row]]:
    """Return all rows, by the names of their sets; others for each number of `times` that they were drawn before."""
    drawn, of_hands = {}, held_out(folder)
    for hand, digits in of_hands.items():
        for name, count in SETS.items():
            drawn[f"{hand} {name}"] = [
                row_of(decode_picture(row.rendering.content, b"drawn"), row.lines[0], readers)
                for row in rows.draw(name, digits, count, first=times * count)
            ]
    for name, of_digits in (("mixed", mixed), ("marked", marked)):
        drawn[f"plain {name}"] = [
            row_of(picture, text, readers) for picture, text in of_digits(of_hands["plain"], times)
        ]
    drawn["letters"] = [row_of(picture, UNKNOWN * PER_PICTURE, readers) for picture in letters(times)]
    return drawn


def chosen(line: Line, length: tuple[int, int] | None = None) -> Chosen | None:
    """Return the best way through a line with the weights as they are, of one glyph in a box."""
    ways, answers, is_in_box = line
    return choose(ways, answers, (1, 1) if is_in_box else length, is_in_box=is_in_box)


def read(line: Line, length: tuple[int, int] | None = None) -> str:
    """Return what a line says with the weights as they are."""
    return text_of(chosen(line, length))


def text_of(way: Chosen | None) -> str:
    """Return the text of a way."""
    labels = [] if way is None else way.labels
    return "".join(str(label) if label < glyphs.NO_DIGIT else UNKNOWN for label in labels)


def shares(drawn: dict[str, list[Row]], both: Both) -> dict[str, float]:
    """Return the share of each set that is right, and how many digits are read for a letter."""
    ways_module.CAREFUL, ways_module.IN_NUMBER = both
    found = {}
    for name, some in drawn.items():
        found[name] = sum([read(line) for line in row.lines] == row.texts() for row in some) / len(some)
        if name.endswith("touching"):
            lines = [(row.text, row.lines[0]) for row in some if len(row.lines) == 1]
            told = sum(read(line, (len(text), len(text))) == text for text, line in lines)
            found[name.replace("touching", "told")] = told / len(some)
    all_letters = [line for row in drawn["letters"] for line in row.lines]
    n_digits = sum(character != UNKNOWN for line in all_letters for character in read(line))
    return found | {"letters": n_digits / (PICTURES_OF_LETTERS * PER_PICTURE)}


class Sample(NamedTuple):
    """A line to fit weights to: its ways, what the networks say, what it says, and how much it counts."""

    ways: Ways
    probabilities: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    length: tuple[int, int] | None
    counts: float
    told: float  # with its length told


def samples(drawn: dict[str, list[Row]], of_sets: dict[str, float], reading: str) -> Iterator[Sample]:
    """Yield the lines of all sets, for one of the readings, "alone" or "together"; in boxes both networks are asked."""
    for name, some in drawn.items():
        kind = name.split()[-1]
        lines = [both for row in some for both in zip(row.lines, row.texts() or [], strict=False)]
        counts = of_sets[kind] / len(lines)
        for line, text in lines:
            labels = np.array([glyphs.NO_DIGIT if label == UNKNOWN else int(label) for label in text])
            told = TOLD * counts if kind == "touching" and reading == "together" else 0.0
            if counts:
                probabilities = getattr(line.answers, "together" if line.is_in_box else reading)
                length = (1, 1) if line.is_in_box and chosen(line) else None
                yield Sample(line.ways, probabilities, labels, length, counts, told)


def loss(weights: npt.NDArray[np.float64], lines: list[Sample]) -> float:
    """Return how unlikely what the lines say is: the sum of the negative logarithms of its shares."""
    total = 0.0
    for ways, probabilities, labels, length, counts, told in lines:
        arcs, n = weighed(ways, probabilities, Weights(*weights.tolist())), len(labels)
        total -= counts * np.logaddexp(log_share(ways, arcs, labels, length), UNREADABLE)
        if told and n <= int(ways.ends[-1]):
            total -= told * np.logaddexp(log_share(ways, arcs, labels, (n, n)), UNREADABLE)
    return float(total)


def fitted(start: Weights, lines: list[Sample]) -> Weights:
    """Return the weights that make what the lines say likeliest."""
    least = [-MOST if name in MAY_BE_WORTH else 0.0 for name in Weights._fields]
    bounds = [(low, MOST) for low in least]

    def loss_and_prior(values: npt.NDArray[np.float64]) -> float:
        return loss(values, lines) + PRIOR * float(np.square(values - np.array(start)).sum())

    found = minimize(loss_and_prior, np.array(start), method="L-BFGS-B", bounds=bounds, options={"eps": STEP})
    return Weights(*(round(float(value), 3) for value in found.x))


def calibration_error(drawn: dict[str, list[Row]], hand: str) -> float:
    """Return the expected calibration error of the texts of a hand's rows, with the weights as they are."""
    some = [row for name in SETS for row in drawn[f"{hand} {name}"] if len(row.lines) == 1]
    ways = [chosen(row.lines[0]) for row in some]
    confidences = np.array([0.0 if way is None else way.confidence for way in ways])
    is_right = np.array([text_of(way) == row.text for way, row in zip(ways, some, strict=True)])
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    return float(np.abs(np.bincount(bins, confidences - is_right, BINS)).sum() / len(bins))


def main() -> None:
    """Fit."""
    parser = argparse.ArgumentParser(prog="python -m experiments.number_weights", description="Fit the weights.")
    parser.add_argument("data", help="MNIST's folder")
    arguments = parser.parse_args()
    readers = readers_of(fastmnist.load("shipped"))
    drawn = drawn_rows(arguments.data, readers)
    before = Both(ways_module.CAREFUL, ways_module.IN_NUMBER)
    now = Both(
        fitted(before.careful, list(samples(drawn, OF_CAREFUL, "alone"))),
        fitted(before.in_number, list(samples(drawn, OF_IN_NUMBER, "together"))),
    )
    print(now)
    fresh = drawn_rows(arguments.data, readers, 1)
    for what, some in (("drawn", drawn), ("fresh", fresh)):
        for when, both in (("before", before), ("now", now)):
            print(what, when, {name: round(share, 4) for name, share in shares(some, both).items()}, flush=True)
    for hand in HANDS:
        print(f"calibration error, {hand}: {calibration_error(fresh, hand):.3f}")


if __name__ == "__main__":
    main()
