"""Shards of a job -> the rows of the whole run: those of shard 1, 2, ... N in turn, a file's pages together.

Every part is read twice: nothing is written before all of them have been checked. Memory does not grow with the rows;
a temporary file does, by 16 bytes a row.
"""

import io
import itertools
import json
import logging
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from hashlib import blake2b
from typing import BinaryIO, NamedTuple

import numpy as np

from fastmnist.errors import AnyPath, DataError, counted, printable, reason
from fastmnist.inputs.files import open_regular

_log = logging.getLogger(__name__)

_FEW = 5  # rows of a part, which may be in the order of their names by chance
_MAX_ROW_BYTES = 1 << 20  # a path has 4,096
_DIGEST_BYTES = 16
_BLOCK = 1 << 20  # digests compared at a time


class _Row(NamedTuple):
    """A row with its line end; what it begins with, as no other row does; the path there, and the index or number."""

    text: bytes
    key: bytes
    path: bytes
    position: int | None


def _is_next_page(before: _Row, row: _Row) -> bool:
    """Tell pages from images of an IDX file or table: of these, one shard of two or more has no neighbours."""
    return row.path == before.path and before.position is not None and row.position == before.position + 1


def _is_same_file(before: _Row, row: _Row) -> bool:
    return row.path == before.path


def _is_same_number(before: _Row, row: _Row) -> bool:
    return row.position == before.position


class _Form(NamedTuple):
    """A format: how its first line begins, how each row does, and whether a row is of the same file as that before.

    optional: the keys that not every object has.
    """

    header: bytes
    key: re.Pattern[bytes]
    continues: Callable[[_Row, _Row], bool]
    optional: frozenset[str] = frozenset()


_CELL = rb'("(?:[^"]|"")*"|[^,"\n]*)'
_STRING = rb'("(?:[^"\\]|\\.)*")'
_KAGGLE = _Form(b"ImageId,Label\n", re.compile(rb"()(\d{1,18}),"), _is_same_number)
_FORMS = (
    _Form(b"path,index,", re.compile(_CELL + rb",(\d{0,18}),"), _is_next_page),
    _Form(b"path,page,", re.compile(_CELL + rb"(),"), _is_same_file),
    _KAGGLE,
    _Form(b"", re.compile(rb'\{"path": ' + _STRING + rb', "index": (null|\d{1,18}), '), _is_next_page,
          frozenset({"error"})),
    _Form(b"", re.compile(rb'\{"path": ' + _STRING + rb'(), "page": '), _is_same_file, frozenset({"error", "review"})),
)  # fmt: skip


class _Part:
    """An open shard: its next row, None at the end, and how many files or images were before that."""

    def __init__(self, path: AnyPath) -> None:
        self.name = printable(path)
        self._file = io.BufferedReader(open_regular(path))
        self.header = b""
        self.form: _Form | None = None  # of a part without rows or header
        self.columns = ""
        self.row: _Row | None = None
        self.n_items = 0
        try:
            self._find_form(self._line())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._file.close()

    def _find_form(self, first: bytes) -> None:
        """Set form, header and columns by the first line."""
        for form in _FORMS if first else ():
            if form.header and first.startswith(form.header):
                self.form, self.header, self.columns = form, first, printable(first.rstrip(b"\n"))
                return
            if not form.header and form.key.match(first):
                self.form, self.columns = form, ", ".join(self._keys(first, form))
                return
        if first:
            raise self.refusal(f"begins with {printable(first[:40])!r}, expected rows written by fastmnist predict")

    def _keys(self, line: bytes, form: _Form) -> list[str]:
        try:
            return [key for key in json.loads(line) if key not in form.optional]
        except (ValueError, RecursionError) as error:
            raise self.refusal(
                "its first row is not a JSON object, expected rows written by fastmnist predict"
            ) from error

    def rewind(self) -> None:
        """Begin with the first row."""
        self._file.seek(len(self.header))
        self.n_items = 0
        self.row = self._read_row()

    def item(self) -> Iterator[_Row]:
        """Yield the next row, and those of the same file after it."""
        self.n_items += 1
        row = self.row
        while row is not None and self.form is not None:
            yield row
            before, row = row, self._read_row()
            self.row = row
            if row is None or not self.form.continues(before, row):
                return

    def _read_row(self) -> _Row | None:
        text = self._line()
        if not text or self.form is None:
            return None
        while self.header and text.count(b'"') % 2:  # a line end within a quoted path
            text += self._line() or self._cut(text)
            if len(text) > _MAX_ROW_BYTES:
                self._cut(text)
        match = self.form.key.match(text)
        if match is None:
            raise self.refusal(f"a row begins with {printable(text[:40])!r}, expected one written by fastmnist predict")
        return _Row(text, match[0], match[1], int(match[2]) if match[2].isdigit() else None)

    def _line(self) -> bytes:
        """Return the next line, b"" at the end. Raises DataError where it has no end, or can't be read."""
        try:
            line = self._file.readline(_MAX_ROW_BYTES)
        except OSError as error:
            raise self.refusal(f"{reason(error)}, expected a file that can be read") from error
        return line if not line or line.endswith(b"\n") else self._cut(line)

    def _cut(self, text: bytes) -> bytes:
        raise self.refusal(f"the row {printable(text[:40])!r} is cut short", hint="let this shard run to its end")

    def refusal(self, why: str, *, hint: str | None = None) -> DataError:
        return DataError(f"{self.name}: {why}", hint=hint)


class _Digests:
    """Digests of rows on disk, in which to find a duplicate."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._n = file, 0

    def add(self, row: _Row) -> None:
        self._file.write(_digest(row))
        self._n += 1

    def repeated(self) -> bytes | None:
        """Return a digest that was added twice, or None."""
        if not self._n:
            return None
        self._file.flush()
        digests = np.memmap(self._file, f"S{_DIGEST_BYTES}", "r+")
        digests.sort()
        for first in range(0, self._n - 1, _BLOCK):
            block = digests[first : first + _BLOCK + 1]
            if len(places := np.flatnonzero(block[1:] == block[:-1])):
                return bytes(block[places[0]]).ljust(_DIGEST_BYTES, b"\0")
        return None


class _Order:
    """Whether rows come in the order of their names: those of each part, and all together.

    Folders are walked in this order, and so are the shards of one. In shards given as 1, 10, 11, ..., 2, as `*.csv` has
    them, each part is in order and the whole is not.
    """

    def __init__(self, n_parts: int) -> None:
        self._last: list[tuple[bytes, int] | None] = [None] * (n_parts + 1)  # of the parts, and of all rows
        self._in_order = [True] * (n_parts + 1)
        self._n_rows = 0

    def see(self, part: int, row: _Row) -> None:
        """Take the next row of all, which is the next of a part."""
        self._n_rows += 1
        path = row.path[1:-1].replace(b'""', b'"') if row.path.startswith(b'"') else row.path
        name = (path, row.position or 0)
        for place in (part, -1):
            last = self._last[place]
            self._in_order[place] &= last is None or last <= name
            self._last[place] = name

    def is_doubtful(self) -> bool:
        """Return whether the parts were probably not given in the order of their shards."""
        *of_parts, of_all = self._in_order
        return not of_all and all(of_parts) and self._n_rows >= _FEW * len(of_parts)


def _digest(row: _Row) -> bytes:
    return blake2b(row.key, digest_size=_DIGEST_BYTES).digest()


def merge(paths: Sequence[AnyPath], out: BinaryIO) -> int:
    """Write the rows of the shards 1 to N of a job, at `paths` in this order, to `out`: the bytes of the whole run.

    The shards are CSV, JSON Lines or Kaggle's, as `predict` and `read` write them. Returns the number of rows. Raises
    DataError, with nothing written, for files that can't be all shards of one job in their order: where their counts or
    columns do not fit, images of a file are out of order, or a row occurs twice. Logs a warning where their names say
    that the order is likely another one.
    """
    with ExitStack() as files:
        parts = [files.enter_context(closing(_Part(path))) for path in paths]
        _check_columns(parts)
        _check_rows(parts)
        out.write(parts[0].header)
        n_rows = 0
        for _, row in _interleaved(parts):
            out.write(row.text)
            n_rows += 1
    return n_rows


def _check_columns(parts: list[_Part]) -> None:
    """Raise DataError unless all parts have the same header, or objects of the same keys."""
    known = [part for part in parts if part.form is not None]
    for part in parts:
        if known and part.columns != known[0].columns and (part.form is not None or known[0].header):
            expected = f"expected {known[0].columns!r} as in {known[0].name}"
            raise part.refusal(f"has {part.columns or 'no header'!r}, {expected}")


def _check_rows(parts: list[_Part]) -> None:
    """Raise DataError unless the rows can be those of one job."""
    before: _Row | None = None
    last_turn = -1
    order = _Order(len(parts))
    with tempfile.TemporaryFile() as file:
        digests = _Digests(file)
        for turn, row in _interleaved(parts):
            part = parts[turn % len(parts)]
            order.see(turn % len(parts), row)
            if part.form is _KAGGLE and row.position != turn + 1:
                raise part.refusal(f"row {row.position} where row {turn + 1} belongs; {_expected(parts)}")
            if before and _is_misplaced(before, row):
                place = f"image {row.position} of {printable(row.path)} comes after image {before.position}"
                raise part.refusal(f"{place}, {_expected(parts)}")
            if turn > last_turn:  # the first row of a file tells for all
                digests.add(row)
            before, last_turn = row, turn
        if (digest := digests.repeated()) is not None:
            raise _repetition(parts, digest)
    if order.is_doubtful():
        _log.warning(f"the rows of each part are sorted by name, but all rows together are not: {_expected(parts)}")


def _repetition(parts: list[_Part], digest: bytes) -> DataError:
    """Return the refusal of a row that two parts have."""
    found = {turn: row for turn, row in _interleaved(parts) if _digest(row) == digest}
    first, second = (parts[turn % len(parts)] for turn in list(found)[:2])
    row = printable(found[min(found)].key)
    return second.refusal(
        f"has the row {row!r}, which is also in {first.name}, expected each row once",
        hint="run all shards again; if an input was named twice, name it once",
    )


def _is_misplaced(before: _Row, row: _Row) -> bool:
    """Return whether two rows that follow each other are of one file, but are not neighbours there."""
    is_of_one_file = row.path == before.path != b"" and None not in (row.position, before.position)
    return is_of_one_file and not _is_next_page(before, row)


def _interleaved(parts: list[_Part]) -> Iterator[tuple[int, _Row]]:
    """Yield the rows of the whole run, with the number of their file or image.

    Raises DataError where one part goes on after another has ended.
    """
    for part in parts:
        part.rewind()
    for turn in itertools.count():
        part = parts[turn % len(parts)]
        if part.row is None:
            break
        for row in part.item():
            yield turn, row
    for other in parts:
        if other.row is not None:
            items = counted(part.n_items, "item")
            raise other.refusal(f"has more rows than {part.name}, which ends after {items}; {_expected(parts)}")


def _expected(parts: list[_Part]) -> str:
    n = len(parts)
    return f"expected the shards 1/{n} to {n}/{n} of one job, all complete and in this order"
