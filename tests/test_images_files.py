"""Files read many at a time are what `open` reads one by one, and what can't be read is refused alike."""

import os
import socket
import sys

import cv2
import numpy as np
import pytest

from fastmnist.errors import DataError
from fastmnist.images import files
from fastmnist.images.files import TOGETHER_BYTES, read_each, read_file
from fastmnist.kernels import read_files as kernel
from fastmnist.kernels.opaque import find_opaque, is_opaque, jpeg_shape

PICTURE = np.arange(600, dtype=np.uint8).reshape(20, 30)


def encoded(suffix, picture=PICTURE):
    return cv2.imencode(suffix, picture)[1].tobytes()


def plainly(path):
    try:
        return read_file(path)
    except DataError as error:
        return str(error)


def together(paths):
    return [str(file.error) if file.error else file.data for file in read_each(paths)]


@pytest.fixture
def odd_paths(tmp_path):
    """Files of all sizes and names, and what is none."""
    rng = np.random.default_rng(1)
    paths = []
    for name, size in ((b"a", 1), (b"\xff\xfe b\n", 5000), ("ü".encode(), 70_000), (b"empty", 0), (b"z" * 255, 3)):
        paths.append(os.path.join(os.fsencode(tmp_path), name))
        with open(paths[-1], "wb") as file:
            file.write(rng.bytes(size))
    with open(tmp_path / "unreadable", "wb") as file:
        file.write(b"x")
    os.chmod(tmp_path / "unreadable", 0)
    os.mkfifo(tmp_path / "fifo")
    os.symlink(paths[1], tmp_path / "link")
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(os.fsencode(tmp_path) + b"/socket")
    others = [os.fsencode(tmp_path / name) for name in ("unreadable", "fifo", "link", "loop", "socket", "missing", ".")]
    yield [paths[0], *others, b"/dev/zero", b"/dev/null", b"", *paths[1:], b"x" * 5000]
    bound.close()


def test_many_files_are_read_as_one_by_one(odd_paths):
    expected = [plainly(path) for path in odd_paths]
    assert together(odd_paths) == expected
    assert sum(isinstance(content, bytes) for content in expected) >= 5


def test_without_the_kernel_too(odd_paths, monkeypatch):
    monkeypatch.setattr(kernel, "IS_AVAILABLE", False)
    assert together(odd_paths) == [plainly(path) for path in odd_paths]


def test_few_files_need_no_kernel(odd_paths, monkeypatch):
    monkeypatch.setattr(kernel, "read_files", lambda *_: pytest.fail("not needed"))
    for paths in (odd_paths[: files.FEW], odd_paths[files.FEW :]):
        assert together(paths) == [plainly(path) for path in paths]


def test_no_file_is_nothing():
    assert together([]) == []


def test_what_does_not_fit_into_the_memory_is_read_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "FEW", 0)
    paths = []
    for i, size in enumerate((TOGETHER_BYTES - 10, 11, 10, 1, TOGETHER_BYTES + 1)):
        paths.append(os.fsencode(tmp_path / str(i)))
        with open(paths[-1], "wb") as file:
            file.write(bytes([i]) * size)
    assert together(paths) == [plainly(path) for path in paths]


@pytest.mark.skipif(not kernel.IS_AVAILABLE, reason="the kernel is Linux's")
def test_the_kernel_reads_what_is_simple_and_nothing_else(tmp_path, monkeypatch):
    path = os.fsencode(tmp_path / "a")
    with open(path, "wb") as file:
        file.write(b"content")
    monkeypatch.setattr(files, "read_file", lambda path: pytest.fail("not needed"))
    before = len(os.listdir("/proc/self/fd"))
    assert together([path] * 300) == [b"content"] * 300
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("few", [0, files.FEW])
def test_a_name_with_a_nul_reads_no_other_file(few, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "FEW", few)
    path = os.fsencode(tmp_path / "a")
    with open(path, "wb") as file:
        file.write(b"content")
    first, second = files.read_each([path, path + b"\0b"])
    assert first.data == b"content"
    assert "null" in str(second.error)


def test_linux_has_the_kernel():
    assert kernel.IS_AVAILABLE or sys.platform != "linux" or sys.byteorder != "little"


def chunk(kind, data=b"\0" * 4):
    return len(data).to_bytes(4, "big") + kind + data + b"\0" * 4


def png(depth, colour_type, *chunks):
    header = chunk(b"IHDR", bytes([0, 0, 0, 1, 0, 0, 0, 1, depth, colour_type, 0, 0, 0]))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks)


IDAT, END = chunk(b"IDAT"), chunk(b"IEND", b"")
OPAQUE = [
    (encoded(".jpg"), True),
    (encoded(".png"), True),
    (encoded(".png", np.dstack([PICTURE] * 3)), True),
    (encoded(".png", np.dstack([PICTURE] * 4)), False),
    (encoded(".png", PICTURE.astype(np.uint16)), False),
    (encoded(".bmp"), False),
    (encoded(".webp"), False),
    (png(8, 0, IDAT, END), True),
    (png(8, 0, IDAT, END) + b"more", True),
    (png(8, 0, IDAT), False),
    (png(8, 0, b"\x6f\0\0\0" + IDAT[4:], END), False),
    (png(8, 0, END), False),
    (png(1, 3, chunk(b"PLTE"), IDAT, END), True),
    (png(8, 3, chunk(b"PLTE"), chunk(b"tRNS"), IDAT, END), False),
    (png(8, 0, chunk(b"acTL"), IDAT, END), False),
    (png(8, 0, chunk(b"tEXt", b"tRNS"), IDAT, END), True),
    (png(8, 4, IDAT, END), False),
    (png(16, 0, IDAT, END), False),
    (png(8, 0), False),
    (png(8, 0, b"\xff\xff\xff\xffabcd"), False),
    (png(8, 0, IDAT)[:30], False),
    (b"", False),
    (b"\xff\xd8", False),
    (b"\x89PNG", False),
]


def test_opaque_pictures_are_known_by_their_first_bytes():
    sizes = np.array([len(data) for data, _ in OPAQUE] + [-1])
    starts = np.cumsum(np.concatenate([[0], sizes[:-1]]))
    actual, shapes = np.empty(len(sizes), np.bool_), np.empty((len(sizes), 2), np.int64)
    find_opaque(np.frombuffer(b"".join(data for data, _ in OPAQUE), np.uint8), starts, sizes, actual, shapes)
    assert actual.tolist() == [expected for _, expected in OPAQUE] + [False]
    assert [is_opaque(data) for data, _ in OPAQUE] == [expected for _, expected in OPAQUE]
    assert shapes.tolist() == [[20, 30] if data == encoded(".jpg") else [0, 0] for data, _ in OPAQUE] + [[0, 0]]


def segment(marker, content=b""):
    return b"\xff" + marker + (2 + len(content)).to_bytes(2, "big") + content


def frame(height, width, marker=b"\xc0"):
    return segment(marker, b"\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\1\1\x11\0")


JPEG = b"\xff\xd8"
JPEG_SHAPES = [
    (JPEG + frame(300, 77), (300, 77)),
    (JPEG + segment(b"\xe0", b"JFIF") + segment(b"\xdb", b"\0" * 65) + frame(300, 77), (300, 77)),
    (JPEG + segment(b"\xe1", frame(9, 9)) + frame(300, 77, b"\xc2"), (300, 77)),  # a thumbnail's is inside
    (JPEG + segment(b"\xc4", b"\0" * 20) + frame(65535, 1), (65535, 1)),
    (JPEG + b"\xff\xff" + frame(300, 77), (300, 77)),  # filled up
    (JPEG + b"\0" + frame(300, 77), (0, 0)),
    (JPEG + segment(b"\xe0") * 5000 + frame(300, 77), (0, 0)),
    (JPEG + (b"\xff\xe0\0\0") * 100_000, (0, 0)),
    (JPEG + frame(300, 77)[:8], (0, 0)),
    (JPEG, (0, 0)),
    (b"\x89PNG" + frame(300, 77), (0, 0)),
    (b"", (0, 0)),
]


@pytest.mark.parametrize("n", range(len(JPEG_SHAPES)))
def test_the_size_of_a_jpeg_picture_is_read_from_its_header(n):
    data, expected = JPEG_SHAPES[n]
    assert jpeg_shape(data) == expected
    shapes = np.empty((1, 2), np.int64)
    find_opaque(np.frombuffer(data, np.uint8), np.zeros(1, int), np.array([len(data)]), np.empty(1, np.bool_), shapes)
    assert tuple(shapes[0]) == expected
