"""The option of `read` that lets you see what was read: the pictures, with boxes and text drawn in."""

import os
import re
from itertools import islice
from typing import TYPE_CHECKING

from fastmnist.errors import DataError, OutputError, printable, reason

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fastmnist.numbers.reading import PageRead

RED, BLUE = (40, 40, 220), (200, 120, 40)  # blue, green, red: of numbers, and of their digits
LETTERS = 0.6  # of a number's height: its text above it


class Drawing:
    """A folder of pictures with what was read in them."""

    def __init__(self, folder: str) -> None:
        """Make the folder, which must be new or empty. Raises OutputError."""
        from fastmnist.output.png import make_folder

        self._folder = folder
        make_folder(folder)

    def add(self, page: "PageRead") -> None:
        """Draw a page, if there is a number on it. Raises OutputError."""
        from fastmnist.images.decode import opencv

        if not page.numbers:
            return
        stem = re.sub(r"[^\w.-]", "_", os.path.basename(printable(page.path)))[-100:]
        place = "" if page.page is None else f"-{page.page}"
        path = os.path.join(self._folder, f"{page.number + 1:07d}-{stem}{place}.png")
        grey = _picture(page)
        if grey is None:
            return
        content = opencv().imencode(".png", _drawn(grey, page))[1].tobytes()
        try:
            with open(path, "wb") as file:
                file.write(content)
        except OSError as error:
            raise OutputError(f"{printable(path)}: {reason(error)}, expected room for --draw") from None


def _picture(page: "PageRead") -> "NDArray[np.uint8] | None":
    """Return the greys of a page, None where it can't be read a second time, as from stdin."""
    import numpy as np

    from fastmnist.images.decode import decode_picture
    from fastmnist.images.files import read_file
    from fastmnist.images.pages import decode_pages

    try:
        data = read_file(page.path)
        if page.page is None:
            return decode_picture(data, page.path)
        picture = next(islice(decode_pages(data, page.path), page.page, None), None)
        return picture if isinstance(picture, np.ndarray) else None
    except DataError:
        return None


def _drawn(grey: "NDArray[np.uint8]", page: "PageRead") -> "NDArray[np.uint8]":
    """Return a page (height, width, 3), blue, green, red, with its numbers."""
    import numpy as np

    from fastmnist.images.decode import opencv

    cv2 = opencv()
    picture = np.dstack([grey] * 3)
    thick = max(1, min(grey.shape) // 200)
    for number in page.numbers:
        for digit in number.digits:
            box = digit.box
            cv2.rectangle(picture, (box.left, box.top), (box.right - 1, box.bottom - 1), BLUE, thick)
        box, size = number.box, LETTERS * (number.box.bottom - number.box.top) / 30
        cv2.rectangle(picture, (box.left, box.top), (box.right - 1, box.bottom - 1), RED, thick)
        place = box.left, max(round(22 * size), box.top - 2 * thick)
        cv2.putText(picture, number.text, place, cv2.FONT_HERSHEY_SIMPLEX, size, RED, thick + 1, cv2.LINE_AA)
    return picture
