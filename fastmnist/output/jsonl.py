r"""Predictions as JSON Lines: an object per row, all ASCII; bytes of a path that are no UTF-8 are `\udcXX`."""

import json
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from fastmnist.output.rows import Rows, RowWriter, six_decimals


class JsonlWriter(RowWriter):
    """Writes the keys path, index, label and confidence, and probabilities and review where they are wanted.

    What a row has not is null: the index of an image file; of a row that failed all but path and index.
    """

    no_label = b"null"

    def __init__(
        self,
        stream: BinaryIO,
        class_names: Sequence[str],
        *,
        probabilities: bool = False,
        min_confidence: float | None = None,
    ) -> None:
        """Write `probabilities`, an object of the classes, if told so; `review`: if below `min_confidence`."""
        super().__init__(stream)
        self._labels = [json.dumps(name).encode() for name in class_names]
        self._probabilities, self._min_confidence = probabilities, min_confidence
        keys = [b"confidence"] + [b"probabilities"] * probabilities + [b"review"] * (min_confidence is not None)
        self._failed = b"null" + b"".join(b', "%b": null' % key for key in keys) + b"}\n"

    def starts(self, names: Sequence[bytes], positions: range | None) -> Iterator[bytes]:
        """Yield each object up to the value of its label."""
        if positions is None:
            yield from (b'{"path": %b, "index": null, "label": ' % _string(name) for name in names)
        else:
            path = _string(names[0])
            yield from (b'{"path": %b, "index": %d, "label": ' % (path, position) for position in positions)

    def rests(self, rows: Rows) -> Iterator[bytes]:
        """Yield each object from the value of its label on."""
        labels, confidences = rows.labels.tolist(), six_decimals(rows.confidences).tolist()
        ends = [b"}\n"] * len(labels)
        if self._min_confidence is not None:
            reviews = (rows.confidences < self._min_confidence).tolist()
            ends = [b', "review": %b}\n' % (b"true" if review else b"false") for review in reviews]
        if self._probabilities and rows.probabilities is not None:
            all_of_them = six_decimals(rows.probabilities).tolist()
            ends = [self._object(row) + end for row, end in zip(all_of_them, ends, strict=True)]
        for row, (label, confidence, end) in enumerate(zip(labels, confidences, ends, strict=True)):
            good = b'%b, "confidence": %b%b' % (self._labels[label], confidence, end)
            yield self._failed if row in rows.failed else good

    def _object(self, probabilities: list[bytes]) -> bytes:
        pairs = zip(self._labels, probabilities, strict=True)
        return b', "probabilities": {%b}' % b", ".join(b"%b: %b" % pair for pair in pairs)


def _string(path: bytes) -> bytes:
    return json.dumps(path.decode("utf-8", "surrogateescape")).encode("ascii")
