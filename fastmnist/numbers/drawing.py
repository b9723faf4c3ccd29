"""Draws what was read on a page: bounding boxes around numbers and their digits, and the text."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fastmnist.images.decode import opencv
from fastmnist.numbers.number import Number

RED, BLUE = (40, 40, 220), (200, 120, 40)  # blue, green, red: of numbers, and of their digits
LETTERS = 0.6  # of a number's height: its text above it


def drawn(grey: npt.NDArray[np.uint8], numbers: Sequence[Number]) -> npt.NDArray[np.uint8]:
    """Return a grey page (height, width) with its numbers: uint8 (height, width, 3), blue, green, red."""
    cv2 = opencv()
    picture = np.dstack([grey] * 3)
    thick = max(1, min(grey.shape) // 200)
    for number in numbers:
        for digit in number.digits:
            box = digit.box
            cv2.rectangle(picture, (box.left, box.top), (box.right - 1, box.bottom - 1), BLUE, thick)
        box, size = number.box, LETTERS * (number.box.bottom - number.box.top) / 30
        cv2.rectangle(picture, (box.left, box.top), (box.right - 1, box.bottom - 1), RED, thick)
        place = box.left, max(round(22 * size), box.top - 2 * thick)
        cv2.putText(picture, number.text, place, cv2.FONT_HERSHEY_SIMPLEX, size, RED, thick + 1, cv2.LINE_AA)
    return picture
