"""Zip files of pictures: read as folders are, within bounds, and never extracted."""

import io
import os
import struct
import tracemalloc
import zipfile

import cv2
import numpy as np
import pytest
from test_inputs_npz import rows_of

from fastmnist.inputs import archive
from fastmnist.inputs.paths import count_rows
from fastmnist.inputs.selection import Selection


def picture(seed):
    return np.random.default_rng(seed).integers(1, 256, (28, 28), dtype=np.uint8)


def png(seed=0):
    return cv2.imencode(".png", picture(seed))[1].tobytes()


def zip_bytes(members, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return file.getvalue()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def errors_of(*inputs, **settings):
    return [(row[0], row[3]) for row in rows_of(*inputs, **settings)[0]]


NAMES = ["b.PNG", "a/b/c.png", "a/b.png", "a-b.png", "no_suffix", "é.png"]
IGNORED = ["notes.txt", ".hidden.png", ".git/a.png", "__MACOSX/._a.png", "a/data.csv"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_file_is_read_as_the_folder_that_was_zipped(method, here):
    members = {name: png(seed) for seed, name in enumerate(NAMES)} | {name: png(99) for name in IGNORED}
    (here / "set.zip").write_bytes(zip_bytes(members, method))
    for name, content in members.items():
        path = here / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    from_zip, notes = rows_of("set.zip")
    from_folder, folder_notes = rows_of("folder")
    assert [row[0].replace(b"set.zip", b"folder") for row in from_zip] == [row[0] for row in from_folder]
    for row, expected in zip(from_zip, from_folder, strict=True):
        np.testing.assert_array_equal(row[2], expected[2])
        assert row[1] is row[3] is None
    assert notes == folder_notes == ["ignored 2 files without an image suffix"]
    assert count_rows(["set.zip"]) == len(NAMES)
    assert sorted(os.listdir(here)) == ["folder", "set.zip"]


def test_names_that_begin_with_a_dot_and_a_slash_are_not_hidden(here):
    (here / "set.zip").write_bytes(zip_bytes({"./a/1.png": png(1), "././2.png": png(2), "./.b/3.png": png(3)}))
    assert errors_of("set.zip") == [(b"set.zip/2.png", None), (b"set.zip/a/1.png", None)]
    assert errors_of("set.zip/a") == [(b"set.zip/a/1.png", None)]


def test_what_is_in_a_zip_file_can_be_named_itself(here):
    (here / "set.zip").write_bytes(zip_bytes({"a/1.png": png(1), "a/2.png": png(2), "a0.png": png(3), "x.txt": png(4)}))
    for given, expected in (
        (["set.zip/a/2.png"], [b"a/2.png"]),
        (["set.zip/a"], [b"a/1.png", b"a/2.png"]),
        (["set.zip/a/"], [b"a/1.png", b"a/2.png"]),
        (["set.zip/"], [b"a/1.png", b"a/2.png", b"a0.png"]),
        (["set.zip/x.txt", "set.zip/a"], [b"x.txt", b"a/1.png", b"a/2.png"]),
    ):
        assert errors_of(*given) == [(b"set.zip/" + name, None) for name in expected]
    for missing in ("set.zip/none.png", "set.zip/a/1.png/deeper", "set.zip/A"):
        ((path, error),) = errors_of(missing)
        assert path == missing.encode()
        assert error.startswith(f"{missing}: nothing of this name in the zip file, expected")


def test_a_path_through_a_file_that_is_no_zip_file_is_not_there(here):
    (here / "a.png").write_bytes(png())
    ((path, error),) = errors_of("a.png/b.png")
    assert (path, error.partition(",")[0]) == (b"a.png/b.png", "a.png/b.png: Not a directory")
    (here / "a.zip").write_bytes(ONE[:-1])
    ((path, error),) = errors_of("a.zip/a.png")
    assert path == b"a.zip/a.png"
    assert "not a zip file" in error


def test_pictures_in_several_zip_files_and_beside_them_come_in_order(here):
    (here / "a.zip").write_bytes(zip_bytes({f"{k}.png": png(k) for k in range(5)}))
    (here / "b.zip").write_bytes(zip_bytes({"x.png": png(7)}))
    (here / "c.png").write_bytes(png(8))
    expected = [*(f"a.zip/{k}.png".encode() for k in range(5)), b"b.zip/x.png", b"c.png", b"a.zip/3.png"]
    inputs = ("a.zip", "b.zip", "c.png", "a.zip/3.png")
    assert [path for path, _ in errors_of(*inputs, batch_size=2)] == expected
    shards = [errors_of(*inputs, selection=Selection(k, 3), threads=2) for k in (1, 2, 3)]
    assert [path for path, _ in sorted(row for shard in shards for row in shard)] == sorted(expected)
    assert [path for path, _ in shards[1]] == expected[1::3]


def test_pages_in_a_zip_file_are_rows(here):
    ok, tiff = cv2.imencodemulti(".tiff", [picture(1), picture(2)])
    assert ok
    (here / "a.zip").write_bytes(zip_bytes({"two.tiff": tiff.tobytes()}))
    rows, _ = rows_of("a.zip")
    assert [row[:2] for row in rows] == [(b"a.zip/two.tiff", 0), (b"a.zip/two.tiff", 1)]


def test_hostile_names_are_nothing_but_names(here):
    names = ["../../up.png", "/etc/passwd.png", "new\nline.png", "\x1b[31m.png", "a/../b.png", "=1.png"]
    (here / "a.zip").write_bytes(zip_bytes(dict.fromkeys(names, b"no picture")))
    rows = errors_of("a.zip")
    visible = [name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    assert [path for path, _ in rows] == sorted(b"a.zip/" + name.encode() for name in visible)
    assert all(error.isprintable() for _, error in rows)
    assert os.listdir(here) == ["a.zip"]
    assert errors_of(rows[0][0]) == rows[:1]  # its row's path leads back to it


def test_a_bad_picture_costs_only_itself(here):
    content = zip_bytes({"a.png": png(1), "b.png": b"", "c.png": png(3)[:50], "d.png": png(4)}, zipfile.ZIP_STORED)
    place = content.index(png(4)) + 60
    (here / "a.zip").write_bytes(content[:place] + bytes((content[place] ^ 1,)) + content[place + 1 :])
    found = dict(errors_of("a.zip"))
    assert found[b"a.zip/a.png"] is None
    assert "0 bytes, expected an image of 1 to" in found[b"a.zip/b.png"]
    assert "no picture that can be read" in found[b"a.zip/c.png"]
    assert found[b"a.zip/d.png"].startswith("a.zip/d.png: Bad CRC-32")


def patched(content, **fields):
    """A zip file of one member with other numbers in its directory."""
    places = {"flags": (8, "<H"), "method": (10, "<H"), "compressed": (20, "<I"), "size": (24, "<I")}
    changed = bytearray(content)
    start = content.rindex(b"PK\1\2")
    for field, value in fields.items():
        place, form = places[field]
        struct.pack_into(form, changed, start + place, value)
    return bytes(changed)


ONE = zip_bytes({"a.png": png()})
HOSTILE = {
    "cut at its end": (ONE[:-1], "not a zip file"),
    "cut in the middle": (ONE[: len(ONE) // 2], "not a zip file"),
    "nothing": (zip_bytes({}), "no pictures, expected image files"),
    "no pictures": (zip_bytes({"train-images-idx3-ubyte.gz": b"x"}), "no pictures"),
    "encrypted": (patched(ONE, flags=1), "encrypted, expected a file without a password"),
    "of an unknown method": (patched(ONE, method=99), "compressed by 99, expected deflate"),
    "bzip2": (zip_bytes({"a.png": png()}, zipfile.ZIP_BZIP2), "compressed by bzip2, expected deflate"),
    "lzma": (zip_bytes({"a.png": png()}, zipfile.ZIP_LZMA), "compressed by lzma, expected deflate"),
    "a claim of 4 GB": (patched(ONE, size=0xFFFFFFF0), "bytes that claim to hold 4294967280"),
    "no name": (zip_bytes({"a": b"x"}).replace(b"a", b"\0"), "a file in it has no name"),
    "longer than the file": (patched(ONE, compressed=1 << 30), "its members overlap"),
    "larger than a picture may be": (zip_bytes({"a.png": bytes(65 << 20)}), "expected an image of 1 to 67108864 bytes"),
    "a claim that is too small": (patched(ONE, size=30), "Bad CRC-32"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_zip_file_is_one_row_with_a_line_that_says_why(name, here):
    content, found = HOSTILE[name]
    (here / "a.zip").write_bytes(content)
    ((path, error),) = errors_of("a.zip")
    assert path in (b"a.zip", b"a.zip/a.png")
    assert error.startswith(path.decode() + ": ")
    assert found in error
    assert "expected" in error
    assert error.isprintable()


def test_members_that_overlap_are_refused(here):
    """One deflated megabyte, and a thousand entries of the directory that all lead to it."""
    one = zip_bytes({"0000.png": bytes(1 << 20)})
    start = one.rindex(b"PK\1\2")
    end = one.rindex(b"PK\5\6")
    entry = one[start:end]
    directory = b"".join(entry.replace(b"0000", b"%04d" % k) for k in range(1000))
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1000, 1000, len(directory), start, 0)
    (here / "a.zip").write_bytes(one[:start] + directory + tail)
    ((path, error),) = errors_of("a.zip")
    assert path == b"a.zip"
    assert "its members overlap" in error


def test_a_directory_too_large_for_memory_is_refused_unread(here, monkeypatch):
    monkeypatch.setattr(archive, "MAX_DIRECTORY_BYTES", 1000)
    (here / "a.zip").write_bytes(zip_bytes({f"{k}.png": b"" for k in range(100)}))
    ((_, error),) = errors_of("a.zip")
    assert "a directory of" in error
    assert "split the zip file" in error


def test_a_bomb_costs_bounded_memory(here):
    """63 MB of zeros in 64 KB, four times: within the bound for each picture, and never all at once."""
    (here / "a.zip").write_bytes(zip_bytes({f"{k}.png": bytes(63 << 20) for k in range(4)}))
    tracemalloc.start()
    rows = errors_of("a.zip")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(rows) == 4
    assert all("no picture that can be read" in error for _, error in rows)
    assert most < 200 << 20


def test_every_cut_and_many_flips_are_refused_or_harmless(here):
    content = zip_bytes({"0/a.png": png(1), "b.png": png(2)})
    rng = np.random.default_rng(0)
    changed = [content[:length] for length in range(4, len(content), 37)]
    for place in rng.choice(len(content), 300, replace=False).tolist():
        changed.append(content[:place] + bytes((content[place] ^ (1 << rng.integers(8)),)) + content[place + 1 :])
    for data in changed:
        (here / "a.zip").write_bytes(data)
        rows, _ = rows_of("a.zip")
        for path, _, pixels, error in rows:
            if error is None:
                assert any((pixels == picture(seed).reshape(-1)).all() for seed in (1, 2)), path
            else:
                assert error.isprintable()
