import io
import os
import signal
import stat
import threading

import pytest

from fastmnist.errors import OutputError
from fastmnist.output import atomic as output
from fastmnist.output.atomic import atomic_file


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
    raise exception("as it must")


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
