"""`fastmnist predict` among files that are broken in every way: each costs its own row, and no other."""

import csv
import io
import os
import struct
import zlib

import pytest
from test_cli_predict import HEADER, png, predict, write_pngs  # noqa: F401 (a fixture)
from test_images_decode import png_header


def broken(folder, digit):
    """Break ten of the files in ten ways; return what the error of each says."""
    sound = png(digit)
    cut, text, damaged = sound[: len(sound) // 2], b"a letter, no picture", bytearray(sound)
    damaged[40] ^= 0xFF  # within the compressed pixels, whose checksum then fails

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    bomb = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + bomb + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")

    def replace(number, content):
        path = folder / f"{number:05d}.png"
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        return path

    replace(3, b"")
    replace(17, cut)
    replace(21, text)
    replace(38, bytes(damaged))
    replace(42, bomb)
    replace(55, png_header(5, 7)[:20])
    os.truncate(replace(60, b"x"), 65 * 1024 * 1024)
    os.mkfifo(replace(71, None))
    replace(86, None).symlink_to("nowhere")
    replace(99, None).symlink_to("00099.png")
    return {
        3: "0 bytes",
        17: "no picture",
        21: "no picture",
        38: "no picture",
        42: "megapixels",
        55: "no picture",
        60: "64 MB",
        71: "FIFO",
        86: "No such file",
        99: "Too many levels of symbolic links",
    }


def test_ten_of_a_hundred_broken_in_ten_ways(predict, digits, tmp_path):  # noqa: F811
    write_pngs(tmp_path / "images", digits[0][:100])
    sound = predict("images")
    assert (sound.code, len(sound.lines)) == (0, 101)
    found = broken(tmp_path / "images", digits[0][7])
    run = predict("images")
    assert run.code == 1
    expected = [f"images/{row:05d}.png,,," if row in found else sound.lines[1 + row] for row in range(100)]
    assert run.lines == [HEADER, *expected]
    assert len(run.errors) == 10
    for line, (row, why) in zip(run.errors, found.items(), strict=True):
        assert line.startswith(f"fastmnist: error: images/{row:05d}.png: ")
        assert why in line
        assert "expected" in line
    assert run.stderr.splitlines()[-1].startswith("100 images, 10 errors, ")


NAMES = [
    b"comma,.png",
    b'quo"te.png',
    b"new\nline.png",
    b"carriage\rreturn.png",
    b"=1+1.png",
    b"\x1b[31mred.png",
    b"\xff\xfe.png",
    "\N{GRINNING FACE}.png".encode(),
    b" .png",
    b"-o.png",
]


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_hostile_names_come_back_from_the_csv_to_the_same_files(locale, predict, digits, tmp_path):  # noqa: F811
    (tmp_path / "in").mkdir()
    for row, name in enumerate(NAMES):
        (tmp_path / "in" / os.fsdecode(name)).write_bytes(png(digits[0][row]))
    run = predict("in", env={"LC_ALL": locale, "PYTHONUTF8": None})
    assert (run.code, run.errors) == (0, [])
    rows = list(csv.reader(io.StringIO(run.stdout.decode("utf-8", "surrogateescape"), newline="")))[1:]
    assert [os.fsencode(row[0]) for row in rows] == sorted(b"in/" + name for name in NAMES)
    for row in rows:
        assert (tmp_path / row[0]).read_bytes() == png(digits[0][NAMES.index(os.fsencode(row[0])[3:])])


@pytest.mark.parametrize(
    "name",
    [
        "fifo",
        "zero",
        "fifo.csv",
        "zero.csv",
        "zero-idx3-ubyte",
        "socket.png",
        "loop",
        "fifo.npz",
        "zero.npy",
        "fifo.zip",
        "zero.txt",
    ],
)
def test_special_files_as_every_kind_of_input_keep_a_row(name, predict, tmp_path):  # noqa: F811
    path = tmp_path / name
    if "fifo" in name:
        os.mkfifo(path)
    elif name == "loop":
        path.symlink_to("loop")
    elif "socket" in name:
        os.mknod(path, 0o140600)
    else:
        path.symlink_to("/dev/zero")
    run = predict(name)
    assert (run.code, run.lines) == (1, [HEADER, f"{name},,,"])
    assert len(run.errors) == 1
    assert run.errors[0].startswith(f"fastmnist: error: {name}: ")


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize(
    "name", ["fifo", "zero", "fifo.csv", "zero.csv", "fifo.npz", "zero.npy", "fifo.zip", "fifo.txt"]
)
def test_special_files_as_data_are_refused_without_blocking(command, name, run_cli, small_model, tmp_path):
    if "fifo" in name:
        os.mkfifo(tmp_path / name)
    else:
        (tmp_path / name).symlink_to("/dev/zero")
    run = run_cli(command, name, env={"FASTMNIST_MODEL": str(small_model)})
    assert (run.code, run.stdout, len(run.errors)) == (1, b"", 1)
    assert run.errors[0].startswith(f"fastmnist: error: {name}: ")
