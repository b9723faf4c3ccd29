"""The frames of a GIF file are counted, however they are written, before OpenCV decodes all of them."""

import struct

import cv2
import numpy as np
import pytest

from fastmnist.errors import DataError
from fastmnist.images import gif
from fastmnist.images.pages import decode_pages, may_have_pages

BLACK_AND_WHITE = b"\0\0\0\xff\xff\xff"
FRAME = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"  # one white pixel
WITH_TABLE = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0x80) + BLACK_AND_WHITE + b"\x02\x02\x44\x01\0"
CONTROL = b"\x21\xf9\x04\0\x01\0\0\0"
COMMENT = b"\x21\xfe\x03\x2c\x2c\x2c\x04\x21\xf9\x04\0\0"  # what frames and controls begin with, as text


def screen(width, height):
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + BLACK_AND_WHITE


@pytest.mark.parametrize(
    ("blocks", "n"),
    [
        (FRAME, 1),
        (CONTROL + FRAME, 1),
        ((CONTROL + FRAME) * 3, 3),
        (CONTROL + FRAME + FRAME * 4, 5),
        (COMMENT + FRAME + COMMENT + WITH_TABLE, 2),
        (CONTROL * 5 + FRAME, 1),
    ],
)
def test_frames_are_counted_as_opencv_decodes_them(blocks, n):
    data = screen(8, 6) + blocks + b"\x3b"
    assert gif.n_frames(data) == n
    is_read, frames = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert is_read
    assert len(frames) == n
    assert may_have_pages(data) == (n > 1)
    if n > 1:
        assert [page.shape for page in decode_pages(data, b"name")] == [(6, 8)] * n


def test_a_file_that_is_cut_has_the_frames_up_to_there():
    data = screen(8, 6) + (CONTROL + FRAME) * 3 + b"\x3b"
    counts = [gif.n_frames(data[:size]) for size in range(6, len(data) + 1)]
    assert counts == sorted(counts)
    assert counts[-1] == 3
    assert gif.n_frames(screen(8, 6) + b"?" + FRAME) == 0


def test_frames_without_a_control_are_bounded_too():
    data = screen(1000, 1000) + CONTROL * 2 + FRAME * 300 + b"\x3b"
    with pytest.raises(DataError, match="300 frames of 1000x1000 pixels, expected at most 50 megapixels in all"):
        list(decode_pages(data, b"name"))


def test_blocks_are_counted_up_to_a_bound():
    data = screen(8, 6) + b"\x21\xfe" + b"\x01a" * gif.MAX_BLOCKS + b"\0" + FRAME + b"\x3b"
    assert gif.n_frames(data) == gif.MAX_BLOCKS
