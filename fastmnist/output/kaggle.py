"""Predictions as Kaggle's digit recogniser wants them: `ImageId,Label`, counted from 1."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from fastmnist.output.csv import quoted
from fastmnist.output.rows import Rows, RowWriter


class KaggleWriter(RowWriter):
    """Writes the position of a row among all rows, and its label, empty where it failed."""

    header = b"ImageId,Label\n"
    no_label = b"\n"

    def __init__(self, stream: BinaryIO, class_names: Sequence[str], shard: int = 1, n_shards: int = 1) -> None:
        """Write the rows of one shard, which bear the numbers `shard`, `shard` + `n_shards`, ..."""
        super().__init__(stream)
        self._labels = [quoted(name.encode()) for name in class_names]
        self._next, self._step = shard, n_shards

    def starts(self, names: Sequence[bytes], positions: range | None) -> Iterator[bytes]:
        """Yield the numbers of the next rows."""
        n_rows = len(names) if positions is None else len(positions)
        yield from (b"%d," % (self._next + row * self._step) for row in range(n_rows))

    def rests(self, rows: Rows) -> Iterator[bytes]:
        """Yield the labels."""
        for row, label in enumerate(rows.labels.tolist()):
            yield b"\n" if row in rows.failed else self._labels[label] + b"\n"

    def pass_over(self, n_rows: int) -> None:
        """Count on from there."""
        self._next += n_rows * self._step
