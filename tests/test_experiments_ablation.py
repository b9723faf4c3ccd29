"""The ablation: what it removes can be removed, and it trains nothing twice. The sheet of misread digits."""

import csv
import sys

import cv2
import numpy as np
import pytest

from experiments import ablation, misread_sheet
from fastmnist.cli.train import train
from fastmnist.training.recipes import BEST


@pytest.mark.parametrize("removed", ablation.REMOVED)
def test_each_ingredient_is_removed_by_options_that_train_knows(removed):
    options = ablation.REMOVED[removed].split()
    with train.make_context("train", ["data", "--recipe", "best", *options]) as context:
        given = {name for name in context.params if context.get_parameter_source(name).name == "COMMANDLINE"}
    assert len(given - {"data", "recipe_name"}) == len([option for option in options if option.startswith("--")])


def test_best_has_what_is_removed():
    assert BEST.augment
    assert BEST.nesterov
    assert BEST.shuffle
    assert BEST.schedule == "cosine"
    assert min(BEST.warmup, BEST.momentum, BEST.weight_decay, BEST.label_smoothing, *vars(BEST.augment).values()) > 0


def test_a_finished_run_is_not_done_again(tmp_path, monkeypatch, capsys):
    commands = []

    def run(command):
        commands.append(command)
        with open(command[command.index("--history") + 1], "w", newline="") as file:
            csv.writer(file).writerows([("validation_accuracy", "validation_loss"), (0.5, 2), (0.9, 1)])

    monkeypatch.setattr(ablation, "HISTORIES", tmp_path)
    monkeypatch.setattr(ablation, "run_checked", run)
    monkeypatch.setattr(sys, "argv", ["ablation", "data", "--epochs", "2", "--seeds", "5", "6"])
    for _ in range(2):
        ablation.main()
    assert len(commands) == 2 * len(ablation.REMOVED)
    table = capsys.readouterr().out.splitlines()
    assert table[2] == "| nothing | 90.00, 90.00 | 90.00 % | 1.0000 |"
    assert table[: len(table) // 2] == table[len(table) // 2 :]


def test_the_sheet_has_a_tile_for_each_digit(tmp_path, monkeypatch):
    for number in range(11):
        cv2.imwrite(str(tmp_path / f"{number:05d}-true-3-read-5.png"), np.full((28, 28), 255 - number, np.uint8))
    monkeypatch.setattr(sys, "argv", ["sheet", str(tmp_path), str(tmp_path / "sheet.jpg")])
    misread_sheet.main()
    height, width = cv2.imread(str(tmp_path / "sheet.jpg"), cv2.IMREAD_GRAYSCALE).shape
    assert (height, width) == (2 * (28 * 3 + 20), 10 * (28 * 3 + 4))
