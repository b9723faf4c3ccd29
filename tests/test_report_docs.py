"""docs/report.md does what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, cli_environment
from test_cli_predict import write_pngs

PAGE = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
COMMANDS = "".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)).splitlines()
PYTHON = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(small_set, digits, tmp_path):
    """What the page's code finds: data/ and images/."""
    (tmp_path / "data").symlink_to(small_set)
    write_pngs(tmp_path / "images", digits[0][:20])
    return tmp_path


def test_its_code_writes_the_pages_of_its_commands(folder):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    pages = ("report.html", "check.html")
    settings = {"cwd": folder, "env": cli_environment(PATH=path), "capture_output": True, "text": True}
    for command in COMMANDS:
        if "corrected.csv" in command:
            (folder / "out.csv").rename(folder / "corrected.csv")
        run = subprocess.run(["sh", "-c", command], **settings)
        assert run.returncode == 0, f"{command}\n{run.stderr}"
    assert (folder / "mine.safetensors").exists()
    written = [(folder / page).read_bytes() for page in pages]
    assert len(PYTHON) == 2
    for code in PYTHON:
        run = subprocess.run([sys.executable, "-c", code], **settings)
        assert run.returncode == 0, run.stderr
    assert [(folder / page).read_bytes() for page in pages] == written


def test_its_picture_is_small():
    assert (ROOT / "docs" / "report.png").stat().st_size < 150_000
