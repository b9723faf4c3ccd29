"""A run of rows on its way from files to predictions."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastmnist.errors import printable


@dataclass
class Batch:
    """A run of rows, one per image.

    names: the path of each row; exactly one for all rows where `first_index` is set.
    first_index: position of row 0 inside an IDX file or table; None for image files.
    pixels: uint8 (m, 784), of no meaning where there is an error.
    errors: row -> one-line message.
    step: the distance of the rows' positions, where `first_index` is set.
    """

    names: list[bytes]
    first_index: int | None
    pixels: npt.NDArray[np.uint8]
    errors: dict[int, str]
    step: int = 1

    def where(self, row: int) -> str:
        """Return what a message calls a row: its path, and its position where the file holds many."""
        if self.first_index is None:
            return printable(self.names[row])
        return f"{printable(self.names[0])}: image {self.first_index + row * self.step}"
