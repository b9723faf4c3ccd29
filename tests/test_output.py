import contextlib
import csv
import io
import os
import signal
import stat
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmnist import output
from fastmnist.errors import OutputError
from fastmnist.output import CsvWriter, atomic_file

DIGITS = [str(digit) for digit in range(10)]
HOSTILE_NAMES = [
    b"plain.png",
    b"new\nline.png",
    b"carriage\rreturn.png",
    b'comma,quote".png',
    b'"',
    "emoji \N{SLIGHTLY SMILING FACE}.png".encode(),
    b"not utf-8 \xff\xfe\x80.png",
    b" leading and trailing ",
    b"/absolute/=1.png",
    b"sub/=1.png",
]
FORMULA_NAMES = [b"=1+1.png", b"+1", b"-1", b"@SUM(A1)", b"\t=1", b"\r=1", b"\n=1", b'=HYPERLINK("x,y")']


def csv_bytes(names, first_index=None, labels=None, confidences=None, failed=(), class_names=DIGITS):
    stream = io.BytesIO()
    writer = CsvWriter(stream, class_names)
    writer.header()
    n = len(names)
    writer.rows(
        names,
        first_index,
        np.zeros(n, np.uint8) if labels is None else np.array(labels, np.uint8),
        np.ones(n, np.float32) if confidences is None else np.array(confidences, np.float32),
        failed,
    )
    writer.flush()
    return stream.getvalue()


def parsed(content):
    text = content.decode("utf-8", "surrogateescape")
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def test_rows_are_written_byte_for_byte():
    content = csv_bytes([b"a.png", b"b.png"], labels=[7, 0], confidences=[0.99999994, 0.5])
    assert content == b"path,index,label,confidence\na.png,,7,1.000000\nb.png,,0,0.500000\n"


def test_a_failed_row_keeps_its_path_and_has_no_label_and_no_confidence():
    content = csv_bytes([b"a", b"b", b"c"], labels=[1, 2, 3], failed={1: "why"})
    assert content.splitlines()[1:] == [b"a,,1,1.000000", b"b,,,", b"c,,3,1.000000"]


def test_rows_of_an_idx_file_share_its_path_and_count_from_the_first_index():
    stream = io.BytesIO()
    CsvWriter(stream, DIGITS).rows(
        [b"=t10k,images"], 4096, np.array([3, 4], np.uint8), np.array([0.25, 0.75], np.float32), {}
    )
    assert stream.getvalue() == b'"./=t10k,images",4096,3,0.250000\n"./=t10k,images",4097,4,0.750000\n'


def test_class_names_are_quoted_and_utf_8():
    content = csv_bytes([b"a", b"b"], labels=[0, 1], class_names=['say "a, b"', "\N{GREEK SMALL LETTER ALPHA}"])
    assert [row[2] for row in parsed(content)] == ["label", 'say "a, b"', "\N{GREEK SMALL LETTER ALPHA}"]


def test_a_batch_is_one_write():
    class Counting(io.BytesIO):
        n_writes = 0

        def write(self, data):
            self.n_writes += 1
            return super().write(data)

    stream = Counting()
    CsvWriter(stream, DIGITS).rows([b"a"] * 1000, None, np.zeros(1000, np.uint8), np.ones(1000, np.float32), {})
    assert stream.n_writes == 1
    assert stream.getvalue().count(b"\n") == 1000


def test_hostile_names_round_trip_through_pythons_csv_reader():
    rows = parsed(csv_bytes(HOSTILE_NAMES))
    assert [os.fsencode(row[0]) for row in rows[1:]] == HOSTILE_NAMES
    assert all(row[1:] == ["", "0", "1.000000"] for row in rows[1:])


def test_names_that_are_formulas_are_written_as_the_same_file_in_this_folder():
    rows = parsed(csv_bytes(FORMULA_NAMES))
    assert [os.fsencode(row[0]) for row in rows[1:]] == [b"./" + name for name in FORMULA_NAMES]


def test_a_bare_carriage_return_is_quoted():
    assert csv_bytes([b"a\rb"]).splitlines(keepends=False)[1:] == [b'"a', b'b",,0,1.000000']


@given(st.lists(st.binary(min_size=1).map(lambda name: name.replace(b"\0", b"0")), min_size=1))
def test_any_paths_round_trip_and_no_cell_is_a_formula(names):
    rows = parsed(csv_bytes(names))
    assert len(rows) == 1 + len(names)
    for name, row in zip(names, rows[1:], strict=True):
        cell = row[0].encode("utf-8", "surrogateescape")
        assert cell == (name if cell[:1] == name[:1] else b"./" + name)
        assert cell[:1] not in {b"=", b"+", b"-", b"@", b"\t", b"\r", b"\n"}
        assert len(row) == 4


@given(st.floats(0, 1, width=32), st.integers(0, 9), st.booleans())
def test_any_confidence_has_six_decimals_and_is_right_to_half_of_the_last(confidence, label, failed):
    row = parsed(csv_bytes([b"a"], labels=[label], confidences=[confidence], failed=[0] if failed else []))[1]
    if failed:
        assert row == ["a", "", "", ""]
    else:
        assert row[2] == str(label)
        assert len(row[3]) == 8
        assert abs(float(row[3]) - confidence) <= 0.5000001e-6


def test_a_full_disk_raises_at_the_latest_when_flushed():
    with io.FileIO("/dev/full", "wb") as raw:
        full = io.BufferedWriter(raw)
        writer = CsvWriter(full, DIGITS)
        writer.header()
        with pytest.raises(OSError, match="No space left"):
            writer.flush()
        with contextlib.suppress(OSError):  # what the buffer still holds can't be written either
            full.close()


def entries(folder):
    return sorted(os.listdir(folder))


def test_a_new_file_holds_what_was_written_and_has_the_mode_of_any_new_file(tmp_path):
    with atomic_file(tmp_path / "new") as file:
        file.write(b"content")
        assert not (tmp_path / "new").exists()
    (tmp_path / "ordinary").touch()
    assert (tmp_path / "new").read_bytes() == b"content"
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "ordinary").stat().st_mode
    assert entries(tmp_path) == ["new", "ordinary"]


@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_a_replaced_file_hands_on_its_permissions(tmp_path, mode):
    (tmp_path / "out").write_bytes(b"old")
    (tmp_path / "out").chmod(mode)
    with atomic_file(tmp_path / "out") as file:
        file.write(b"new")
    assert (tmp_path / "out").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == mode


@pytest.mark.parametrize("kind", [str, os.fsencode])
def test_str_and_bytes_paths_relative_to_here_work(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    for name in ("out", os.fsdecode(b"\xff\n"), "n" * 255):
        with atomic_file(kind(name)) as file:
            file.write(b"x")
        assert os.path.getsize(name) == 1


def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("folder/target")
    with atomic_file(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "target").read_bytes() == b"new"
    assert entries(tmp_path / "folder") == ["target"]


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit, GeneratorExit, ValueError, OutputError])
def test_any_exception_leaves_the_old_file_and_nothing_else(tmp_path, exception):
    (tmp_path / "out").write_bytes(b"old")
    with pytest.raises(exception), atomic_file(tmp_path / "out") as file:
        write_and_raise(file, exception)
    assert (tmp_path / "out").read_bytes() == b"old"
    assert entries(tmp_path) == ["out"]


def write_and_raise(file, exception):
    file.write(b"x" * 100_000)
    raise exception


def test_an_interrupt_by_signal_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "out").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        save_and_interrupt(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"old"
    assert entries(tmp_path) == ["out"]


def save_and_interrupt(path):
    with atomic_file(path) as file:
        file.write(b"x" * 100_000)
        signal.raise_signal(signal.SIGINT)
        file.write(b"x")  # Python handles the signal before this line


def fail_nth_write(monkeypatch, n):
    """Make the n-th write to a new file of `output` fail; a buffer of 8 bytes makes many of few."""

    class Failing(io.FileIO):
        n_writes = 0

        def write(self, data):
            self.n_writes += 1
            if self.n_writes >= n:
                raise OSError(28, "No space left on device")
            return super().write(data)

    monkeypatch.setattr(output, "open", lambda path, mode: io.BufferedWriter(Failing(path, mode), 8), raising=False)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_when_the_nth_write_fails_the_old_file_stays(tmp_path, monkeypatch, n):
    (tmp_path / "out").write_bytes(b"old")
    fail_nth_write(monkeypatch, n)
    with pytest.raises(OutputError, match=r"out: No space left on device, expected .*; choose another"):
        save_four_pieces(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"old"
    assert entries(tmp_path) == ["out"]


def test_the_injected_fault_comes_too_late_for_four_writes(tmp_path, monkeypatch):
    fail_nth_write(monkeypatch, 5)
    save_four_pieces(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"12345678" * 4


def save_four_pieces(path):
    with atomic_file(path) as file:
        for _ in range(4):
            file.write(b"12345678")


@pytest.mark.parametrize("call", ["fsync", "replace", "fchmod"])
def test_when_a_system_call_before_the_rename_fails_the_old_file_stays(tmp_path, monkeypatch, call):
    (tmp_path / "out").write_bytes(b"old")

    def fail(*args):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(output.os, call, fail)
    with pytest.raises(OutputError, match="Input/output error"):
        save_four_pieces(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"old"
    assert entries(tmp_path) == ["out"]


@pytest.mark.parametrize("folder_sync_fails", [False, True])
def test_file_is_synced_then_renamed_then_the_folder_synced(tmp_path, monkeypatch, folder_sync_fails):
    calls = []
    really_fsync, really_replace = os.fsync, os.replace

    def fsync(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        calls.append("sync folder" if is_folder else f"sync {os.fstat(descriptor).st_size} bytes")
        if is_folder and folder_sync_fails:
            raise OSError(22, "Invalid argument")
        really_fsync(descriptor)

    def replace(source, target):
        calls.append("rename")
        assert os.path.dirname(source) == os.path.dirname(target)
        really_replace(source, target)

    monkeypatch.setattr(output.os, "fsync", fsync)
    monkeypatch.setattr(output.os, "replace", replace)
    save_four_pieces(tmp_path / "out")
    assert calls == ["sync 32 bytes", "rename", "sync folder"]
    assert (tmp_path / "out").read_bytes() == b"12345678" * 4


def test_a_missing_folder_and_a_folder_are_refused_in_one_line(tmp_path):
    for path, found in ((tmp_path / "no\nfolder" / "out", "No such file"), (tmp_path, "it is a folder")):
        with pytest.raises(OutputError, match=found) as caught:
            save_four_pieces(path)
        assert str(caught.value).isprintable()
    assert entries(tmp_path) == []


def test_devices_are_written_to_and_stay(tmp_path):
    save_four_pieces("/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(OutputError, match="/dev/full: No space left on device"):
        save_four_pieces("/dev/full")


def test_a_fifo_is_written_to_and_stays(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    received = []
    reader = threading.Thread(target=lambda: received.append(fifo.read_bytes()))
    reader.start()
    save_four_pieces(fifo)
    reader.join()
    assert received == [b"12345678" * 4]
    assert entries(tmp_path) == ["fifo"]


def test_a_fifo_whose_reader_left_is_a_broken_pipe(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(BrokenPipeError):
        save_after_closing(fifo, reader)


def save_after_closing(path, descriptor):
    with atomic_file(path) as file:
        os.close(descriptor)
        file.write(b"x" * 100_000)


def test_an_open_descriptor_is_written_to_even_when_it_is_a_regular_file(tmp_path):
    with open(tmp_path / "out", "wb") as stdout:
        save_four_pieces(f"/dev/fd/{stdout.fileno()}")
        assert os.fstat(stdout.fileno()).st_ino == (tmp_path / "out").stat().st_ino
    assert (tmp_path / "out").read_bytes() == b"12345678" * 4
    assert entries(tmp_path) == ["out"]
