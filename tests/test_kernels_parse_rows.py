"""Lines of numbers as bytes -> uint8, against Python's own split and int."""

import numpy as np
import pytest
from kernel_builds import run_in_all_ways

from fastmnist.kernels.parse_rows import parse_rows

N_COLUMNS = 5


def parse(lines):
    """The values, the number of columns and the first bad column of each line, the same in all builds."""
    text = np.frombuffer(b"\n".join(lines) + b"\n", np.uint8)
    lengths = np.array([len(line) for line in lines], np.int64)
    starts = np.concatenate(([0], np.cumsum(lengths + 1)[:-1])).astype(np.int64)
    values = np.zeros((len(lines), N_COLUMNS), np.uint8)
    counts = np.full(len(lines), 77)
    return run_in_all_ways(parse_rows, (text, starts, starts + lengths, values, counts, counts), outputs=[3, 4, 5])


def expected_of(line):
    cells = line.split(b",")
    good = [cell.isdigit() and int(cell) < 256 for cell in cells[:N_COLUMNS]]
    return len(cells), good.index(False) if False in good else -1


@pytest.mark.parametrize("n_lines", [0, 1, 2, 7, 100])
def test_numbers_are_read(n_lines):
    expected = np.random.default_rng(n_lines).integers(0, 256, (n_lines, N_COLUMNS), dtype=np.uint8)
    lines = [",".join(map(str, row)).encode() for row in expected.tolist()]
    values, n_found, first_bad = parse(lines) if lines else (expected, np.zeros(0), np.zeros(0))
    assert (values == expected).all()
    assert n_found.tolist() == [N_COLUMNS] * n_lines
    assert first_bad.tolist() == [-1] * n_lines


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b",",
        b"1,2,3,4",
        b"1,2,3,4,",
        b"1,2,3,4,5,6",
        b"1,2,3,4,5,x",
        b"256,1,1,1,1",
        b"1,1,1,1,255",
        b"1,1,1,1,999999999999999999999999999999999999999999",
        b"18446744073709551617,1,1,1,1",  # 2**64 + 1
        b"1,,1,1,1",
        b"1, 2,3,4,5",
        b"-1,2,3,4,5",
        b"1.0,2,3,4,5",
        b"1,2,3,4,5\r",
        b"007,0,00,000000,1",
        b"\x00,1,1,1,1",
        b"1,\xff,1,1,1",
        b"1,2/3,1,1,1",
        b"1,2:3,1,1,1",
        b'"1",2,3,4,5',
    ],
)
def test_what_is_no_number_up_to_255_is_found_where_it_stands(line):
    good = b"1,2,3,4,5"
    values, n_found, first_bad = parse([good, line, good])
    assert (n_found[1], first_bad[1]) == expected_of(line)
    assert values[[0, 2]].tolist() == [[1, 2, 3, 4, 5]] * 2
    assert n_found[[0, 2]].tolist() == [N_COLUMNS] * 2
    assert first_bad[[0, 2]].tolist() == [-1, -1]
    if expected_of(line) == (N_COLUMNS, -1):
        assert values[1].tolist() == [int(cell) for cell in line.split(b",")]


def test_any_bytes_are_read_as_python_reads_them():
    rng = np.random.default_rng(0)
    lines = [bytes(rng.choice(list(b"0123456789,,,-. x"), rng.integers(0, 30))) for _ in range(500)]
    values, n_found, first_bad = parse(lines)
    for line, row, found, bad in zip(lines, values, n_found, first_bad, strict=True):
        assert (found, bad) == expected_of(line), line
        if expected_of(line) == (N_COLUMNS, -1):
            assert row.tolist() == [int(cell) for cell in line.split(b",")]
