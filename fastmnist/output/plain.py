"""Predictions as a person reads them: `photo.png  7  99.9 %`. Only for terminals; programs read the other formats."""

from collections.abc import Iterator, Sequence

from fastmnist.errors import printable
from fastmnist.inputs.batch import Predictions
from fastmnist.output.rows import RowFormat


class PlainFormat(RowFormat):
    """The printable path, the label and the confidence in percent; no header."""

    no_label = b"no label"

    def __init__(self, class_names: Sequence[str]) -> None:
        self._class_names = class_names

    def keys(self, paths: Sequence[bytes], indices: Sequence[int | None], numbers: Sequence[int]) -> Iterator[bytes]:
        """Yield the path, and the page in a file of several."""
        for path, index in zip(paths, indices, strict=True):
            page = "" if index is None else f" [{index}]"
            yield f"{printable(path)}{page}  ".encode()

    def values(self, predictions: Predictions) -> Iterator[bytes]:
        """Yield label and confidence."""
        errors = predictions.errors
        for row, (label, confidence) in enumerate(zip(predictions.labels, predictions.confidences, strict=True)):
            if row in errors:
                yield self.no_label + b"\n"
            else:
                yield f"{self._class_names[label]}  {100 * confidence:.1f} %\n".encode()
