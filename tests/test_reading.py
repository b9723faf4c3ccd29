"""Pictures as the library takes them, in any form, and what is no picture; lengths and threads."""

import threading

import cv2
import numpy as np
import pytest
from drawn_numbers import row, texts

from experiments import rows
from fastmnist import reading
from fastmnist.errors import DataError
from fastmnist.images.files import read_file
from fastmnist.inputs import pictures
from fastmnist.kernels.numbers.contrast import close_page, fill_ink


def test_no_number_is_longer_than_its_cuts_however_long_it_is_said_to_be(some, model):
    (number,) = model.read(row(some, "11"), length=10**20)[0].numbers
    assert (number.text, number.confidence) == ("11", 0)


def test_a_fault_of_ours_costs_its_own_page(some, model, monkeypatch):
    def read_numbers(picture, *arguments):
        assert picture.shape != (9, 9)
        return find(picture, *arguments)

    find = reading.read_numbers
    monkeypatch.setattr(reading, "read_numbers", read_numbers)
    pages = model.read([row(some, "11"), np.zeros((9, 9), np.uint8), row(some, "7")])
    assert [texts([page]) for page in (pages[0], pages[2])] == [["11"], ["7"]]
    assert pages[1].error.startswith("<array>: AssertionError: ")
    assert pages[1].error.endswith(": this is a bug in fastmnist")


@pytest.mark.parametrize("length", [0, -1, (3, 2), (0, 4), (3,), "3", 2.5, (1.0, 4.0)])
def test_an_impossible_length_is_an_error(length, some, model):
    with pytest.raises(DataError, match=r"length .*, expected a number of digits"):
        model.read(row(some, "1"), length=length)


def test_pictures_come_in_any_form(some, model, tmp_path):
    picture = row(some, "314", scale=3.0)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    encoded = (tmp_path / "a.png").read_bytes()
    cv2.imwritemulti(str(tmp_path / "b.tiff"), [picture, np.full((90, 90), 255, np.uint8), row(some, "7")])
    pages = model.read([tmp_path / "a.png", encoded, picture, picture / 255, np.dstack([picture] * 3), str(tmp_path)])
    assert [[number.text for number in page.numbers] for page in pages] == [["314"]] * 6 + [["314"], [], ["7"]]
    assert [page.number for page in pages] == [0, 1, 2, 3, 4, 5, 6, 6, 6]
    assert [page.page for page in pages] == [None] * 6 + [0, 1, 2]
    assert [page.path.rpartition(b"/")[2] for page in pages[:3]] == [b"a.png", b"<bytes>", b"<array>"]
    assert "b.tiff: no number found" in pages[7].error


def test_paths_in_a_list_are_read_at_once(some, model, tmp_path, monkeypatch):
    paths = [tmp_path / f"{text}.png" for text in ("31", "42")]
    for path in paths:
        cv2.imwrite(str(path), row(some, path.stem))
    both = threading.Barrier(2, timeout=60)

    def read_together(path):
        both.wait()
        return read_file(path)

    monkeypatch.setattr(pictures, "read_file", read_together)
    pages = model.read(paths, threads=2)
    assert [number.text for page in pages for number in page.numbers] == ["31", "42"]


@pytest.mark.parametrize("given", [5, None, [None], (path for path in "ab")])
def test_what_is_no_image_is_an_error(given, model):
    with pytest.raises(DataError, match="an image of type"):
        model.read(given)


def test_a_length_may_be_a_number_of_numpy(some, model):
    assert texts(model.read(row(some, "314"), length=np.int64(3))) == ["314"]


@pytest.mark.parametrize("array", [np.zeros((2, 28, 28), np.uint8), np.zeros((0, 5), np.uint8), np.zeros(7, np.uint8)])
def test_what_is_no_picture_is_an_error(array, model):
    with pytest.raises(DataError, match=r"an array of shape .*, expected one picture"):
        model.read(array)


def test_what_is_no_picture_is_found_before_anything_is_read(model, monkeypatch):
    monkeypatch.setattr(reading, "_item", None)
    with pytest.raises(DataError, match="expected one picture"):
        model.read([np.zeros((30, 30), np.uint8), np.zeros(7, np.uint8)])


def test_threads_and_calls_at_once_change_nothing(digits, model, tmp_path):
    for number, picture in enumerate(rows.draw("paper", rows.Digits(*digits), 30)):
        (tmp_path / f"{number:02}.jpg").write_bytes(picture.rendering.content)
    expected = model.read(tmp_path, threads=1)
    found = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: model.read(tmp_path, threads=n)})) for n in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[2] == found[3] == expected


def test_arrays_that_lie_otherwise_in_memory_are_read_by_the_same_kernels(some, model):
    plain = row(some, "4051")
    expected = texts(model.read(plain))
    strided, fixed = np.repeat(plain, 2, axis=1)[:, ::2], plain.copy()
    fixed.flags.writeable = False
    n_compiled = [len(kernel.signatures) for kernel in (fill_ink, close_page)]
    assert [texts([read]) for read in model.read([strided, fixed])] == [expected, expected]
    assert [len(kernel.signatures) for kernel in (fill_ink, close_page)] == n_compiled


def test_several_arrays_are_read_at_a_time(model, monkeypatch):
    barrier, arrays = threading.Barrier(2, timeout=60), [np.full((20, 20), grey, np.uint8) for grey in (10, 20)]

    def read(picture, number, _reader):
        barrier.wait()  # until the other one is read too
        return pictures.Item(b"%d" % picture[0, 0], number, ["nothing"])

    monkeypatch.setattr(reading, "_item", read)
    assert [page.path for page in model.read(arrays, threads=2)] == [b"10", b"20"]
