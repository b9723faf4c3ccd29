"""A run of rows on its way from files to predictions: what is read, and what the network says of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastmnist.errors import printable


@dataclass
class Batch:
    """A run of m rows, one per image.

    paths: the path of each row.
    indices: the position of each row inside its file, None for an image file; a range where all rows are of one file.
    numbers: the position of each row among all rows of the job, from 0.
    pixels: uint8 (m, 784), meaningless where there is an error.
    errors: row -> one-line message.
    """

    paths: Sequence[bytes]
    indices: Sequence[int | None]
    numbers: range
    pixels: npt.NDArray[np.uint8]
    errors: dict[int, str]

    def where(self, row: int) -> str:
        """Return what a message calls a row: its path, and its position where the file holds many."""
        path, index = printable(self.paths[row]), self.indices[row]
        return path if index is None else f"{path}: image {index}"


@dataclass(frozen=True)
class Predictions:
    """A batch with the most probable label and its probability for each row; rows in `batch.errors` have none.

    labels: uint8 (m,). confidences: float32 (m,). probabilities: float32 (m, n_classes) if requested, else None.
    """

    batch: Batch
    labels: npt.NDArray[np.uint8]
    confidences: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32] | None = None
