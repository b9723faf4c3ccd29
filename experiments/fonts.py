"""Digits, letters and signs in OpenCV's Hershey fonts, which are in no training set: `python -m experiments.fonts`.

Any label that a model gives to a sign, or to a letter that is not shaped like a digit, is a mistake. The share of "no
digit" that a model expects was chosen with letters (docs/accuracy.md).
"""

import argparse

import cv2
import numpy as np

import fastmnist
from experiments.rerender import Picture

LETTERS = "ACEFGHJKLMNPRTUVWXYadefhkmnprtuvwxyc"  # those not shaped like a digit, as O o D I l i S s Z z B b q g are
KINDS = {"digits": "0123456789", "letters": LETTERS, "signs": "&%@?$<>#*+=!"}
COUNT = 2_000  # of each
FONTS = 8
SIZES, PENS = (2.0, 3.0), (2, 9)  # times the font's own; pixels, the last exclusive
SLANT = 0.25  # columns per row, at most
SIDE = 200
SURE = 0.9


def picture_of(character: str, rng: np.random.Generator) -> Picture:
    """Return a character in black on white, in any font, pen and slant: uint8 (SIDE, SIDE)."""
    font, size, pen = int(rng.integers(FONTS)), rng.uniform(*SIZES), int(rng.integers(*PENS))
    (width, height), below = cv2.getTextSize(character, font, size, pen)
    place = (SIDE - width) // 2, (SIDE + height - below) // 2
    picture = cv2.putText(np.full((SIDE, SIDE), 255, np.uint8), character, place, font, size, 0, pen, cv2.LINE_AA)
    slant = rng.uniform(-SLANT, SLANT)
    matrix = np.array([[1, -slant, slant * SIDE / 2], [0, 1, 0]])
    return np.asarray(cv2.warpAffine(picture, matrix, (SIDE, SIDE), borderValue=255), np.uint8)


def main() -> None:
    """Print a line for each kind."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.fonts", description="What a model says of digits, letters and signs in plain fonts."
    )
    parser.add_argument("--model", default="shipped", help="model file  [shipped]")
    model = fastmnist.load(parser.parse_args().model)
    for seed, (kind, characters) in enumerate(KINDS.items()):
        chosen = [characters[n % len(characters)] for n in range(COUNT)]
        pictures = [picture_of(character, np.random.default_rng([seed, n])) for n, character in enumerate(chosen)]
        result = model.predict(pictures)
        is_right, is_labelled = result.labels == np.array(chosen), result.labels != ""
        is_sure = is_labelled & (result.confidences > SURE)
        print(
            f"{kind:8} right {is_right.mean():.2%}  a label {is_labelled.mean():.2%}  "
            f"surer than {SURE} {is_sure.mean():.2%}  refused {result.refused.mean():.2%}"
        )


if __name__ == "__main__":
    main()
