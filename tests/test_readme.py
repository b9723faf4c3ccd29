"""The README's commands do what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, cli_environment
from test_cli_predict import HEADER, write_pngs

from experiments import rows

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.replace("\\\n", "").splitlines()]


def test_demo_and_test_come_first():
    assert COMMANDS[:2] == ["make demo", "make test"]


def test_every_command_is_known_here():
    assert {command.split()[0] for command in COMMANDS} == {"make", "pip", "fastmnist"}


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make ")])
def test_make_has_the_targets(command):
    subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def test_the_tour_can_be_walked(mnist_dir, digits, tmp_path):
    """All `fastmnist` commands, one after the other, as they stand."""
    (tmp_path / "data").symlink_to(mnist_dir)
    write_pngs(tmp_path / "images", digits[0][:20])
    (tmp_path / "numbers").mkdir()
    for number, picture in enumerate(rows.draw("boxed", rows.Digits(*digits), 3)):
        (tmp_path / "numbers" / f"{number}.jpg").write_bytes(picture.rendering.content)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in COMMANDS:
        if command.startswith("fastmnist "):
            run = subprocess.run(
                ["sh", "-c", command], cwd=tmp_path, env=cli_environment(PATH=path), capture_output=True, text=True
            )
            assert run.returncode == 0, f"{command}\n{run.stderr}"
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 21
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 21
    assert len((tmp_path / "numbers.csv").read_text().splitlines()) == 4
    assert len(os.listdir(tmp_path / "drawn")) == 3
    assert len((tmp_path / "test.csv").read_text().splitlines()) == 10_001
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 3


def test_the_accuracy_it_names_is_the_shipped_models(run_cli):
    stored = run_cli("info").stdout.decode()
    accuracy = float(re.search(r'"test_accuracy": ([0-9.]+)', stored)[1])
    assert f"It reads {accuracy:.2%} of MNIST's test set".replace("%", " %") in README.replace("\n", " ")


def test_the_rows_it_shows_are_those_of_the_shipped_model(run_cli, digits, mnist_dir, tmp_path):
    shown = re.search(r"^```csv\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)[1].splitlines()
    (tmp_path / "data").symlink_to(mnist_dir)
    write_pngs(tmp_path / "images", digits[0][:1])
    (tmp_path / "images" / "broken.png").touch()
    assert shown[0] == HEADER
    lines = run_cli("predict", "images/00000.png", "data/t10k-images-idx3-ubyte", "images/broken.png").lines
    for expected, actual in zip(shown[1:], (lines[1], lines[2], lines[-1]), strict=True):
        *expected_cells, expected_confidence = expected.split(",")
        *actual_cells, actual_confidence = actual.split(",")
        assert actual_cells == expected_cells
        assert float(actual_confidence or -1) == pytest.approx(float(expected_confidence or -1), abs=0.005)


@pytest.mark.parametrize("page", ["README.md", "docs/library.md"])
def test_the_first_lines_of_python_do_what_they_say(page, tmp_path):
    code = re.search(r"^```python\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[1]
    (tmp_path / "photo.jpg").write_bytes((ROOT / "tests" / "seven.png").read_bytes())
    shown = re.sub(
        r"^(\S+\).*?|result\S*) +# (array.*)$", r"assert repr(\1) == r'''\2''', repr(\1)", code, flags=re.MULTILINE
    )
    assert shown.count("assert") == code.count("# array") > 0
    run = subprocess.run(
        [sys.executable, "-c", shown], cwd=tmp_path, env=cli_environment(), capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
