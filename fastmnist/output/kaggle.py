"""Predictions as Kaggle's digit recogniser wants them: `ImageId,Label`, counted from 1."""

from collections.abc import Iterator, Sequence

from fastmnist.inputs.batch import Predictions
from fastmnist.output.csv import quoted
from fastmnist.output.rows import RowFormat


class KaggleFormat(RowFormat):
    """The number of a row among all rows of the job, and its label, empty where it has none."""

    header = b"ImageId,Label\n"
    no_label = b"\n"

    def __init__(self, class_names: Sequence[str]) -> None:
        self._labels = [quoted(name.encode()) for name in class_names]

    def keys(self, paths: Sequence[bytes], indices: Sequence[int | None], numbers: Sequence[int]) -> Iterator[bytes]:
        """Yield the numbers, counted from 1."""
        return (b"%d," % (number + 1) for number in numbers)

    def values(self, predictions: Predictions) -> Iterator[bytes]:
        """Yield the labels."""
        errors = predictions.errors
        for row, label in enumerate(predictions.labels.tolist()):
            yield b"\n" if row in errors else self._labels[label] + b"\n"
