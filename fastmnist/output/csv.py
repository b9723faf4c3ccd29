"""Predictions as CSV: RFC 4180, with no cell that a spreadsheet takes for a formula."""

import functools
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from fastmnist.inputs.batch import Predictions
from fastmnist.output.rows import RowFormat, six_decimals

# RFC 4180 wants these quoted; Python's own csv writer leaves a bare \r unquoted when lines end with \n.
_NEEDS_QUOTES = re.compile(rb'[,"\r\n]')
# A cell that begins like this is a formula to a spreadsheet, quoted or not (white space is dropped first).
_FORMULA = (b"=", b"+", b"-", b"@", b"\t", b"\r", b"\n")


class CsvFormat(RowFormat):
    """`path,index,label,confidence`, and on request a column for each class and `review`."""

    no_label = b","

    def __init__(
        self, class_names: Sequence[str], *, probabilities: bool = False, min_confidence: float | None = None
    ) -> None:
        """Add `probability_NAME` columns if asked, and `review`: yes for confidences below `min_confidence`."""
        self._labels = [quoted(name.encode()) for name in class_names]
        self._probabilities, self._min_confidence = probabilities, min_confidence
        columns = [b"path", b"index", b"label", b"confidence"]
        if probabilities:
            columns += [quoted(f"probability_{name}".encode()) for name in class_names]
        if min_confidence is not None:
            columns.append(b"review")
        self._is_plain = len(columns) == 4
        self._failed = b"," * (len(columns) - 3) + b"\n"
        self.header = b",".join(columns) + b"\n"

    def keys(self, paths: Sequence[bytes], indices: Sequence[int | None], numbers: Sequence[int]) -> Iterator[bytes]:
        """Yield the cells of path and index."""
        cell = functools.cache(path_cell)  # for the rows of one file
        for path, index in zip(paths, indices, strict=True):
            yield b"%b,," % path_cell(path) if index is None else b"%b,%d," % (cell(path), index)

    def values(self, predictions: Predictions) -> Iterator[bytes]:
        """Yield the other cells; those of a row without a label are empty."""
        confidences, failed = predictions.confidences, predictions.errors
        labels = [*self._labels, b""]
        columns = [[labels[label] for label in predictions.labels.tolist()], six_decimals(confidences).tolist()]
        if self._probabilities and predictions.probabilities is not None:
            columns += six_decimals(predictions.probabilities).T.tolist()
        if self._min_confidence is not None:
            columns.append(np.where(confidences < self._min_confidence, b"yes", b"no").tolist())
        for row, cells in enumerate(zip(*columns, strict=True)):
            yield self._failed if row in failed else b",".join(cells) + b"\n"

    def rows(self, predictions: Predictions) -> Iterable[bytes | memoryview]:
        """Return the rows; those of an IDX file are made twelve times as fast as others, by a kernel.

        It knows rows without a label by their labels, which say nothing of what can't be read.
        """
        batch = predictions.batch
        if self._is_plain and isinstance(batch.indices, range) and batch.indices and not batch.errors:
            return self._rows_of_one_file(path_cell(batch.paths[0]), batch.indices, predictions)
        return super().rows(predictions)

    def _rows_of_one_file(self, path: bytes, indices: range, predictions: Predictions) -> Iterator[memoryview]:
        from fastmnist.kernels import format_rows, jit

        names = np.frombuffer(b"".join(self._labels), np.uint8)
        ends = np.cumsum([len(name) for name in self._labels])
        longest = len(path) + max(len(name) for name in self._labels) + format_rows.INDEX_DIGITS + 12
        n_parts = jit.n_threads()
        text = np.empty((n_parts, longest * (len(indices) // n_parts + 1)), np.uint8)
        lengths = np.empty(n_parts, np.int64)
        format_rows.format_rows.with_parts(
            n_parts, np.frombuffer(path, np.uint8), indices.start, indices.step, predictions.labels,
            predictions.confidences, names, ends, text, lengths,
        )  # fmt: skip
        for part, length in zip(text, lengths, strict=True):
            yield part[:length].data


def path_cell(path: bytes) -> bytes:
    """Return `path` as a cell that no spreadsheet takes for a formula: `=a` becomes `./=a`, the same file."""
    return quoted(b"./" + path if path.startswith(_FORMULA) else path)


def quoted(cell: bytes) -> bytes:
    """Return a cell, in quotes where it needs them."""
    if _NEEDS_QUOTES.search(cell):
        return b'"' + cell.replace(b'"', b'""') + b'"'
    return cell
