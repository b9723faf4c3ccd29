"""A table of labelled pixels as a data set: Kaggle's train.csv."""

from dataclasses import dataclass

import numpy as np

from fastmnist.datasets.labelled import Dataset, LabelledImages, Loading, Split, Uint8, check_labels, label_squares
from fastmnist.errors import AnyPath, DataError, printable
from fastmnist.inputs.table import open_table
from fastmnist.shapes import DIGITS, IMAGE_SHAPE, N_PIXELS


@dataclass(frozen=True)
class PixelTable(Dataset):
    """The table at `path`, which is its own training and test set."""

    path: AnyPath

    @property
    def has_test(self) -> bool:
        """Whether there is a test set apart from the training set: no."""
        return False

    def _load(self, split: Split, how: Loading) -> LabelledImages:
        """Read the table. Raises DataError, naming the first bad row."""
        path = self.path
        table = open_table(path)
        if not table.has_labels:
            raise DataError(
                f"{printable(path)}: {N_PIXELS} columns, expected {N_PIXELS + 1}; add the label as the first column"
            )
        parts = [(np.zeros((0, N_PIXELS), np.uint8), np.zeros(0, np.uint8))]
        for rows in table.batches():
            if rows.errors:
                raise DataError(rows.errors[min(rows.errors)])
            parts.append((rows.pixels, rows.labels))
        pixels, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        _check_place_of_labels(path, labels, pixels[:, -1], len(how.class_names or DIGITS))
        check_labels(labels, len(how.class_names or DIGITS), path)
        return label_squares(path, pixels.reshape(-1, *IMAGE_SHAPE), labels, how)


def _check_place_of_labels(path: AnyPath, first: Uint8, last: Uint8, n_classes: int) -> None:
    """Raise DataError where labels look as if they stood in the last column (n,), not in the first (n,)."""
    if len(first) > 1 and not first.any() and last.any() and last.max() < n_classes:
        raise DataError(
            f"{printable(path)}: the first column is 0 in all rows and the last one 0 to {last.max()}, expected the "
            "label in the first; move it there"
        )
