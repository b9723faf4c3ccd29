"""Misclassified images: which are written, where and under what names."""

import os

import numpy as np
import pytest

from fastmnist.cli.evaluate import write_misclassified
from fastmnist.errors import OutputError
from fastmnist.output.png import make_folder

PIXELS = np.zeros((4, 784), np.uint8)
LABELS, PREDICTIONS = np.array([0, 1, 1, 0], np.uint8), np.array([0, 0, 1, 1], np.uint8)


def test_names_tell_truth_and_guess_and_lead_nowhere_else(tmp_path):
    assert write_misclassified(tmp_path, PIXELS, LABELS, PREDICTIONS, ["a/../b", "ß 2"]) == 2
    assert sorted(os.listdir(tmp_path)) == ["00001-true-ß_2-read-a_.._b.png", "00003-true-a_.._b-read-ß_2.png"]


def test_a_folder_is_made_and_must_be_empty(tmp_path):
    make_folder(tmp_path / "new" / "folder")
    make_folder(tmp_path / "new" / "folder")
    with pytest.raises(OutputError, match="not empty"):
        make_folder(tmp_path / "new")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="expected a folder for pictures"):
        make_folder(tmp_path / "file")
