r"""Predictions as JSON Lines: an object per row, all ASCII; bytes of a path that are not UTF-8 become `\udcXX`."""

import json
from collections.abc import Iterator, Sequence

from fastmnist.inputs.batch import Predictions
from fastmnist.output.rows import RowFormat, six_decimals
from fastmnist.shapes import NO_DIGIT


class JsonlFormat(RowFormat):
    """The keys path, index, label and confidence, and on request probabilities and review.

    What a row does not have is null: the index of an image file; all but path and index of a row without a label. Such
    a row alone has the key error: "no digit" where the image looks like none of the classes, or why it can't be read.
    """

    no_label = b"null"

    def __init__(
        self, class_names: Sequence[str], *, probabilities: bool = False, min_confidence: float | None = None
    ) -> None:
        """Add `probabilities`, an object of the classes, if asked; `review`: true below `min_confidence`."""
        self._labels = [json.dumps(name).encode() for name in class_names]
        self._probabilities, self._min_confidence = probabilities, min_confidence
        keys = [b"confidence"] + [b"probabilities"] * probabilities + [b"review"] * (min_confidence is not None)
        self._failed = b"null" + b"".join(b', "%b": null' % key for key in keys) + b', "error": %b}\n'

    def keys(self, paths: Sequence[bytes], indices: Sequence[int | None], numbers: Sequence[int]) -> Iterator[bytes]:
        """Yield each object up to the value of its label."""
        for path, index in zip(paths, indices, strict=True):
            shown = b"null" if index is None else b"%d" % index
            yield b'{"path": %b, "index": %b, "label": ' % (_string(path), shown)

    def values(self, predictions: Predictions) -> Iterator[bytes]:
        """Yield each object from the value of its label on."""
        labels, confidences = predictions.labels.tolist(), six_decimals(predictions.confidences).tolist()
        ends = [b"}\n"] * len(labels)
        if self._min_confidence is not None:
            reviews = (predictions.confidences < self._min_confidence).tolist()
            ends = [b', "review": %b}\n' % (b"true" if review else b"false") for review in reviews]
        if self._probabilities and predictions.probabilities is not None:
            of_all_classes = six_decimals(predictions.probabilities).tolist()
            ends = [self._object(row) + end for row, end in zip(of_all_classes, ends, strict=True)]
        errors = predictions.batch.errors | dict.fromkeys(predictions.refusals, NO_DIGIT)
        for row, (label, confidence, end) in enumerate(zip(labels, confidences, ends, strict=True)):
            if row in errors:
                yield self._failed % json.dumps(errors[row]).encode()
            else:
                yield b'%b, "confidence": %b%b' % (self._labels[label], confidence, end)

    def _object(self, probabilities: list[bytes]) -> bytes:
        pairs = zip(self._labels, probabilities, strict=True)
        return b', "probabilities": {%b}' % b", ".join(b"%b: %b" % pair for pair in pairs)


def _string(path: bytes) -> bytes:
    return json.dumps(path.decode("utf-8", "surrogateescape")).encode("ascii")
