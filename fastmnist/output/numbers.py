"""The numbers of pictures as rows: CSV or JSON Lines, a row for each number or each of its digits.

All rows of a picture begin alike and belong together, so that a run can be resumed between pictures.
"""

import json
from collections.abc import Iterator
from typing import Any

from fastmnist.numbers.number import Box, Number, PageRead
from fastmnist.output.csv import path_cell, quoted
from fastmnist.output.rows import DECIMALS, ItemFormat

BOX = b"left,top,width,height"


class NumberRows(ItemFormat):
    """`path,page,line,text,confidence,left,top,width,height`, and on request `review`.

    With `digits` a row for each digit: `path,page,line,digit,label,confidence,...`. What can't be read, or shows no
    number, has a row with a path and a page alone.
    """

    def __init__(self, *, digits: bool = False, min_confidence: float | None = None) -> None:
        """Add `review`, yes for confidences below `min_confidence`, if that is given."""
        self._digits, self._min_confidence = digits, min_confidence
        columns = [b"path,page,line", b"digit,label" if digits else b"text", b"confidence", BOX]
        self.header = b",".join(columns + [b"review"] * (min_confidence is not None)) + b"\n"
        self._n_empty = self.header.count(b",") - 1

    def start(self, path: bytes) -> bytes:
        """Return how all rows of a picture begin."""
        return path_cell(path) + b","

    def is_failed(self, rest: bytes) -> bool:
        """Return whether a row, given without its start, has no line."""
        return rest.partition(b",")[2].startswith(b",")

    def rows_of(self, page: PageRead) -> Iterator[bytes]:
        """Yield the rows of a page, one at least."""
        key = self.start(page.path) + (b"" if page.page is None else b"%d" % page.page)
        if not page.numbers:
            yield key + b"," * self._n_empty + b"\n"
        for number in page.numbers:
            for cells in self._cells(number):
                yield key + b",%d," % number.line + cells

    def _cells(self, number: Number) -> Iterator[bytes]:
        if not self._digits:
            yield quoted(number.text.encode()) + self._values(number.confidence, number.box)
            return
        for place, digit in enumerate(number.digits):
            yield b"%d," % place + quoted(digit.label.encode()) + self._values(digit.confidence, digit.box)

    def _values(self, confidence: float, box: Box) -> bytes:
        edges = b"%d,%d,%d,%d" % (box.left, box.top, box.right - box.left, box.bottom - box.top)
        review = b""
        if self._min_confidence is not None:
            review = b",yes" if confidence < self._min_confidence else b",no"
        return f",{confidence:.{DECIMALS}f},".encode() + edges + review + b"\n"


class NumberLines(ItemFormat):
    """An object per number: path, page, line, text, confidence, box (left, top, width, height) and its digits.

    What can't be read, or shows no number, has null for all but path and page, and the key error.
    """

    def __init__(self, *, min_confidence: float | None = None) -> None:
        """Add `review`, true for confidences below `min_confidence`, if that is given."""
        self._min_confidence = min_confidence

    def start(self, path: bytes) -> bytes:
        """Return how all rows of a picture begin."""
        return b'{"path": %b, ' % json.dumps(path.decode("utf-8", "surrogateescape")).encode("ascii")

    def is_failed(self, rest: bytes) -> bool:
        """Return whether a row, given without its start, has no line."""
        return b'"line": null, ' in rest[:40]

    def rows_of(self, page: PageRead) -> Iterator[bytes]:
        """Yield the rows of a page, one at least."""
        key = self.start(page.path)
        if not page.numbers:
            nothing: dict[str, Any] = dict.fromkeys(("line", "text", "confidence", "box", "digits"))
            yield key + _object({"page": page.page, **nothing, "error": page.error})
        for number in page.numbers:
            facts: dict[str, Any] = {
                "page": page.page,
                "line": number.line,
                "text": number.text,
                "confidence": round(number.confidence, DECIMALS),
                "box": _box(number.box),
                "digits": [
                    {"label": digit.label, "confidence": round(digit.confidence, DECIMALS), "box": _box(digit.box)}
                    for digit in number.digits
                ],
            }
            if self._min_confidence is not None:
                facts["review"] = number.confidence < self._min_confidence
            yield key + _object(facts)


def _box(box: Box) -> list[int]:
    return [box.left, box.top, box.right - box.left, box.bottom - box.top]


def _object(facts: dict[str, Any]) -> bytes:
    """Return the rest of an object whose path is written already."""
    return json.dumps(facts).encode("ascii")[1:] + b"\n"
