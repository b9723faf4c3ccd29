"""Misclassified images: which are written, where and under what names."""

import os

import numpy as np
import pytest

from fastmnist.cli.evaluate import write_misclassified
from fastmnist.datasets.labelled import LabelledImages
from fastmnist.errors import OutputError
from fastmnist.output.png import make_folder

PIXELS = np.zeros((4, 784), np.uint8)
LABELS, PREDICTIONS = np.array([0, 1, 1, 0], np.uint8), np.array([0, 0, 1, 1], np.uint8)


def test_names_tell_truth_and_guess_and_lead_nowhere_else(tmp_path):
    images = LabelledImages(PIXELS, LABELS, ["a/../b", "ß 2"], [], "auto")
    assert write_misclassified(tmp_path, images, PREDICTIONS) == 2
    assert sorted(os.listdir(tmp_path)) == ["00001-true-ß_2-read-a_.._b.png", "00003-true-a_.._b-read-ß_2.png"]


def test_images_with_names_of_their_own_keep_them(tmp_path):
    names = ["in/0/a.png", "in/1/my scan.png", "in/1/c.png", "image 17"]
    write_misclassified(tmp_path, LabelledImages(PIXELS, LABELS, ["0", "1"], [], "auto", names=names), PREDICTIONS)
    assert sorted(os.listdir(tmp_path)) == ["00001-my_scan.png-true-1-read-0.png", "00003-image_17-true-0-read-1.png"]


def test_a_folder_is_made_and_must_be_empty(tmp_path):
    make_folder(tmp_path / "new" / "folder")
    make_folder(tmp_path / "new" / "folder")
    with pytest.raises(OutputError, match="not empty"):
        make_folder(tmp_path / "new")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="expected a folder for pictures"):
        make_folder(tmp_path / "file")
