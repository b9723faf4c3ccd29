"""The fuzzer's first executions of a seed; `make fuzz` runs it for as long as you like."""

import pytest
from fuzz import Targets

from fastmnist.cli.quiet import quiet_libraries

N_EXECUTIONS = {"idx": 1000, "labels": 700, "table": 700, "picture": 1000, "model": 700, "weights": 700, "any": 700,
    "unnamed": 700, "pages": 300, "jpeg": 200, "drawing": 500,
    "numbers": 100, "npy": 500, "npz": 500, "zip": 500, "parquet": 500}  # fmt: skip


@pytest.fixture(scope="module")
def targets():
    return Targets()


def test_every_target_is_run(targets):
    assert set(N_EXECUTIONS) == set(targets.all)


@pytest.mark.parametrize("name", N_EXECUTIONS)
def test_what_is_mutated_is_refused_in_a_line_or_legal(name, targets, tmp_path):
    with quiet_libraries():
        n_refused = sum(targets.execute(name, 0, number, tmp_path) for number in range(N_EXECUTIONS[name]))
    if name == "model":  # its checksum covers everything
        assert n_refused == N_EXECUTIONS[name]
    elif name not in (
        "any",
        "unnamed",
        "pages",
        "jpeg",
        "npy",
        "npz",
        "zip",
        "parquet",
        "numbers",
    ):  # which raise nothing
        assert 0 < n_refused < N_EXECUTIONS[name]


def test_an_execution_can_be_repeated(targets, tmp_path):
    contents = []
    for _ in range(2):
        targets.execute("idx", 1, 7, tmp_path)
        contents.append((tmp_path / "idx").read_bytes())
    assert contents[0] == contents[1]
