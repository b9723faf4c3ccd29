import ast
import os
import pickle
import re
import zlib

import pytest
from conftest import ROOT

from fastmnist import errors
from fastmnist.cli import main, terminal
from fastmnist.errors import DataError, FastmnistError, printable, reason


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("plain.png", "plain.png"),
        (b"bytes.png", "bytes.png"),
        ("Ünï \N{GRINNING FACE}.png", "Ünï \N{GRINNING FACE}.png"),
        ("new\nline", "new\\nline"),
        ("\033[31mred\a", "\\x1b[31mred\\x07"),
        (b"\xff", "\\udcff"),
        ("\u202egnp.exe", "\\u202egnp.exe"),  # turns the direction of writing round
    ],
)
def test_names_are_printed_without_what_a_terminal_obeys(path, expected):
    assert printable(path) == expected
    assert printable(path).isprintable()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FileNotFoundError(2, "No such file or directory", "x\n"), "No such file or directory"),
        (OSError("only words"), "only words"),
        (zlib.error("Error -3\n"), "Error -3\\n"),
        (EOFError(), "EOFError"),
    ],
)
def test_a_reason_is_one_line_without_the_path(error, expected):
    assert reason(error) == expected


def test_every_kind_of_error_is_one_that_main_catches():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__]
    assert len(kinds) >= 6
    assert all(issubclass(kind, FastmnistError) for kind in kinds)


def test_an_error_carries_its_hint_which_its_line_ends_with():
    error = DataError("a.npy: floats, expected whole numbers", hint="round them")
    assert (str(error), error.cause, error.hint) == (
        "a.npy: floats, expected whole numbers; round them",
        "a.npy: floats, expected whole numbers",
        "round them",
    )
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.cause, again.hint) == (DataError, str(error), error.cause, error.hint)
    plain = DataError("a.npy: empty, expected an array")
    assert (str(plain), plain.cause, plain.hint) == (plain.cause, "a.npy: empty, expected an array", None)


def messages():
    """What the library may say: the strings of its modules that are no docstrings, with where they are."""
    for path in sorted((ROOT / "fastmnist").rglob("*.py")):
        place = path.relative_to(ROOT / "fastmnist").as_posix()
        if place.startswith("cli/"):
            continue
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        alone = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
                yield place, node.value


def options():
    """All options of the commands, and of their arguments the names in Python."""
    commands = [main.cli.get_command(None, name) for name in main.COMMANDS]
    return {flag for command in commands for option in command.params for flag in option.opts}


# What only the command line calls, and lines to run there.
OF_COMMANDS = {"inputs/file_list.py", "output/part_file.py", "output/remote_part.py"}
LINES = ("fastmnist download", "the same command with --resume", "Weight of the --from model", " --dataset ")


def test_the_library_names_arguments_and_the_commands_show_their_options():
    named = {name for _, text in messages() for name in re.findall(r"`(\w+)`", text)}
    assert named == set(terminal.ARGUMENTS)
    shown = {terminal.with_options(f"`{name}`") for name in named}
    assert shown <= options()
    assert "--from" in shown
    assert terminal.with_options("it`s`.png: try a smaller `learning_rate`") == (
        "it`s`.png: try a smaller --learning-rate"
    )


def test_the_library_names_no_options():
    known = options()
    told = [
        (place, text) for place, text in messages()
        if place not in OF_COMMANDS and not any(line in text for line in LINES)
        and text != "--model"  # how the line that names the model tells where it is from
        and known & set(re.findall(r"--[a-z][a-z-]+", text))
    ]  # fmt: skip
    assert told == []


def test_printable_takes_what_os_takes(tmp_path):
    assert printable(tmp_path) == os.fspath(tmp_path)
