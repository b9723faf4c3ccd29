import os
import socket
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest

from fastmnist.errors import DataError
from fastmnist.images import decode, files
from fastmnist.images.decode import decode_picture
from fastmnist.images.files import read_file

# Large flat areas, so that JPEG is nearly exact; asymmetric, so that a flip or a transposition shows.
PICTURE = np.kron(np.random.default_rng(1).integers(0, 256, (7, 7)), np.ones((4, 4))).astype(np.uint8)
LOSSLESS = ("png", "bmp", "pgm", "pnm", "pam", "tiff", "webp")


def decode_image(path):
    return decode_picture(read_file(path), path)


def encoded(suffix, picture=PICTURE, settings=()):
    ok, data = cv2.imencode(f".{suffix}", picture, settings)
    assert ok
    return data.tobytes()


def colour(picture=PICTURE):
    return np.dstack([picture] * 3)


def written(tmp_path, data, name="picture"):
    path = os.path.join(os.fsencode(tmp_path), os.fsencode(name))
    with open(path, "wb") as file:
        file.write(data)
    return path


def refusal(path):
    with pytest.raises(DataError) as caught:
        decode_image(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def png_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_header(width, height):
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    content = png_chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + header + content + png_chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_a_picture_is_read_exactly_whatever_its_suffix_says(tmp_path, suffix):
    pixels = decode_image(written(tmp_path, encoded(suffix), "picture.jpg"))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, PICTURE)


def difference(pixels, expected):
    assert pixels.dtype == np.uint8
    return np.abs(pixels.astype(int) - expected).max()


@pytest.mark.parametrize(
    ("suffix", "settings"),
    [
        ("jpg", ()),
        ("jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
        ("avif", (cv2.IMWRITE_AVIF_QUALITY, 100)),
    ],
)
def test_a_lossy_picture_is_read_within_its_own_loss(tmp_path, suffix, settings):
    assert difference(decode_image(written(tmp_path, encoded(suffix, settings=settings))), PICTURE) <= 5


def test_colour_gif_bitmap_and_16_bit_become_grey_uint8(tmp_path):
    black_and_white = (PICTURE > 127).astype(np.uint8) * 255
    for data, expected, loss in (
        (encoded("png", colour()), PICTURE, 0),
        (encoded("gif", colour(black_and_white)), black_and_white, 35),  # OpenCV writes 3 bits per colour
        (encoded("pbm", black_and_white), black_and_white, 0),
        (encoded("png", PICTURE.astype(np.uint16) * 257), PICTURE, 0),
    ):
        assert difference(decode_image(written(tmp_path, data)), expected) <= loss


TRUNCATED = {suffix: encoded(suffix) for suffix in (*LOSSLESS, "jpg", "pbm")} | {
    "gif": encoded("gif", colour()),
    "ppm": encoded("ppm", colour()),
    "progressive jpg": encoded("jpg", settings=(cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
}


@pytest.mark.parametrize("kind", TRUNCATED)
def test_a_truncated_picture_is_an_error_wherever_it_is_cut(tmp_path, kind):
    data = TRUNCATED[kind]
    whole = decode_image(written(tmp_path, data))
    assert whole.shape == (28, 28)
    # A TIFF ends with the 4-byte position of the next picture, which is not needed for the first one.
    last = len(data) - 4 if kind == "tiff" else len(data)
    for length in range(1, last):
        assert "cut short" in refusal(written(tmp_path, data[:length]))


@pytest.mark.parametrize("data", [b"hello", b"\0" * 784, b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_whole_number_picture_is_refused(tmp_path, data):
    assert "no picture that can be read" in refusal(written(tmp_path, data))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int16", "int8"])
def test_pixels_of_another_type_are_refused_by_name(dtype, tmp_path):
    data = encoded("tiff", (PICTURE // 2).astype(dtype))
    told = f"picture: {dtype} pixels, expected uint8 or uint16; convert it"
    assert refusal(written(tmp_path, data)).endswith(told)


@pytest.mark.parametrize("content", [b"<svg/>", b"<?xml version='1.0'?><svg/>"])
def test_a_drawing_of_lines_and_curves_is_refused_by_name(tmp_path, content):
    assert "a vector (SVG) picture, expected a whole PNG" in refusal(written(tmp_path, content))


@pytest.mark.parametrize(("height", "width"), [(40, 30), (1, 1), (14, 56), (28, 27)])
def test_a_picture_may_have_any_size(tmp_path, height, width):
    picture = np.random.default_rng(0).integers(0, 256, (height, width), np.uint8)
    np.testing.assert_array_equal(decode_image(written(tmp_path, encoded("png", picture))), picture)


def png(picture, bit_depth, colour_type, *chunks):
    """A PNG file made by hand: rows of whole bytes, of any kind that the format has."""
    height, width = picture.shape[0], picture.shape[1] * (8 // min(bit_depth, 8))
    header = struct.pack(">IIBBBBB", width, height, bit_depth, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in picture)
    parts = (png_chunk(b"IHDR", header), *chunks, png_chunk(b"IDAT", zlib.compress(rows)), png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_one_bit_and_palette_pictures_are_read_for_what_they_show(tmp_path):
    bits = np.random.default_rng(1).integers(0, 256, (8, 2), np.uint8)
    expected = np.unpackbits(bits, axis=1) * 255
    np.testing.assert_array_equal(decode_image(written(tmp_path, png(bits, 1, 0))), expected)
    palette = bytes(channel for grey in range(255, -1, -1) for channel in (grey, grey, grey))
    indexed = png(PICTURE, 8, 3, png_chunk(b"PLTE", palette))
    np.testing.assert_array_equal(decode_image(written(tmp_path, indexed)), 255 - PICTURE)


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, suffix, bits):
    most = 2**bits - 1
    picture = np.rint(PICTURE / 255 * most).astype(np.uint16)
    picture[0, 0] = most
    expected = PICTURE.copy()
    expected[0, 0] = 255
    assert difference(decode_image(written(tmp_path, encoded(suffix, picture))), expected) <= 1


@pytest.mark.parametrize(("ink", "background"), [(0, 255), (60, 255), (255, 0), (200, 0)])
@pytest.mark.parametrize("kind", ["bgra", "grey and alpha", "palette", "webp"])
def test_transparent_ink_is_laid_over_what_shows_it(tmp_path, ink, background, kind):
    alpha = np.zeros((30, 20), np.uint8)
    alpha[5:25, 8:12] = 255
    hidden = np.where(alpha > 0, ink, 77).astype(np.uint8)
    if kind == "palette":
        palette = bytes([77, 77, 77, ink, ink, ink])
        chunks = png_chunk(b"PLTE", palette), png_chunk(b"tRNS", b"\0\xff")
        data = png((alpha > 0).astype(np.uint8), 8, 3, *chunks)
    elif kind == "grey and alpha":
        data = png(np.dstack([hidden, alpha]), 8, 4)
    else:
        data = encoded("png" if kind == "bgra" else kind, np.dstack([hidden] * 3 + [alpha]))
    expected = np.where(alpha > 0, ink, background)
    assert difference(decode_image(written(tmp_path, data)), expected) <= 1


def test_paper_with_transparent_corners_counts_as_paper(tmp_path):
    paper = np.full((30, 30), 240, np.uint8)
    paper[10:20, 14:16] = 10
    alpha = np.full((30, 30), 255, np.uint8)
    alpha[:3, :3] = 0
    assert decode_image(written(tmp_path, encoded("png", np.dstack([paper] * 3 + [alpha]))))[:3, :3].min() == 255


@pytest.mark.parametrize(("ink", "background"), [(0, 255), (255, 0), (40, 255)])
def test_a_bold_digit_that_fills_most_of_its_picture_is_ink(tmp_path, ink, background):
    alpha = np.zeros((30, 20), np.uint8)
    alpha[2:28, 3:18] = 255  # two thirds
    picture = np.dstack([np.full((30, 20, 3), ink, np.uint8), alpha])
    expected = np.where(alpha > 0, ink, background)
    np.testing.assert_array_equal(decode_image(written(tmp_path, encoded("png", picture))), expected)


def test_an_alpha_channel_without_anything_visible_is_not_used(tmp_path):
    data = encoded("png", np.dstack([PICTURE] * 3 + [np.zeros_like(PICTURE)]))
    np.testing.assert_array_equal(decode_image(written(tmp_path, data)), PICTURE)


UPRIGHT = {  # EXIF 2.32, tag 0x0112: where the stored picture's first row and first column are
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.T,
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].T,
    8: lambda p: np.rot90(p),
}


def exif(orientation, order):
    mark = b"II" if order == "<" else b"MM"
    entries = struct.pack(f"{order}HHHII", 2, 0x0100, 3, 1, 0) + struct.pack(
        f"{order}HHIHH", 0x0112, 3, 1, orientation, 0
    )
    return mark + struct.pack(f"{order}HI", 42, 8) + entries + struct.pack(f"{order}I", 0)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["jpg", "png", "png with alpha", "webp with alpha"])
def test_the_exif_orientation_is_applied(tmp_path, kind, orientation, order):
    picture = np.kron(np.random.default_rng(1).integers(0, 256, (3, 5)), np.ones((8, 8))).astype(np.uint8)
    block = exif(orientation, order)
    alpha = np.full_like(picture, 255)
    alpha[0, 0] = 254
    if kind == "jpg":
        data = encoded("jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, 100))
        segment = b"Exif\0\0" + block
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    elif kind == "png":
        data = png(picture, 8, 0, png_chunk(b"eXIf", block))
    elif kind == "png with alpha":
        data = png(np.dstack([picture, alpha]), 8, 4, png_chunk(b"eXIf", block))
    else:
        ok, data = cv2.imencodeWithMetadata(
            ".webp", np.dstack([picture] * 3 + [alpha]), [cv2.IMAGE_METADATA_EXIF], [np.frombuffer(block, np.uint8)]
        )
        assert ok
        data = data.tobytes()
    assert difference(decode_image(written(tmp_path, data)), UPRIGHT[orientation](picture)) <= 3


@pytest.mark.parametrize("block", [b"", b"II", b"II*\0\xff\xff\xff\x7f", exif(6, "<")[:14], b"XX" + exif(6, "<")[2:]])
def test_a_damaged_exif_block_changes_nothing(tmp_path, block):
    alpha = np.full_like(PICTURE, 255)
    alpha[0, 0] = 254
    data = png(np.dstack([PICTURE, alpha]), 8, 4, png_chunk(b"eXIf", block))
    assert difference(decode_image(written(tmp_path, data)), PICTURE) <= 1


def test_an_empty_file_is_refused(tmp_path):
    assert "0 bytes, expected an image" in refusal(written(tmp_path, b""))


def test_a_file_over_64_megabytes_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = written(tmp_path, encoded("bmp"))
    os.truncate(path, 64 * 1024 * 1024)
    np.testing.assert_array_equal(decode_image(path), PICTURE)  # a BMP doesn't mind what follows it
    os.truncate(path, 64 * 1024 * 1024 + 1)
    monkeypatch.setattr(decode, "decode_picture", None)
    message = refusal(path)
    assert "67108865 bytes" in message
    assert "64 MB" in message


def test_50_megapixels_are_read(tmp_path):
    path = written(tmp_path, encoded("png", np.zeros((7000, 7142), np.uint8), (cv2.IMWRITE_PNG_COMPRESSION, 1)))
    assert decode_image(path).shape == (7000, 7142)


def test_folder_fifo_socket_device_and_missing_file_are_refused_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "socket"))
    os.symlink("loop", tmp_path / "loop")
    for name, found in (
        ("", "a folder"),
        ("fifo", "a FIFO, socket or device"),
        ("socket", "a FIFO, socket or device"),
        ("/dev/null", "a FIFO, socket or device"),
        ("missing", "No such file"),
        ("loop", "symbolic links"),
    ):
        assert found in refusal(os.fsencode(tmp_path / name))


def test_a_file_exchanged_for_a_fifo_after_its_check_does_not_block(tmp_path, monkeypatch):
    path = written(tmp_path, encoded("png"))
    really_open = os.open

    def exchange_and_open(name, *args):
        os.unlink(name)
        os.mkfifo(name)
        return really_open(name, *args)

    monkeypatch.setattr(files.os, "open", exchange_and_open)
    assert "0 bytes, expected" in refusal(path)


@pytest.mark.parametrize("length", [100, 10_000])
def test_a_file_that_changes_while_it_is_read_is_refused_or_read_as_it_was(tmp_path, monkeypatch, length):
    path = written(tmp_path, encoded("bmp"))
    really_open = os.open

    def change_and_open(name, *args):
        os.truncate(path, length)
        return really_open(name, *args)

    monkeypatch.setattr(files.os, "open", change_and_open)
    if length == 100:
        assert "it changed while it was read" in refusal(path)
    else:
        np.testing.assert_array_equal(decode_image(path), PICTURE)


@pytest.mark.parametrize("name", [b"\xff\xfe.png", b"new\nline", "\N{SLIGHTLY SMILING FACE}".encode(), b'=1,"2"\r'])
def test_hostile_names_are_read_and_printed_in_one_line(tmp_path, name):
    np.testing.assert_array_equal(decode_image(written(tmp_path, encoded("png"), name)), PICTURE)
    assert refusal(written(tmp_path, b"x", name)).isprintable()


@pytest.mark.parametrize(
    ("suffix", "name"), [("ras", "Sun raster"), ("hdr", "Radiance"), ("pfm", "PFM")], ids=["ras", "hdr", "pfm"]
)
def test_formats_that_opencv_reads_wrongly_are_refused_by_name(tmp_path, suffix, name):
    picture = PICTURE if suffix == "ras" else np.float32(1 / 255) * colour()
    assert f"a {name} picture" in refusal(written(tmp_path, encoded(suffix, picture)))


def test_no_format_goes_through_a_shared_temporary_folder(tmp_path, monkeypatch):
    radiance = np.frombuffer(encoded("hdr", np.float32(1 / 255) * colour()), np.uint8)
    assert cv2.imdecode(radiance, cv2.IMREAD_GRAYSCALE) is not None
    monkeypatch.setenv("OPENCV_TEMP_PATH", str(tmp_path / "missing"))
    assert cv2.imdecode(radiance, cv2.IMREAD_GRAYSCALE) is None  # what going through it looks like
    for data in TRUNCATED.values():
        assert decode_image(written(tmp_path, data)).shape == (28, 28)


def stderr_of(tmp_path, script, shell_redirection=""):
    # Neither OpenCV's settings, which this process may have made, nor a changed buffering of stderr.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OPENCV", "PYTHON"))}
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {shell_redirection}', sys.executable, script],
        cwd=tmp_path,
        env=env | {"PYTHONPATH": os.path.dirname(os.path.dirname(__file__))},
        capture_output=True,
        check=True,
    )
    return done.stderr.decode()


def test_opencv_is_loaded_by_the_first_picture_only(tmp_path):
    script = (
        "import sys, fastmnist.inputs.stream, fastmnist.output.atomic\n"
        "print([name for name in ('cv2', 'click') if name in sys.modules], file=sys.stderr)"
    )
    assert stderr_of(tmp_path, script) == "[]\n"


def test_over_50_megapixels_are_refused_from_the_header_in_little_memory(tmp_path):
    # In a process of its own: OpenCV reads its bound once, and another test may have loaded it before.
    sizes = ((7072, 7071), (20_000, 20_000))
    paths = [written(tmp_path, png_header(*size), f"{size[0]}.png") for size in sizes]
    script = f"""
import resource, sys
from fastmnist.images.decode import decode_picture
from fastmnist.images.files import read_file
from fastmnist.errors import DataError
decode_image = lambda path: decode_picture(read_file(path), path)
decode_image({written(tmp_path, encoded("png"), "small.png")!r})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in {paths!r}:
    try:
        decode_image(path)
    except DataError as error:
        print(error, file=sys.stderr)
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000
"""
    lines = stderr_of(tmp_path, script).splitlines()
    assert len(lines) == len(paths)
    assert all("too many pixels, expected at most 50 megapixels" in line for line in lines), lines


def test_a_chunk_that_goes_on_beyond_its_png_file_costs_no_memory(tmp_path):
    """OpenCV would make room for 1.8 GB, and fill it with nothing."""
    sound = encoded("png")
    place = sound.index(b"IDAT")
    path = written(tmp_path, sound[: place - 4] + b"\x6f\0\0\0" + sound[place:], "long.png")
    script = f"""
import resource, sys
from fastmnist.errors import DataError
from fastmnist.images.decode import decode_picture
decode_picture({sound!r}, b"small.png")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode_picture(open({path!r}, "rb").read(), b"long.png")
except DataError as error:
    print(error, file=sys.stderr)
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000
"""
    assert stderr_of(tmp_path, script).startswith("long.png: no picture that can be read")
