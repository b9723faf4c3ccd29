import os
import pickle
import zlib

import pytest

from fastmnist import errors
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


def test_printable_takes_what_os_takes(tmp_path):
    assert printable(tmp_path) == os.fspath(tmp_path)
