import gzip
import os
import sys
import threading

import cv2
import numpy as np
import pytest
from conftest import noted

from fastmnist.images import preprocess
from fastmnist.inputs import paths, workers
from fastmnist.inputs.idx import write_images, write_labels
from fastmnist.inputs.stream import open_stream


def picture(seed):
    """A 28x28 picture, different for every seed."""
    return np.random.default_rng(seed).integers(1, 256, (28, 28), dtype=np.uint8)


def png(seed=0):
    return cv2.imencode(".png", picture(seed))[1].tobytes()


def make(folder, *names, data=None):
    """Write a picture under each of `names`; its seed is its position."""
    for seed, name in enumerate(names):
        path = os.path.join(os.fsencode(folder), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(png(seed) if data is None else data)


def read(*inputs, **settings):
    """Return all rows as (path, index, pixels, error), and the notes."""
    rows = []
    with noted() as notes:
        batches = list(open_stream(inputs, "none", **settings))
    for batch in batches:
        n_rows = len(batch.pixels)
        assert batch.pixels.shape == (n_rows, 784)
        assert batch.pixels.dtype == np.uint8
        assert len(batch.paths) == len(batch.indices) == len(batch.numbers) == n_rows
        assert batch.numbers == range(len(rows), len(rows) + n_rows)
        for row in range(n_rows):
            rows.append((batch.paths[row], batch.indices[row], batch.pixels[row].copy(), batch.errors.get(row)))
        assert set(batch.errors) <= set(range(n_rows))
    return rows, notes


def names_of(rows):
    return [row[0] for row in rows]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files_folders_and_idx_files_come_in_the_order_given(here):
    make(here, "z.png", "folder/b.png", "folder/a.png", "a.png")
    images = np.stack([picture(10), picture(11), picture(12)])
    write_images("set.idx", images)
    rows, notes = read("z.png", b"folder", "set.idx", "a.png", "set.idx", batch_size=2)
    assert [(name, index) for name, index, _, _ in rows] == [
        (b"z.png", None),
        (b"folder/a.png", None),
        (b"folder/b.png", None),
        *((b"set.idx", index) for index in range(3)),
        (b"a.png", None),
        *((b"set.idx", index) for index in range(3)),
    ]
    for (_, _, pixels, error), seed in zip(rows, [0, 2, 1, 10, 11, 12, 3, 10, 11, 12], strict=True):
        assert error is None
        np.testing.assert_array_equal(pixels, picture(seed).reshape(-1))
    assert notes == []


def test_folders_are_walked_in_byte_order_of_full_paths(here):
    names = [b"a.png", b"a/b.png", b"a-b.png", b"a/b/c.png", b"a0.png", b"B.png", b"\xff.png", b"a/b-c.png", b"b/a.png"]
    make(here / "top", *names)
    expected = sorted(b"top/" + name for name in names)
    assert names_of(read("top")[0]) == expected
    assert names_of(read("top/")[0]) == expected
    assert names_of(read(".")[0]) == [b"./" + name for name in expected]


def test_a_folder_deeper_than_the_recursion_limit_is_walked(here):
    depth = sys.getrecursionlimit() + 100
    folder = "d"
    os.mkdir(folder)
    for _ in range(depth):
        folder += "/d"
        os.mkdir(folder)
    make(here, folder + "/a.png")
    rows, _ = read("d")
    assert names_of(rows) == [os.fsencode(folder) + b"/a.png"]
    os.unlink(folder + "/a.png")
    os.removedirs(folder)  # pytest's own clean-up recurses


def test_in_folders_suffixes_count_in_any_case_and_none_is_an_image_too(here):
    make(
        here / "in",
        "a.PNG",
        "b.jpeg",
        "c.TiF",
        "no_suffix",
        "d.txt",
        "e.png.bak",
        "f.json",
        ".hidden.png",
        ".hid/g.png",
    )
    rows, notes = read("in")
    assert names_of(rows) == [b"in/a.PNG", b"in/b.jpeg", b"in/c.TiF", b"in/no_suffix"]
    assert [row[3] for row in rows] == [None] * 4
    assert notes == ["ignored 3 files without an image suffix"]


def test_a_file_named_as_an_argument_counts_whatever_its_name(here):
    make(here, "a.txt", ".hidden")
    rows, notes = read("a.txt", ".hidden")
    assert [(row[0], row[3]) for row in rows] == [(b"a.txt", None), (b".hidden", None)]
    assert notes == []


def test_links_to_files_are_read_links_to_folders_only_as_arguments(here):
    make(here, "real/a.png")
    os.mkdir("in")
    os.symlink("../real/a.png", "in/link.png")
    os.symlink("../real", "in/folder")
    os.symlink("..", "in/up.png")
    rows, notes = read("in")
    assert [(row[0], row[3]) for row in rows] == [(b"in/link.png", None)]
    assert notes == ["ignored 2 symbolic links to a folder"]
    assert names_of(read("in/folder")[0]) == [b"in/folder/a.png"]


def test_broken_links_and_fifos_named_like_images_keep_their_rows(here):
    make(here, "in/c.png")
    os.symlink("missing", "in/a.png")
    os.symlink("b.png", "in/b.png")
    os.mkfifo("in/d.png")
    os.mkfifo("in/e")
    rows, _ = read("in")
    assert names_of(rows) == [b"in/a.png", b"in/b.png", b"in/c.png", b"in/d.png", b"in/e"]
    assert [row[3] is None for row in rows] == [False, False, True, False, False]


def test_idx_files_in_folders_are_not_read_and_the_note_names_the_first(here):
    make(here / "in", "a.png", "train-labels-idx1-ubyte.gz", "x.idx3-ubyte")
    write_images("in/t10k", picture(0)[None])
    with open("in/t10k", "rb") as plain, gzip.open("in/zipped", "wb") as zipped:
        zipped.write(plain.read())
    rows, notes = read("in")
    assert names_of(rows) == [b"in/a.png"]
    (note,) = notes
    assert note.startswith("ignored 4 IDX files inside folders, first in/")
    assert "name an IDX file directly" in note


def test_an_empty_folder_is_noted(here):
    os.mkdir("empty")
    assert read("empty") == ([], ["empty: holds no images"])


def test_missing_and_refused_inputs_keep_one_row_each(here):
    make(here, "a.png")
    write_labels("labels.idx", np.zeros(5, np.uint8))
    write_images("cut.idx", np.zeros((2, 28, 28), np.uint8))
    os.truncate("cut.idx", 1000)
    os.mkfifo("fifo")
    rows, _ = read("missing", "labels.idx", "a.png", "cut.idx", "fifo", "")
    assert names_of(rows) == [b"missing", b"labels.idx", b"a.png", b"cut.idx", b"fifo", b""]
    for name, index, pixels, error in rows:
        assert index is None
        if name == b"a.png":
            assert error is None
        else:
            assert not pixels.any()
            assert error.startswith(name.decode() + ": ")
            assert error.isprintable()


def test_an_unreadable_folder_is_one_row_and_the_rest_is_read(here, monkeypatch):
    make(here / "in", "a/x.png", "b/x.png", "c/x.png")
    really_scan = os.scandir

    def scan(path):
        if path == b"in/b/":
            raise PermissionError(13, "Permission denied")
        return really_scan(path)

    monkeypatch.setattr(paths.os, "scandir", scan)
    rows, notes = read("in", "in/b")
    assert names_of(rows) == [b"in/a/x.png", b"in/b", b"in/c/x.png", b"in/b"]
    assert [row[3] is None for row in rows] == [True, False, True, False]
    assert rows[1][3] == "in/b: Permission denied, expected a folder that can be listed; check its permissions"
    assert notes == []


@pytest.mark.usefixtures("no_notes")
@pytest.mark.parametrize("compressed", [False, True])
def test_idx_rows_carry_their_position_over_all_batches(here, compressed):
    path = "images.gz" if compressed else "images"
    images = np.stack([picture(seed) for seed in range(10)])
    write_images(path, images)
    batches = list(open_stream([path], "none", batch_size=4))
    assert [batch.indices for batch in batches] == [range(4), range(4, 8), range(8, 10)]
    assert all(batch.paths == [os.fsencode(path)] * len(batch.pixels) for batch in batches)
    np.testing.assert_array_equal(np.concatenate([batch.pixels for batch in batches]), images.reshape(10, 784))
    assert all(batch.errors == {} for batch in batches)


def test_an_idx_file_without_images_gives_no_row(here):
    write_images("none.idx", np.zeros((0, 28, 28), np.uint8))
    assert read("none.idx") == ([], [])


@pytest.mark.usefixtures("no_notes")
def test_an_idx_file_that_fails_on_the_way_keeps_its_rows_and_adds_one_for_the_error(here):
    write_images("images.idx", np.stack([picture(seed) for seed in range(6)]))
    make(here, "a.png")
    stream = open_stream(["images.idx", "a.png"], "none", batch_size=4)
    first = next(stream)
    assert (first.indices, len(first.pixels)) == (range(4), 4)
    os.truncate("images.idx", 4000)
    failed, last = stream
    assert (failed.paths, failed.indices, failed.pixels.any()) == ([b"images.idx"], [None], False)
    assert failed.errors[0].startswith("images.idx: ")
    assert (last.paths, last.errors) == ([b"a.png"], {})


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [7, 100, 4096])
def test_one_corrupt_file_among_100_costs_only_itself(here, monkeypatch, threads, batch_size):
    monkeypatch.setattr(workers, "CHUNK", 3)
    names = [f"{seed:03}.png" for seed in range(100)]
    make(here / "in", *names)
    make(here / "in", names[42], data=png(42)[:-40])
    rows, notes = read("in", threads=threads, batch_size=batch_size)
    assert names_of(rows) == [b"in/" + name.encode() for name in names]
    for seed, (_, index, pixels, error) in enumerate(rows):
        assert index is None
        np.testing.assert_array_equal(pixels, 0 if seed == 42 else picture(seed).reshape(-1))
        assert (error is not None) == (seed == 42)
    assert rows[42][3].startswith("in/042.png: ")
    assert notes == []


@pytest.mark.usefixtures("no_notes")
def test_files_of_several_inputs_share_a_batch(here):
    make(here, "a.png", "in/b.png", "c.png")
    (batch,) = open_stream(["a.png", "missing", "in", "c.png"], "none")
    assert batch.paths == [b"a.png", b"missing", b"in/b.png", b"c.png"]
    assert list(batch.errors) == [1]


def test_hostile_names_are_read(here):
    names = sorted(
        [
            b"new\nline.png",
            b"com,ma.png",
            b'qu"ote.png',
            b"=1.png",
            b"\xff\xfe.png",
            "\N{SLIGHTLY SMILING FACE}".encode(),
        ]
    )
    make(here / "in", *names)
    rows, _ = read("in")
    assert names_of(rows) == [b"in/" + name for name in names]
    assert [row[3] for row in rows] == [None] * len(names)
    rows, _ = read(*map(os.fsdecode, names_of(rows)))
    assert names_of(rows) == [b"in/" + name for name in names]


def decode_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


@pytest.mark.usefixtures("no_notes")
def test_closing_early_ends_the_threads_and_at_most_two_batches_were_begun(here, monkeypatch):
    make(here / "in", *(f"{seed:03}.png" for seed in range(100)))
    decoded = []
    really_decode = preprocess.decode_opaque

    def decode(data, divisor):
        decoded.append(data)
        return really_decode(data, divisor)

    monkeypatch.setattr(preprocess, "decode_opaque", decode)
    stream = open_stream(["in"], "none", batch_size=10, threads=2)
    next(stream)
    assert decode_threads()
    stream.close()
    assert not decode_threads()
    assert 10 <= len(decoded) <= 20


def test_an_unexpected_exception_in_a_thread_comes_out_and_ends_the_threads(here, monkeypatch):
    make(here, "a.png")
    monkeypatch.setattr(preprocess, "decode_opaque", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        read("a.png", threads=2)
    assert not decode_threads()


@pytest.mark.usefixtures("no_notes")
def test_nothing_is_read_before_the_first_batch_is_asked_for(here):
    stream = open_stream(["late.png"], "none")
    make(here, "late.png")
    assert next(stream).errors == {}
