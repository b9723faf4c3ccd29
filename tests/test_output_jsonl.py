import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import predictions_of, written
from test_output_csv import FORMULA_NAMES, HOSTILE_NAMES

from fastmnist.output.jsonl import JsonlFormat
from fastmnist.output.kaggle import KaggleFormat
from fastmnist.shapes import DIGITS


def objects(rows, class_names=DIGITS, **settings):
    content = written(JsonlFormat(class_names, **settings), rows)
    assert content.isascii()
    return [json.loads(line) for line in content.splitlines()]


def test_rows_are_written_byte_for_byte():
    rows = predictions_of([b"a", b"b"], labels=[7, 0], confidences=[0.5, 1], failed={1})
    assert written(JsonlFormat(DIGITS), rows) == (
        b'{"path": "a", "index": null, "label": "7", "confidence": 0.500000}\n'
        b'{"path": "b", "index": null, "label": null, "confidence": null, "error": "why"}\n'
    )


def test_rows_of_a_file_count_from_the_first_index():
    rows = predictions_of([b"idx"], range(5, 9, 2), labels=[3, 4], confidences=[0.25, 1], failed={1})
    assert objects(rows) == [
        {"path": "idx", "index": 5, "label": "3", "confidence": 0.25},
        {"path": "idx", "index": 7, "label": None, "confidence": None, "error": "why"},
    ]


def test_probabilities_and_review_are_keys_of_their_own_and_null_in_failed_rows():
    probabilities = np.array([[0.25, 0.75], [0.7499999, 0.2500001], [0, 0]], np.float32)
    rows = predictions_of(
        [b"x"] * 3,
        labels=[1, 0, 0],
        confidences=probabilities.max(axis=1),
        failed={2},
        probabilities=probabilities,
    )
    expected = [
        {"path": "x", "index": None, "label": 'b"c', "confidence": 0.75, "probabilities": {"a": 0.25, 'b"c': 0.75}},
        {"path": "x", "index": None, "label": "a", "confidence": 0.75, "probabilities": {"a": 0.75, 'b"c': 0.25}},
        {"path": "x", "index": None, "label": None, "confidence": None, "probabilities": None, "error": "why"},
    ]
    assert objects(rows, ["a", 'b"c'], probabilities=True) == expected
    reviewed = objects(rows, ["a", 'b"c'], probabilities=True, min_confidence=0.75)
    assert reviewed == [{**row, "review": review} for row, review in zip(expected, (False, True, None), strict=True)]


def test_a_row_without_a_label_says_why_and_others_do_not():
    rows = predictions_of([b"x"] * 3, labels=[2, 0, 2], failed={2: 0}, refused={0})
    rows.batch.errors[2] = 'caf\N{LATIN SMALL LETTER E WITH ACUTE} "%s": unreadable'
    found = objects(rows, ["a", "b"], min_confidence=0.5)
    assert [row.get("error") for row in found] == ["no digit", None, rows.batch.errors[2]]
    assert [row["label"] for row in found] == [None, "a", None]
    assert list(found[0]) == ["path", "index", "label", "confidence", "review", "error"]


@pytest.mark.parametrize("name", HOSTILE_NAMES + FORMULA_NAMES)
def test_hostile_names_come_back_as_they_were(name):
    (row,) = objects(predictions_of([name]))
    assert os.fsencode(row["path"]) == name


@given(st.binary(min_size=1), st.text(min_size=1))
def test_any_path_and_any_class_name_come_back(name, class_name):
    (row,) = objects(predictions_of([name]), [class_name])
    assert row["path"].encode("utf-8", "surrogateescape") == name
    assert row["label"] == class_name


def test_kaggle_counts_all_rows_from_1():
    images = predictions_of([b"a", b"b"], labels=[7, 9])
    idx = predictions_of([b"idx"], range(5, 7), labels=[3, 4], failed={1}, first_number=2)
    content = written(KaggleFormat([*DIGITS[:9], "a,b"]), images, idx)
    assert content == b'ImageId,Label\n1,7\n2,"a,b"\n3,3\n4,\n'


def test_kaggle_numbers_of_a_shard_are_those_of_its_rows():
    rows = predictions_of([b"a", b"b"], first_number=16, step=7)
    assert written(KaggleFormat(DIGITS), rows) == b"ImageId,Label\n17,0\n24,0\n"


def test_kaggle_leaves_the_label_of_a_refused_row_empty():
    rows = predictions_of([b"a", b"b"], labels=[2, 1], refused={0})
    assert written(KaggleFormat(["x", "y"]), rows) == b"ImageId,Label\n1,\n2,y\n"
