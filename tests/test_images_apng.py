"""Animated PNG files: their frames are those of OpenCV, and damaged ones, on which OpenCV crashes, are refused."""

import shutil
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastmnist.errors import DataError
from fastmnist.images import apng
from fastmnist.images.decode import decode_colours, decode_picture
from fastmnist.images.pages import decode_pages, may_have_pages
from fastmnist.kernels.opaque import is_opaque

HERE = Path(__file__).parent
NONE, SOURCE = 0, 0


def drawn(seed, shape=(40, 50, 3)):
    picture = np.full(shape, 30, np.uint8)
    colour = tuple(int(value) for value in np.random.default_rng(seed).integers(60, 255, 4))
    return cv2.circle(picture, (15 + 3 * seed, 18), 9, colour[: shape[2]], 3)


def animated(pictures):
    animation = cv2.Animation()
    animation.frames, animation.durations = pictures, [100] * len(pictures)
    return cv2.imencodeanimation(".png", animation)[1].tobytes()


def chunk(kind, content=b""):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def control(number, width, height, left=0, top=0, dispose=NONE, blend=SOURCE):
    return chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, left, top, 1, 10, dispose, blend))


def rows_of(picture):
    """A picture's rows, each after a filter byte of 0, compressed."""
    height = len(picture)
    return zlib.compress(np.hstack([np.zeros((height, 1), np.uint8), picture.reshape(height, -1)]).tobytes())


def with_chunks(n, kind=b"tEXt", head=b""):
    """A grey picture of 28x28 pixels after n empty chunks."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", rows_of(np.full((28, 28), 9, np.uint8)))
    return b"".join([apng.SIGNATURE, header, head, chunk(kind) * n, pixels, chunk(b"IEND")])


def by_hand(canvas, frames, n_declared=None):
    """An animation, 8 bits: a default image that is no frame, then (picture, left, top, dispose, blend)."""
    height, width, channels = canvas.shape
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    parts = [apng.SIGNATURE, chunk(b"IHDR", header), chunk(b"acTL", struct.pack(">II", n_declared or len(frames), 0))]
    parts.append(chunk(b"IDAT", rows_of(canvas)))
    for number, (picture, left, top, dispose, blend) in enumerate(frames):
        parts.append(control(2 * number, picture.shape[1], picture.shape[0], left, top, dispose, blend))
        content = rows_of(picture)
        for part in (content[:20], content[20:]):
            parts.append(chunk(b"fdAT", struct.pack(">I", 2 * number + 1) + part))
    return b"".join([*parts, chunk(b"IEND")])


def pages(data):
    assert may_have_pages(data)
    return list(decode_pages(data, b"a.png"))


@pytest.mark.parametrize("channels", [3, 4])
def test_the_frames_are_those_of_opencv(channels):
    pictures = [drawn(seed, (40, 50, channels)) for seed in range(4)]
    if channels == 4:
        for picture in pictures:
            picture[..., 3] = 255
    data = animated(pictures)
    found = pages(data)
    assert len(found) == 4
    for page, picture in zip(found, pictures, strict=True):
        np.testing.assert_array_equal(page, cv2.cvtColor(picture[..., :3], cv2.COLOR_BGR2GRAY))
    np.testing.assert_array_equal(decode_picture(data, b""), found[0])
    np.testing.assert_array_equal(decode_colours(data), pictures[0][..., :3])


def test_parts_of_the_picture_are_laid_where_they_belong():
    full, part, other = (
        np.full((*size, 1), grey, np.uint8) for size, grey in (((6, 8), 50), ((2, 3), 200), ((3, 2), 9))
    )
    for dispose in (NONE, apng.BACKGROUND, apng.PREVIOUS):
        frames = [(full, 0, 0, NONE, SOURCE), (part, 4, 1, dispose, SOURCE), (other, 0, 3, NONE, SOURCE)]
        first, second, third = pages(by_hand(full * 0, frames))
        expected = full[..., 0].copy()
        np.testing.assert_array_equal(first, expected)
        before = expected.copy()
        expected[1:3, 4:7] = 200
        np.testing.assert_array_equal(second, expected)
        expected = expected if dispose == NONE else before
        expected[3:6, 0:2] = 9
        if dispose == apng.BACKGROUND:  # a transparent place takes the colour that shows the rest
            third[1:3, 4:7] = expected[1:3, 4:7] = 0
        np.testing.assert_array_equal(third, expected)


def test_transparent_frames_are_laid_over_what_is_there():
    full = np.full((4, 4, 4), 255, np.uint8)
    full[..., :3] = 100
    over = np.zeros((4, 4, 4), np.uint8)
    over[1, 1] = [200, 200, 200, 255]
    over[2, 2] = [200, 200, 200, 128]
    _, second = pages(by_hand(full, [(full, 0, 0, NONE, SOURCE), (over, 0, 0, NONE, apng.OVER)]))
    assert second[1, 1] == 200
    assert abs(int(second[2, 2]) - 150) <= 1
    assert (second[[0, 0, 3], [0, 3, 3]] == 100).all()


def test_a_frame_beyond_the_picture_or_missing_is_an_error_of_its_own():
    full, part = np.full((6, 8, 1), 50, np.uint8), np.full((2, 3, 1), 200, np.uint8)
    beyond = by_hand(full, [(full, 0, 0, NONE, SOURCE), (part, 6, 1, NONE, SOURCE), (part, 0, 0, NONE, SOURCE)])
    assert [isinstance(page, DataError) for page in pages(beyond)] == [False, True, False]
    missing = by_hand(full, [(full, 0, 0, NONE, SOURCE), (part, 1, 1, NONE, SOURCE)], 5)
    assert [isinstance(page, DataError) for page in pages(missing)] == [False, False, True]


def test_too_many_frames_are_refused_before_they_are_read():
    full = np.full((60, 80, 1), 50, np.uint8)
    with pytest.raises(DataError, match="more than 65,535 pages; split the file"):
        pages(by_hand(full, [(full, 0, 0, NONE, SOURCE)], 4_000_000_000))


@pytest.mark.parametrize("kind", [b"IHDR", b"acTL", b"fcTL"])
def test_opencv_is_given_no_animation_whatever_is_damaged(kind):
    data = bytearray(animated([drawn(1), drawn(2)]))
    place = data.index(kind)
    data[place + 4] ^= 1  # its checksum is wrong
    assert apng.is_animated(bytes(data))
    assert b"acTL" not in apng.default_image(bytes(data))
    with pytest.raises(DataError, match=r"a\.png: no picture"):
        decode_picture(bytes(data), b"a.png")
    assert decode_colours(bytes(data)) is None


def test_one_frame_is_a_picture_and_a_plain_file_is_none():
    full = np.full((6, 8, 1), 50, np.uint8)
    one = by_hand(full, [(full, 0, 0, NONE, SOURCE)])
    assert not may_have_pages(one)
    np.testing.assert_array_equal(decode_picture(one, b""), full[..., 0])
    assert not apng.is_animated(cv2.imencode(".png", full)[1].tobytes())
    assert not apng.is_animated(b"acTL")


def test_a_damaged_animation_costs_its_row_and_no_other(run_cli, tmp_path):
    for name in ("damaged-animation.png", "seven.png"):
        shutil.copy(HERE / name, tmp_path)
    run = run_cli("predict", "damaged-animation.png", "seven.png")
    assert run.code == 1, run.stderr
    assert run.stdout.splitlines()[1:] == [b"damaged-animation.png,,,", run.stdout.splitlines()[2]]
    assert run.stdout.splitlines()[2].startswith(b"seven.png,,7,")
    assert "damaged-animation.png: no picture that can be read" in run.stderr


ANIMATED = chunk(b"acTL", struct.pack(">II", 2, 0))


@pytest.mark.parametrize("kind", [b"tEXt", b"IDAT", b"zzZz"])
@pytest.mark.parametrize("head", [b"", ANIMATED])
def test_a_file_of_more_chunks_than_a_picture_needs_is_refused_before_it_is_decoded(kind, head):
    assert (decode_picture(with_chunks(100, head=head), b"name") == 9).all()
    data = with_chunks(apng.MAX_CHUNKS, kind, head)
    assert not is_opaque(data)
    with pytest.raises(DataError, match="name: no picture that can be read"):
        decode_picture(data, b"name")


def test_frames_take_their_colours_from_the_chunks_before_them_and_nothing_else():
    """Frames times chunks that all of them share would be a second for each 10 KB of a file."""
    canvas, frame = np.zeros((9, 9, 1), np.uint8), np.full((9, 9, 1), 200, np.uint8)
    data = by_hand(canvas, [(frame, 0, 0, NONE, SOURCE)] * 2)
    place = data.index(b"IDAT") - 4
    transparent = chunk(b"tRNS", struct.pack(">H", 200))  # of grey pictures: the grey that is transparent
    data = data[:place] + transparent + chunk(b"tEXt", b"a\0b") * 1000 + data[place:]
    first, second = apng.frames(data)
    assert first.file.count(b"tRNS") == second.file.count(b"tRNS") == 1
    assert b"tEXt" not in first.file + second.file


def test_frames_that_a_file_does_not_announce_are_bounded_too():
    side = 2_000
    frames = [(np.full((1, 1, 1), 5, np.uint8), 0, 0, NONE, SOURCE)] * 20
    data = by_hand(np.zeros((side, side, 1), np.uint8), frames, n_declared=2)
    with pytest.raises(DataError, match="20 frames of 2000x2000 pixels, expected at most 50 megapixels in all"):
        list(decode_pages(data, b"name"))
