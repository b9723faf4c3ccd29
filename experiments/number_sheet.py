"""A sheet of drawn numbers and what was read: `python -m experiments.number_sheet DATA OUT.png`.

Two pictures of each set of rows.py, as `fastmnist read --draw` shows them.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from experiments.rerender import read_digits
from experiments.rows import ROWS, Digits, draw
from fastmnist.api import load
from fastmnist.images.decode import decode_picture
from fastmnist.numbers.drawing import drawn

FIRST, EACH = 1, 2  # pictures of each set
WIDTH, HEIGHT, BORDER = 520, 150, 200


def sheet(digits: Digits) -> npt.NDArray[np.uint8]:
    """Return the sheet, uint8 (height, width, 3), blue, green, red: a row for each set."""
    model, rows = load("shipped"), []
    for name in ROWS:
        cells = []
        for picture in list(draw(name, digits, FIRST + EACH))[FIRST:]:
            content = picture.rendering.content
            (page,) = model.read(content)
            cells.append(_cell(drawn(decode_picture(content, b"drawn"), page.numbers)))
        rows.append(np.hstack(cells))
    return np.vstack(rows).astype(np.uint8)


def _cell(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return a picture in a cell of the sheet."""
    scale = min(WIDTH / picture.shape[1], HEIGHT / picture.shape[0], 1.0)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cell = np.full((HEIGHT + 6, WIDTH + 6, 3), BORDER, np.uint8)
    cell[3 : 3 + small.shape[0], 3 : 3 + small.shape[1]] = small
    return cell


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(prog="python -m experiments.number_sheet", description="Draw what is read.")
    parser.add_argument("data", help="MNIST's folder")
    parser.add_argument("out", type=Path, help="PNG file to write")
    arguments = parser.parse_args()
    cv2.imwrite(str(arguments.out), sheet(Digits(*read_digits(arguments.data))))


if __name__ == "__main__":
    main()
