"""Checks what a Parquet file says about itself before anything in it is decoded.

https://parquet.apache.org/docs/file-format. A file is row groups of columns of pages; its footer says where they are,
and each page begins with a header that says how long it is once decompressed. The library that decodes pages trusts all
of this, and aborts the process when it runs out of memory.
"""

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

from fastmnist.errors import AnyPath, DataError, printable
from fastmnist.inputs.files import length_of
from fastmnist.inputs.thrift import Struct, read_struct

MAGIC = b"PAR1"
MAX_PAGE_BYTES = 256 << 20  # expanded, of all columns together
MAX_BATCH_ROWS = 1024
_MAX_FOOTER_BYTES = 4 << 20  # some 7,000 row groups; in memory it takes up to 80 times as much
_MAX_SCHEMA = 100  # columns, and groups of them
_MAX_HEADER_BYTES = 1 << 16  # of a page: some 30, and the least and the largest value
_TAIL_BYTES = 8  # the footer's length, and the magic

# Of codecs, these expand to the length that a page's header tells, and no further, in Rust's `parquet`.
_CODECS = {0: "none", 1: "snappy", 7: "lz4_raw"}
_OTHER_CODECS = {2: "gzip", 3: "lzo", 4: "brotli", 5: "lz4", 6: "zstd"}
_FIXED_LENGTH, _REPEATED, _DICTIONARY_PAGE = 7, 2, 2

# What is read of the structs (parquet.thrift): the numbers of their fields.
_SCHEMA, _N_ROWS, _ROW_GROUPS = 2, 3, 4
_TYPE, _REPETITION, _NAME = 1, 3, 4
_COLUMNS, _GROUP_ROWS = 1, 3
_OTHER_FILE, _META = 1, 3
_CODEC, _COMPRESSED_BYTES, _DATA_PAGE, _DICTIONARY = 4, 7, 9, 11
_PAGE_TYPE, _PAGE_EXPANDED, _PAGE_BYTES, _PAGE_V1, _PAGE_DICTIONARY, _PAGE_V2 = 1, 2, 3, 5, 7, 8

_SAVE_AGAIN = "save it again: dataset.select_columns(['image', 'label']).to_parquet(FILE)"


class Layout(NamedTuple):
    """How many rows a file has, and how many can be decoded at a time within the bounds."""

    n_rows: int
    batch_rows: int


def check(file: io.BufferedReader, path: AnyPath) -> Layout:
    """Return the layout of an open Parquet file. Raises DataError where it is damaged, or beyond the bounds."""
    return _Checker(file, path).check()


def count_rows(file: io.BufferedReader, path: AnyPath) -> int:
    """Return how many rows the footer names. Raises DataError."""
    return _Checker(file, path).n_rows


class _Checker:
    """Checks a file, from its footer to its pages."""

    def __init__(self, file: io.BufferedReader, path: AnyPath) -> None:
        self._file, self._name = file, printable(path)
        self._n_bytes = length_of(file)
        self._footer = self._read_footer()
        self.n_rows = self._number(self._footer, _N_ROWS)
        if self.n_rows > self._n_bytes:
            raise self._damaged(f"{self.n_rows} rows in {self._n_bytes} bytes")

    def check(self) -> Layout:
        self._check_schema()
        largest: dict[int, int] = {}  # column -> bytes of its largest page
        n_rows = 0
        for group in self._list(self._footer, _ROW_GROUPS):
            n_group = self._number(group, _GROUP_ROWS)
            n_rows += n_group
            for number, column in enumerate(self._list(group, _COLUMNS)):
                for page in self._pages(column, n_group):
                    largest[number] = max(largest.get(number, 0), page)
        if n_rows != self.n_rows:
            raise self._damaged(f"row groups of {n_rows} rows, where the footer names {self.n_rows}")
        page_bytes = sum(largest.values())
        if page_bytes > MAX_PAGE_BYTES:
            raise DataError(
                f"{self._name}: pages of {page_bytes} bytes, expected at most {MAX_PAGE_BYTES} "
                f"({MAX_PAGE_BYTES >> 20} MB)",
                hint="save it again in smaller ones: to_parquet(FILE, batch_size=10)",
            )
        # A value is no longer than its page, but a page may be there many times in a batch: by its dictionary.
        return Layout(n_rows, min(MAX_BATCH_ROWS, max(1, MAX_PAGE_BYTES // max(1, page_bytes))))

    def _read_footer(self) -> Struct:
        tail = self._read(max(0, self._n_bytes - _TAIL_BYTES), _TAIL_BYTES)
        if self._read(0, len(MAGIC)) != MAGIC or tail[4:] != MAGIC:
            raise self._damaged(f"{self._n_bytes} bytes that do not begin and end with {MAGIC.decode()}")
        n_footer = int.from_bytes(tail[:4], "little")
        if n_footer > _MAX_FOOTER_BYTES:
            raise DataError(
                f"{self._name}: a footer of {n_footer} bytes, expected at most {_MAX_FOOTER_BYTES} "
                f"({_MAX_FOOTER_BYTES >> 20} MB); save it in several files, or with larger row groups"
            )
        start = self._n_bytes - _TAIL_BYTES - n_footer
        if start < len(MAGIC):
            raise self._damaged(f"a footer of {n_footer} bytes in a file of {self._n_bytes}")
        try:
            return read_struct(self._read(start, n_footer))[0]
        except (ValueError, IndexError) as error:
            raise self._damaged("a footer that can't be read") from error

    def _check_schema(self) -> None:
        schema = self._list(self._footer, _SCHEMA)
        if len(schema) > _MAX_SCHEMA:
            raise DataError(f"{self._name}: {len(schema)} columns, expected image and label", hint=_SAVE_AGAIN)
        for element in schema:
            if element.get(_REPETITION) == _REPEATED or element.get(_TYPE) == _FIXED_LENGTH:
                name = element.get(_NAME)
                column = printable(name if isinstance(name, bytes) else b"")
                kind = "lists" if element.get(_REPETITION) == _REPEATED else "blocks of bytes"
                raise DataError(
                    f"{self._name}: {kind} ({column}), expected the columns image and label", hint=_SAVE_AGAIN
                )

    def _pages(self, column: Struct, n_rows: int) -> Iterator[int]:
        """Yield how many bytes each page of a column has, compressed or expanded, whichever is more."""
        meta = column.get(_META)
        if not isinstance(meta, dict) or _OTHER_FILE in column:
            raise self._damaged("a column that is not in the file")
        if meta.get(_CODEC) not in _CODECS:
            codec = _OTHER_CODECS.get(meta.get(_CODEC, -1), "an unknown codec")
            raise DataError(
                f"{self._name}: compressed by {codec}, expected {', '.join(_CODECS.values())}",
                hint="save it again: to_parquet(FILE, compression='snappy')",
            )
        place = self._number(meta, _DICTIONARY if _DICTIONARY in meta else _DATA_PAGE)
        end = place + self._number(meta, _COMPRESSED_BYTES)
        if not len(MAGIC) <= place <= end <= self._n_bytes:
            raise self._damaged(f"a column from byte {place} to {end} in a file of {self._n_bytes} bytes")
        while place < end:
            try:
                header, length = read_struct(self._read(place, min(_MAX_HEADER_BYTES, end - place)))
            except (ValueError, IndexError) as error:
                raise self._damaged(f"no page at byte {place}") from error
            n_compressed, n_expanded = self._number(header, _PAGE_BYTES), self._number(header, _PAGE_EXPANDED)
            self._check_values(header, n_expanded, n_rows)
            place += length + n_compressed
            if place > end:
                raise self._damaged(f"a page that ends at byte {place}, where its column ends at {end}")
            yield max(n_compressed, n_expanded)

    def _check_values(self, header: Struct, n_expanded: int, n_rows: int) -> None:
        """Raise DataError where a page claims more values than rows, or a dictionary more than it has bytes."""
        is_dictionary = header.get(_PAGE_TYPE) == _DICTIONARY_PAGE
        most = n_expanded if is_dictionary else n_rows
        for kind in (_PAGE_DICTIONARY, _PAGE_V1, _PAGE_V2):
            if kind in header and self._number(header[kind], 1) > most:
                raise self._damaged(f"a page of {header[kind][1]} values, of {most} at most")

    def _read(self, place: int, size: int) -> bytes:
        self._file.seek(place)
        return self._file.read(size)

    def _number(self, fields: Any, field: int) -> int:
        value = fields.get(field) if isinstance(fields, dict) else None
        if not isinstance(value, int) or value < 0:
            raise self._damaged("a footer that can't be read")
        return value

    def _list(self, fields: Struct, field: int) -> list[Struct]:
        found = fields.get(field)
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise self._damaged("a footer that can't be read")
        return found

    def _damaged(self, found: str) -> DataError:
        return DataError(f"{self._name}: {found}, expected a whole Parquet file; get the file again")
