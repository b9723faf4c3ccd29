"""Files of several pages: a row for each page, whatever the shards, and after a crash."""

import csv
import io
import itertools
import struct

import cv2
import numpy as np
import pypdfium2
import pytest
from drawn_numbers import row
from pillow_heif import HeifFile

from fastmnist.errors import DataError, OutputError
from fastmnist.images import pages as module
from fastmnist.images import preprocess
from fastmnist.images.decode import grey_of
from fastmnist.images.pages import colours_of_page, decode_pages, may_have_pages
from fastmnist.inputs.batch import Predictions
from fastmnist.inputs.selection import Selection
from fastmnist.inputs.stream import open_stream
from fastmnist.output.csv import CsvFormat
from fastmnist.output.jsonl import JsonlFormat
from fastmnist.output.kaggle import KaggleFormat
from fastmnist.output.part_file import part_file
from fastmnist.shapes import DIGITS


def pictures(n, side=60):
    """Pictures of n digits' strokes, each at another place: uint8 (side, side)."""
    drawn = []
    for number in range(n):
        picture = np.full((side, side), 235, np.uint8)
        cv2.line(picture, (10 + 6 * number, 12), (12 + 6 * number, side - 12), 30, 5)
        drawn.append(picture)
    return drawn


def tiff(several):
    ok, data = cv2.imencodemulti(".tiff", several)
    assert ok
    return data.tobytes()


def animation(suffix, several):
    moving = cv2.Animation()
    moving.frames = [np.dstack([picture] * 3) for picture in several]
    moving.durations = np.full(len(several), 100)
    ok, data = cv2.imencodeanimation(suffix, moving)
    assert ok
    return data.tobytes()


def pdf(several):
    document = pypdfium2.PdfDocument.new()
    for picture in several:
        page = document.new_page(60, 60)
        form = pypdfium2.raw.FPDFBitmap_Gray if picture.ndim == 2 else pypdfium2.raw.FPDFBitmap_BGR
        bitmap = pypdfium2.PdfBitmap.new_native(*picture.shape[1::-1], form)
        bitmap.to_numpy()[:] = picture
        image = pypdfium2.PdfImage.new(document)
        image.set_bitmap(bitmap)
        image.set_matrix(pypdfium2.PdfMatrix().scale(60, 60))
        page.insert_obj(image)
        page.gen_content()
    content = io.BytesIO()
    document.save(content)
    return content.getvalue()


def heic(several):
    file = HeifFile()
    for picture in several:
        file.add_frombytes("L" if picture.ndim == 2 else "RGB", picture.shape[1::-1], picture.tobytes())
    content = io.BytesIO()
    file.save(content, quality=95)
    return content.getvalue()


KINDS = {
    "tiff": tiff,
    "gif": lambda several: animation(".gif", several),
    "webp": lambda several: animation(".webp", several),
    "png": lambda several: animation(".png", several),
    "avif": lambda several: animation(".avif", several),
    "pdf": pdf,
    "heic": heic,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 3])
def test_each_page_is_a_picture(kind, n):
    given = pictures(n)
    data = KINDS[kind](given)
    if n == 1 and not may_have_pages(data):
        return  # read as any picture
    read = list(decode_pages(data, b"name"))
    assert len(read) == n
    for page, expected in zip(read, given, strict=True):
        page = cv2.resize(page, (60, 60), interpolation=cv2.INTER_AREA)
        assert np.abs(page.astype(int) - expected).mean() < (
            20 if kind == "gif" else 4
        )  # a palette's greys are dithered


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "webp", "pgm"])
def test_single_pictures_have_no_pages(kind):
    assert not may_have_pages(cv2.imencode(f".{kind}", pictures(1)[0])[1].tobytes())


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_pages_are_errors_and_nothing_else(kind):
    data = KINDS[kind](pictures(3))
    rng = np.random.default_rng(0)
    for trial in range(40):
        damaged = bytearray(data[: int(rng.integers(12, len(data)))] if trial % 2 else data)
        for place in rng.integers(4, len(damaged), 6):
            damaged[place] = rng.integers(256)
        if not may_have_pages(bytes(damaged)):
            continue
        try:
            for page in decode_pages(bytes(damaged), b"name"):
                assert isinstance(page, DataError) or page.dtype == np.uint8
        except DataError:
            pass


def test_pages_of_a_tiff_file_are_those_of_opencv_and_found_without_the_ones_before(monkeypatch):
    """OpenCV looks for each page from the first one on: 1,000 pages were a minute and a half."""
    given = [*pictures(3), np.dstack([pictures(1)[0]] * 3), np.full((9, 40), 40_000, np.uint16)]
    for options in ([cv2.IMWRITE_TIFF_COMPRESSION, 1], [cv2.IMWRITE_TIFF_COMPRESSION, 5]):
        data = cv2.imencodemulti(".tiff", given, options)[1].tobytes()
        expected = [grey_of(page, "page") for page in cv2.imdecodemulti(np.frombuffer(data, np.uint8), -1)[1]]
        with monkeypatch.context() as patch:
            patch.setattr(cv2, "imdecodemulti", None)
            read = list(decode_pages(data, b"name"))
        assert len(read) == len(expected) == len(given)
        assert all(np.array_equal(page, other) for page, other in zip(read, expected, strict=True))


def test_a_page_with_pixels_of_another_type_says_so():
    first, last = pictures(2)
    data = cv2.imencodemulti(".tiff", [first, first.astype(np.float32), last])[1].tobytes()
    read = list(decode_pages(data, b"name"))
    assert str(read[1]) == "name: page 1: float32 pixels, expected uint8 or uint16; convert it"
    np.testing.assert_array_equal(read[2], last)


@pytest.mark.parametrize("kind", ["tiff", "pdf", "heic"])
@pytest.mark.parametrize("n", [1, 2])
def test_a_page_whose_ink_has_only_another_colour_is_read(kind, n, some, model):
    grey = row(some, "7", scale=6.0)
    picture = np.where((grey < 128)[..., None], (0, 168, 0), (96, 42, 211)).astype(np.uint8)
    assert np.ptp(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)) < 6
    data = KINDS[kind]([*[np.full_like(picture, 255)] * (n - 1), picture])
    assert model.read(data)[-1].numbers[0].text == "7"
    assert preprocess.to_digits(data, "auto", b"name")[-1].shape == (28, 28)
    assert colours_of_page(animation(".gif", pictures(2)), 1) is None


def test_a_first_page_that_cannot_be_read_costs_its_own_row():
    first, *others = pictures(3)
    data = cv2.imencodemulti(".tiff", [first.astype(np.float32), *others])[1].tobytes()
    read = list(decode_pages(data, b"name"))
    assert str(read[0]).startswith("name: float32 pixels, expected uint8 or uint16")
    for page, expected in zip(read[1:], others, strict=True):
        np.testing.assert_array_equal(page, expected)
    with pytest.raises(DataError, match="float32 pixels"):
        list(decode_pages(tiff([first.astype(np.float32)]), b"name"))


def big_tiff(several, order):
    """Pages as a BigTIFF file, not compressed; see bigtiff.org."""
    data = bytearray((b"II" if order == "<" else b"MM") + struct.pack(f"{order}HHHQ", 43, 8, 0, 16))
    for number, picture in enumerate(several):
        height, width = picture.shape
        directory, n_entries = len(data), 8
        strip = directory + 8 + 20 * n_entries + 8
        following = 0 if number + 1 == len(several) else strip + picture.size
        shorts = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 278: height}
        values = {**{tag: (3, f"{order}H6x", value) for tag, value in shorts.items()},
                  273: (16, f"{order}Q", strip), 279: (16, f"{order}Q", picture.size)}  # fmt: skip
        data += struct.pack(f"{order}Q", n_entries)
        for tag, (kind, form, value) in sorted(values.items()):
            data += struct.pack(f"{order}HHQ", tag, kind, 1) + struct.pack(form, value)
        data += struct.pack(f"{order}Q", following) + picture.tobytes()
    return bytes(data)


@pytest.mark.parametrize("order", ["<", ">"])
def test_bigtiff_has_pages_too(order):
    given = pictures(3)
    read = list(decode_pages(big_tiff(given, order), b"name"))
    assert len(read) == 3
    for page, expected in zip(read, given, strict=True):
        np.testing.assert_array_equal(page, expected)


@pytest.mark.parametrize("suffix", [".gif", ".avif", ".webp"])
def test_frames_of_a_damaged_animation_are_errors(suffix):
    rng = np.random.default_rng(0)
    data = animation(suffix, [rng.integers(0, 256, (60, 60), np.uint8) for _ in range(3)])
    n_lost = 0
    for place in rng.integers(len(data) // 3, len(data) - 8, 30):
        damaged = data[:place] + bytes(255 - value for value in data[place : place + 8]) + data[place + 8 :]
        try:
            pages = list(decode_pages(damaged, b"name"))
        except DataError:  # of the file: its first frame can't be read
            continue
        assert len(pages) == 3
        n_lost += sum(isinstance(page, DataError) for page in pages)
    assert n_lost > 0 or suffix == ".webp"


def test_pages_are_bounded_together(monkeypatch):
    monkeypatch.setattr(module, "MOST_PIXELS", 2 * 60 * 60)
    *read, last = decode_pages(tiff(pictures(5)), b"name")
    assert [page.shape for page in read] == [(60, 60)] * 3
    assert str(last) == "name: page 3 comes after 0 megapixels, the most that is read of a file; split it"


def test_pages_of_pdf_are_closed_while_no_other_thread_is_in_the_library(monkeypatch):
    is_locked = []
    close = pypdfium2.PdfPage.close

    def watched(page, *arguments):
        is_locked.append(module._pdfium.locked())
        return close(page, *arguments)

    monkeypatch.setattr(pypdfium2.PdfPage, "close", watched)
    assert len(list(decode_pages(pdf(pictures(3)), b"name"))) == 3
    assert is_locked == [True] * 3


def test_a_file_without_any_page_is_an_error(monkeypatch):
    monkeypatch.setattr(preprocess, "decode_pages", lambda data, name: iter(()))
    with pytest.raises(DataError, match="name: no page that can be read"):
        preprocess.to_digits(tiff(pictures(2)), "auto", b"name")


def test_frames_are_bounded_together(monkeypatch):
    monkeypatch.setattr(module, "MAX_PIXELS", 5 * 60 * 60)
    data = animation(".gif", pictures(6))
    with pytest.raises(DataError, match="6 frames of 60x60 pixels, expected at most 0 megapixels in all"):
        list(decode_pages(data, b"name"))


@pytest.mark.parametrize(
    ("kind", "data"), [("tiff", tiff), ("gif", lambda some: animation(".gif", some)), ("pdf", pdf)]
)
def test_pages_are_bounded(kind, data, monkeypatch):
    monkeypatch.setattr(module, "MOST_PAGES", 3)
    assert len(list(decode_pages(data(pictures(3)), b"name"))) == 3
    with pytest.raises(DataError, match="name: more than 3 pages; split the file"):
        list(decode_pages(data(pictures(4)), b"name"))


def test_a_chain_of_empty_pages_is_refused(monkeypatch):
    data = bytearray(tiff(pictures(1)))
    (first,) = struct.unpack_from("<I", data, 4)
    (n_entries,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * n_entries, len(data))
    for place in range(len(data), len(data) + 6 * 70_000, 6):
        data += struct.pack("<HI", 0, place + 6)
    with pytest.raises(DataError, match="name: more than 65,535 pages; split the file"):
        next(decode_pages(bytes(data), b"name"))


@pytest.mark.parametrize("extra", ["heic", "pdf"])
def test_without_its_extra_a_file_is_an_error_that_names_it(extra, monkeypatch):
    data = KINDS[extra](pictures(1))
    monkeypatch.setitem(__import__("sys").modules, {"heic": "pillow_heif", "pdf": "pypdfium2"}[extra], None)
    with pytest.raises(DataError, match=rf"needs the extra '{extra}': pip install 'fastmnist\[{extra}\]'"):
        list(decode_pages(data, b"name"))


@pytest.fixture
def folder(tmp_path):
    """Pictures, a TIFF of three pages, of which one is empty, and a PDF of two, among each other."""
    single = pictures(4)
    for name, picture in zip("aceg", single, strict=True):
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture)
    several = pictures(3)
    several[1][:] = 235
    (tmp_path / "b.tif").write_bytes(tiff(several))
    (tmp_path / "d.pdf").write_bytes(pdf(pictures(2)))
    (tmp_path / "f.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    return tmp_path


PAGES = [("a.png", ""), *(("b.tif", str(page)) for page in range(3)), ("c.png", ""), ("d.pdf", "0"), ("d.pdf", "1"),
         ("e.png", ""), ("f.svg", ""), ("g.png", "")]  # fmt: skip
FAILED = {("b.tif", "1"), ("f.svg", "")}


def rows_of(text):
    return [(row[0].rpartition("/")[2], *row[1:]) for row in csv.reader(text.splitlines()[1:])]


def test_a_row_per_page_and_the_files_numbers(folder):
    (batch,) = open_stream([str(folder)])
    names = [(path.rpartition(b"/")[2].decode(), "" if index is None else str(index)) for path, index in
             zip(batch.paths, batch.indices, strict=True)]  # fmt: skip
    assert names == PAGES
    assert batch.numbers == [0, 1, 1, 1, 2, 3, 3, 4, 5, 6]
    assert {names[row] for row in batch.errors} == FAILED
    assert all(batch.pixels[row].any() != (row in batch.errors) for row in range(len(PAGES)))


def test_shards_take_files_whole_and_together_are_the_unsharded_run(folder, run_cli, small_model):
    def predict(*arguments):
        return run_cli("predict", "--model", small_model, *arguments)

    whole = rows_of(predict(str(folder)).stdout.decode())
    assert [row[:2] for row in whole] == PAGES
    assert {row[:2] for row in whole if not row[2]} == FAILED
    files = [list(rows) for _, rows in itertools.groupby(whole, lambda row: row[0])]
    for shard in range(3):
        run = predict(str(folder), "--shard", f"{shard + 1}/3")
        assert rows_of(run.stdout.decode()) == list(itertools.chain(*files[shard::3]))


def write_rows(out, folder, row_format, *, resume=False, interrupted=False):
    """Write a row for each page as `predict` does, every one with the label 3."""
    with part_file(out, {"model": "none"}, row_format, resume=resume) as part:
        for batch in open_stream([str(folder)], selection=Selection(count_known=part.count_known)):
            labels, confidences = np.full(len(batch.pixels), 3, np.uint8), np.full(len(batch.pixels), 0.5, np.float32)
            for piece in row_format.rows(Predictions(batch, labels, confidences)):
                part.file.write(piece)
        n_known = part.n_known
        if interrupted:
            raise KeyboardInterrupt
    return n_known


@pytest.mark.parametrize("make", [CsvFormat, JsonlFormat, KaggleFormat])
def test_a_part_that_ends_between_pages_is_resumed_to_the_same_file(make, folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "out"
    part = out.with_name("out.part")
    write_rows(out, folder, make(DIGITS))
    expected = out.read_bytes()
    lines = expected.splitlines(keepends=True)
    n_header = len(lines) - len(PAGES)
    for n_kept in range(len(PAGES) + 1):
        out.unlink()
        with pytest.raises(KeyboardInterrupt):
            write_rows(out, folder, make(DIGITS), interrupted=True)
        part.write_bytes(b"".join(lines[: n_header + n_kept]) + b"cut")
        n_known = write_rows(out, folder, make(DIGITS), resume=True)
        assert out.read_bytes() == expected
        is_in_file = n_kept > 0 and (PAGES[n_kept - 1][1] != "" or make is KaggleFormat)
        start = next((row for row, page in enumerate(PAGES) if is_in_file and page[0] == PAGES[n_kept - 1][0]), n_kept)
        assert n_known == start  # what ends with a page is read again


def test_a_part_of_other_pages_is_refused(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "out"
    with pytest.raises(KeyboardInterrupt):
        write_rows(out, folder, CsvFormat(DIGITS), interrupted=True)
    part = out.with_name("out.part")
    part.write_bytes(part.read_bytes().replace(b"b.tif,1", b"b.tif,7"))
    with pytest.raises(OutputError, match="the inputs have changed"):
        write_rows(out, folder, CsvFormat(DIGITS), resume=True)


def test_files_but_no_image_is_exit_1(tmp_path, run_cli, small_model):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").touch()
    run = run_cli("predict", "--model", small_model, "in")
    assert (run.code, run.stdout.count(b"\n")) == (1, 1)
    assert "ignored 1 file without an image suffix" in run.stderr


def test_links_to_folders_alone_are_exit_1(tmp_path, run_cli, small_model):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0").symlink_to(tmp_path)
    run = run_cli("predict", "--model", small_model, "in")
    assert (run.code, run.stdout.count(b"\n")) == (1, 1)
    assert "ignored 1 symbolic link to a folder" in run.stderr
