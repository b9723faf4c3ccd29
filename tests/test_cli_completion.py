"""Completion by bash, zsh and fish, as docs/completion.md says."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, cli_environment

from fastmnist.cli.main import COMMANDS

PAGE = (ROOT / "docs" / "completion.md").read_text(encoding="utf-8")
BINARIES = os.path.dirname(sys.executable)


def lines_of(shell):
    """The first block of a shell's on the page."""
    return re.search(rf"^```{shell}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1]


def in_shell(shell, script, cwd, *options):
    environment = cli_environment(PATH=f"{BINARIES}{os.pathsep}{os.environ['PATH']}", HOME=str(cwd))
    run = subprocess.run([shell, *options, "-c", script], cwd=cwd, env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout.split()


def completed_by_bash(words, cwd):
    """What bash offers for the last of the words, once the page's line was run."""
    quoted = " ".join(f"'{word}'" for word in words)
    script = f"""{lines_of("bash")}
        COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}
        _fastmnist_completion fastmnist 2>&1; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return in_shell("bash", script, cwd, "--norc")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["fastmnist", ""], list(COMMANDS)),
        (["fastmnist", "tr"], ["train"]),
        (["fastmnist", "train", "--le"], ["--learning-rate"]),
        (["fastmnist", "train", "--recipe", "b"], ["best"]),
        (["fastmnist", "nonsense", "--le"], []),
        (["fastmnist", "predict", "--format", ""], ["csv", "jsonl", "kaggle"]),
    ],
)
def test_bash_completes(words, offered, tmp_path):
    assert completed_by_bash(words, tmp_path) == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_script_of_a_shell_is_read_by_it(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    setup = "autoload -Uz compinit && compinit -u\n" if shell == "zsh" else ""
    by_fish = "complete --do-complete 'fastmnist tr' | cut -f 1"  # the rest of a line is its help
    known = "print $_comps[fastmnist]" if shell == "zsh" else by_fish
    options = ["-f"] if shell == "zsh" else ["--no-config"]
    expected = ["_fastmnist_completion"] if shell == "zsh" else ["train"]
    assert in_shell(shell, f"{setup}{lines_of(shell)}\n{known}", tmp_path, *options) == expected


@pytest.mark.parametrize(
    ("shell", "words", "last", "told"),
    [
        (
            "zsh",
            "fastmnist do",
            "1",
            ["plain", "download", COMMANDS["download"], "plain", "doctor", COMMANDS["doctor"]],
        ),
        ("zsh", "fastmnist train --model", "2", []),
        ("zsh", "fastmnist info ", "2", ["file", "_"]),
        ("fish", "fastmnist do", "do", [f"plain,{name}\t{COMMANDS[name]}" for name in ("download", "doctor")]),
        ("fish", "fastmnist evaluate --js", "--js", ["plain,--json\tPrint the same figures as JSON."]),
    ],
)
def test_zsh_and_fish_are_answered_with_what_each_is_for_in_full(shell, words, last, told, run_cli):
    run = run_cli(env={"_FASTMNIST_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": last})
    assert (run.code, run.stderr) == (0, "")
    assert [line for line in run.lines if line] == told


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_page_names_the_command_that_prints_the_script(shell, run_cli):
    assert f"_FASTMNIST_COMPLETE={shell}_source fastmnist" in lines_of(shell)
    run = run_cli(env={"_FASTMNIST_COMPLETE": f"{shell}_source"})
    assert run.code == 0
    assert "fastmnist_completion" in run.stdout.decode()
    assert "Usage" not in run.stdout.decode()
