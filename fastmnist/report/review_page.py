"""The page of `predict --report`: the rows that the model is unsure of, as pictures, for a person to correct.

It holds the rows as plain CSV (path, index, label, confidence), and where in it the labels of these rows are. Saving
puts the corrected labels in their places and leaves all other bytes as they are; `train` takes the file.
"""

import base64
from collections.abc import Iterator
from html import escape
from typing import NamedTuple

import numpy as np

from fastmnist.errors import AnyPath
from fastmnist.inputs.batch import Predictions
from fastmnist.model.model_file import Model
from fastmnist.model.network import Float32, Uint8
from fastmnist.output.csv import CsvFormat, quoted
from fastmnist.report.page import error_list, facts, filled, page, percent, picture, source, text, write_page
from fastmnist.shapes import IMAGE_SHAPE, NO_DIGIT

BELOW = 0.9  # a prediction with less confidence is doubtful, by default
MOST_DOUBTS = 10_000  # pictures in one page
MOST_ROWS = 100_000  # in one page, of which all but the doubtful ones are text: 7 MB
MOST_ERRORS = 100  # lines about images that can't be read
GUESSES = 3


class _Doubt(NamedTuple):
    """A row to look at: how sure the model is, its number among all rows, its image (784,) and its line."""

    confidence: float
    number: int
    where: str
    label: int
    pixels: Uint8
    line: bytes
    label_at: int  # bytes from the beginning of the line


class ReviewPage:
    """Collects the rows to look at from predictions, in bounded memory, and makes the page."""

    def __init__(self, model: Model, below: float = BELOW) -> None:
        """Collect the predictions with a confidence below `below`, and the images taken for no digit."""
        self._model, self._below = model, below
        self._format = CsvFormat(model.class_names)
        self._cells = [*(quoted(name.encode()) for name in model.class_names), b""]
        self._doubts: list[_Doubt] = []
        self._lines: list[bytes] = []  # of all rows, or none where these are too many
        self._errors: list[str] = []
        self._n_rows = self._n_doubts = self._n_errors = 0

    def add(self, predictions: Predictions) -> None:
        """Add the next rows."""
        batch, n_known = predictions.batch, self._n_rows
        keys = list(self._format.keys(batch.paths, batch.indices, batch.numbers))
        lines = [key + rest for key, rest in zip(keys, self._format.values(predictions), strict=True)]
        confidences = predictions.confidences.copy()
        refused = list(predictions.refusals)
        confidences[refused] = 1 - confidences[refused]  # it is a digit
        is_doubtful = confidences < self._below
        is_doubtful[refused] = True
        is_doubtful[list(batch.errors)] = False
        rows = np.flatnonzero(is_doubtful).tolist()
        self._doubts += [
            _Doubt(
                float(confidences[row]), n_known + row, batch.where(row), int(predictions.labels[row]),
                batch.pixels[row].copy(), lines[row], len(keys[row]),
            )
            for row in rows
        ]  # fmt: skip
        self._n_rows += len(lines)
        self._n_doubts += len(rows)
        self._n_errors += len(batch.errors)
        self._errors += [batch.errors[row] for row in sorted(batch.errors)][: MOST_ERRORS - len(self._errors)]
        self._lines = [*self._lines, *lines] if self._n_rows <= MOST_ROWS else []
        if len(self._doubts) > 2 * MOST_DOUBTS:
            self._doubts = self._least_sure()

    def page(self) -> bytes:
        """Return the page: HTML in UTF-8 that loads nothing. Equal rows give equal bytes."""
        doubts = self._least_sure()
        lines = self._lines or [doubt.line for doubt in sorted(doubts, key=lambda doubt: doubt.number)]
        numbers = range(self._n_rows) if self._lines else sorted(doubt.number for doubt in doubts)
        table = self._format.header + b"".join(lines)
        ends = len(self._format.header) + np.cumsum([0, *map(len, lines)])
        starts = dict(zip(numbers, ends[:-1].tolist(), strict=True))
        data = {"classes": self._model.class_names, "table": base64.b64encode(table).decode()}
        body = filled(
            "review.html",
            facts=self._facts(),
            left_out=self._left_out(len(doubts)),
            rows="".join(self._shown(doubts, starts)),
            errors=error_list(self._errors, self._n_errors),
        )
        return page("Images to check", body, source("review.js"), data)

    def write(self, path: AnyPath) -> None:
        """Write the page, atomically. Raises OutputError."""
        write_page(path, self.page())

    def _least_sure(self) -> list[_Doubt]:
        return sorted(self._doubts, key=lambda doubt: doubt[:2])[:MOST_DOUBTS]

    def _facts(self) -> str:
        return facts(
            [
                ("images", f"{self._n_rows:,}"),
                ("to check", f"{self._n_doubts:,}"),
                ("confidence below", percent(self._below)),
                ("can't be read", f"{self._n_errors:,}"),
            ]
        )

    def _left_out(self, n_shown: int) -> str:
        """Say what is not in the page."""
        said = ""
        if n_shown < self._n_doubts:
            said += f"<p>These are the {n_shown:,} least confident of {self._n_doubts:,}.</p>\n"
        if not self._lines and self._n_rows:
            said += "<p>The file that you save has only the rows of these pictures: the full table is too long.</p>\n"
        return said

    def _shown(self, doubts: list[_Doubt], starts: dict[int, int]) -> Iterator[str]:
        """Yield the pictures of doubtful rows, with the best guesses, that of the row first."""
        names = [*self._model.class_names, *([NO_DIGIT] if self._model.can_refuse else [])]
        for doubt, probabilities in zip(doubts, self._probabilities(doubts), strict=True):
            order = np.argsort(-probabilities[: len(names)], kind="stable").tolist()
            order.remove(doubt.label)
            guesses = " ".join(
                f"<span><b>{escape(names[guess])}</b> {percent(float(probabilities[guess]))}</span>"
                for guess in [doubt.label, *order[: GUESSES - 1]]
            )
            cell = f'data-at="{starts[doubt.number] + doubt.label_at}" data-n="{len(self._cells[doubt.label])}"'
            yield f"<li {cell}>{picture(doubt.pixels)}<p>{text(doubt.where)}</p><p>{guesses}</p></li>\n"

    def _probabilities(self, doubts: list[_Doubt]) -> Iterator[Float32]:
        for first in range(0, len(doubts), 1024):
            images = np.stack([doubt.pixels for doubt in doubts[first : first + 1024]])
            yield from self._model.probabilities(images.reshape(-1, *IMAGE_SHAPE))
