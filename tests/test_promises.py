"""docs/promises.md names tests that are there, for every promise."""

import re

import pytest
from conftest import ROOT

TEXT = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+) \| (.*) \| (.*) \|$", TEXT, re.MULTILINE)
NAMES = sorted(set(re.findall(r"`(test_\w+)::(test_\w+)`", TEXT)))


def test_every_promise_has_a_row_with_tests():
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 24))
    assert all("::test_" in tests for _, _, tests in ROWS)


@pytest.mark.parametrize(("file", "test"), NAMES)
def test_the_tests_are_there(file, test):
    source = (ROOT / "tests" / f"{file}.py").read_text(encoding="utf-8")
    assert f"\ndef {test}(" in source
