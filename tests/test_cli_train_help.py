"""`fastmnist train --help`: groups of options and a table of the recipes; hints for the words of other tools."""

import os
import re

import click
import pytest

from fastmnist.cli.evaluate import evaluate
from fastmnist.cli.main import COMMANDS as KNOWN
from fastmnist.cli.main import cli
from fastmnist.cli.predict import predict
from fastmnist.cli.suggestions import ABSENT, COMMANDS, ELSEWHERE, SAME
from fastmnist.cli.train import train
from fastmnist.cli.train_help import GROUPS, OTHER
from fastmnist.training.recipes import RECIPES


@pytest.fixture
def help_text(run_cli):
    run = run_cli("train", "--help", env={"COLUMNS": "80"})
    assert run.code == 0
    assert max(map(len, run.lines)) <= 80
    return run.stdout.decode()


def test_every_option_is_in_one_group():
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(option.name for option in train.params if isinstance(option, click.Option))


def test_the_help_has_a_section_for_each_group(help_text):
    headings = re.findall(r"^(\w+):$", help_text, re.MULTILINE)
    assert headings == [*GROUPS, OTHER]
    sections = dict(re.findall(r"^(\w+):\n((?:  .*\n)+)", help_text, re.MULTILINE))
    for group, names in GROUPS.items():
        options = {option.name: option.opts[-1] for option in train.params}
        places = [re.search(rf"^  .*{options[name]}\b", sections[group], re.MULTILINE).start() for name in names]
        assert places == sorted(places)
    assert re.fullmatch(r"  -h, --help +Show this message and exit\.\n", sections[OTHER])


def test_the_table_has_each_recipes_values(help_text):
    table = help_text.split("What the recipes set (- is off):\n")[1]
    rows = {line[:20].strip(): line[20:].split() for line in table.splitlines()}
    assert rows[""] == list(RECIPES)
    assert rows["hidden"] == ["100", "320,160", "1024,512", "--from's"]
    assert rows["schedule"] == ["-", "cosine", "cosine", "cosine"]
    for name in ("epochs", "batch-size", "learning-rate", "momentum", "weight-decay", "seed"):
        assert list(map(float, rows[name])) == [getattr(r, name.replace("-", "_")) for r in RECIPES.values()]
    for name in ("rotation", "elastic", "thickness"):
        strengths = [0 if cell == "-" else float(cell) for cell in rows[f"augment {name}"]]
        assert strengths == [getattr(recipe.augment, name) for recipe in RECIPES.values()]
    assert "average" not in rows  # no recipe uses it


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["train", "d", "--lr", "0.1"], "No such option", "use --learning-rate"),
        (["train", "d", "--LR=0.1"], "No such option", "use --learning-rate"),
        (["train", "d", "--batch_size", "3"], "No such option", "use --batch-size"),
        (["train", "d", "--activation", "relu"], "No such option", "the hidden layers are ReLU"),
        (["predict", "x", "--n-jobs", "3"], "No such option", "use --threads"),
        (["predict", "x", "--json"], "No such option", "use --format jsonl"),
        (["info", "--model", "x"], "No such option", "name the model without an option: fastmnist info FILE"),
        (["train", "d", "--model", "x"], "No such option", "-o FILE is the model to write"),
        (["--quiet", "predict", "x"], "No such option", "options of a command come after its name"),
        (["pedict", "x"], "No such command", "use fastmnist predict"),
        (["eval", "x"], "No such command", "use fastmnist evaluate"),
        (["help", "train"], "No such command", "fastmnist --help lists the commands"),
        (["version"], "No such command", "use fastmnist --version"),
        ([os.devnull], "No such command", f"to name the digits in it: fastmnist predict {os.devnull}"),
    ],
)
def test_a_word_of_another_tool_gets_a_hint(arguments, message, hint, run_cli):
    run = run_cli(*arguments)
    assert (run.code, run.stdout) == (2, b"")
    *_, error, suggestion = run.stderr.splitlines()
    assert error.startswith(f"Error: {message}")
    assert "Did you mean" not in error
    assert suggestion.startswith(f"hint: {hint}")


@pytest.mark.parametrize("arguments", [["train", "d", "--learning-rat", "3"], ["info", "--activation"]])
def test_other_unknown_options_get_none(arguments, run_cli):
    run = run_cli(*arguments)
    assert run.code == 2
    assert "hint:" not in run.stderr


@pytest.mark.parametrize(
    ("flag", "guess"),
    [
        ("--learning-rat", " Did you mean '--learning-rate'?"),
        ("--epoch", " Did you mean '--epochs'?"),
        ("--verbose", ""),
    ],
)
def test_an_option_that_is_not_there_is_guessed_only_where_it_is_close(flag, guess, run_cli):
    """click's own guesses: --average for --verbose, and --keep or --preprocess for --epoch."""
    assert run_cli("train", "d", flag, "3").stderr.splitlines()[-1] == f"Error: No such option '{flag}'.{guess}"


def test_every_hint_elsewhere_names_what_is_there():
    for (name, flag), hint in ELSEWHERE.items():
        flags = {flag for option in cli.get_command(None, name).params for flag in option.opts}
        assert flag not in flags
        assert set(re.findall(r"--?[a-z-]+(?= )", hint)) <= flags
    assert set(COMMANDS).isdisjoint(KNOWN)
    assert set(COMMANDS.values()) <= {*KNOWN, "--version"}


def test_every_hint_names_an_option_that_is_there():
    flags = {flag for command in (train, predict, evaluate) for option in command.params for flag in option.opts}
    assert set(SAME.values()) <= flags
    assert flags.isdisjoint({*SAME, *ABSENT})
    assert {flag for advice in ABSENT.values() for flag in re.findall(r"--[a-z-]+", advice)} <= flags
