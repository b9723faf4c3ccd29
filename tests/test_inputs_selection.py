import itertools

import numpy as np
import pytest

from fastmnist.inputs.selection import Selection, Taken


def take(selection, n_rows, **settings):
    """Offer so many image files."""
    return selection.take([b"a"] * n_rows, [None] * n_rows, **settings)


@pytest.mark.parametrize("n_shards", [1, 2, 7, 100])
def test_the_shards_are_disjoint_and_together_all_rows(n_shards):
    rng = np.random.default_rng(n_shards)
    runs = rng.integers(0, 12, 40).tolist()
    rows_of = {}
    for shard in range(1, n_shards + 1):
        selection, first = Selection(shard, n_shards), 0
        rows_of[shard] = []
        for n_rows in runs:
            taken = take(selection, n_rows)
            assert list(taken.numbers) == [first + position for position in taken.positions]
            rows_of[shard] += taken.numbers
            first += n_rows
    assert sorted(itertools.chain(*rows_of.values())) == list(range(sum(runs)))
    assert all(row % n_shards + 1 == shard for shard, rows in rows_of.items() for row in rows)


def test_a_row_that_is_every_shards_is_counted_once():
    for shard in (1, 2, 3):
        selection = Selection(shard, 3)
        take(selection, 4)
        assert take(selection, 1, every_shard=True) == Taken(range(1), range(4, 5))
        assert take(selection, 3).numbers[0] == {1: 6, 2: 7, 3: 5}[shard]


def test_rows_that_are_written_already_are_left_out():
    offered = []

    def count_known(paths, indices, numbers):
        offered.append((paths, indices, numbers))
        return 2

    selection = Selection(2, 3, count_known)
    paths = [b"%d" % row for row in range(12)]
    assert selection.take(paths, range(100, 112)) == Taken(range(7, 12, 3), range(7, 12, 3))
    assert offered == [([b"1", b"4", b"7", b"10"], range(101, 112, 3), range(1, 12, 3))]
