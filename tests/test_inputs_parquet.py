"""Parquet files as inputs and data sets: what is read of them, and what is refused before it is decoded."""

import os
import re
import struct
import subprocess
import sys

import arro3.core
import arro3.io
import cv2
import numpy as np
import pytest
from conftest import ROOT, cli_environment
from parquet_bytes import I32, dictionary_pages, labels_page, page, parquet_file, pictures_page, thrift
from test_images_pages import tiff
from test_inputs_npz import rows_of

import fastmnist
from fastmnist.datasets.dataset import open_dataset
from fastmnist.errors import DataError
from fastmnist.inputs import parquet_pages
from fastmnist.inputs.paths import count_rows
from fastmnist.inputs.selection import Selection
from fastmnist.inputs.thrift import read_struct


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def write_parquet(path, images, labels=None, **settings):
    """A file as Hugging Face writes it; an image is an array, or the bytes of a picture file, or None."""
    encoded = [png(image) if isinstance(image, np.ndarray) else image for image in images]
    binary, text = arro3.core.DataType.binary(), arro3.core.DataType.utf8()
    values = [arro3.core.Array(encoded, binary), arro3.core.Array([f"{k}.png" for k in range(len(encoded))], text)]
    fields = [arro3.core.Field("bytes", binary), arro3.core.Field("path", text)]
    columns = {"image": arro3.core.struct_array(values, fields=fields)}
    if labels is not None:
        columns["label"] = arro3.core.Array(np.asarray(labels, np.int64))
    arro3.io.write_parquet(arro3.core.Table.from_pydict(columns), os.fspath(path), **settings)
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def images(digits):
    return digits[0][:100]


def test_a_file_of_hugging_face_is_read(digits):
    """Written by pyarrow as `datasets` does: snappy, dictionaries, several row groups."""
    path = ROOT / "tests" / "hugging-face.parquet"
    rows, notes = rows_of(os.fsencode(path))
    assert notes == []
    assert [row[1] for row in rows] == list(range(20))
    np.testing.assert_array_equal([row[2] for row in rows], digits[0][:20].reshape(-1, 784))
    assert open_dataset(path).load("train").labels.tolist() == digits[1][:20].tolist()
    assert count_rows([os.fsencode(path)]) == 20


@pytest.mark.parametrize("compression", ["uncompressed", "snappy", "lz4_raw"])
def test_every_codec_that_is_bounded_is_read(compression, here, images):
    write_parquet("a.parquet", images, compression=compression, max_row_group_size=30)
    rows, _ = rows_of("a.parquet")
    np.testing.assert_array_equal([row[2] for row in rows], images.reshape(-1, 784))


@pytest.mark.parametrize("compression", ["gzip(6)", "zstd(3)", "brotli(3)"])
def test_codecs_that_expand_without_a_bound_are_refused(compression, here, images):
    write_parquet("a.parquet", images, compression=compression)
    ((path, _, _, error),) = rows_of("a.parquet")[0]
    assert (path, error) == (
        b"a.parquet",
        f"a.parquet: compressed by {compression[:-3]}, expected none, snappy, lz4_raw; save it again: "
        "to_parquet(FILE, compression='snappy')",
    )


def test_shards_are_the_rows_of_the_whole(here, images):
    write_parquet("a.parquet", images)
    shards = [rows_of("a.parquet", threads=2, selection=Selection(k, 3))[0] for k in (1, 2, 3)]
    assert [[row[1] for row in shard] for shard in shards] == [list(range(k, 100, 3)) for k in range(3)]
    for k, shard in enumerate(shards):
        np.testing.assert_array_equal([row[2] for row in shard], images[k::3].reshape(-1, 784))


def test_dark_ink_on_light_is_told_as_it_is_of_an_idx_file(here, images):
    write_parquet("a.parquet", 255 - images, np.zeros(100))
    rows, notes = rows_of("a.parquet", preprocess="auto")
    assert notes == ["a.parquet: dark ink on light: inverted; `preprocess` none leaves it as it is"]
    np.testing.assert_array_equal([row[2] for row in rows], images.reshape(-1, 784))
    rows, notes = rows_of("a.parquet", preprocess="none")
    assert notes == []
    assert (rows[0][2] == (255 - images[0]).reshape(-1)).all()
    assert (open_dataset("a.parquet").load("train").pixels == (255 - images).reshape(-1, 784)).all()


def test_pictures_of_other_sizes_are_read_as_files_are(here, images, digits):
    photos = [255 - cv2.resize(image, (60, 90), interpolation=cv2.INTER_AREA) for image in images[:3]]
    paper = np.full((80, 80, 3), 255, np.uint8)
    expected = fastmnist.read_images([np.ascontiguousarray(photo) for photo in photos])
    write_parquet("a.parquet", [*photos, paper, images[0], png(photos[0])[:200], b"", None, *tiffs(images)], [1] * 10)
    rows, _ = rows_of("a.parquet", preprocess="auto")
    np.testing.assert_array_equal([row[2] for row in rows[:3]], expected.reshape(-1, 784))
    assert rows[3][3].startswith("a.parquet: image 3: no ink")
    assert (rows[4][3], rows[4][2].tolist()) == (None, images[0].reshape(-1).tolist())
    assert rows[5][3].startswith("a.parquet: image 5: no picture that can be read")
    for row in (6, 7):
        assert rows[row][3].startswith(f"a.parquet: image {row}: 0 bytes, expected an image of 1 to 67108864 bytes")
    assert rows[8][3] is None
    assert rows[9][3] == "a.parquet: image 9: 2 pages, expected one picture; save each page by itself"
    split = open_dataset("a.parquet").load("train", threads=2)
    assert (split.preprocess, len(split.errors), len(split.pixels)) == ("auto", 5, 5)
    np.testing.assert_array_equal(split.pixels[:3], expected.reshape(-1, 784))
    rows, _ = rows_of("a.parquet", preprocess="none")
    assert "is 60x90 pixels, expected 28x28" in rows[0][3]


def tiffs(images):
    return [tiff(images[:1]), tiff(images[:2])]


def test_without_the_extra_the_error_names_it(here, images, monkeypatch):
    write_parquet("a.parquet", images[:1], [7])
    monkeypatch.setitem(sys.modules, "arro3.io", None)
    message = "a.parquet: a Parquet file, which needs the extra 'parquet': pip install 'fastmnist[parquet]'"
    assert rows_of("a.parquet")[0][0][3] == message
    with pytest.raises(DataError) as error:
        open_dataset("a.parquet").load("train")
    assert str(error.value) == message


SOUND = {"image": pictures_page([b"x" * 40, b"y" * 40]), "label": labels_page([1, 2])}
LISTS = [{1: I32(6), 3: I32(2), 4: b"im\x1bage"}]
BLOCKS = [{1: I32(7), 2: I32(1 << 30), 3: I32(1), 4: b"image"}]
DEEP = b"\x1c" * 1000


def of_footer(footer):
    return b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1"


def changed(**lies):
    return parquet_file({"image": pictures_page([b"x" * 40, b"y" * 40], **lies)}, 2)


DICTIONARY = thrift({1: I32(2), 2: I32(50), 3: I32(50), 7: {1: I32(1 << 30), 2: I32(0)}}) + bytes(50)
HOSTILE = {
    "empty": (b"", "0 bytes that do not begin and end with PAR1"),
    "a magic": (b"PAR1", "4 bytes that do not begin and end with PAR1"),
    "something else": (b"no Parquet file at all", "that do not begin and end with PAR1"),
    "encrypted": (parquet_file(SOUND, 2)[:-4] + b"PARE", "that do not begin and end with PAR1"),
    "cut at the end": (parquet_file(SOUND, 2)[:-1], "that do not begin and end with PAR1"),
    "a footer longer than the file": (b"PAR1" + struct.pack("<I", 9000) + b"PAR1", "a footer of 9000 bytes in a file"),
    "a footer of 100 MB": (
        b"PAR1" + struct.pack("<I", 100 << 20) + b"PAR1",
        "a footer of 104857600 bytes, expected at",
    ),
    "no footer": (of_footer(b""), "a footer that can't be read"),
    "an empty footer": (of_footer(b"\0"), "a footer that can't be read"),
    "structs without end": (of_footer(DEEP), "a footer that can't be read"),
    "a list without end": (of_footer(b"\x29\xfc\xff\xff\xff\xff\x0f\0"), "a footer that can't be read"),
    "a number without end": (of_footer(b"\x36" + b"\xff" * 20), "a footer that can't be read"),
    "rows without end": (parquet_file(SOUND, 10**15), "1000000000000000 rows in"),
    "no rows where rows are": (parquet_file(SOUND, 2, footer={3: 3}), "row groups of 2 rows, where the footer names 3"),
    "negative rows": (parquet_file(SOUND, 2, footer={3: -1}), "a footer that can't be read"),
    "lists": (parquet_file(SOUND, 2, schema=LISTS), r"lists (im\x1bage), expected the columns image and label"),
    "blocks": (parquet_file(SOUND, 2, schema=BLOCKS), "blocks of bytes (image), expected the columns"),
    "many columns": (parquet_file(SOUND, 2, schema=[{4: b"x"}] * 200), "201 columns, expected image and label"),
    "an unknown codec": (parquet_file(SOUND, 2, codec=99), "compressed by an unknown codec"),
    "another file": (parquet_file(SOUND, 2, column={1: b"/etc/passwd"}), "a column that is not in the file"),
    "before the file": (parquet_file(SOUND, 2, meta={9: 0}), "a column from byte 0 to"),
    "beyond the file": (parquet_file(SOUND, 2, meta={9: 10**6}), "a column from byte 1000000 to"),
    "a column beyond the file": (parquet_file(SOUND, 2, meta={7: 10**9}), "a column from byte 4 to 1000000"),
    "a column that is too short": (parquet_file(SOUND, 2, meta={7: 60}), "a page that ends at byte"),
    "a bomb": (changed(n_expanded=2**31 - 1), "pages of 2147483647 bytes, expected at most 268435456 (256 MB)"),
    "a negative page": (changed(n_expanded=-5), "a footer that can't be read"),
    "a page longer than its column": (changed(n_bytes=5000), "a page that ends at byte"),
    "more values than rows": (changed(n_values=2**31 - 1), "a page of 2147483647 values, of 2 at most"),
    "fewer values than rows": (changed(n_values=1), "1 of its 2 rows can be read, expected all"),
    "a large dictionary": (parquet_file({"image": DICTIONARY}, 2), "a page of 1073741824 values, of 50 at most"),
    "values longer than the page": (
        parquet_file({"image": page(struct.pack("<I", 2**31) + bytes(40), 1)}, 1),
        "pages can't be decoded",
    ),
    "no page": (parquet_file({"image": b""}, 2), "0 of its 2 rows can be read, expected all"),
    "other columns": (parquet_file({"img": SOUND["image"]}, 2), "columns img, expected image (the bytes and the path"),
    "numbers for pictures": (
        parquet_file({"label": SOUND["label"]}, 2).replace(b"label", b"image"),
        "its column image does not hold pictures",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_row_with_a_line_that_says_why(name, here, capfd):
    content, found = HOSTILE[name]
    (here / "a.parquet").write_bytes(content)
    rows, notes = rows_of("a.parquet")
    assert [row[:2] for row in rows] == [(b"a.parquet", None)]
    error = rows[0][3]
    assert error.startswith("a.parquet: ")
    assert found in error
    assert "expected" in error
    assert error.isprintable()
    assert notes == []
    assert count_rows(["a.parquet"]) >= 0
    with pytest.raises(DataError, match=r"^a\.parquet: ") as refused:
        open_dataset("a.parquet").load("train")
    assert str(refused.value).isprintable()


def test_a_file_put_together_by_hand_is_read(here, images):
    """The hostile files above are refused for what was changed in them."""
    pages = {"image": pictures_page([png(image) for image in images[:3]]), "label": labels_page([5, 6, 7])}
    (here / "a.parquet").write_bytes(parquet_file(pages, 3))
    split = open_dataset("a.parquet").load("train")
    np.testing.assert_array_equal(split.pixels, images[:3].reshape(-1, 784))
    assert split.labels.tolist() == [5, 6, 7]


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ([1, 300], "label 300 at index 1, expected a whole number from 0 to 255"),
        ([-1, 2], "label -1 at index 0, expected a whole number from 0 to 255"),
        ([1, 10], "label 10 at index 1, expected 0 to 9"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, found, here, images):
    write_parquet("a.parquet", images[:2], labels)
    with pytest.raises(DataError, match=rf"^a\.parquet: {found}"):
        open_dataset("a.parquet").load("train")


def test_a_set_needs_labels_and_images(here, images):
    write_parquet("a.parquet", images[:2])
    with pytest.raises(DataError, match=r"a\.parquet: columns image, expected image .* and label"):
        open_dataset("a.parquet").load("train")
    assert len(rows_of("a.parquet")[0]) == 2
    write_parquet("none.parquet", [], [])
    assert rows_of("none.parquet")[0] == []
    with pytest.raises(DataError, match=r"none\.parquet: no images"):
        open_dataset("none.parquet").load("train")


def test_every_cut_and_many_flips_are_refused_or_harmless(here, images, capfd):
    """A picture has checksums of its own, so that what is read is what was written."""
    write_parquet("a.parquet", images[:6], range(6), compression="snappy", max_row_group_size=3)
    content = (here / "a.parquet").read_bytes()
    rng = np.random.default_rng(0)
    variants = [content[:length] for length in range(0, len(content), 97)]
    for place in rng.choice(len(content), 400, replace=False).tolist():
        variants.append(content[:place] + bytes((content[place] ^ (1 << rng.integers(8)),)) + content[place + 1 :])
    whole = {image.tobytes() for image in images[:6]}
    for data in variants:
        (here / "a.parquet").write_bytes(data)
        for _, _, pixels, error in rows_of("a.parquet")[0]:
            assert pixels.tobytes() in whole if error is None else error.isprintable()


MEASURE = """
import resource, sys
from fastmnist.inputs import parquet_pages
from fastmnist.inputs.stream import open_stream
parquet_pages.MAX_PAGE_BYTES = 32 << 20
list(open_stream(["sound.parquet"]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
n_rows = sum(len(batch.errors) for batch in open_stream(["a.parquet"]))
print(n_rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def test_one_value_many_times_is_decoded_within_bounds(here, images):
    """A dictionary of one value of 2 MB, which 200 rows share: 800 MB with copies, were it all at once."""
    pages = {"image": dictionary_pages(bytes(2 << 20), 200)}
    (here / "a.parquet").write_bytes(parquet_file(pages, 200, meta={9: (2 << 20) + 20, 11: 4}))
    write_parquet("sound.parquet", images[:1])
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    n_rows, megabytes = map(int, done.stdout.split())
    assert n_rows == 200
    assert megabytes < 250


def folder_of(layout, images, labels):
    for name in layout:
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        write_parquet(name, images, labels)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (["train-00000-of-00001.parquet"], ["test-00000-of-00001.parquet"]),
        (["mnist/train-00000-of-00001.parquet"], ["mnist/test-00000-of-00001.parquet"]),
        (["data/train-00000-of-00001-b42f.parquet"], ["data/test-00000-of-00001-0a1b.parquet"]),
        (["train.parquet"], ["test.parquet"]),
        (["default/train/0000.parquet"], ["default/test/0000.parquet"]),
        ([f"data/train-0000{k}-of-00003.parquet" for k in range(3)], ["data/test-00000-of-00001.parquet"]),
        (["default/train/0000.parquet", "default/train/0001.parquet"], ["default/test/0000.parquet"]),
        (["train.parquet"], []),
    ],
)
def test_folders_are_found_as_hugging_face_lays_them_out(train, test, here, digits):
    images, labels = digits
    bounds = np.linspace(0, 40, len(train) + 1).astype(int)
    for name, first, last in zip(train, bounds, bounds[1:], strict=False):
        folder_of([name], images[first:last], labels[first:last])
    folder_of(test, images[40:50], labels[40:50])
    (here / "README.md").touch()
    os.makedirs("assets", exist_ok=True)
    (here / "assets" / "example.png").write_bytes(png(images[0]))
    data = open_dataset(".")
    assert data.has_test == bool(test)
    np.testing.assert_array_equal(data.load("train").pixels, images[:40].reshape(-1, 784))
    assert data.load("train").labels.tolist() == labels[:40].tolist()
    if test:
        np.testing.assert_array_equal(data.load("test").pixels, images[40:50].reshape(-1, 784))
    else:
        with pytest.raises(DataError, match=r"no test\.parquet and no test-00000-of-N\.parquet"):
            data.load("test")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["train-00000-of-00002.parquet"], "1 Parquet files of one split"),
        (["train-00000-of-00001.parquet", "train.parquet"], "2 Parquet files of one split"),
        (["train-00000-of-00002.parquet", "train.parquet"], "2 Parquet files of one split"),
        (["train-00001-of-00002-a.parquet", "train-00001-of-00002-b.parquet"], "2 Parquet files of one split"),
        (["a/train.parquet", "b/train.parquet"], "2 data sets"),
    ],
)
def test_shards_that_are_missing_and_several_sets_are_refused(names, found, here, images):
    folder_of(names, images[:2], [1, 2])
    with pytest.raises(DataError, match=found):
        open_dataset(".")


def test_train_evaluate_and_predict_are_one_line_where_a_file_is_damaged(here, images, run_cli, small_model):
    write_parquet("train.parquet", images[:20], np.arange(20) % 10)
    content = (here / "train.parquet").read_bytes()
    (here / "train.parquet").write_bytes(content[:3000] + bytes(50) + content[3050:])
    for command in ("train", "evaluate", "predict"):
        run = run_cli(command, "train.parquet", env={"FASTMNIST_MODEL": str(small_model)})
        assert (run.code, len(run.errors)) == (1, 1), run.stderr
        assert run.errors[0].startswith("fastmnist: error: train.parquet: ")
        assert "panicked" not in run.stderr


def test_the_commands_of_the_page_about_them_work(here, digits):
    page = (ROOT / "docs" / "parquet.md").read_text(encoding="utf-8")
    images, labels = digits
    folder_of(["mnist/train-00000-of-00001.parquet"], images[:300], labels[:300])
    folder_of(["mnist/test-00000-of-00001.parquet"], images[300:320], labels[300:320])
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
    (commands,) = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    done = subprocess.run(["sh", "-ec", commands], env=cli_environment(PATH=path), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len((here / "test.csv").read_text().splitlines()) == 21
    assert f"{parquet_pages.MAX_PAGE_BYTES >> 20} MB" in page


def test_thrift_values_come_back():
    value = {1: I32(-5), 2: True, 3: False, 4: b"bytes", 9: [1 << 62, -1, 300], 20: {1: [{2: b""}] * 20}, 21: []}
    assert read_struct(thrift(value)) == (value, len(thrift(value)))
    assert read_struct(b"\x17" + struct.pack("<d", 0.5) + b"\0")[0] == {1: 0.5}
    for length in range(len(thrift(value))):
        with pytest.raises((ValueError, IndexError)):
            read_struct(thrift(value)[:length])
