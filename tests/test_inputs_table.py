import gzip
import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastmnist.datasets.dataset import open_dataset
from fastmnist.errors import DataError
from fastmnist.inputs import table
from fastmnist.inputs.table import estimate_rows, is_table, open_table

HEADER = b"label," + b",".join(b"pixel%d" % pixel for pixel in range(784))
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 784), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5], np.uint8)


def line(pixels, label=None):
    return ",".join(map(str, ([] if label is None else [label]) + pixels.tolist())).encode()


LINES = [line(pixels, label) for pixels, label in zip(PIXELS, LABELS, strict=True)]
UNLABELLED = [line(pixels) for pixels in PIXELS]
PLAIN = b"\n".join([HEADER, *LINES]) + b"\n"


def changed(cell, text, lines=LINES, row=2):
    """The lines with one cell of a row replaced."""
    cells = lines[row].split(b",")
    cells[cell] = text
    return [*lines[:row], b",".join(cells), *lines[row + 1 :]]


def write(folder, content, name="table.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else b"\n".join(content) + b"\n")
    return path


def read(path):
    """All rows: labels, pixels, and the errors by row."""
    labels, pixels, errors, n_rows = [], [], {}, 0
    for rows in open_table(path).batches():
        assert rows.pixels.dtype == rows.labels.dtype == np.uint8
        assert rows.pixels.flags.c_contiguous
        assert set(rows.errors) <= set(range(len(rows.pixels)))
        labels.append(rows.labels)
        pixels.append(rows.pixels)
        errors |= {n_rows + row: error for row, error in rows.errors.items()}
        n_rows += len(rows.pixels)
    return np.concatenate([np.zeros(0, np.uint8), *labels]), np.concatenate([PIXELS[:0], *pixels]), errors


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN[:-1],
        PLAIN.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + PLAIN,
        b"\n".join(LINES),
        PLAIN + b"\n\n",
        PLAIN.replace(b"\n", b"\n\n"),
        PLAIN.replace(HEADER, HEADER.replace(b"pixel", b"1x")),
        PLAIN.replace(HEADER, b'"' + HEADER.replace(b",", b'","') + b'"'),
        gzip.compress(PLAIN),
        gzip.compress(PLAIN[:5000]) + gzip.compress(PLAIN[5000:]) + bytes(100),
    ],
    ids=["plain", "no last line end", "CRLF", "BOM", "no header", "blank end", "blank lines", "1x", "quoted", "gzip",
         "gzip members"],
)  # fmt: skip
def test_the_forms_that_people_have_are_read(content, tmp_path):
    labels, pixels, errors = read(write(tmp_path, content))
    assert errors == {}
    assert (labels == LABELS).all()
    assert (pixels == PIXELS).all()


@pytest.mark.parametrize("header", [[], [HEADER.removeprefix(b"label,")]])
def test_without_labels_all_columns_are_pixels(header, tmp_path):
    path = write(tmp_path, [*header, *UNLABELLED])
    assert not open_table(path).has_labels
    assert (read(path)[1] == PIXELS).all()
    with pytest.raises(DataError, match="784 columns, expected 785; add the label as the first column"):
        open_dataset(path).load("train")


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (changed(4, b"256"), "'256' in column 5 (pixel3), expected a whole number from 0 to 255"),
        (changed(0, b"cat"), "'cat' in column 1 (label), expected a whole number from 0 to 255"),
        (changed(784, b"-1"), "'-1' in column 785 (pixel783)"),
        (changed(1, b"-0.5"), "'-0.5' in column 2 (pixel0), expected 0 to 255; fix the line"),
        (changed(1, b""), "'' in column 2 (pixel0)"),
        (changed(1, b" 7"), "' 7' in column 2"),
        (changed(1, b"7\0"), r"'7\x00' in column 2"),
        (changed(1, b"\x1b[31m\xff"), r"'\x1b[31m\udcff' in column 2"),
        (changed(1, b"9" * 500), "'99999999999999999999'... in column 2"),
        (changed(1, b"1,2"), "786 columns, expected 785 as in the first line"),
        ([*LINES[:2], LINES[2][:300], *LINES[3:]], "columns, expected 785"),
        ([*LINES[:2], b"x", *LINES[3:]], "1 column, expected 785"),
        ([*LINES[:2], b"1" * 70_000, *LINES[3:]], "more than 65,536 bytes"),
        ([*LINES[:2], b"1" * 9_000_000, *LINES[3:]], "more than 65,536 bytes"),
    ],
)
@pytest.mark.parametrize("header", [[], [HEADER]])
def test_a_bad_line_costs_only_itself(header, lines, found, tmp_path):
    path = write(tmp_path, [*header, *lines])
    labels, pixels, errors = read(path)
    assert list(errors) == [2]
    assert errors[2].startswith(f"{path}: row 2 (line {3 + len(header)}): ")
    assert found in errors[2]
    assert "expected" in errors[2]
    assert errors[2].isprintable()
    good = [0, 1, 3, 4]
    assert (labels[good] == LABELS[good]).all()
    assert (pixels[good] == PIXELS[good]).all()
    with pytest.raises(DataError) as refused:
        open_dataset(path).load("train")
    assert str(refused.value) == errors[2]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty first line, expected a table of pixels"),
        (b"\n" + PLAIN, "an empty first line"),
        (PLAIN.replace(b",", b";"), "cells separated by semicolons, expected commas"),
        (PLAIN.replace(b",", b"\t"), "cells separated by tabs, expected commas"),
        (b"a,b,c\n1,2,3\n", "3 columns in its first line, expected 784 pixels, or a label and 784 pixels"),
        (b",a,b,c\n0,1,2,3\n", "4 columns in its first line"),
        (b"\x89PNG\r\n\x1a\n" + bytes(1000), "1 column in its first line"),
        (bytes(10_000), "1 column in its first line"),
        (b"1" * 5_000_000, "1 column in its first line"),
        (HEADER.removesuffix(b",pixel783"), "a label and 783 pixels, expected 784"),
        (HEADER.removeprefix(b"label,") + b",class", "the label in the last column, expected it in the first"),
        (gzip.compress(PLAIN)[:-1], "marker was reached, expected a readable table"),
        (gzip.compress(PLAIN)[:-4] + b"\0\0\0\0", "Incorrect length of data"),
        (gzip.compress(PLAIN) + b"rubbish", "Not a gzipped file"),
    ],
)
def test_what_is_not_a_table_is_refused_as_a_whole(content, found, tmp_path):
    path = write(tmp_path, content)
    with pytest.raises(DataError) as refused:
        open_table(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert found in str(refused.value)
    assert str(refused.value).isprintable()


def test_a_first_line_with_any_number_is_a_row_not_a_header(tmp_path):
    labels, _, errors = read(write(tmp_path, changed(0, b"x", row=0)))
    assert list(errors) == [0]
    assert len(labels) == 5


def test_a_header_alone_has_no_rows(tmp_path):
    path = write(tmp_path, HEADER)
    assert len(read(path)[0]) == 0
    with pytest.raises(DataError, match="no images, expected at least one"):
        open_dataset(path).load("train")


def test_a_label_that_is_not_a_class_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"label 11 at index 2, expected 0 to 9"):
        open_dataset(write(tmp_path, changed(0, b"11"))).load("train")


def test_blocks_and_lines_part_anywhere(tmp_path, monkeypatch):
    path = write(tmp_path, PLAIN)
    monkeypatch.setattr(table, "_MAX_LINES", 2)
    for n_bytes in (1, 7, 1000, len(LINES[0]), len(LINES[0]) + 1):
        monkeypatch.setattr(table, "_BLOCK_BYTES", n_bytes)
        labels, pixels, errors = read(path)
        assert (errors, labels.tolist()) == ({}, LABELS.tolist())
        assert (pixels == PIXELS).all()


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.lists(st.integers(0, 255), min_size=6, max_size=6) | st.just(None), max_size=8),
    st.integers(1, 40),
)
def test_any_table_round_trips(tmp_path_factory, rows, block):
    """With six pixels in the place of 784; None is a blank line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "N_PIXELS", 6)
        patch.setattr(table, "_BLOCK_BYTES", block)
        text = "".join("\n" if row is None else ",".join(map(str, row)) + "\n" for row in rows)
        path = write(tmp_path_factory.getbasetemp(), b"a,b,c,d,e,f\n" + text.encode())
        parts = list(open_table(path).batches())
    actual = [row for part in parts for row in part.pixels.tolist()]
    assert actual == [row for row in rows if row is not None]
    assert not any(part.errors for part in parts)


@pytest.mark.parametrize("content", [PLAIN, b"\n" * 1_000_000, HEADER + b"\n" + b"x\n" * 100_000])
def test_memory_does_not_grow_with_the_table(content, tmp_path, monkeypatch):
    monkeypatch.setattr(table, "_BLOCK_BYTES", 1 << 16)
    path = write(tmp_path, content if content != PLAIN else HEADER + b"\n" + b"\n".join(LINES * 2000))
    tracemalloc.start()
    try:
        for rows in table.Table(path, has_header=True, has_labels=True).batches():
            assert len(rows.pixels)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000  # the bad rows alone would be 35 MB


def test_a_gzip_bomb_of_one_line_is_a_bad_table_in_little_memory(tmp_path):
    bomb = gzip.compress(bytes(30_000_000))
    path = write(tmp_path, bomb, "bomb.csv.gz")
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="1 column in its first line"):
            open_table(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12_000_000


def test_what_is_not_a_regular_file_is_refused_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "fifo.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    for name, found in (("fifo.csv", "a FIFO"), ("zero.csv", "a device"), ("none.csv", "No such file")):
        with pytest.raises(DataError, match=found):
            open_table(tmp_path / name)
        assert estimate_rows(tmp_path / name) == 1


def test_a_table_is_known_by_its_name(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    assert [is_table(name) for name in ("a.csv", b"a.CSV", "b/a.csv.gz", "a.Csv.GZ")] == [True] * 4
    assert is_table("https://host/a.csv?signature=x.png")
    assert not is_table("https://host/a.png?name=a.csv")
    assert not is_table("s3://bucket/a.csv?version=1")  # a key may have any character
    assert [is_table(name) for name in ("csv", "a.png", "a.csv.png", tmp_path / "folder.csv")] == [False] * 4


def test_the_estimate_is_near(tmp_path):
    assert abs(estimate_rows(write(tmp_path, [HEADER, *LINES * 500])) - 2500) < 25


def test_the_parallel_kernel_is_not_entered(tmp_path, monkeypatch):
    """Tables are read in a thread of their own, while the main one is in a parallel kernel."""
    from fastmnist.kernels import parse_rows

    monkeypatch.setattr(parse_rows.parse_rows, "parallel", None)
    assert len(read(write(tmp_path, PLAIN))[0]) == 5


def test_a_txt_file_is_a_table_if_it_begins_like_one(tmp_path):
    for name, content, expected in (
        ("a.txt", b"1,2,3\n", True),
        ("a.TXT", b"\xef\xbb\xbflabel,pixel0\n", True),
        ("a.txt.gz", gzip.compress(b"1,2,3\n"), True),
        ("a.tsv", b"1\t2\t3\n", True),
        ("a.txt", b"\x89PNG\r\n\x1a\n,,", False),
        ("a.txt", b"P2\n# made by hand, so\n28 28 255\n0 0 0\n", False),
        ("a.txt", b"", False),
        ("a.txt", gzip.compress(b"1,2,3")[:-3], False),
        ("a.dat", b"1,2,3\n", False),
    ):
        (tmp_path / name).write_bytes(content)
        assert is_table(tmp_path / name) is expected, content
    assert not is_table(tmp_path / "none.txt")
    assert not is_table(tmp_path)
