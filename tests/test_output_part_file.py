import fcntl
import json
import os
import stat
import threading

import numpy as np
import pytest
from conftest import noted
from rows import predictions_of

from fastmnist.errors import OutputError
from fastmnist.output import part_file as module
from fastmnist.output.csv import CsvFormat
from fastmnist.output.jsonl import JsonlFormat
from fastmnist.output.kaggle import KaggleFormat
from fastmnist.output.part_file import part_file
from fastmnist.shapes import DIGITS

JOB = {"model": "abc", "--format": "csv"}
NAMES = [b"a", b"new\nline", b'quo"te\n\n', b"=1", b"\xff\r\n", b"failed", b"last"]
FAILED = {5}
FORMATS = [CsvFormat, JsonlFormat, KaggleFormat]


def rows_of(names, first_number=0):
    failed = {row for row, name in enumerate(names) if name == b"failed"}
    labels, confidences = np.arange(len(names)) % 10, np.linspace(0, 1, len(names))
    return predictions_of(names, None, labels, confidences, failed, first_number=first_number)


def write(part, row_format, predictions):
    for piece in row_format.rows(predictions):
        part.file.write(piece)


def count_known(part, names, first_number=0):
    numbers = range(first_number, first_number + len(names))
    return part.count_known(names, [None] * len(names), numbers)


def run(path, *, resume=False, make=CsvFormat, job=JOB, names=NAMES, die_after=None, batch=3):
    """Write the rows of `names`, and ten of an IDX file, in batches; return what was known and the notes."""
    row_format = make(DIGITS)
    with noted() as notes, part_file(path, job, row_format, resume=resume) as part:
        for first in range(0, len(names), batch):
            some = names[first : first + batch]
            known = count_known(part, some, first)
            if some[known:]:
                write(part, row_format, rows_of(some[known:], first + known))
            if die_after is not None and first + len(some) >= die_after:
                raise KeyboardInterrupt
        indices, numbers = range(0, 20, 2), range(len(names), len(names) + 10)
        known = part.count_known([b"id,x"] * 10, indices, numbers)
        if known < 10:
            labels = np.array(indices[known:]) % 10
            rows = predictions_of([b"id,x"], indices[known:], labels, first_number=numbers[known])
            write(part, row_format, rows)
    return part, notes


@pytest.fixture(params=FORMATS)
def make(request):
    return request.param


@pytest.fixture
def whole(make, tmp_path):
    """What an uninterrupted run writes. (Labels depend on the row in its batch: one batch a row here.)"""
    run(tmp_path / "whole", make=make, batch=1)
    return (tmp_path / "whole").read_bytes()


def test_an_uninterrupted_run_leaves_the_file_and_nothing_else(tmp_path):
    part, notes = run(tmp_path / "out")
    assert (part.n_known, part.n_failed, notes) == (0, 0, [])
    assert os.listdir(tmp_path) == ["out"]
    (tmp_path / "ordinary").touch()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_wherever_it_was_cut_a_resumed_run_ends_in_the_same_file(make, whole, tmp_path, monkeypatch):
    """The part holds any number of bytes of the file that is to come: as SIGKILL or a full disk leave it."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)  # hundreds of them take their time
    out = tmp_path / "out"
    for n_bytes in range(len(whole) + 1):
        (tmp_path / "out.part").write_bytes(whole[:n_bytes])
        (tmp_path / "out.part.json").write_text(json.dumps(JOB))
        part, _ = run(out, resume=True, make=make, batch=1)
        assert out.read_bytes() == whole, n_bytes
        assert not (tmp_path / "out.part").exists()
        assert not (tmp_path / "out.part.json").exists()
        out.unlink()
    assert (part.n_known, part.n_failed) == (len(NAMES) + 10, len(FAILED))


@pytest.mark.parametrize("n_zeros", [1, 5000])
def test_zeros_where_data_was_to_come_are_dropped(make, whole, n_zeros, tmp_path):
    for n_bytes in (0, 10, len(whole) // 2, len(whole)):
        (tmp_path / "out.part").write_bytes(whole[:n_bytes] + bytes(n_zeros) + b"\n")
        (tmp_path / "out.part.json").write_text(json.dumps(JOB))
        run(tmp_path / "out", resume=True, make=make, batch=1)
        assert (tmp_path / "out").read_bytes() == whole


def test_an_interruption_leaves_the_old_file_and_a_part_that_says_how_to_resume(tmp_path, notes):
    (tmp_path / "out").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_one_row_and_stop(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["out", "out.part", "out.part.json"]
    assert notes == [f"{tmp_path}/out.part keeps the rows so far; to continue, run the same command with --resume"]
    assert (tmp_path / "out.part").read_bytes().endswith(b"a,,0,0.000000\n")


def write_one_row_and_stop(path):
    with part_file(path, JOB, CsvFormat(DIGITS), resume=False) as part:
        write(part, CsvFormat(DIGITS), rows_of([b"a"]))
        raise KeyboardInterrupt


@pytest.mark.usefixtures("no_notes")
def test_an_interruption_before_any_row_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_nothing_and_stop(tmp_path / "out")
    assert os.listdir(tmp_path) == []


def write_nothing_and_stop(path):
    with part_file(path, JOB, CsvFormat(DIGITS), resume=False):
        raise KeyboardInterrupt


def interrupted(path, **settings):
    with pytest.raises(KeyboardInterrupt):
        run(path, die_after=4, **settings)


def test_without_resume_an_old_part_is_replaced(tmp_path):
    interrupted(tmp_path / "out", job={"model": "another"})
    assert (tmp_path / "out.part").exists()
    part, _ = run(tmp_path / "out")
    assert part.n_known == 0
    assert os.listdir(tmp_path) == ["out"]


def test_resume_without_a_part_begins_at_the_beginning(tmp_path):
    part, _ = run(tmp_path / "out", resume=True)
    assert part.n_known == 0
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("job", "found"),
    [
        ({**JOB, "model": "def"}, 'begun with model "abc", expected "def"'),
        ({**JOB, "--format": "jsonl"}, 'begun with --format "csv", expected "jsonl"'),
        ({"model": "abc"}, 'begun with --format "csv", expected null'),
        ({**JOB, "--shard": [1, 2]}, "begun with --shard null, expected [1, 2]"),
    ],
)
def test_another_model_or_option_is_refused_and_the_part_stays(job, found, tmp_path):
    interrupted(tmp_path / "out")
    before = (tmp_path / "out.part").read_bytes()
    with pytest.raises(OutputError) as refused:
        run(tmp_path / "out", resume=True, job=job)
    assert str(refused.value).startswith(f"{tmp_path}/out.part: ")
    assert found in str(refused.value)
    assert "start over without --resume" in str(refused.value)
    assert (tmp_path / "out.part").read_bytes() == before


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'"\xff"'])
def test_a_part_of_unknown_origin_is_refused_and_stays(content, tmp_path):
    interrupted(tmp_path / "out")
    (tmp_path / "out.part.json").unlink()
    if content is not None:
        (tmp_path / "out.part.json").write_bytes(content)
    with pytest.raises(OutputError, match=r"out\.part\.json .*start over without --resume"):
        run(tmp_path / "out", resume=True)
    assert (tmp_path / "out.part").exists()


@pytest.mark.parametrize(
    "names", [[b"b", *NAMES[1:]], [b"a", b"new\nlime", *NAMES[2:]], NAMES[1:], [*NAMES[:2], *NAMES[3:]], []]
)
def test_rows_of_other_inputs_are_refused_and_stay(names, tmp_path):
    interrupted(tmp_path / "out")
    before = (tmp_path / "out.part").read_bytes()
    notes = []
    with pytest.raises(OutputError, match=r"out\.part: .*(the inputs|they) have changed"):
        notes = run(tmp_path / "out", resume=True, names=names)[1]
    assert notes == []
    assert (tmp_path / "out.part").read_bytes() == before
    assert not (tmp_path / "out").exists()


def test_more_rows_than_the_inputs_have_are_refused(tmp_path):
    interrupted(tmp_path / "out")
    with pytest.raises(OutputError, match="more rows than the inputs, which have 0"):
        resume_with_no_rows(tmp_path / "out")


def resume_with_no_rows(path):
    with part_file(path, JOB, CsvFormat(DIGITS), resume=True):
        pass


def test_two_at_once_are_refused(tmp_path):
    (tmp_path / "out.part").write_bytes(b"another's")
    with open(tmp_path / "out.part", "r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match=r"out\.part: another fastmnist is writing it"):
            run(tmp_path / "out")
    assert (tmp_path / "out.part").read_bytes() == b"another's"


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_a_part_that_is_not_a_regular_file_is_refused(kind, tmp_path):
    part = tmp_path / "out.part"
    {"fifo": lambda: os.mkfifo(part), "link": lambda: part.symlink_to("other"), "folder": part.mkdir}[kind]()
    (tmp_path / "other").write_bytes(b"of another")
    with pytest.raises(OutputError, match=r"out\.part: not a regular file, expected .*; remove it"):
        run(tmp_path / "out")
    assert (tmp_path / "other").read_bytes() == b"of another"


@pytest.mark.parametrize("path", ["none/out", "."])
def test_a_place_that_cannot_be_written_is_reported(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="expected a writable place"):
        run(path)
    assert os.listdir(tmp_path) == []


def test_a_link_stays_and_its_target_keeps_its_permissions(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "target").write_bytes(b"old")
    (tmp_path / "folder" / "target").chmod(0o600)
    (tmp_path / "link").symlink_to("folder/target")
    run(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "link").read_bytes().startswith(b"path,")
    assert stat.S_IMODE((tmp_path / "folder" / "target").stat().st_mode) == 0o600
    assert os.listdir(tmp_path / "folder") == ["target"]


def test_rows_may_be_known_in_one_thread_and_written_in_another(tmp_path, notes):
    interrupted(tmp_path / "out")
    with part_file(tmp_path / "out", JOB, CsvFormat(DIGITS), resume=True) as part:
        counts = []
        reader = threading.Thread(target=lambda: counts.append(count_known(part, NAMES)))
        reader.start()
        reader.join()
        write(part, CsvFormat(DIGITS), rows_of(NAMES[counts[0] :]))
    assert counts == [6]
    run(tmp_path / "whole", names=NAMES)
    assert (tmp_path / "out").read_bytes().count(b"\n") == (tmp_path / "whole").read_bytes().count(b"\n") - 10
    assert notes[1:] == ["resuming after 6 rows of an earlier run"]  # the first is of the interruption


def test_a_part_that_another_run_has_just_put_into_its_place_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / "out.part").write_bytes(b"the other's rows")
    lock = module._lock

    def renamed_before_the_lock(file, path):
        if not (tmp_path / "out.other").exists():
            os.rename(tmp_path / "out.part", tmp_path / "out.other")
        lock(file, path)

    monkeypatch.setattr(module, "_lock", renamed_before_the_lock)
    with part_file(tmp_path / "out", JOB, CsvFormat(DIGITS), resume=False):
        monkeypatch.setattr(module, "_lock", lock)
        assert (tmp_path / "out.other").read_bytes() == b"the other's rows"


def test_a_job_file_of_endless_lists_is_refused(tmp_path):
    (tmp_path / "out.part").write_bytes(b"path,index,label,confidence\na,,1,0.5\n")
    (tmp_path / "out.part.json").write_bytes(b"[" * 100_000)
    with pytest.raises(OutputError, match=r"out\.part\.json can't be read"):
        run(tmp_path / "out", resume=True)
