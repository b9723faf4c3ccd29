"""All misclassified digits on one contact sheet: `python -m experiments.misread_sheet FOLDER OUT.png`.

FOLDER is what `fastmnist evaluate --errors FOLDER` writes; below each digit are its true and its predicted label.
"""

import argparse
import re
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

COLUMNS = 10
SCALE = 3  # of the digits
CAPTION = 18  # pixels below each
NAME = re.compile(r"\d+.*-true-(?P<truth>.+)-read-(?P<guess>.+)\.png")


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(prog="python -m experiments.misread_sheet", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    tiles = [_tile(path) for path in sorted(arguments.folder.glob("*.png"))]
    if not tiles:
        parser.error(f"{arguments.folder}: no pictures; run: fastmnist evaluate DATA --errors {arguments.folder}")
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[first : first + COLUMNS]) for first in range(0, len(tiles), COLUMNS)]
    if not cv2.imwrite(str(arguments.out), np.vstack(rows)):
        parser.error(f"{arguments.out}: can't be written")


def _tile(path: Path) -> npt.NDArray[np.uint8]:
    """Return a digit, enlarged and framed, over its caption."""
    match = NAME.fullmatch(path.name)
    digit = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if match is None or digit is None:
        raise SystemExit(f"{path}: no misread digit, expected NUMBER-true-NAME-read-NAME.png")
    large = cv2.resize(digit, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_NEAREST)
    framed = cv2.copyMakeBorder(large, 2, CAPTION, 2, 2, cv2.BORDER_CONSTANT, value=255)
    place = 4, framed.shape[0] - 4
    cv2.putText(
        framed, f"{match['truth']} as {match['guess']}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 0, 1, cv2.LINE_AA
    )
    return np.asarray(framed, np.uint8)


if __name__ == "__main__":
    main()
