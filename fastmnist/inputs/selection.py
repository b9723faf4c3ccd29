"""Which rows of a job are read: those of one shard, without those an earlier run has written."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

# Given the paths, indices and numbers of the next rows (batch.py), returns how many of them, from the first on, are
# written already.
CountKnown = Callable[[Sequence[bytes], Sequence[int | None], range], int]


def _nothing_known(_paths: Sequence[bytes], _indices: Sequence[int | None], _numbers: range) -> int:
    return 0


class Taken(NamedTuple):
    """The rows to read: their positions among those that were offered, and their numbers among all of the job."""

    positions: range
    numbers: range


class Selection:
    """Chooses rows as they come: row k of the job belongs to shard k mod `n_shards` + 1."""

    def __init__(self, shard: int = 1, n_shards: int = 1, count_known: CountKnown = _nothing_known) -> None:
        self.n_shards = n_shards
        self._shard, self._count_known = shard, count_known
        self.n_offered = 0  # rows and files of all shards so far
        self.n_ignored = 0  # files that are not read, known at the end

    @property
    def found_nothing(self) -> bool:
        """Whether, at the end, there were files, but none to read."""
        return not self.n_offered and self.n_ignored > 0

    def take(self, paths: Sequence[bytes], indices: Sequence[int | None], *, every_shard: bool = False) -> Taken:
        """Return which of the job's next rows to read; `every_shard`: they belong to each of them.

        Raises OutputError where the earlier run has written other rows.
        """
        first = self.n_offered
        self.n_offered += len(paths)
        positions = (
            range(len(paths))
            if every_shard
            else range((self._shard - 1 - first) % self.n_shards, len(paths), self.n_shards)
        )
        numbers = range(first, self.n_offered)[positions.start :: positions.step]
        chosen = slice(positions.start, None, positions.step)
        n_known = self._count_known(paths[chosen], indices[chosen], numbers)
        return Taken(positions[n_known:], numbers[n_known:])
