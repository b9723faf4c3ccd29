"""Image files of every odd kind, through the real command line: each is read for what it shows, or told in one line."""

import csv
import re

import pytest
from odd_files import DIGIT, write_odd_files

from fastmnist.model.model_file import SHIPPED

PAGED = {b"animated.gif", b"two-pages.tiff"}


@pytest.fixture
def run_and_outcomes(run_cli, tmp_path):
    outcomes = write_odd_files(tmp_path / "odd")
    return run_cli("predict", "--model", SHIPPED, "odd"), outcomes


def test_every_odd_file_is_read_for_what_it_shows_or_reported_in_one_line(run_and_outcomes):
    run, outcomes = run_and_outcomes
    rows = list(csv.reader(run.stdout.decode(errors="surrogateescape").splitlines()))[1:]
    paths = [path.encode(errors="surrogateescape").removeprefix(b"odd/") for path, *_ in rows]
    expected = []
    for path, outcome in sorted(outcomes.items()):
        pages = [("0", "7"), ("1", "")] if path in PAGED else [("", "7" if outcome == DIGIT else "")]
        expected += [(path, *page) for page in pages]
    assert [(path, index, label) for path, (_, index, label, _) in zip(paths, rows, strict=True)] == expected
    assert run.code == 1


def test_every_error_says_what_was_found(run_and_outcomes):
    run, outcomes = run_and_outcomes
    told = dict(re.fullmatch(r"fastmnist: error: odd/(.*?): (.*)", line).groups() for line in run.errors)
    refused = {path.decode(): outcome for path, outcome in outcomes.items() if outcome != DIGIT}
    assert told.keys() == refused.keys()
    assert {path: message for path, message in told.items() if refused[path] not in message} == {}


def test_stderr_holds_only_our_own_words(run_and_outcomes):
    run, outcomes = run_and_outcomes
    n_errors = sum(outcome != DIGIT for outcome in outcomes.values())
    ours = re.compile(r"model: .*|compiling kernels .*|fastmnist: error: odd/.*")
    lines = run.stderr.splitlines()
    assert [line for line in lines[:-1] if not ours.fullmatch(line)] == []
    assert lines[-1].startswith(f"{len(outcomes) + len(PAGED)} images, {n_errors} errors, ")
