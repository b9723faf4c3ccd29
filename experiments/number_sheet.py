"""A sheet of drawn numbers and what was read: `python -m experiments.number_sheet DATA OUT.png`.

Two pictures of each set of rows.py, as `fastmnist read --draw` shows them.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from experiments.rerender import read_digits
from experiments.rows import ROWS, Digits, draw
from fastmnist.api import load
from fastmnist.cli.read_drawing import Drawing

EACH, WIDTH, HEIGHT, BORDER = 2, 520, 150, 200


def sheet(digits: Digits) -> npt.NDArray[np.uint8]:
    """Return the sheet, uint8 (height, width, 3), blue, green, red: a row for each set."""
    model, rows = load("shipped"), []
    with tempfile.TemporaryDirectory() as folder:
        for name in ROWS:
            source, drawn = Path(folder) / name, Path(folder) / f"{name}-drawn"
            source.mkdir()
            for number, picture in enumerate(draw(name, digits, EACH + 1)):
                (source / f"{number}{picture.rendering.suffix}").write_bytes(picture.rendering.content)
            drawing = Drawing(str(drawn))
            for page in model.read_files(source):
                drawing.add(page)
            cells = [_cell(np.asarray(cv2.imread(str(path)), np.uint8)) for path in sorted(drawn.iterdir())[-EACH:]]
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
