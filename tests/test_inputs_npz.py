"""NumPy's files as inputs: what is read of them, and what is refused, in one line and without a pickle."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from conftest import noted

from fastmnist.errors import DataError
from fastmnist.inputs import npz
from fastmnist.inputs.stream import open_stream

IMAGES = np.random.default_rng(0).integers(0, 256, (300, 28, 28), dtype=np.uint8)
LABELS = (np.arange(300) % 10).astype(np.uint8)


def npy_bytes(array, **settings):
    file = io.BytesIO()
    np.save(file, array, **settings)
    return file.getvalue()


def header(text, version=1):
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes((version, 0)) + length + text


def rows_of(*inputs, preprocess="none", **settings):
    """Return the rows as (path, index, pixels, error), and what was noted."""
    with noted() as notes:
        batches = list(open_stream(inputs, preprocess, **settings))
    rows = [
        (batch.paths[row], batch.indices[row], batch.pixels[row], batch.errors.get(row))
        for batch in batches
        for row in range(len(batch.pixels))
    ]
    return rows, notes


def pixels_of(path, **settings):
    rows, _ = rows_of(os.fsencode(path), **settings)
    assert [row[3] for row in rows] == [None] * len(rows)
    assert [row[1] for row in rows] == list(range(len(rows)))
    return np.array([row[2] for row in rows])


SAME = {
    "uint8": IMAGES,
    "flat": IMAGES.reshape(-1, 784),
    "a last axis of one channel": IMAGES[..., np.newaxis],
    "a first axis of one channel": IMAGES[:, np.newaxis],
    "int64": IMAGES.astype(np.int64),
    "big-endian": IMAGES.astype(">i4"),
    "floats to 255": IMAGES.astype(np.float32),
    "floats to 1": IMAGES / 255,
    "half floats to 255": IMAGES.astype(np.float16),
}


@pytest.mark.parametrize("form", SAME)
@pytest.mark.parametrize("suffix", ["npy", "npz", "NPZ"])
def test_images_of_every_shape_and_type_are_the_same(form, suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, SAME[form])
    else:
        with open(path, "wb") as file:
            np.savez_compressed(file, anything=SAME[form])
    np.testing.assert_array_equal(pixels_of(path), IMAGES.reshape(-1, 784))
    np.testing.assert_array_equal(npz.read_images(path), IMAGES)


def test_booleans_are_black_and_white(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES > 127)
    np.testing.assert_array_equal(npz.read_images(tmp_path / "a.npy"), (IMAGES > 127) * np.uint8(255))


@pytest.mark.parametrize(
    ("arrays", "chosen", "is_noted"),
    [
        (["x_train", "y_train", "x_test", "y_test"], "x_test", True),
        (
            ["train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"],
            "test_images",
            True,
        ),
        (["X_train", "Y_train"], "X_train", False),
        (["x_test"], "x_test", False),
        (["arr_0"], "arr_0", False),
        (["arr_0", "arr_1"], "arr_0", False),
        (["images", "labels"], "images", False),
        (["pictures", "labels_of_pictures"], "pictures", False),
    ],
)
def test_the_array_to_predict_is_told_by_its_name(arrays, chosen, is_noted, tmp_path):
    contents = {
        name: LABELS[: 10 + place]
        if "y" in name.lower() or "labels" in name or name == "arr_1"
        else IMAGES[: 10 + place]
        for place, name in enumerate(arrays)
    }
    path = tmp_path / "set.npz"
    np.savez(path, **contents)
    rows, notes = rows_of(os.fsencode(path))
    assert (len(rows), rows[0][0]) == (10 + arrays.index(chosen), os.fsencode(path))
    assert len(notes) == is_noted
    if is_noted:
        assert notes == [f"{path}: reading its test half, {chosen}; for the training half name {path}:{arrays[0]}"]


def test_a_key_names_another_array(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("mnist.npz", x_train=IMAGES[:20], x_test=IMAGES[20:50])
    rows, notes = rows_of("mnist.npz:x_train")
    assert (len(rows), rows[0][0], notes) == (20, b"mnist.npz:x_train", [])
    (row,), _ = rows_of("mnist.npz:nothing")
    assert row[3] == "mnist.npz: no array nothing, expected one of x_test, x_train; correct the name"
    (row,), _ = rows_of("none.npz:x_train")
    assert row[3].startswith("none.npz: No such file")
    os.rename("mnist.npz", "colon.npz:x")  # a file of that very name comes first
    (row,), _ = rows_of("colon.npz:x")
    assert row[3].startswith("colon.npz:x: no pictures")


def test_any_part_of_an_array_is_read_by_shards_and_in_small_batches(tmp_path):
    from fastmnist.inputs.selection import Selection

    path = os.fsencode(tmp_path / "a.npz")
    np.savez_compressed(path.decode(), IMAGES / 255)
    whole, _ = rows_of(path)
    for batch_size in (1, 7, 299, 4096):
        parts = [rows_of(path, batch_size=batch_size, selection=Selection(k, 3))[0] for k in (1, 2, 3)]
        for shard, part in enumerate(parts):
            assert [row[1] for row in part] == list(range(shard, 300, 3))
            for row in part:
                np.testing.assert_array_equal(row[2], whole[row[1]][2])


class Bomb:
    """A pickle that would leave a file behind."""

    def __reduce__(self):
        return os.mkdir, ("pickle-was-run",)


PICKLED = npy_bytes(np.array([Bomb()] * 3, object), allow_pickle=True)
PLAIN = npy_bytes(IMAGES[:3])
HOSTILE = {
    "empty": (b"", "not a .npy file"),
    "text": (b"hello, world", "not a .npy file: it begins with 68656c6c"),
    "pickle inside": (PICKLED, "Python objects (a pickle), which are never loaded"),
    "a pickle itself": (pickle.dumps(IMAGES[:3]), "not a .npy file"),
    "cut in its header": (PLAIN[:50], "a .npy header of"),
    "cut": (PLAIN[:-1], f"{len(PLAIN) - 1} bytes, expected exactly {len(PLAIN)} bytes by its .npy header"),
    "trailing": (PLAIN + b"\0", f"{len(PLAIN) + 1} bytes, expected exactly"),
    "a header that never ends": (b"\x93NUMPY\2\0\xff\xff\xff\xff{", "a .npy header of 4294967295 bytes"),
    "code in its header": (header(b"__import__('os').mkdir('pickle-was-run')\n"), "not of plain numbers"),
    "endless digits": (header(b"{'descr':'|u1','fortran_order':False,'shape':(" + b"1" * 9000 + b"x)}"), "not of"),
    "not finite": (npy_bytes(np.full((3, 784), 1.7e308)), "1.7e+308 in image 0"),
    "signalling": (npy_bytes(np.full((3, 784), 0x7FA00000, np.uint32).view(np.float32)), "nan in image 0"),
    "records": (npy_bytes(np.zeros(3, [("a", "u1"), ("b", "u1")])), "not of plain numbers"),
    "text elements": (npy_bytes(np.array(["a"] * 3)), "elements '<U1'"),
    "complex": (npy_bytes(np.zeros((3, 784), complex)), "elements '<c16'"),
    "a number": (npy_bytes(np.array(3)), "a single number"),
    "14x56": (npy_bytes(np.zeros((3, 14, 56), np.uint8)), "an array of 3 x 14 x 56, expected images"),
    "colours": (npy_bytes(np.zeros((3, 28, 28, 3), np.uint8)), "an array of 3 x 28 x 28 x 3, expected images"),
    "too small": (npy_bytes(np.zeros((3, 7, 7), np.uint8)), "n x side x side, of 8 to 64 pixels a side"),
    "labels": (npy_bytes(LABELS), "an array of 300, expected images"),
    "no pixels": (npy_bytes(np.zeros((10**6, 0), np.uint8)), "an array of 1000000 x 0"),
    "terabytes": (header(b"{'descr': '|u1', 'fortran_order': False, 'shape': (99999999, 28, 28), }\n"), "exactly 78"),
    "wrapping": (header(b"{'descr':'|u1','fortran_order':False,'shape':(22416,11001563,598407739)}"), "exactly 1475"),
    "by columns": (npy_bytes(np.asfortranarray(IMAGES[:3])), "stored column by column"),
    "normalised": (
        npy_bytes((np.eye(28, dtype=np.float32)[None] - 0.1307) / 0.3081),
        "-0.424213 in image 0, expected values from 0 to 255; scale them",
    ),
    "negative": (npy_bytes(np.full((3, 784), -1)), "-1 in image 0, expected values from 0 to 255"),
    "too large": (npy_bytes(np.full((3, 784), 256)), "256 in image 0, expected values from 0 to 255"),
    "not a number": (npy_bytes(np.full((3, 784), np.nan)), "nan in image 0"),
    "standardised": (npy_bytes(np.full((3, 784), -0.42)), "-0.42 in image 0, expected values from 0 to 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_hostile_array_is_one_row_with_a_line_that_says_why(name, suffix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, found = HOSTILE[name]
    if suffix == "npy":
        (tmp_path / "bad.npy").write_bytes(content)
    else:
        with zipfile.ZipFile("bad.npz", "w") as archive:
            archive.writestr("x_test.npy", content)
    rows, _ = rows_of(f"bad.{suffix}")
    assert [row[:2] for row in rows] == [(os.fsencode(f"bad.{suffix}"), None)]
    error = rows[0][3]
    assert error.startswith(f"bad.{suffix}: " if suffix == "npy" else "bad.npz:x_test: ")
    assert found in error
    assert "expected" in error
    assert error.isprintable()
    assert not os.path.exists("pickle-was-run")


def test_a_bad_value_behind_good_batches_leaves_their_rows(tmp_path):
    values = IMAGES.astype(np.int16)
    values[250, 3, 3] = 999
    np.save(tmp_path / "a.npy", values)
    rows, _ = rows_of(os.fsencode(tmp_path / "a.npy"), batch_size=100)
    assert [row[3] for row in rows[:200]] == [None] * 200
    assert len(rows) == 201
    assert "999 in image 250" in rows[200][3]


@pytest.mark.parametrize("n_cut", [1, 30, 100, 5000])
def test_a_cut_npz_file_is_refused(n_cut, tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x_test=IMAGES)
    os.truncate(path, path.stat().st_size - n_cut)
    (row,), _ = rows_of(os.fsencode(path))
    assert "expected an intact zip file; get the file again" in row[3]


def test_a_flipped_pixel_of_an_npz_file_gives_no_rows(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x_test=IMAGES)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    (row,), _ = rows_of(os.fsencode(path))
    assert "CRC" in row[3]


def test_an_npz_file_without_images_says_what_it_holds(tmp_path):
    np.savez(tmp_path / "a.npz", one=IMAGES, two=IMAGES)
    (row,), _ = rows_of(os.fsencode(tmp_path / "a.npz"))
    assert "one, two, expected x_test, test_images, images or arr_0; name the array" in row[3]
    np.savez(tmp_path / "b.npz")
    (row,), _ = rows_of(os.fsencode(tmp_path / "b.npz"))
    assert "no arrays, expected" in row[3]


def test_nothing_but_a_header_is_legal_and_gives_no_row(tmp_path):
    np.savez(tmp_path / "a.npz", x_test=IMAGES[:0])
    np.save(tmp_path / "a.npy", IMAGES[:0])
    assert rows_of(os.fsencode(tmp_path / "a.npz"), os.fsencode(tmp_path / "a.npy")) == ([], [])


@pytest.mark.parametrize("save", [np.savez_compressed, np.savez])
def test_memory_does_not_grow_with_the_number_of_images(save, tmp_path):
    def peak(n):
        save(tmp_path / "a.npz", x_test=np.zeros((n, 28, 28), np.uint8))
        tracemalloc.start()
        n_read = sum(len(pixels) for pixels in npz.open_images(tmp_path / "a.npz").batches(256))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert n_read == n
        return most

    peak(1000)
    assert peak(40_000) < 1.2 * peak(2000)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (LABELS, None),
        (LABELS[:, np.newaxis], None),
        (LABELS.astype(np.float64), None),
        (LABELS.astype(">i8"), None),
        (
            np.eye(10)[LABELS],
            "an array of 300 x 10, expected a label for each image; give each image its class: labels.argmax(axis=1)",
        ),
        (LABELS + 0.5, "label 0.5 at index 0, expected a whole number from 0 to 255"),
        (LABELS.astype(int) - 1, "label -1 at index 0"),
        (LABELS.astype(int) + 250, "label 256 at index 6"),
        (np.array(list("0123")), "elements '<U1'"),
    ],
)
def test_labels_are_whole_numbers_of_any_type(labels, expected, tmp_path):
    np.save(tmp_path / "y.npy", labels)
    np.savez(tmp_path / "y.npz", labels)
    for path in (tmp_path / "y.npy", tmp_path / "y.npz"):
        if expected is None:
            actual = npz.read_labels(path)
            assert (actual.tolist(), actual.dtype) == (LABELS.tolist(), np.uint8)
        else:
            with pytest.raises(DataError) as error:
                npz.read_labels(path)
            assert expected in str(error.value)
