"""Runs that are found here and read there are the rows of one stream."""

import gzip
import pickle
import zipfile

import cv2
import numpy as np
import pytest
from conftest import noted
from test_inputs_stream import here, make, picture, png  # noqa: F401  (a fixture)

from fastmnist.errors import DataError
from fastmnist.inputs import runs, stream
from fastmnist.inputs.idx import write_images
from fastmnist.inputs.runs import Run, find_picture_runs, find_runs, read_run
from fastmnist.inputs.selection import Selection
from fastmnist.inputs.stream import open_stream


@pytest.fixture
def inputs(here, monkeypatch):  # noqa: F811
    """One of each kind of input, with runs and batches so short that each has several."""
    monkeypatch.setattr(runs, "BATCH_SIZE", 8)
    monkeypatch.setattr(runs, "ARRAY_BATCHES", 2)
    monkeypatch.setattr(runs, "ZIP_ROWS", 2)
    make(here, *(f"folder/{name}.png" for name in "abcdefg"))
    (here / "folder" / "broken.png").write_bytes(b"no picture")
    (here / "folder" / "ignored.doc").touch()
    cv2.imwritemulti(str(here / "folder" / "pages.tiff"), [picture(1), picture(2), picture(3)])
    images = np.stack([picture(seed) for seed in range(50)])
    write_images(here / "plain-idx3-ubyte", images)
    write_images(here / "packed-idx3-ubyte.gz", images[:11])
    write_images(here / "emnist-idx3-ubyte", images[:20])
    write_images(here / "nothing-idx3-ubyte", images[:0])
    (here / "short-idx3-ubyte").write_bytes((here / "plain-idx3-ubyte").read_bytes()[:-1])
    np.save(here / "dim.npy", images[:30] // 2)
    np.savez(here / "set.npz", x_test=images[:9])
    table = "\n".join(",".join(map(str, image.ravel())) for image in images[:5])
    (here / "table.csv").write_text(table + "\n1,2\n")
    with zipfile.ZipFile(here / "set.zip", "w") as archive:
        for seed in range(5):
            archive.writestr(f"inner/{seed}.png", png(seed))
        archive.writestr("notes.txt", "")
    with zipfile.ZipFile(here / "empty.zip", "w"):
        pass
    (here / "damaged.zip").write_bytes(b"PK\3\4 and no more")
    return [
        "folder", "missing.png", "plain-idx3-ubyte", "folder/a.png", "packed-idx3-ubyte.gz", "emnist-idx3-ubyte",
        "nothing-idx3-ubyte", "short-idx3-ubyte", "dim.npy", "set.npz", "table.csv", "set.zip", "set.zip/inner/3.png",
        "empty.zip", "damaged.zip", "folder/b.png",
    ]  # fmt: skip


def rows_of(batches):
    """All that identifies a row and all that is known of it, images that can't be read apart."""
    return [
        (
            batch.paths[row],
            batch.indices[row],
            batch.numbers[row],
            batch.errors.get(row) or batch.pixels[row].tobytes(),
        )
        for batch in batches
        for row in range(len(batch.pixels))
    ]


def rows_by_runs(inputs, preprocess="none", selection=None, n_files=3):
    """The rows of runs that are sent to another process, each."""
    batches, found = [], list(find_runs(inputs, preprocess, selection or Selection(), lambda: n_files))
    for piece in pickle.loads(pickle.dumps(found)):
        batches += list(read_run(piece, preprocess)) if isinstance(piece, Run) else [piece]
    return rows_of(batches)


@pytest.mark.parametrize("preprocess", ["none", "auto", "mnist"])
def test_rows_and_notes_are_those_of_one_stream(inputs, preprocess):
    with noted() as expected_notes:
        expected = rows_of(open_stream(inputs, preprocess, batch_size=8))
    with noted() as notes:
        actual = rows_by_runs(inputs, preprocess)
    assert actual == expected
    assert len(expected) == 149
    assert notes == expected_notes


@pytest.mark.parametrize("n_files", [1, 2, 100])
def test_how_many_files_a_run_has_does_not_matter(inputs, n_files):
    assert rows_by_runs(inputs, n_files=n_files) == rows_of(open_stream(inputs, "none"))


@pytest.mark.parametrize("n_shards", [2, 3, 11])
def test_shards_are_those_of_one_stream(inputs, n_shards):
    for shard in range(1, n_shards + 1):
        expected = rows_of(open_stream(inputs, "none", batch_size=8, selection=Selection(shard, n_shards)))
        assert rows_by_runs(inputs, selection=Selection(shard, n_shards)) == expected


@pytest.mark.parametrize("n_known", [1, 5, 20, 47, 100])
def test_rows_that_are_known_are_not_read(inputs, n_known):
    def selection():
        left = n_known

        def count_known(paths, _indices, _numbers):
            nonlocal left
            known = min(left, len(paths))
            left -= known
            return known

        return Selection(1, 1, count_known)

    expected = rows_of(open_stream(inputs, "none", batch_size=8, selection=selection()))
    assert rows_by_runs(inputs, selection=selection()) == expected


def test_files_of_images_are_not_read_where_runs_are_found(inputs):
    found = list(find_runs(["plain-idx3-ubyte", "dim.npy", "folder"], "none", Selection(), lambda: 100))
    assert all(isinstance(piece, Run) for piece in found)
    assert [list(run.indices) for run in found[:4]] == [[*range(16)], [*range(16, 32)], [*range(32, 48)], [48, 49]]
    assert found[-1].indices is None


def test_what_is_ignored_is_counted(inputs):
    selection = Selection()
    rows_by_runs(["folder", "set.zip"], selection=selection)
    assert selection.n_ignored == 2


@pytest.mark.parametrize("n_parts", [2, 3, 16, 1000])
def test_the_parts_of_a_run_are_the_run(inputs, n_parts):
    for run in find_runs(["plain-idx3-ubyte", "folder", "set.zip"], "none", Selection(2, 3), lambda: 100):
        parts = run.split(n_parts)
        assert min(2, len(run)) <= len(parts) <= n_parts
        assert rows_of(batch for part in parts for batch in read_run(part, "none")) == rows_of(read_run(run, "none"))


def test_a_run_of_one_row_has_one_part():
    assert len(Run(["a"], range(4, 5)).split(16)) == 1


def test_a_file_that_shrinks_meanwhile_is_a_row_with_its_reason(inputs, here):  # noqa: F811
    found = list(find_runs(["plain-idx3-ubyte"], "none", Selection(), lambda: 1))
    (here / "plain-idx3-ubyte").write_bytes(b"\0\0\x08\x03")
    ((path, index, number, error),) = rows_of(read_run(found[1], "none"))
    assert (path, index, number) == (b"plain-idx3-ubyte", None, 16)
    assert "IDX header" in error


def test_what_cannot_be_read_behind_a_run_is_not_of_the_run(inputs, here):  # noqa: F811
    images = np.stack([picture(seed).ravel() for seed in range(136)]).astype(np.int16)
    images[129, 0] = 300  # no grey, behind the images that tell the scale: the block of 128 to 135 is refused
    np.save(here / "wrong.npy", images)
    *_, last_sound, wrong = find_runs(["wrong.npy"], "none", Selection(), lambda: 1)
    assert [row[1] for row in rows_of(read_run(last_sound, "none"))] == list(range(112, 128))
    ((_, _, _, error),) = rows_of(read_run(wrong, "none"))
    assert "300 in image 129" in error


def test_a_file_that_is_compressed_meanwhile_is_a_row_with_its_reason(inputs, here):  # noqa: F811
    (run, *_) = find_runs(["plain-idx3-ubyte"], "none", Selection(), lambda: 1)
    (here / "plain-idx3-ubyte").write_bytes(gzip.compress((here / "plain-idx3-ubyte").read_bytes()))
    ((_, _, _, error),) = rows_of(read_run(run, "none"))
    assert error == "plain-idx3-ubyte: another file than a moment ago; leave the file alone while it is read"


def test_pictures_of_numbers_are_found_in_order(inputs):
    found = list(find_picture_runs(["folder", "missing.png"], Selection(2, 2), lambda: 2))
    names = [[file.path for file in run.inputs] for run in found]
    assert names == [[b"folder/b.png", b"folder/c.png"], [b"folder/e.png", b"folder/g.png"], [b"missing.png"]]
    assert [list(run.numbers) for run in found] == [[1, 3], [5, 7], [9]]


def test_pictures_of_numbers_do_not_come_by_stdin():
    with pytest.raises(DataError, match=r"^<stdin>: a picture that other processes can't read, expected files"):
        list(find_picture_runs(["-"], Selection(), lambda: 2))


def test_an_image_on_stdin_is_read_here(monkeypatch):
    monkeypatch.setattr(stream, "open_stdin", lambda: png(3))
    assert rows_by_runs(["-"]) == rows_of(open_stream(["-"], "none"))
