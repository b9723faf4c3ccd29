"""Numbers as people write them, drawn from MNIST's test digits: `python -m experiments.rows DATA FOLDER --set clear`.

A picture shows a row of one to ten digits: clear of each other, touching, on paper under uneven light, in printed
boxes, on a ruled line or on a sheet that lies on a desk; or it is a page of three to eight rows. Everything is drawn
from the seed 0 and the picture's number, so a set is always the same. FOLDER gets the pictures and numbers.csv, the
text of each of their lines.
"""

import argparse
import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from bench.machine import available_cores
from experiments.parts import in_threads
from experiments.rerender import SIDE, Picture, Rendering, read_digits
from experiments.scenes import photographed, sheet_on_desk

Floats = npt.NDArray[np.float32]
Rng = np.random.Generator

SEED = 0
MOST_DIGITS = 10
GAPS, TOUCHING = (3, 12), (-3, 1)  # pixels between the ink's boxes, at MNIST's scale
SCALES = 1.5, 4.0  # times MNIST's
NOISE = 1.0, 6.0  # sigma of a photograph
WANDER = 1.5  # pixels up and down, at MNIST's scale


class Digits(NamedTuple):
    """Digits to write numbers with: images, uint8 (n, 28, 28), light on dark, and labels (n,)."""

    images: Picture
    labels: npt.NDArray[np.uint8]


class Numbers(NamedTuple):
    """A picture as a file's content, and the text of each of its lines."""

    rendering: Rendering
    lines: list[str]


class _Row(NamedTuple):
    """The ink of a row, float32 (height, width), 0 to 1, and what it says."""

    ink: Floats
    text: str


def _boxes(ink: Picture) -> tuple[int, int, int, int]:
    left, top, width, height = cv2.boundingRect((ink > 60).astype(np.uint8))
    return left, top, width, height


def _row(digits: Digits, rng: Rng, gaps: tuple[float, float], scale: float, count: int | None = None) -> _Row:
    """Return a row of digits, drawn at random, whose ink's boxes are so many pixels apart at MNIST's scale."""
    chosen = rng.integers(0, len(digits.images), count or int(rng.integers(1, MOST_DIGITS, endpoint=True)))
    canvas = np.zeros((SIDE + 8, (SIDE + 14) * len(chosen)), np.uint8)
    right = 0.0
    for number, digit in enumerate(digits.images[chosen]):
        left, _, width, _ = _boxes(digit)
        place = round(right + (rng.uniform(*gaps) if number else 4))
        down = 4 + round(rng.uniform(-WANDER, WANDER))
        part = canvas[down : down + SIDE, place : place + width]
        np.maximum(part, digit[:, left : left + width], out=part)
        right = place + width
    left, top, width, height = _boxes(canvas)
    cut = canvas[top : top + height, left : left + width]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    ink = np.clip(cv2.resize(cut, size, interpolation=cv2.INTER_CUBIC) / np.float32(255), 0, 1)
    return _Row(ink.astype(np.float32), "".join(map(str, digits.labels[chosen])))


def on_paper(ink: Floats, paper: float, pen: float, margins: npt.NDArray[np.int_]) -> Floats:
    """Return ink written on paper with margins (above, below, left, right)."""
    padded = np.pad(ink, margins.reshape(2, 2))
    return (paper + padded * np.float32(pen - paper)).astype(np.float32)


def random_margins(ink: Floats, rng: Rng) -> npt.NDArray[np.int_]:
    """Return how much paper is above, below, left and right of ink."""
    return np.rint(rng.uniform(0.3, 1.2, 4) * min(len(ink), 100)).astype(int)


def _lossless(picture: Floats) -> Rendering:
    grey = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return Rendering(".png", cv2.imencode(".png", grey)[1].tobytes())


def lit(picture: Floats, rng: Rng) -> Floats:
    """Return a picture under light that falls off to one side, with a shadow across it every other time."""
    height, width = picture.shape
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    lit = picture * (1 - rng.uniform(0, 0.4) * (0.5 + (x * math.cos(angle) + y * math.sin(angle)) / math.sqrt(2)))
    if rng.random() < 0.5:
        angle, softness = rng.uniform(0, 2 * math.pi), math.exp(rng.uniform(math.log(2), math.log(0.3 * width)))
        distance = (x * width * math.cos(angle) + y * height * math.sin(angle)) - rng.uniform(-0.2, 0.2) * width
        lit *= 1 - rng.uniform(0.1, 0.4) / (1 + np.exp(np.clip(-distance / softness * 2, -50, 50)))
    return np.asarray(lit, np.float32)


def turned(picture: Floats, degrees: float, how: int = cv2.INTER_LINEAR) -> Floats:
    """Return a picture turned; it grows as far as it must, and its border goes on."""
    height, width = picture.shape
    grown = math.radians(abs(degrees))
    size = (
        math.ceil(width * math.cos(grown) + height * math.sin(grown)),
        math.ceil(height * math.cos(grown) + width * math.sin(grown)),
    )
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return np.asarray(cv2.warpAffine(picture, matrix, size, flags=how, borderMode=cv2.BORDER_REPLICATE), np.float32)


def clear(digits: Digits, rng: Rng) -> Numbers:
    """Return a row of digits with clear gaps, black on white."""
    row = _row(digits, rng, GAPS, rng.uniform(*SCALES))
    return Numbers(_lossless(on_paper(row.ink, 255, 0, random_margins(row.ink, rng))), [row.text])


def touching(digits: Digits, rng: Rng) -> Numbers:
    """Return a row of digits that touch or overlap, black on white."""
    row = _row(digits, rng, TOUCHING, rng.uniform(*SCALES))
    return Numbers(_lossless(on_paper(row.ink, 255, 0, random_margins(row.ink, rng))), [row.text])


def paper(digits: Digits, rng: Rng) -> Numbers:
    """Return a row on paper, in uneven light and shadow, up to 4 degrees askew, as a JPEG."""
    row = _row(digits, rng, GAPS, rng.uniform(*SCALES))
    scene = on_paper(row.ink, rng.uniform(190, 250), rng.uniform(15, 90), random_margins(row.ink, rng))
    return Numbers(photographed(lit(turned(scene, rng.uniform(-4, 4)), rng), rng, rng.uniform(*NOISE)), [row.text])


def boxed(digits: Digits, rng: Rng) -> Numbers:
    """Return a row in a form's printed boxes, side by side or apart, a digit in each."""
    count = int(rng.integers(1, MOST_DIGITS, endpoint=True))
    side, thickness = rng.uniform(40, 110), int(rng.integers(1, 5))
    gap = 0.0 if rng.random() < 0.6 else rng.uniform(4, 20)
    wide = side * rng.uniform(0.7, 1.0)
    margin = round(rng.uniform(8, 30))
    size = round(side + 2 * margin), round(count * wide + (count - 1) * gap + 2 * margin)
    sheet, pen, frame = rng.uniform(200, 255), rng.uniform(10, 80), rng.uniform(0, 170)
    scene, text = np.full(size, sheet, np.float32), ""
    for number in range(count):
        left = margin + number * (wide + gap)
        corners = [round(16 * v) for v in (left, margin, left + wide, margin + side)]
        cv2.rectangle(scene, corners[:2], corners[2:], float(frame), thickness, cv2.LINE_AA, 4)
    for number in range(count):
        left = margin + number * (wide + gap)
        digit = _row(digits, rng, GAPS, rng.uniform(0.5, 0.7) * side / 20, 1)
        ink, text = digit.ink, text + digit.text
        fit = min(1.0, (wide - 2 * thickness - 4) / ink.shape[1])
        ink = cv2.resize(ink, None, fx=fit, fy=fit, interpolation=cv2.INTER_AREA).astype(np.float32)
        room = np.array([side, wide]) - ink.shape - 2 * thickness - 2
        y = round(margin + (side - ink.shape[0]) / 2 + rng.uniform(-0.3, 0.3) * max(0.0, room[0]))
        x = round(left + (wide - ink.shape[1]) / 2 + rng.uniform(-0.3, 0.3) * max(0.0, room[1]))
        part = scene[y : y + ink.shape[0], x : x + ink.shape[1]]
        part += ink * (np.float32(pen) - part)
    return Numbers(photographed(turned(scene, rng.uniform(-2, 2)), rng, rng.uniform(*NOISE)), [text])


def ruled(digits: Digits, rng: Rng) -> Numbers:
    """Return a row that stands on a ruled line, or has it through its feet."""
    row = _row(digits, rng, GAPS, rng.uniform(*SCALES))
    margins = random_margins(row.ink, rng)
    sheet = rng.uniform(210, 250)
    scene = on_paper(row.ink, sheet, rng.uniform(15, 90), margins)
    line = np.full(scene.shape, sheet, np.float32)
    y = round(16 * (margins[0] + len(row.ink) * rng.uniform(0.95, 1.08)))
    thick = max(1, round(len(row.ink) * rng.uniform(0.01, 0.04)))
    cv2.line(
        line, (-160, y), (16 * scene.shape[1] + 160, y), float(sheet - rng.uniform(30, 120)), thick, cv2.LINE_AA, 4
    )
    scene = np.minimum(scene, line)
    return Numbers(photographed(turned(scene, rng.uniform(-2, 2)), rng, rng.uniform(*NOISE)), [row.text])


def page(digits: Digits, rng: Rng) -> Numbers:
    """Return a page of three to eight rows, on paper."""
    scale = rng.uniform(1.2, 2.5)
    rows = [_row(digits, rng, GAPS, scale * rng.uniform(0.8, 1.25)) for _ in range(int(rng.integers(3, 9)))]
    lead, left = rng.uniform(0.5, 1.2) * scale * 20, round(scale * rng.uniform(10, 30))
    heights = [round(len(row.ink) + lead) for row in rows]
    width = max(row.ink.shape[1] for row in rows) + 3 * left
    ink = np.zeros((sum(heights) + round(lead) + 2 * left, width), np.float32)
    top = left + round(lead / 2)
    for row, height in zip(rows, heights, strict=True):
        x = left + round(rng.uniform(0, 0.5) * left)
        ink[top : top + len(row.ink), x : x + row.ink.shape[1]] = row.ink
        top += height
    scene = on_paper(ink, rng.uniform(200, 250), rng.uniform(15, 80), np.zeros(4, int))
    return Numbers(
        photographed(lit(turned(scene, rng.uniform(-2, 2)), rng), rng, rng.uniform(*NOISE)),
        [row.text for row in rows],
    )


def desk(digits: Digits, rng: Rng) -> Numbers:
    """Return a row on a sheet that lies on a desk, darker or lighter, seen on two to four sides."""
    scene, angle = sheet_on_desk(rng)
    row = _row(digits, rng, GAPS, 3.0)
    room = np.array(scene.shape) * (0.3, rng.uniform(0.35, 0.6))
    scale = float((room / row.ink.shape).min())
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    ink = np.clip(cv2.resize(row.ink, None, fx=scale, fy=scale, interpolation=how), 0, 1)
    away = -math.degrees(angle)
    ink = turned(np.pad(ink, 4), away)
    top, left = ((np.array(scene.shape) - ink.shape) / 2 + rng.uniform(-0.05, 0.05, 2) * scene.shape).astype(int)
    part = scene[top : top + ink.shape[0], left : left + ink.shape[1]]
    part += ink * (np.float32(rng.uniform(15, 90)) - part)
    return Numbers(photographed(scene, rng, rng.uniform(*NOISE)), [row.text])


ROWS: dict[str, Callable[[Digits, Rng], Numbers]] = {
    "clear": clear,
    "touching": touching,
    "paper": paper,
    "boxed": boxed,
    "ruled": ruled,
    "page": page,
    "desk": desk,
}


def draw(name: str, digits: Digits, count: int, threads: int = 1, first: int = 0) -> Iterator[Numbers]:
    """Yield `count` pictures of a set, in order, from the number `first` on; memory stays bounded."""
    which = list(ROWS).index(name)
    return in_threads(lambda n: ROWS[name](digits, np.random.default_rng([SEED, which, first + n])), count, threads)


def main() -> None:
    """Write a set."""
    parser = argparse.ArgumentParser(prog="python -m experiments.rows", description="Write pictures of numbers.")
    parser.add_argument("data", help="MNIST's folder")
    parser.add_argument("folder", type=Path, help="where to write NUMBER.png (or .jpg) and numbers.csv")
    parser.add_argument("--set", choices=ROWS, required=True, dest="name")
    parser.add_argument("--count", type=int, default=1000, help="how many  [1000]")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    digits = Digits(*read_digits(arguments.data))
    with (arguments.folder / "numbers.csv").open("w", newline="") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["path", "line", "text"])
        pictures = draw(arguments.name, digits, arguments.count, available_cores())
        for number, (rendering, lines) in enumerate(pictures):
            path = f"{number:04d}{rendering.suffix}"
            (arguments.folder / path).write_bytes(rendering.content)
            writer.writerows([path, line, text] for line, text in enumerate(lines))


if __name__ == "__main__":
    main()
