import gzip
import os
import socket
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastmnist.errors import DataError
from fastmnist.inputs.files import expanded
from fastmnist.inputs.idx import (
    looks_like_idx,
    open_images,
    read_images,
    read_labels,
    write_images,
    write_labels,
)

Images = npt.NDArray[np.uint8]


def random_images(n_images: int) -> Images:
    return np.random.default_rng(n_images).integers(0, 256, (n_images, 28, 28), np.uint8)


def idx_bytes(dimensions: tuple[int, ...], content: bytes, element_type: int = 8) -> bytes:
    header = bytes((0, 0, element_type, len(dimensions))) + struct.pack(f">{len(dimensions)}I", *dimensions)
    return header + content


def zipped(content: bytes) -> bytes:
    """Without the time of day: a test is named after its parameters, and every process must find the same tests."""
    return gzip.compress(content, mtime=0)


IMAGES = random_images(3)
PLAIN = idx_bytes(IMAGES.shape, IMAGES.tobytes())
ZIPPED = zipped(PLAIN)


def flipped(content: bytes, position: int, bits: int) -> bytes:
    return content[:position] + bytes((content[position] ^ bits,)) + content[position + 1 :]


def flip_trailer(content: bytes, from_end: int) -> bytes:
    return flipped(content, len(content) - from_end, 1)


# What a file holds, and what its error has to say.
HOSTILE = {
    "empty": (b"", ["an empty file", "00000803"]),
    "magic cut": (PLAIN[:3], ["not an IDX file", "000008"]),
    "header cut": (PLAIN[:10], ["10 bytes", "16"]),
    "no content": (PLAIN[:16], ["16 bytes", "exactly 2368 bytes"]),
    "one byte short": (PLAIN[:-1], ["2367 bytes", "exactly 2368 bytes"]),
    "one byte too many": (PLAIN + b"\0", ["2369 bytes", "exactly 2368 bytes"]),
    "labels": (idx_bytes((4,), b"\1\2\3\4"), ["IDX labels", "00000801", "IDX images", "00000803"]),
    "two dimensions": (idx_bytes((2, 784), bytes(1568)), ["2 dimensions", "00000803"]),
    "five dimensions": (idx_bytes((1, 1, 1, 28, 28), bytes(784)), ["5 dimensions", "00000803"]),
    "signed bytes": (idx_bytes((1, 28, 28), bytes(784), 9), ["signed byte", "00000803"]),
    "floats": (idx_bytes((1, 28, 28), bytes(3136), 0x0D), ["32-bit float", "00000803"]),
    "unknown elements": (idx_bytes((1, 28, 28), bytes(784), 7), ["not an IDX file", "00000703"]),
    "14 x 56": (idx_bytes((1, 14, 56), bytes(784)), ["14 x 56", "28 x 28"]),
    "zero sized": (idx_bytes((0, 0, 0), b""), ["0 x 0", "28 x 28"]),
    # Each product of dimensions is 784 where it is computed in 64 or in 32 bits.
    "64-bit wrap": (idx_bytes((22416, 11001563, 598407739), bytes(784)), ["598407739", "28 x 28"]),
    "32-bit wrap": (idx_bytes((2**28 + 1, 28, 28), bytes(784)), ["800 bytes", f"{(2**28 + 1) * 784 + 16}"]),
    "PNG": (b"\x89PNG\r\n\x1a\n", ["not an IDX file", "PNG"]),
    "zip": (b"PK\x03\x04" + bytes(40), ["not an IDX file", "zip"]),
    "web page": (b"<!DOCTYPE html>", ["not an IDX file", "web page"]),
    "gzip twice": (gzip.compress(ZIPPED), ["gzip data within gzip data"]),
    "gzip of nothing": (gzip.compress(b""), ["an empty file"]),
    "gzip header cut": (ZIPPED[:5], ["ended before the end-of-stream marker", "expected an IDX file"]),
    "gzip cut": (ZIPPED[:-400], ["ended before the end-of-stream marker", "good bytes", "2368 bytes"]),
    "gzip trailer cut": (ZIPPED[:-1], ["ended before the end-of-stream marker", "2368 good bytes"]),
    "gzip with a wrong checksum": (flip_trailer(ZIPPED, 8), ["CRC check failed"]),
    "gzip with a wrong length": (flip_trailer(ZIPPED, 4), ["Incorrect length of data"]),
    "gzip, then rubbish": (ZIPPED + b"rubbish", ["Not a gzipped file"]),
    "gzip, zeros, then rubbish": (ZIPPED + bytes(9) + b"rubbish", ["Not a gzipped file"]),
    "gzip, content short": (gzip.compress(PLAIN[:-1]), ["2367 bytes", "exactly 2368 bytes"]),
    "gzip, content long": (gzip.compress(PLAIN + b"\0"), ["more bytes", "exactly 2368 bytes"]),
    "gzip, a member too many": (ZIPPED + gzip.compress(b"\0"), ["more bytes", "exactly 2368 bytes"]),
    "gzip, second member cut": (ZIPPED + gzip.compress(b"")[:-1], ["ended before the end-of-stream marker"]),
    "gzip that claims terabytes": (
        gzip.compress(idx_bytes((2**32 - 1, 28, 28), b"")),
        ["of gzip data", str((2**32 - 1) * 784 + 16)],
    ),
}


def assert_refused(error: pytest.ExceptionInfo[DataError], path: Path, *parts: str) -> None:
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    for part in parts:
        assert part in message


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_images_file_is_refused_in_one_line_that_says_why(name: str, tmp_path: Path) -> None:
    content, parts = HOSTILE[name]
    path = tmp_path / "some-file"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        open_images(path)
    assert_refused(error, path, *parts)
    with pytest.raises(DataError) as error:
        read_images(path)
    assert_refused(error, path, *parts)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (PLAIN, ["IDX images", "00000803", "IDX labels", "00000801"]),
        (idx_bytes((3,), b"\1\2"), ["10 bytes", "exactly 11 bytes"]),
        (idx_bytes((3,), b"\1\2\3\4"), ["12 bytes", "exactly 11 bytes"]),
        (zipped(idx_bytes((3,), b"\1\2\3\4")), ["more bytes", "exactly 11 bytes"]),
        (b"\0\0\x08\x01\0", ["5 bytes", "8"]),
    ],
)
def test_a_hostile_labels_file_is_refused_in_one_line_that_says_why(
    content: bytes, parts: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_labels(path)
    assert_refused(error, path, *parts)


@pytest.mark.parametrize("content", [PLAIN, ZIPPED], ids=["plain", "gzip"])
def test_every_cut_of_a_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "images"
    for n_bytes in range(len(content)):
        path.write_bytes(content[:n_bytes])
        with pytest.raises(DataError):
            open_images(path)


def one_image() -> bytes:
    return idx_bytes((1, 28, 28), random_images(1).tobytes())


def test_every_flipped_byte_of_a_plain_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images"
    for position in range(16):
        for bits in range(1, 256):
            path.write_bytes(flipped(one_image(), position, bits))
            with pytest.raises(DataError):
                open_images(path)


def test_every_flipped_pixel_of_a_plain_file_changes_that_pixel_only(tmp_path: Path) -> None:
    path = tmp_path / "images"
    for position in range(784):
        path.write_bytes(flipped(one_image(), 16 + position, 0xFF))
        expected = random_images(1)
        expected.reshape(-1)[position] ^= 0xFF
        np.testing.assert_array_equal(read_images(path), expected)


def test_every_flipped_bit_of_a_gzip_file_is_refused_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    content = gzip.compress(one_image(), mtime=0)
    harmless = []
    for position in range(len(content)):
        for bit in range(8):
            path.write_bytes(flipped(content, position, 1 << bit))
            try:
                actual = np.concatenate(list(open_images(path).batches(1)))
            except DataError:
                continue
            assert actual.tobytes() == one_image()[16:]
            harmless.append(position)
    assert len(set(harmless)) < 10  # flags, time, system of origin, padding between blocks


@settings(derandomize=True, deadline=None, database=None, max_examples=60)
@given(
    images=hnp.arrays(np.uint8, st.tuples(st.integers(0, 5), st.just(28), st.just(28))),
    suffix=st.sampled_from(["", ".gz", ".GZ"]),
    batch_size=st.integers(1, 7),
)
def test_what_is_written_is_read_whole_and_in_batches(
    tmp_path_factory: pytest.TempPathFactory, images: Images, suffix: str, batch_size: int
) -> None:
    path = tmp_path_factory.mktemp("idx") / f"images-idx3-ubyte{suffix}"
    write_images(path, images)
    np.testing.assert_array_equal(read_images(path), images)
    opened = open_images(path)
    assert (opened.n_images, opened.compressed) == (len(images), suffix != "")
    batches = list(opened.batches(batch_size))
    assert [len(pixels) for pixels in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert np.concatenate([np.empty((0, 784), np.uint8), *batches]).tobytes() == images.tobytes()
    assert looks_like_idx(path)


@settings(derandomize=True, deadline=None, database=None, max_examples=40)
@given(labels=hnp.arrays(np.uint8, st.integers(0, 300)), suffix=st.sampled_from(["", ".gz"]))
def test_labels_of_any_value_survive_writing_and_reading(
    tmp_path_factory: pytest.TempPathFactory, labels: npt.NDArray[np.uint8], suffix: str
) -> None:
    path = tmp_path_factory.mktemp("idx") / f"labels{suffix}"
    write_labels(path, labels)
    np.testing.assert_array_equal(read_labels(path), labels)


@settings(derandomize=True, deadline=None, database=None, max_examples=300)
@given(content=st.binary(max_size=64) | st.binary(max_size=64).map(gzip.compress))
def test_arbitrary_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(content)
    with pytest.raises(DataError):
        open_images(path)


def test_written_bytes_are_the_format_and_depend_on_the_array_only(tmp_path: Path) -> None:
    write_images(tmp_path / "plain", IMAGES)
    assert (tmp_path / "plain").read_bytes() == PLAIN
    transposed = np.ascontiguousarray(IMAGES.transpose(2, 1, 0)).transpose(2, 1, 0)
    write_images(tmp_path / "one.gz", IMAGES)
    write_images(tmp_path / "two.gz", transposed)
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()
    assert (tmp_path / "one.gz").read_bytes()[3:8] == bytes(5)  # no name, no time
    assert gzip.decompress((tmp_path / "one.gz").read_bytes()) == PLAIN


@pytest.mark.parametrize("wrong", [IMAGES.astype(np.float32), IMAGES.reshape(3, 784)])
def test_only_uint8_of_the_right_rank_is_written(wrong: Images, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected 3-dimensional uint8"):
        write_images(tmp_path / "images", wrong)
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(PLAIN[:5]) + gzip.compress(PLAIN[5:900]) + gzip.compress(PLAIN[900:]),
        gzip.compress(b"") + ZIPPED + gzip.compress(b""),
        ZIPPED + bytes(100_000),
        gzip.compress(PLAIN[:100]) + bytes(17) + gzip.compress(PLAIN[100:]) + b"\0",
        gzip.compress(PLAIN, compresslevel=0),
    ],
    ids=["members", "empty members", "zero padding", "padded members", "stored"],
)
def test_gzip_of_several_members_and_zero_padding_is_read(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "named-without-suffix"
    path.write_bytes(content)
    np.testing.assert_array_equal(read_images(path), IMAGES)
    assert next(open_images(path).batches(3)).tobytes() == IMAGES.tobytes()


def test_plain_content_under_a_gz_name_is_read_as_plain(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(PLAIN)
    assert not open_images(path).compressed
    np.testing.assert_array_equal(read_images(path), IMAGES)


@pytest.mark.parametrize("shape", [(8, 8), (20, 20), (64, 64), (20, 20, 1), (1, 20, 20), (28, 28, 1), (1, 28, 28)])
def test_other_squares_are_read_and_an_axis_of_one_channel(shape: tuple[int, ...], tmp_path: Path) -> None:
    side = shape[1]
    images = np.random.default_rng(0).integers(0, 256, (3, side, side), dtype=np.uint8)
    (tmp_path / "squares").write_bytes(idx_bytes((3, *shape), images.tobytes()))
    opened = open_images(tmp_path / "squares")
    assert opened.image_shape == (side, side)
    np.testing.assert_array_equal(next(opened.batches(10)), images.reshape(3, -1))
    np.testing.assert_array_equal(read_images(tmp_path / "squares"), images)


@pytest.mark.parametrize("shape", [(7, 7), (65, 65), (14, 56), (28, 28, 3), (3, 28, 28), (28, 1, 28), (784, 1), (1, 1)])
def test_other_shapes_are_refused_from_the_header(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(idx_bytes((1, *shape), b""))
    with pytest.raises(DataError) as error:
        open_images(path)
    assert_refused(error, path, "expected", "8 to 64" if len(shape) < 4 else "")


def qmnist(classes: list[int], n_columns: int = 8) -> bytes:
    """QMNIST's labels: 32-bit numbers, the class and seven more."""
    rows = np.zeros((len(classes), n_columns), ">i4")
    rows[:, 0] = classes
    rows[:, 1:] = 1000
    return bytes((0, 0, 0x0C, 2)) + struct.pack(">II", *rows.shape) + rows.tobytes()


def test_qmnists_labels_are_their_first_column(tmp_path: Path) -> None:
    for content in (qmnist([5, 0, 255, 9]), gzip.compress(qmnist([5, 0, 255, 9]))):
        (tmp_path / "labels").write_bytes(content)
        labels = read_labels(tmp_path / "labels")
        assert (labels.tolist(), labels.dtype) == ([5, 0, 255, 9], np.uint8)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (qmnist([5, 256]), ["label 256 at index 1", "0 to 255"]),
        (qmnist([-1]), ["label -1 at index 0"]),
        (qmnist([5], n_columns=3), ["labels of 3 columns", "QMNIST's 8"]),
        (qmnist([5])[:-1], ["43 bytes", "exactly 44 bytes"]),
        (qmnist([5]) + b"\0", ["45 bytes", "exactly 44 bytes"]),
    ],
)
def test_hostile_labels_of_qmnist_are_refused(content: bytes, parts: list[str], tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_labels(path)
    assert_refused(error, path, *parts)


def test_batches_do_not_share_memory_and_can_be_taken_twice(tmp_path: Path) -> None:
    path = tmp_path / "images"
    write_images(path, IMAGES)
    opened = open_images(path)
    first, second, _ = opened.batches(1)
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(np.concatenate(list(opened.batches(2))), IMAGES.reshape(3, 784))


def test_dropped_batches_leave_no_open_file(tmp_path: Path) -> None:
    write_images(tmp_path / "images", IMAGES)
    batches = open_images(tmp_path / "images").batches(1)
    next(batches)
    del batches  # an unclosed file would be a ResourceWarning, hence an error


@pytest.mark.parametrize("content", [PLAIN[:-784], idx_bytes((2, 28, 28), bytes(1568)), b""])
def test_a_file_that_changes_after_it_was_opened_gives_no_rows(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(PLAIN)
    opened = open_images(path)
    path.write_bytes(content)
    with pytest.raises(DataError):
        next(opened.batches(1))


def test_a_file_cut_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(PLAIN)
    batches = open_images(path).batches(1)
    next(batches)
    os.truncate(path, 1000)
    with pytest.raises(DataError, match="1000 bytes, expected exactly 2368"):
        next(batches)


@pytest.fixture
def special_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Path]]:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    fifo, folder, sock = (Path(f"{name}-idx3-ubyte") for name in ("fifo", "folder", "sock"))
    os.mkfifo(fifo)
    folder.mkdir()
    link = Path("link-idx3-ubyte")
    link.symlink_to(fifo)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(sock))
        yield {
            "a FIFO": fifo,
            "a folder": folder,
            "a socket": sock,
            "a device": Path("/dev/zero"),
            "No such file or directory, expected a readable file; check": Path("missing-idx3-ubyte"),
        }


def test_what_is_not_a_regular_file_is_refused_without_blocking(special_files: dict[str, Path]) -> None:
    for kind, path in special_files.items():
        with pytest.raises(DataError) as error:
            open_images(path)
        assert_refused(error, path, kind)
        assert not looks_like_idx(path)
    with pytest.raises(DataError, match="link-idx3-ubyte: a FIFO"):
        read_images("link-idx3-ubyte")


def test_control_and_undecodable_characters_of_names_are_escaped(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/a\n\x1b[31m\xff"
    with open(path, "wb") as file:
        file.write(b"rubbish")
    with pytest.raises(DataError, match=r"a\\n\\x1b\[31m\\udcff: not an IDX file") as error:
        open_images(path)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("path", ["images.gz", "images"])
def test_streaming_memory_does_not_grow_with_the_number_of_images(path: str, tmp_path: Path) -> None:
    n_images = 20_000
    write_images(tmp_path / path, np.zeros((n_images, 28, 28), np.uint8))
    tracemalloc.start()
    try:
        n_read = sum(len(pixels) for pixels in open_images(tmp_path / path).batches(256))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n_read == n_images
    assert peak < 4 << 20  # the pixels are 15 MiB


def test_a_gzip_bomb_is_refused_within_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(PLAIN + bytes(100 << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="more bytes, expected exactly 2368"):
            open_images(path)
        with pytest.raises(DataError, match="more bytes, expected exactly 2368"):
            read_images(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_a_huge_claim_of_a_small_gzip_file_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "claim.gz"
    path.write_bytes(gzip.compress(idx_bytes((2**20, 28, 28), bytes(1000))))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="can't hold that much"):
            read_images(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_the_best_compression_there_is_is_not_taken_for_a_false_claim(tmp_path: Path) -> None:
    path = tmp_path / "zeros.gz"
    content = idx_bytes((100_000, 28, 28), bytes(78_400_000))
    path.write_bytes(gzip.compress(content, compresslevel=9))
    assert len(content) / path.stat().st_size > 1000
    assert open_images(path).n_images == 100_000


def test_a_gzip_stream_expands_no_more_than_it_is_asked_for() -> None:
    class Stream:
        content = gzip.compress(bytes(1 << 20))

        def read(self, size: int, /) -> bytes:
            piece, self.content = self.content[:size], self.content[size:]
            return piece

    content = expanded(Stream())
    sizes = []
    while piece := content.read(1000):
        sizes.append(len(piece))
    assert max(sizes) <= 1000
    assert sum(sizes) == 1 << 20


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("plain", PLAIN, True),
        ("gzip", ZIPPED, True),
        ("first bytes in three members", b"".join(map(zipped, (b"\0", b"\0\x08", b"\3..."))), True),
        ("labels", idx_bytes((1,), b"\7"), True),
        ("floats", idx_bytes((1, 2), bytes(8), 0x0D), True),
        ("gzip cut late", ZIPPED[:-9], True),
        ("icon.ico", b"\0\0\1\0" + bytes(60), False),
        ("picture.tga", b"\0\0\x0a\0" + bytes(60), False),
        ("picture.avif", b"\0\0\0\x1cftypavif", False),
        ("picture.png", b"\x89PNG\r\n\x1a\n", False),
        ("empty", b"", False),
        ("no dimensions", b"\0\0\x08\0", False),
        ("gzip of text", zipped(b"hello"), False),
        ("gzip of nothing", zipped(b""), False),
        ("damaged gzip", b"\x1f\x8b\xff\xff\xff", False),
        ("t10k-images-idx3-ubyte", b"", True),
        ("t10k-images.idx3-ubyte", flipped(PLAIN, 2, 0xFF), True),
        ("t10k-images-idx3-ubyte.gz", ZIPPED[:4], True),
        ("t10k-images-idx3-ubyte.gz", flipped(ZIPPED, 2, 0xFF), True),
        ("t10k-images-idx3-ubyte.png", b"\x89PNG\r\n\x1a\n", False),
    ],
)
def test_idx_is_recognised_by_content_or_by_its_unmistakable_name(
    name: str, content: bytes, expected: bool, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    assert looks_like_idx(tmp_path / name) is expected
    assert looks_like_idx(os.fsencode(tmp_path / name)) is expected


def test_a_file_of_zero_images_is_legal(tmp_path: Path) -> None:
    write_images(tmp_path / "images", random_images(0))
    assert read_images(tmp_path / "images").shape == (0, 28, 28)
    assert list(open_images(tmp_path / "images").batches(5)) == []


def test_a_set_too_large_for_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    path = tmp_path / "images"
    path.write_bytes(PLAIN)
    monkeypatch.setattr(np, "empty", no_memory)
    with pytest.raises(DataError, match="3 items do not fit into memory; split the file"):
        read_images(path)


def test_a_reading_error_of_the_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: gzip.GzipFile, size: int) -> bytes:
        raise OSError(5, "Input/output error")

    path = tmp_path / "images.gz"
    path.write_bytes(ZIPPED)
    monkeypatch.setattr(gzip.GzipFile, "read", broken)
    with pytest.raises(DataError) as error:
        open_images(path)
    assert_refused(error, path, "Input/output error")


def test_gzip_by_another_writer_is_read(tmp_path: Path) -> None:
    writer = zlib.compressobj(1, zlib.DEFLATED, 31)
    (tmp_path / "images").write_bytes(writer.compress(PLAIN) + writer.flush())
    np.testing.assert_array_equal(read_images(tmp_path / "images"), IMAGES)
