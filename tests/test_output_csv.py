import csv
import io
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import predictions_of, written

from fastmnist.output.csv import CsvFormat
from fastmnist.output.rows import RowFormat
from fastmnist.shapes import DIGITS

HOSTILE_NAMES = [
    b"plain.png",
    b"new\nline.png",
    b"carriage\rreturn.png",
    b'comma,quote".png',
    b'"',
    "emoji \N{SLIGHTLY SMILING FACE}.png".encode(),
    b"not utf-8 \xff\xfe\x80.png",
    b" leading and trailing ",
    b"/absolute/=1.png",
    b"sub/=1.png",
]
FORMULA_NAMES = [b"=1+1.png", b"+1", b"-1", b"@SUM(A1)", b"\t=1", b"\r=1", b"\n=1", b'=HYPERLINK("x,y")']


def csv_bytes(names, class_names=DIGITS, probabilities=None, min_confidence=None, **columns):
    row_format = CsvFormat(class_names, probabilities=probabilities is not None, min_confidence=min_confidence)
    return written(row_format, predictions_of(names, probabilities=probabilities, **columns))


def parsed(content):
    text = content.decode("utf-8", "surrogateescape")
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def test_rows_are_written_byte_for_byte():
    content = csv_bytes([b"a.png", b"b.png"], labels=[7, 0], confidences=[0.99999994, 0.5])
    assert content == b"path,index,label,confidence\na.png,,7,1.000000\nb.png,,0,0.500000\n"


def test_a_failed_row_keeps_its_path_and_has_no_label_and_no_confidence():
    content = csv_bytes([b"a", b"b", b"c"], labels=[1, 2, 3], failed={1: "why"})
    assert content.splitlines()[1:] == [b"a,,1,1.000000", b"b,,,", b"c,,3,1.000000"]


def test_rows_of_an_idx_file_share_its_path_and_count_from_the_first_index():
    content = csv_bytes([b"=t10k,images"], indices=range(4096, 4098), labels=[3, 4], confidences=[0.25, 0.75])
    assert content.splitlines()[1:] == [b'"./=t10k,images",4096,3,0.250000', b'"./=t10k,images",4097,4,0.750000']


def test_several_digits_of_a_picture_have_its_path_and_an_index_each():
    content = csv_bytes([b"a", b"a", b"=b"], indices=[0, 1, 0], labels=[3, 4, 5])
    assert content.splitlines()[1:] == [b"a,0,3,1.000000", b"a,1,4,1.000000", b"./=b,0,5,1.000000"]


def test_class_names_are_quoted_and_utf_8():
    content = csv_bytes([b"a", b"b"], labels=[0, 1], class_names=['say "a, b"', "\N{GREEK SMALL LETTER ALPHA}"])
    assert [row[2] for row in parsed(content)] == ["label", 'say "a, b"', "\N{GREEK SMALL LETTER ALPHA}"]


def test_a_batch_of_image_files_is_one_piece():
    (piece,) = CsvFormat(DIGITS).rows(predictions_of([b"a"] * 1000))
    assert piece.count(b"\n") == 1000


def test_hostile_names_round_trip_through_pythons_csv_reader():
    rows = parsed(csv_bytes(HOSTILE_NAMES))
    assert [os.fsencode(row[0]) for row in rows[1:]] == HOSTILE_NAMES
    assert all(row[1:] == ["", "0", "1.000000"] for row in rows[1:])


def test_names_that_are_formulas_are_written_as_the_same_file_in_this_folder():
    rows = parsed(csv_bytes(FORMULA_NAMES))
    assert [os.fsencode(row[0]) for row in rows[1:]] == [b"./" + name for name in FORMULA_NAMES]


def test_a_bare_carriage_return_is_quoted():
    assert csv_bytes([b"a\rb"]).splitlines(keepends=False)[1:] == [b'"a', b'b",,0,1.000000']


@given(st.lists(st.binary(min_size=1).map(lambda name: name.replace(b"\0", b"0")), min_size=1))
def test_any_paths_round_trip_and_no_cell_is_a_formula(names):
    rows = parsed(csv_bytes(names))
    assert len(rows) == 1 + len(names)
    for name, row in zip(names, rows[1:], strict=True):
        cell = row[0].encode("utf-8", "surrogateescape")
        assert cell == (name if cell[:1] == name[:1] else b"./" + name)
        assert cell[:1] not in {b"=", b"+", b"-", b"@", b"\t", b"\r", b"\n"}
        assert len(row) == 4


@given(st.floats(0, 1, width=32), st.integers(0, 9), st.booleans())
def test_any_confidence_has_six_decimals_and_is_right_to_half_of_the_last(confidence, label, failed):
    row = parsed(csv_bytes([b"a"], labels=[label], confidences=[confidence], failed=[0] if failed else []))[1]
    if failed:
        assert row == ["a", "", "", ""]
    else:
        assert row[2] == str(label)
        assert len(row[3]) == 8
        assert abs(float(row[3]) - confidence) <= 0.5000001e-6


def test_every_stepth_row_of_a_file_has_its_own_index():
    content = csv_bytes([b"idx"], indices=range(5, 19, 7), labels=[3, 4], confidences=[0.25, 0.75])
    assert content.splitlines()[1:] == [b"idx,5,3,0.250000", b"idx,12,4,0.750000"]


def test_failed_rows_of_a_table_keep_their_index():
    content = csv_bytes([b"t"], indices=range(5, 9, 2), labels=[3, 4], failed={0})
    assert content.splitlines()[1:] == [b"t,5,,", b"t,7,4,1.000000"]


@pytest.mark.parametrize("indices", [None, range(7, 10)])
def test_probabilities_and_review_are_columns_of_their_own_and_empty_in_failed_rows(indices):
    probabilities = np.array([[0.25, 0.75], [0.7499999, 0.2500001], [0, 0]], np.float32)
    content = csv_bytes(
        [b"x"] if indices else [b"x", b"x", b"x"],
        ["a", "b,c"],
        probabilities,
        min_confidence=0.75,
        indices=indices,
        labels=[1, 0, 0],
        confidences=probabilities.max(axis=1),
        failed={2},
    )
    index = ["7", "8", "9"] if indices else ["", "", ""]
    assert parsed(content) == [
        ["path", "index", "label", "confidence", "probability_a", "probability_b,c", "review"],
        ["x", index[0], "b,c", "0.750000", "0.250000", "0.750000", "no"],
        ["x", index[1], "a", "0.750000", "0.750000", "0.250000", "yes"],
        ["x", index[2], "", "", "", "", ""],
    ]


@given(st.lists(st.floats(0, 1, width=32), min_size=1))
def test_probabilities_have_six_decimals_rounded_like_pythons(numbers):
    probabilities = np.array([numbers], np.float32)
    names = [f"c{number}" for number in range(len(numbers))]
    content = csv_bytes([b"a"], class_names=names, probabilities=probabilities)
    assert parsed(content)[1][4:] == [f"{number:.6f}" for number in numbers]


def test_the_kernel_makes_the_same_rows_as_keys_and_values():
    row_format = CsvFormat(DIGITS)
    rows = predictions_of([b"a,b"], range(12, 14), labels=[1, 2], confidences=[0.5, 1])
    assert b"".join(row_format.rows(rows)) == b"".join(RowFormat.rows(row_format, rows))


@given(st.data(), st.integers(1, 70), st.integers(1, 3), st.sampled_from([DIGITS, ("a",), ('say "a, b"', "bc")]))
def test_the_kernel_leaves_the_cells_of_a_label_without_a_name_empty(data, n, step, names):
    labels = data.draw(st.lists(st.integers(0, len(names)), min_size=n, max_size=n))
    confidences = data.draw(st.lists(st.floats(0, 1, width=32), min_size=n, max_size=n))
    refused = [row for row, label in enumerate(labels) if label == len(names)]
    indices = range(8, 8 + n * step, step)
    rows = predictions_of([b"a,b"], indices, labels=labels, confidences=confidences, refused=refused)
    row_format = CsvFormat(names)
    pieces = list(row_format.rows(rows))
    assert all(isinstance(piece, memoryview) for piece in pieces)  # by the kernel
    assert b"".join(pieces) == b"".join(RowFormat.rows(row_format, rows))
    for row, line in enumerate(b"".join(pieces).splitlines()):
        assert (line == b'"a,b",%d,,' % indices[row]) == (row in refused)


def test_rows_of_which_one_cannot_be_read_are_not_the_kernels():
    rows = predictions_of([b"t"], range(3), labels=[2, 2, 0], failed={0}, refused={1})
    assert b"".join(CsvFormat(["a", "b"]).rows(rows)) == b"t,0,,\nt,1,,\nt,2,a,1.000000\n"
