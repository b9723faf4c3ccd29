"""Which rows of the stream are read: those of one shard, and of these none that an earlier run has written."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

Entry = TypeVar("Entry")

# Takes the paths of the next rows, or one path and the rows' positions in that file; returns how many of them,
# from the first on, are written already.
CountKnown = Callable[[Sequence[bytes], range | None], int]


def _nothing_known(_paths: Sequence[bytes], _positions: range | None) -> int:
    return 0


class Selection:
    """Chooses rows as they come: row k of all goes to shard k mod `n_shards` + 1."""

    def __init__(self, shard: int = 1, n_shards: int = 1, count_known: CountKnown = _nothing_known) -> None:
        self.shard, self.n_shards, self.count_known = shard, n_shards, count_known
        self._ahead = shard - 1  # rows before the next one of the shard

    def of_next(self, n_rows: int) -> range:
        """Return which of the stream's next `n_rows` rows belong to the shard, counted from the first of them."""
        chosen = range(self._ahead, n_rows, self.n_shards)
        self._ahead = (self._ahead - n_rows) % self.n_shards
        return chosen

    def only(self, entries: Iterable[Entry]) -> Iterable[Entry]:
        """Return those of the stream's next entries, a row each, that belong to the shard."""
        if self.n_shards == 1:
            return entries
        return (entry for entry in entries if self.of_next(1))
