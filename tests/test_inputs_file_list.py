import os
import subprocess
import sys

import pytest

from fastmnist.errors import DataError
from fastmnist.inputs import file_list
from fastmnist.inputs.file_list import read_list

NAMES = [b"a.png", b"b c/d.png", b"\xff\r", "\N{GRINNING FACE}".encode(), b"=1"]


@pytest.mark.parametrize("block", [1, 3, 1 << 16])
@pytest.mark.parametrize(("separator", "names"), [(b"\n", NAMES), (b"\0", [*NAMES, b"new\nline"])])
@pytest.mark.parametrize("ended", [True, False])
def test_paths_come_as_they_are_listed(separator, names, ended, block, tmp_path, monkeypatch):
    monkeypatch.setattr(file_list, "_BLOCK_BYTES", block)
    (tmp_path / "list").write_bytes(separator.join(names) + separator * ended)
    assert list(read_list(str(tmp_path / "list"), separator)) == names


def test_empty_paths_are_left_out_and_a_dash_is_a_file_of_that_name(tmp_path):
    (tmp_path / "list").write_bytes(b"\n\na\n\n-\n./-\n\n")
    assert list(read_list(str(tmp_path / "list"), b"\n")) == [b"a", b"./-", b"./-"]
    (tmp_path / "list").write_bytes(b"")
    assert list(read_list(str(tmp_path / "list"), b"\n")) == []


def test_a_list_as_windows_writes_it_names_the_same_files(tmp_path):
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbfa.png\r\n\r\n-\r\nb.png\r\n")
    assert list(read_list(str(tmp_path / "list"), b"\n")) == [b"a.png", b"./-", b"b.png"]
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbf\na.png\r\n\r\nb.png\r\n")
    assert list(read_list(str(tmp_path / "list"), b"\n")) == [b"a.png", b"b.png"]
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbfa\r\0b\r\0")  # as `find -print0` has them: names of that kind
    assert list(read_list(str(tmp_path / "list"), b"\0")) == [b"\xef\xbb\xbfa\r", b"b\r"]


def test_nuls_in_lines_and_endless_lines_are_refused(tmp_path):
    (tmp_path / "list").write_bytes(b"a\nb\0c\0")
    paths = read_list(str(tmp_path / "list"), b"\n")
    assert next(paths) == b"a"
    with pytest.raises(DataError, match=r"a NUL within a path.*use --null"):
        next(paths)
    (tmp_path / "list").write_bytes(b"x" * 200_000)
    with pytest.raises(DataError, match="more than 65,536 bytes without an end"):
        list(read_list(str(tmp_path / "list"), b"\n"))


def test_an_endless_run_of_empty_paths_is_refused():
    """As /dev/zero on stdin gives it."""
    script = "from fastmnist.inputs.file_list import read_list; print(*read_list('-', b'\\0'))"
    with open("/dev/zero", "rb") as zero:
        done = subprocess.run([sys.executable, "-c", script], stdin=zero, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "DataError: <stdin>: 65,536 empty paths in a row, expected" in done.stderr


def test_what_is_not_a_regular_file_is_refused_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name, found in (("fifo", "a FIFO"), ("none", "No such file"), (".", "a folder")):
        with pytest.raises(DataError, match=found):
            list(read_list(str(tmp_path / name), b"\n"))
    with pytest.raises(DataError, match="a device"):
        list(read_list("/dev/zero", b"\n"))


def test_the_list_on_stdin():
    script = "import sys; from fastmnist.inputs.file_list import read_list; print(*read_list('-', b'\\0'))"
    done = subprocess.run([sys.executable, "-c", script], input=b"a\0b c\0", stdout=subprocess.PIPE)
    assert done.stdout == b"b'a' b'b c'\n"
