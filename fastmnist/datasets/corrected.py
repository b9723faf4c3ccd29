"""A table that `predict` wrote, its labels corrected by hand, as a data set."""

import codecs
import csv
import io
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np

from fastmnist.datasets.labelled import Dataset, LabelledImages, Loading, Split, class_names_of
from fastmnist.errors import AnyPath, DataError, printable
from fastmnist.inputs.stdin import NAME as STDIN
from fastmnist.inputs.stream import open_stream
from fastmnist.inputs.table import open_content
from fastmnist.shapes import DIGITS, N_PIXELS

_log = logging.getLogger(__name__)

_HEADER_BYTES = 4096
_PART_BYTES, _MOST_PARTS = 1 << 20, 256  # 256 MB at most
MOST_LABELS = 3_000_000  # each takes some 300 bytes until its image is read
MOST_DIGITS = 18  # of a position in a file
_WHOLE = re.compile(r"(\d+)\.0+", re.ASCII)  # as pandas writes a column of whole numbers with gaps


class _Key(NamedTuple):
    """Which image: the path of its file, and its position there, None where the file holds one."""

    path: bytes
    position: int | None


@dataclass(frozen=True)
class Corrected(Dataset):
    """The table at `path`, which is its own training and test set. Its paths are relative to the current folder."""

    path: AnyPath

    @property
    def has_test(self) -> bool:
        """Whether there is a test set apart from the training set: no."""
        return False

    def _load(self, split: Split, how: Loading) -> LabelledImages:
        """Read the images of the rows that have a label, in a shuffled order that is always the same.

        Without `how.class_names` the classes are the digits, or, where other labels are among them, the labels in
        alphabetical order. Raises DataError for a row that names no image, or a label that is no class.
        """
        label_of = _without_decimals(self._labels(), how.class_names or ())
        classes = class_names_of(set(label_of.values()), how.class_names)
        unknown = next((key for key, label in label_of.items() if label not in classes), None)
        if unknown is not None:
            raise DataError(
                f"{printable(self.path)}: label '{printable(label_of[unknown])}' for {_name(unknown)}, expected one of "
                f"{', '.join(classes[:20])}; correct the label"
            )
        preprocess = how.preprocess or "auto"
        pixels, labels, names, errors = [np.zeros((0, N_PIXELS), np.uint8)], [], [], {}
        for batch in open_stream(dict.fromkeys(key.path for key in label_of), preprocess, threads=how.threads):
            keys = [_Key(*where) for where in zip(batch.paths, batch.indices, strict=True)]
            wanted = {row: key for row, key in enumerate(keys) if key in label_of or key.position is None}
            errors.update({wanted[row]: error for row, error in batch.errors.items() if row in wanted})
            sound = []
            for row, key in wanted.items():
                if row not in batch.errors and (label := label_of.pop(key, None)) is not None:
                    sound.append(row)
                    labels.append(classes.index(label))
                    names.append(_name(key))
            pixels.append(batch.pixels[sound])
        missing = {key: f"{_name(key)}: no such image; correct the row" for key in label_of if key not in errors}
        order = np.random.RandomState(0).permutation(len(labels))
        shuffled = np.concatenate(pixels)[order], np.array(labels, np.uint8)[order]
        return LabelledImages(
            *shuffled,
            classes,
            list((errors | missing).values()),
            preprocess,
            names=[names[position] for position in order],
        )

    def _labels(self) -> dict[_Key, str]:
        """Return the label of each image that has one. Raises DataError."""
        label_of: dict[_Key, str] = {}
        n_empty = 0
        for line, key, label in self._rows():
            if not label:
                n_empty += 1
            elif len(label_of) == MOST_LABELS:
                raise DataError(f"{printable(self.path)}: more than {MOST_LABELS:,} labels; split the table")
            elif label_of.setdefault(key, label) != label:
                raise DataError(
                    f"{printable(self.path)}: line {line}: a second label for {_name(key)}; remove one of them"
                )
        if n_empty:
            _log.warning(f"{printable(self.path)}: skipping {n_empty:,} rows without a label")
        if not label_of:
            raise DataError(f"{printable(self.path)}: no row with a label, expected some; fill in the labels")
        return label_of

    def _rows(self) -> Iterator[tuple[int, _Key, str]]:
        """Yield line, image and label of each row. Raises DataError."""
        content = _content(self.path)
        header = content.partition(b"\n")[0].decode("utf-8", "surrogateescape")
        lines = io.TextIOWrapper(io.BytesIO(content), "utf-8", "surrogateescape", newline="")
        rows = csv.DictReader(lines, delimiter=_delimiter(header), strict=True)
        try:
            if not {"path", "label"} <= set(rows.fieldnames or ()):
                raise DataError(f"{printable(self.path)}: a header without path and label, expected both; correct it")
            for row in rows:
                index, label = _whole((row.get("index") or "").strip()), (row["label"] or "").strip()
                is_number = index.isdecimal() and len(index) <= MOST_DIGITS
                if not row["path"] or "\0" in row["path"] or not (is_number or not index):
                    raise DataError(
                        f"{printable(self.path)}: line {rows.line_num}: path '{printable(row['path'] or '')}' and "
                        f"index '{printable(index)}', expected a file, and a number or nothing; correct the row"
                    )
                if row["path"] in ("-", STDIN):
                    raise DataError(
                        f"{printable(self.path)}: line {rows.line_num}: an image from stdin, expected a file; "
                        "remove the row, or save the images as files"
                    )
                yield (
                    rows.line_num,
                    _Key(row["path"].encode("utf-8", "surrogateescape"), int(index) if index else None),
                    label,
                )
        except csv.Error as error:
            raise DataError(
                f"{printable(self.path)}: line {rows.line_num}: {error}, expected CSV; correct it"
            ) from error


def is_corrected(path: AnyPath) -> bool:
    """Tell by its header whether the table at `path` is one that `predict` wrote. Never raises."""
    try:
        with open_content(path) as content:
            line = content.read(_HEADER_BYTES).removeprefix(codecs.BOM_UTF8).partition(b"\n")[0]
    except DataError:
        return False
    header = line.decode("latin-1")
    return {"path", "label"} <= {cell.strip('"\r') for cell in header.split(_delimiter(header))}


def _content(path: AnyPath) -> bytes:
    with open_content(path) as content:
        parts = list(islice(iter(lambda: content.read(_PART_BYTES), b""), _MOST_PARTS + 1))
    if len(parts) > _MOST_PARTS:
        raise DataError(f"{printable(path)}: too large for a table of corrections; split it")
    return b"".join(parts).removeprefix(codecs.BOM_UTF8)


def _whole(text: str) -> str:
    """Return a whole number without its decimals, 7 for 7.0, and any other text as it is."""
    found = _WHOLE.fullmatch(text)
    return found[1] if found else text


def _without_decimals(label_of: dict[_Key, str], class_names: Sequence[str]) -> dict[_Key, str]:
    """Return the labels with 7 for 7.0, as pandas has it, if all are digits or names of classes then."""
    whole = {key: label if label in class_names else _whole(label) for key, label in label_of.items()}
    return whole if set(whole.values()) <= {*DIGITS, *class_names} else label_of


def _delimiter(header: str) -> str:
    """Return what is between a header's cells: some spreadsheets write semicolons or tabs."""
    return next((mark for mark in ",;\t" if mark in header), ",")


def _name(key: _Key) -> str:
    return printable(key.path) if key.position is None else f"{printable(key.path)}: image {key.position}"
