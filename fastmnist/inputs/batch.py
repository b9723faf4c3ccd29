"""A run of rows on its way from files to predictions: what is read, and what the network says of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fastmnist.errors import printable
from fastmnist.images.preprocess import Page
from fastmnist.shapes import N_PIXELS


@dataclass
class Batch:
    """A run of m rows, one per image.

    paths: the path of each row.
    indices: the position of each row inside its file, None for a file of one image; a range where all rows are of one
        file.
    numbers: the position of each row among all rows of the job, from 0; the pages of a file have the file's.
    pixels: uint8 (m, 784), meaningless where there is an error.
    errors: row -> one-line message.
    """

    paths: Sequence[bytes]
    indices: Sequence[int | None]
    numbers: Sequence[int]
    pixels: npt.NDArray[np.uint8]
    errors: dict[int, str]

    def where(self, row: int) -> str:
        """Return what a message calls a row: its path, and its position where the file holds many."""
        path, index = printable(self.paths[row]), self.indices[row]
        return path if index is None else f"{path}: image {index}"


def batch_of(paths: Sequence[bytes], numbers: Sequence[int], pages: dict[int, list[Page]]) -> Batch:
    """Return a batch of files that are all in `pages`."""
    return with_pages(Batch(paths, [None] * len(paths), numbers, np.zeros((len(paths), N_PIXELS), np.uint8), {}), pages)


def with_pages(batch: Batch, pages: dict[int, list[Page]]) -> Batch:
    """Return the batch with a row for each page of the files in `pages`, row -> pages.

    A page is a digit (28, 28), or why it can't be read. The only page of a file has no index.
    """
    if not pages:
        return batch
    paths: list[bytes] = []
    indices: list[int | None] = []
    numbers: list[int] = []
    pixels: list[npt.NDArray[np.uint8]] = []
    errors: dict[int, str] = {}
    for row, (path, number) in enumerate(zip(batch.paths, batch.numbers, strict=True)):
        if row not in pages and row in batch.errors:
            errors[len(paths)] = batch.errors[row]
        for index, page in enumerate(pages.get(row, [batch.pixels[row]])):
            if isinstance(page, str):
                errors[len(paths)] = page
            paths.append(path)
            indices.append(index if len(pages.get(row, ())) > 1 else None)
            numbers.append(number)
            pixels.append(np.zeros(N_PIXELS, np.uint8) if isinstance(page, str) else page.reshape(N_PIXELS))
    is_longer = len(paths) > len(batch.paths)
    return Batch(paths, indices, numbers if is_longer else batch.numbers, np.stack(pixels), errors)


@dataclass(frozen=True)
class Predictions:
    """A batch with the most probable label and its probability for each row; rows in `errors` have none.

    labels: uint8 (m,), the number of classes where an image looks like none of them. confidences: float32 (m,).
    probabilities: float32 (m, n_classes) if requested, else None.
    refusals: row -> one-line message, where an image can be read and looks like none of the classes.
    """

    batch: Batch
    labels: npt.NDArray[np.uint8]
    confidences: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32] | None = None
    refusals: dict[int, str] = field(default_factory=dict)

    @property
    def errors(self) -> dict[int, str]:
        """All rows without a label, row -> one-line message."""
        return self.batch.errors | self.refusals if self.refusals else self.batch.errors
