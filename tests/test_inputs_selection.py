import itertools

import numpy as np
import pytest

from fastmnist.inputs.selection import Selection


@pytest.mark.parametrize("n_shards", [1, 2, 7, 100])
def test_the_shards_are_disjoint_and_together_all_rows(n_shards):
    rng = np.random.default_rng(n_shards)
    runs = rng.integers(0, 12, 40).tolist()
    rows_of = {}
    for shard in range(1, n_shards + 1):
        selection, first = Selection(shard, n_shards), 0
        rows_of[shard] = []
        for n_rows in runs:
            rows_of[shard] += [first + row for row in selection.of_next(n_rows)]
            first += n_rows
    assert sorted(itertools.chain(*rows_of.values())) == list(range(sum(runs)))
    assert all(row % n_shards + 1 == shard for shard, rows in rows_of.items() for row in rows)


def test_nothing_is_known_unless_told_otherwise():
    assert Selection().count_known([b"a"], None) == 0
