"""Tables of pixels in Kaggle's form: CSV lines of 784 numbers from 0 to 255, with or without a label before them.

A first line of names is a header; if the first name is missing, that column is the row index that pandas wrote. Numbers
may have a decimal point, and then range up to 1 or 255, as the first 100 rows show. Lines stream in constant memory,
from a plain or a gzip file. A line that is not a row affects no others: its index is kept, with an error.
"""

import codecs
import contextlib
import gzip
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fastmnist.errors import AnyPath, DataError, counted, printable, reason
from fastmnist.inputs.files import READ_ERRORS, ByteStream, expanded, length_of, open_regular
from fastmnist.inputs.levels import SAMPLE
from fastmnist.remote.address import file_name
from fastmnist.shapes import N_PIXELS

_CERTAIN = (".csv", ".csv.gz")  # names of tables,
_POSSIBLE = (".txt", ".txt.gz", ".tsv", ".tsv.gz")  # and of files that may be one
_OTHER_SEPARATORS = {b";": "semicolons", b"\t": "tabs"}
_SNIFFED_BYTES = 256
MAX_LINE_BYTES = 64 * 1024  # 785 numbers of three digits take 3,140

_BLOCK_BYTES = 2 << 20  # some 1,150 rows; of nothing but empty lines it takes 80 MB
_MAX_LINES = 4096  # parsed at a time: a block of the shortest lines would become 800 times as large
_SHOWN_BYTES = 20  # of a bad cell
_INDEX_NAMES = frozenset({b"", b"unnamed: 0"})  # what pandas calls the rows' index, at first and when written again
_PANDAS_NAMES = [b"%d" % pixel for pixel in range(N_PIXELS)]
_LABEL_NAMES = frozenset({b"label", b"labels", b"class", b"target", b"digit", b"y"})


@dataclass(frozen=True)
class TableRows:
    """A run of a table's rows.

    labels: uint8 (m,), zeros where the table has none. pixels: uint8 (m, 784).
    errors: row -> one-line message; labels and pixels of such a row mean nothing.
    """

    labels: npt.NDArray[np.uint8]
    pixels: npt.NDArray[np.uint8]
    errors: dict[int, str]


@dataclass(frozen=True)
class Table:
    """A table whose first line is checked; holds no open file."""

    path: AnyPath
    has_header: bool
    has_labels: bool
    has_index: bool = False
    scale: int | None = None  # what pixels with a decimal point are multiplied with; None for a table of whole numbers

    def batches(self) -> Iterator[TableRows]:
        """Yield all rows in order. Raises DataError if the file can't be read to its end."""
        n_lines = n_rows = 0
        with open_content(self.path) as stream:
            for block in _line_blocks(stream):
                text = np.frombuffer(block, np.uint8)
                starts, ends = _lines(text)
                numbers = n_lines + 1 + np.arange(len(starts))
                n_lines += len(starts)
                is_row = ends > starts  # an empty line is none
                if self.has_header and numbers[:1] == 1:
                    is_row[0] = False
                starts, ends, numbers = starts[is_row], ends[is_row], numbers[is_row]
                if self.has_index:
                    starts = _after_first_comma(text, starts, ends)
                for first in range(0, len(starts), _MAX_LINES):
                    some = slice(first, first + _MAX_LINES)
                    yield self._parse(text, starts[some], ends[some], numbers[some], n_rows)
                    n_rows += len(starts[some])

    def scale_of(self, lines: list[bytes]) -> int | None:
        """Return `scale` as the first lines after the header tell it."""
        n_cells = self.has_index + self.has_labels + N_PIXELS
        rows = [line.split(b",") for line in lines if line.count(b",") + 1 == n_cells]
        if not any(b"." in cell for row in rows for cell in row):
            return None
        pixels = np.array([[_number(cell) for cell in row[-N_PIXELS:]] for row in rows])
        return 255 if np.nanmax(pixels, initial=0) <= 1 else 1

    def _parse(
        self,
        text: npt.NDArray[np.uint8],
        starts: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        numbers: npt.NDArray[np.int64],
        first_row: int,
    ) -> TableRows:
        """Return the rows of the lines text[starts[k] : ends[k]], whose line numbers are `numbers`."""
        from fastmnist.kernels.parse_rows import parse_rows

        n_columns = N_PIXELS + self.has_labels
        values = np.empty((len(starts), n_columns), np.uint8)
        n_found, first_bad = np.empty((2, len(starts)), np.int64)
        if self.scale is None:
            # The serial build: this may be the reader's thread, and only one thread enters parallel kernels.
            parse_rows.serial(text, starts, ends, values, n_found, first_bad, 1)
        else:
            for row, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
                line = text[start : min(end, start + MAX_LINE_BYTES)].tobytes()
                n_found[row], first_bad[row] = self._parse_decimals(line, values[row])
        is_bad = (n_found != n_columns) | (first_bad >= 0) | (ends - starts > MAX_LINE_BYTES)
        errors = {
            row: f"{printable(self.path)}: row {first_row + row} (line {numbers[row]}): "
            + self._fault(text[starts[row] : ends[row]].tobytes(), int(first_bad[row]))
            for row in np.flatnonzero(is_bad).tolist()
        }
        labels = values[:, 0] if self.has_labels else np.zeros(len(values), np.uint8)
        return TableRows(labels, np.ascontiguousarray(values[:, int(self.has_labels) :]), errors)

    def _parse_decimals(self, line: bytes, values: npt.NDArray[np.uint8]) -> tuple[int, int]:
        """Fill `values` (n_columns,) with a line's numbers; return how many there are and the first bad one, or -1."""
        cells = line.split(b",")
        if len(cells) != len(values):
            return len(cells), -1
        numbers = np.array([_number(cell) for cell in cells])
        numbers[int(self.has_labels) :] *= self.scale or 1
        is_good = (numbers >= 0) & (numbers <= 255)  # a NaN is neither
        if self.has_labels:
            is_good[0] &= numbers[0] == np.rint(numbers[0])
        if not is_good.all():
            return len(cells), int(is_good.argmin())
        values[:] = np.rint(numbers)
        return len(cells), -1

    def _fault(self, line: bytes, column: int) -> str:
        """Say what is wrong with a line, of which `column` is the first that holds no number up to 255."""
        if len(line) > MAX_LINE_BYTES:
            return f"more than {MAX_LINE_BYTES:,} bytes, expected a line of {N_PIXELS} numbers; fix the line"
        cells = line.split(b",")
        n_columns = N_PIXELS + self.has_labels
        if len(cells) != n_columns:
            found = counted(len(cells) + self.has_index, "column")
            return f"{found}, expected {n_columns + self.has_index} as in the first line; fix the line"
        is_label = self.has_labels and column == 0
        name = "label" if is_label else f"pixel{column - self.has_labels}"
        numbers = "a whole number from 0 to 255" if is_label or not self.scale else f"0 to {255 // self.scale}"
        return (
            f"{_shown(cells[column])} in column {column + 1 + self.has_index} ({name}), "
            f"expected {numbers}; fix the line"
        )


def is_table(path: AnyPath) -> bool:
    """Tell whether `path` is a table: named .csv (.gz) in any case, or .txt or .tsv and so begun; not a folder."""
    name = file_name(path).lower()
    return not os.path.isdir(path) and (name.endswith(_CERTAIN) or (name.endswith(_POSSIBLE) and _begins_so(path)))


def _begins_so(path: AnyPath) -> bool:
    """Tell whether a file begins with text in cells. Never raises."""
    try:
        with open_content(path) as stream:
            head = stream.read(_SNIFFED_BYTES).removeprefix(codecs.BOM_UTF8)
    except DataError:
        return False
    first = head.partition(b"\n")[0]
    return any(separator in first for separator in (b",", *_OTHER_SEPARATORS)) and head.isascii() and b"\0" not in head


def open_table(path: AnyPath) -> Table:
    """Check a table's first line and return the table; a gzip file is expanded once, in constant memory.

    Raises DataError if the file is unreadable, a damaged gzip file, or no table of 784 pixels.
    """
    with open_content(path) as stream:
        blocks = _line_blocks(stream)
        first, _, others = (block := next(blocks, b"")).partition(b"\n")
        table = _describe(path, first.removesuffix(b"\r"))
        lines = (others if table.has_header else block).split(b"\n", SAMPLE)[:SAMPLE]
        table = replace(table, scale=table.scale_of(lines))
        if isinstance(stream, gzip.GzipFile):
            for _ in blocks:
                pass
    return table


def estimate_rows(path: AnyPath) -> int:
    """Return about how many rows a plain table has, by the length of its first lines; 1 for others. Never raises."""
    try:
        with open_regular(path) as file:
            head = file.read(_BLOCK_BYTES)
            n_lines = head.count(b"\n")
            return max(1, n_lines * length_of(file) // max(1, len(head)))
    except (DataError, OSError):
        return 1


def _describe(path: AnyPath, line: bytes) -> Table:
    """Return the table whose first line this is. Raises DataError unless it has the right columns."""
    if not line:
        raise DataError(f"{printable(path)}: an empty first line, expected a table of pixels; check the file")
    cells = line.split(b",")
    has_index = cells[0].strip(b'" ').lower() in _INDEX_NAMES and _are_names(cells[1:])
    cells = cells[int(has_index) :]
    for separator, name in _OTHER_SEPARATORS.items():
        if line.count(separator) >= N_PIXELS - 1:
            raise DataError(
                f"{printable(path)}: cells separated by {name}, expected commas; save the table with commas"
            )
    if len(cells) not in (N_PIXELS, N_PIXELS + 1):
        raise DataError(
            f"{printable(path)}: {counted(len(cells) + has_index, 'column')} in its first line, "
            f"expected {N_PIXELS} pixels, or a label and {N_PIXELS} pixels; check the file"
        )
    has_labels = len(cells) > N_PIXELS
    names = [cell.strip(b'" ').lower() for cell in cells]
    has_header = _are_names(cells)
    if has_header and not has_labels and names[0] in _LABEL_NAMES:
        raise DataError(f"{printable(path)}: a label and {N_PIXELS - 1} pixels, expected {N_PIXELS}; check the file")
    if has_header and names[-1] in _LABEL_NAMES:
        raise DataError(f"{printable(path)}: the label in the last column, expected it in the first; move it there")
    return Table(path, has_header, has_labels, has_index)


def _number(cell: bytes) -> float:
    """Return the number in a cell, NaN where there is none."""
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _after_first_comma(
    text: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return where the second cell of each line begins; the line's end where there is none."""
    commas = np.append(np.flatnonzero(text == ord(",")), len(text))
    seconds: npt.NDArray[np.int64] = np.minimum(commas[np.searchsorted(commas, starts)] + 1, ends)
    return seconds


def _are_names(cells: list[bytes]) -> bool:
    """Tell whether cells of the first line are names of columns: no numbers, or pandas' own names of the pixels."""
    names = [cell.strip(b'" ') for cell in cells]
    return names[-N_PIXELS:] == _PANDAS_NAMES or not any(map(_is_number, names))


def _is_number(cell: bytes) -> bool:
    """Tell whether a cell of the first line is a number, or nothing at all: no name of a column."""
    try:
        float(cell or b"0")
    except ValueError:
        return False
    return True


@contextlib.contextmanager
def open_content(path: AnyPath) -> Iterator[ByteStream]:
    """Yield the file's content, expanded where it is gzip. Every reading error becomes a DataError."""
    with open_regular(path) as file:
        try:
            yield expanded(file)
        except READ_ERRORS as error:
            raise DataError(
                f"{printable(path)}: {reason(error)}, expected a readable table; get the file again"
            ) from error


def _line_blocks(stream: ByteStream) -> Iterator[bytes]:
    """Yield the content in blocks of whole lines; of a line that is too long, the beginning or more of it."""
    rest = b""
    block = stream.read(_BLOCK_BYTES).removeprefix(codecs.BOM_UTF8)
    while block:
        lines, newline, tail = block.rpartition(b"\n")
        if newline:
            yield rest + lines + newline
            rest = tail
        else:
            rest += tail
        rest = rest[: MAX_LINE_BYTES + 1]
        block = stream.read(_BLOCK_BYTES)
    if rest:
        yield rest


def _lines(text: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return where each line of `text` starts and ends, line ends (also of two bytes) not counted."""
    ends = np.flatnonzero(text == ord("\n"))
    if text[-1] != ord("\n"):
        ends = np.append(ends, len(text))
    starts = np.concatenate(([0], ends[:-1] + 1))
    return starts, ends - ((ends > starts) & (text[ends - 1] == ord("\r")))


def _shown(cell: bytes) -> str:
    return f"'{printable(cell[:_SHOWN_BYTES])}'{'...' * (len(cell) > _SHOWN_BYTES)}"
