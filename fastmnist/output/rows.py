"""What all row formats share. A row is a key, which says which image it is for (path and index), and its values."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from fastmnist.inputs.batch import Predictions

DECIMALS = 6


class RowFormat:
    """Turns predictions into bytes; knows neither files nor streams."""

    header = b""
    no_label = b""  # how the values of a row without a label begin

    def keys(self, paths: Sequence[bytes], indices: Sequence[int | None], numbers: Sequence[int]) -> Iterator[bytes]:
        """Yield the beginning of each row, by which it is known again. The arguments are those of a Batch."""
        raise NotImplementedError

    def values(self, predictions: Predictions) -> Iterator[bytes]:
        """Yield the rest of each row, line end included."""
        raise NotImplementedError

    def rows(self, predictions: Predictions) -> Iterable[bytes | memoryview]:
        """Return the rows, in one piece or some."""
        batch = predictions.batch
        pairs = zip(self.keys(batch.paths, batch.indices, batch.numbers), self.values(predictions), strict=True)
        return [b"".join(part for pair in pairs for part in pair)]


class ItemFormat(RowFormat):
    """A format in which a file has any number of rows, all of which begin alike."""

    def start(self, path: bytes) -> bytes:
        """Return how all rows of a file begin."""
        raise NotImplementedError

    def is_failed(self, rest: bytes) -> bool:
        """Return whether a row, given without its start, is of what can't be read."""
        raise NotImplementedError


def six_decimals(numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.bytes_]:
    """Return numbers from 0 to 1, of any shape, as text of eight bytes, rounded half to even as Python does."""
    millionths = np.rint(numbers.astype(np.float64) * 10**DECIMALS).astype(np.int64)  # exact: 24 + 20 bits
    text = np.empty((*numbers.shape, DECIMALS + 2), np.uint8)
    for place in range(DECIMALS + 1, 1, -1):
        millionths, digits = np.divmod(millionths, 10)
        text[..., place] = ord("0") + digits
    text[..., 1] = ord(".")
    text[..., 0] = ord("0") + millionths
    return text.view(f"S{DECIMALS + 2}")[..., 0]
