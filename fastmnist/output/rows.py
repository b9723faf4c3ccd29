"""What all formats of rows share: what a row says, and how a format is written."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

DECIMALS = 6


@dataclass(frozen=True)
class Rows:
    """A run of m predictions, one per image.

    names: the path of each row; exactly one for all rows where `first_index` is set.
    labels: uint8 (m,). confidences: float32 (m,). probabilities: float32 (m, n_classes), or None.
    first_index: the index of row 0 inside its file, None for image files; `step` is the distance of the indices.
    failed: the rows that have no label.
    """

    names: Sequence[bytes]
    labels: npt.NDArray[np.uint8]
    confidences: npt.NDArray[np.float32]
    first_index: int | None = None
    step: int = 1
    failed: Collection[int] = ()
    probabilities: npt.NDArray[np.float32] | None = None

    @property
    def positions(self) -> range | None:
        """The indices of the rows, or None for image files."""
        if self.first_index is None:
            return None
        return range(self.first_index, self.first_index + self.step * len(self.labels), self.step)


class RowWriter:
    """Writes rows to a buffered binary stream, in one format; the stream's OSErrors come through.

    A row is one of `starts`, and then the rest: the label and what follows it.
    """

    header = b""
    no_label = b""  # how the rest begins in a row without a label

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream

    def write_header(self) -> None:
        """Write what precedes the rows."""
        self.stream.write(self.header)

    def starts(self, names: Sequence[bytes], positions: range | None) -> Iterator[bytes]:
        """Yield how the next rows begin, with what tells whose they are.

        `names` has the path of each row, or one for all rows where `positions` are their indices.
        """
        raise NotImplementedError

    def rests(self, rows: Rows) -> Iterator[bytes]:
        """Yield the rest of each row, line end included."""
        raise NotImplementedError

    def write(self, rows: Rows) -> None:
        """Write the rows, in one piece."""
        pairs = zip(self.starts(rows.names, rows.positions), self.rests(rows), strict=True)
        self.stream.write(b"".join(part for pair in pairs for part in pair))
        self.pass_over(len(rows.labels))

    def pass_over(self, n_rows: int) -> None:
        """Count rows as written, here or by an earlier run."""


def six_decimals(numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.bytes_]:
    """Return numbers from 0 to 1, of any shape, as text of eight bytes: rounded to even like Python's."""
    millionths = np.rint(numbers.astype(np.float64) * 10**DECIMALS).astype(np.int64)  # exact: 24 + 20 bits
    text = np.empty((*numbers.shape, DECIMALS + 2), np.uint8)
    for place in range(DECIMALS + 1, 1, -1):
        millionths, digits = np.divmod(millionths, 10)
        text[..., place] = ord("0") + digits
    text[..., 1] = ord(".")
    text[..., 0] = ord("0") + millionths
    return text.view(f"S{DECIMALS + 2}")[..., 0]
