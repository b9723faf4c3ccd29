"""Files at addresses, from Python: in fsspec's memory, and on a small server that refuses requests."""

import io
import os
import sys
import threading
import zipfile
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
from conftest import ROOT, noted
from stores import BUCKET, KEY, SECRET, WEB, serving
from test_cli_predict import write_pngs

from fastmnist.errors import DataError, OutputError, RemoteError, printable
from fastmnist.images import files as image_files
from fastmnist.inputs.files import open_regular
from fastmnist.inputs.idx import write_images
from fastmnist.inputs.parquet import open_parquet
from fastmnist.inputs.paths import Ignored, count_rows, find_inputs
from fastmnist.inputs.selection import Selection
from fastmnist.inputs.stream import open_stream
from fastmnist.output.csv import CsvFormat
from fastmnist.output.remote_part import remote_part_file
from fastmnist.remote import fetch, store
from fastmnist.remote import file as remote_file
from fastmnist.remote.faults import Scope, fault_of
from fastmnist.remote.file import RemoteFile
from fastmnist.shapes import DIGITS

SEVEN = (ROOT / "tests" / "seven.png").read_bytes()
PARQUET = ROOT / "tests" / "hugging-face.parquet"
PICTURE = f"s3://{BUCKET}/a.png".encode()


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    """No test waits before it tries again, or uses another's connections."""
    monkeypatch.setattr(store, "DELAYS", (0, 0, 0, 0))
    yield
    store._cached_file_system.cache_clear()


@pytest.fixture
def memory():
    """What fsspec keeps in memory: path -> bytes, at memory://path."""
    import fsspec

    files = fsspec.filesystem("memory")
    yield files.pipe_file
    files.rm("/", recursive=True)


@pytest.fixture
def server(monkeypatch):
    """A store on the loopback interface, whose credentials are in the environment."""
    with serving() as started:
        for name, value in started.environment().items():
            monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
        started.objects[f"{BUCKET}/there"] = b""
        yield started


def rows_of(inputs, **settings):
    """The paths, indices, numbers, pixels (their checksum) and errors of all rows, as one list."""
    return [
        (path, index, number, zlib.crc32(pixels.tobytes()), batch.errors.get(row))
        for batch in open_stream(inputs, **settings)
        for row, (path, index, number, pixels) in enumerate(
            zip(batch.paths, batch.indices, batch.numbers, batch.pixels, strict=True)
        )
    ]


def moved(rows, start, address):
    """The rows, with `start` of each path, and of each message, replaced."""
    return [
        (path.replace(start, address), index, number, pixels, error and error.replace(start.decode(), address.decode()))
        for path, index, number, pixels, error in rows
    ]


NAMES = ["b.png", "a b.PNG", "sub/x.png", "sub!/y.png", "sub/z/1.jpg", "bare", ".hidden.png", ".h/a.png", "notes.txt",
         "é.png", "100%.png", "x-idx3-ubyte", "a#b.png", "a?b.png", "zz/t.gif"]  # fmt: skip


def test_a_folder_is_walked_like_one_of_this_machine(memory, tmp_path):
    for name in NAMES:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b"")
        memory(f"/pictures/{name}", b"")
    here, there = Ignored(), Ignored()
    expected = [found.path.removeprefix(bytes(tmp_path)) for found in find_inputs([bytes(tmp_path)], here)]
    for address in ("memory://pictures", "memory://pictures/"):
        actual = [found.path.removeprefix(b"memory://pictures") for found in find_inputs([address], there)]
        assert actual == expected
        assert len(actual) == 11
    assert (there.other_files, there.idx_files) == (2 * here.other_files, 2 * here.idx_files) == (2, 2)


@pytest.fixture
def small_parts(monkeypatch):
    """Files come in parts of 700 bytes, so that what is read of them at once does not lie in one."""
    monkeypatch.setattr(remote_file, "FIRST_BYTES", 700)
    monkeypatch.setattr(remote_file, "MOST_BYTES", 700)


@pytest.mark.parametrize("name", ["a.parquet", "without-a-suffix"])
def test_parquet_files_are_read(memory, small_parts, name):
    memory(f"/{name}", PARQUET.read_bytes())
    expected = rows_of([PARQUET])
    assert len(expected) == count_rows([f"memory://{name}"]) == 20
    assert rows_of([f"memory://{name}"]) == moved(expected, bytes(PARQUET), f"memory://{name}".encode())


@pytest.mark.parametrize(("status", "fault"), [(500, RemoteError), (403, DataError)])
def test_a_parquet_file_that_is_lost_while_it_is_decoded(server, small_parts, status, fault):
    """The decoder gives up whatever was wrong, and has words of its own for it."""
    server.objects[f"{BUCKET}/a.parquet"] = PARQUET.read_bytes()
    address = f"s3://{BUCKET}/a.parquet"
    batches = replace(open_parquet(address), batch_rows=5).batches()
    assert len(next(batches)) == 5
    server.always[f"{BUCKET}/a.parquet"] = status
    with pytest.raises(fault, match=rf"^{address}: (the server answered|access denied) .*expected a file of which"):
        list(batches)


def test_a_web_servers_folder_is_its_page_of_links(server):
    for name in NAMES:
        server.objects[f"{WEB}/pictures/{name}"] = SEVEN
    address = f"{server.url}/{WEB}/pictures/"
    found = [found.path.decode().removeprefix(address) for found in find_inputs([address])]
    assert found == ["%C3%A9.png", "100%25.png", "a%20b.PNG", "a%23b.png", "a%3Fb.png", "b.png", "bare", "sub%21/y.png",
                     "sub/x.png", "sub/z/1.jpg", "zz/t.gif"]  # fmt: skip
    assert [error for *_, error in rows_of([address])] == [None] * len(found)


@pytest.mark.parametrize("threads", [1, 2])
def test_pictures_give_the_rows_of_local_ones(digits, memory, tmp_path, threads):
    write_pngs(tmp_path / "pictures", digits[0][:150])
    for name in ("broken.png", "empty.png"):
        (tmp_path / "pictures" / name).write_bytes(SEVEN[:100] if name == "broken.png" else b"")
    cv2.imwritemulti(str(tmp_path / "pictures" / "pages.tiff"), list(digits[0][:3]))
    for path in (tmp_path / "pictures").iterdir():
        memory(f"/pictures/{path.name}", path.read_bytes())
    here = rows_of([bytes(tmp_path / "pictures")], threads=threads)
    assert rows_of(["memory://pictures"], threads=threads) == moved(here, bytes(tmp_path) + b"/", b"memory://")
    assert len(here) == 150 + 2 + 3


def test_files_of_many_images_are_read_where_they_are(digits, memory, tmp_path):
    images = digits[0][:300]
    write_images(tmp_path / "set-idx3-ubyte", images)
    write_images(tmp_path / "set-idx3-ubyte.gz", images)
    np.savez_compressed(tmp_path / "set.npz", x_test=images)
    np.save(tmp_path / "set.npy", images)
    np.savetxt(tmp_path / "set.csv", images.reshape(-1, 784)[:50], fmt="%d", delimiter=",")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("0/a.png", SEVEN)
        archive.writestr("1/b.png", SEVEN)
    (tmp_path / "set.pkl").write_bytes(b"\x80\x04.")
    (tmp_path / "cut-idx3-ubyte").write_bytes((tmp_path / "set-idx3-ubyte").read_bytes()[:1000])
    names = sorted(path.name for path in tmp_path.iterdir())
    for name in names:
        memory(f"/{name}", (tmp_path / name).read_bytes())
    with noted() as here_notes:
        here = rows_of([bytes(tmp_path / name) for name in names], batch_size=128)
    with noted() as there_notes:
        there = rows_of([f"memory://{name}" for name in names], batch_size=128)
    assert there == moved(here, bytes(tmp_path) + b"/", b"memory://")
    assert there_notes == [note.replace(f"{tmp_path}/", "memory://") for note in here_notes]
    assert len(here) == 4 * 300 + 50 + 2 + 2


def test_only_what_is_selected_is_fetched(server):
    for number in range(30):
        server.objects[f"{BUCKET}/p/{number:02}.png"] = SEVEN
    selection = Selection(2, 3, lambda paths, _indices, numbers: sum(number < 15 for number in numbers))
    rows = rows_of([f"s3://{BUCKET}/p/"], selection=selection)
    assert [number for _, _, number, *_ in rows] == [16, 19, 22, 25, 28]
    fetched = sorted(name for _, name in server.requests if name.endswith(".png"))
    assert fetched == [f"{BUCKET}/p/{number}.png" for number in (16, 19, 22, 25, 28)]


def test_a_listing_of_several_answers_is_whole(server):
    for number in range(250):
        server.objects[f"{BUCKET}/p/{number:03}.png"] = b""
    assert len(list(find_inputs([f"s3://{BUCKET}/p"]))) == 250
    assert [name for method, name in server.requests if method == "GET"].count(BUCKET) >= 3


def test_what_is_fetched_ahead_is_bounded(server):
    n_all = 3 * (fetch.TOGETHER + fetch.AHEAD)
    for number in range(n_all):
        server.objects[f"{BUCKET}/p/{number:04}.png"] = SEVEN
    with fetch.Fetcher() as fetcher:
        wanted = (fetch.Wanted(f"s3://{BUCKET}/p/{number:04}.png".encode(), number) for number in range(n_all))
        batches = fetcher.batches(wanted, 4096)
        first = next(batches)
        assert [picture.number for picture in first] == list(range(fetch.TOGETHER))
        assert next(wanted).number <= fetch.TOGETHER + fetch.AHEAD + 1


def test_large_pictures_are_handed_on_soon(server, monkeypatch):
    monkeypatch.setattr(fetch, "START_BYTES", 100)
    monkeypatch.setattr(fetch, "TOGETHER_BYTES", 1000)
    contents = [bytes([number]) * (300 + number) for number in range(10)]
    for number, content in enumerate(contents):
        server.objects[f"{BUCKET}/{number}"] = content
    with fetch.Fetcher() as fetcher:
        wanted = (fetch.Wanted(f"s3://{BUCKET}/{number}".encode(), number) for number in range(10))
        batches = list(fetcher.batches(wanted, 4096))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert [picture.file.data for batch in batches for picture in batch] == contents


def test_a_picture_that_is_too_large_is_never_fetched_as_a_whole(server, monkeypatch):
    monkeypatch.setattr(fetch, "START_BYTES", 100)
    monkeypatch.setattr(fetch, "MAX_FILE_BYTES", 1000)
    server.objects[f"{BUCKET}/a.png"] = server.objects[f"{WEB}/a.png"] = bytes(5000)
    for address in (PICTURE, f"{server.url}/{WEB}/a.png".encode()):
        assert len(store.read_start(address, 1001, "a picture")) == 1001
        (row,) = rows_of([address])
        assert row[-1].startswith(f"{address.decode()}: more than 1000 bytes, expected an image of 1 to ")


@pytest.mark.parametrize("start", [f"s3://{BUCKET}", WEB])
def test_a_remote_file_is_read_as_any_other(server, start):
    rng = np.random.default_rng(5)
    content = rng.bytes(1_000_000)
    server.objects[f"{BUCKET}/file"] = server.objects[f"{WEB}/file"] = content
    address = f"{server.url}/{WEB}/file" if start == WEB else f"{start}/file"
    with open_regular(address) as file:
        assert file.seek(0, os.SEEK_END) == len(content)
        for place in [0, *rng.integers(0, len(content) + 10, 30).tolist()]:
            file.seek(place)
            part = file.read(1000)
            assert bool(part) == (place < len(content))
            assert zlib.crc32(part) == zlib.crc32(content[place : place + len(part)])
        file.seek(10)
        assert file.seek(-5, os.SEEK_CUR) == 5
    server.requests.clear()
    with open_regular(address) as file:
        assert zlib.crc32(io.BufferedReader(file).read()) == zlib.crc32(content)
    assert len(server.requests) == 1 + 5  # the length; 64, 128, 256, 512 KB, and what is left


def test_a_server_that_sends_whole_files_only_is_an_error(server, digits, tmp_path):
    write_images(tmp_path / "set-idx3-ubyte", digits[0][:300])
    server.objects[f"{WEB}/set-idx3-ubyte"] = (tmp_path / "set-idx3-ubyte").read_bytes()
    server.sends_ranges = False
    address = f"{server.url}/{WEB}/set-idx3-ubyte"
    (row,) = rows_of([address])
    assert row[-1] == (
        f"{address}: not something that the server can provide (ValueError), "
        "expected a file of which parts can be asked for; "
        "check the address and your permissions"
    )


@pytest.mark.parametrize("every", [2, 3])
def test_requests_that_are_refused_are_made_again(server, every, digits, tmp_path):
    write_pngs(tmp_path / "p", digits[0][:40])
    for path in (tmp_path / "p").iterdir():
        server.objects[f"{BUCKET}/p/{path.name}"] = path.read_bytes()
    server.refuse_every = every
    expected = moved(rows_of([bytes(tmp_path / "p")]), bytes(tmp_path), f"s3://{BUCKET}".encode())
    assert rows_of([f"s3://{BUCKET}/p"]) == expected


def test_tries_are_bounded(server):
    server.objects[f"{BUCKET}/a.png"] = SEVEN
    server.always[f"{BUCKET}/a.png"] = 500
    with pytest.raises(RemoteError, match=r"^s3://bucket/a.png: the server answered InternalError, 5 times, expected "):
        rows_of([PICTURE])
    assert server.requests == [("GET", f"{BUCKET}/a.png")] * 5


def test_a_server_that_is_not_there_ends_the_job(server):
    address = f"{server.url}/a.png"
    server.server_close()
    with pytest.raises(RemoteError, match=r"a.png: no answer \(ClientConnectorError\), 5 times, expected a picture; "):
        rows_of([address])


def test_what_one_picture_lacks_costs_only_itself(server):
    for name in ("a", "denied", "empty", "last"):
        server.objects[f"{BUCKET}/{name}.png"] = b"" if name == "empty" else SEVEN
    server.always[f"{BUCKET}/denied.png"] = 403
    names = ["a", "denied", "missing", "empty", "last"]
    rows = rows_of([f"s3://{BUCKET}/{name}.png" for name in names])
    assert [path.decode() for path, *_ in rows] == [f"s3://{BUCKET}/{name}.png" for name in names]
    told = [error and error.removeprefix(f"s3://{BUCKET}/") for *_, error in rows]
    assert told == [
        None,
        "denied.png: access denied (AccessDenied), expected a picture; check the address and your permissions",
        "missing.png: no such file, expected a picture; check the address and your permissions",
        f"empty.png: 0 bytes, expected an image of 1 to {image_files.MAX_FILE_BYTES} bytes (64 MB); replace it",
        None,
    ]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("s3://nowhere/a.png", r"^s3://nowhere/a.png: no such bucket, expected a picture; "),
        (
            "https://me:hush@host/a.png",
            r"^https://host/a.png: a user name or password in the address, expected credentials ",
        ),
        (
            "S3://id:hush@bucket/a",
            r"^S3://bucket/a: a user name or password in the address, expected credentials where ",
        ),
    ],
)
def test_what_nothing_can_be_read_with_ends_the_job(server, address, told):
    server.objects[f"{BUCKET}/a.png"] = SEVEN
    with pytest.raises(RemoteError, match=told) as error:
        rows_of([PICTURE, address])
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("file:///etc/passwd", "file:///etc/passwd: file://, expected a plain path for a local file; use that"),
        (
            "no://a.png",
            "no://a.png: no://, expected s3://, gs://, https://, or another protocol of fsspec whose package is "
            "installed",
        ),
    ],
)
def test_an_address_that_is_none_is_a_row(address, told, memory):
    memory("/a.png", SEVEN)
    assert [row[-1] for row in rows_of([address, "memory://a.png", address])] == [told, None, told]


def test_a_store_that_wants_more_than_an_address_is_a_row(monkeypatch):
    def wants_a_host(_protocol, **_options):
        raise TypeError("missing 1 required argument: 'host'")

    monkeypatch.setattr("fsspec.filesystem", wants_a_host)
    (row,) = rows_of(["ftp://a/b.png"])
    assert row[-1].startswith(
        "ftp://a/b.png: ftp:// can't be opened (missing 1 required argument: 'host'), expected s3://"
    )


@pytest.mark.parametrize(("key", "told"), [("WRONG", r"refused \(InvalidAccessKeyId\)"), (None, "NoCredentialsError")])
@pytest.mark.parametrize("address", [f"s3://{BUCKET}/p", f"s3://{BUCKET}/p/", f"s3://{BUCKET}/p/a.png"])
def test_credentials_that_are_wrong_end_the_job(server, monkeypatch, key, told, address):
    server.objects[f"{BUCKET}/p/a.png"] = SEVEN
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key) if key else monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    if key is None:
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(RemoteError, match=told) as error:
        rows_of([address])
    assert str(error.value).startswith(f"{address}: ")
    assert str(error.value).endswith("check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
    assert not {KEY, SECRET, "WRONG"} & set(str(error.value).replace(",", " ").split())


def test_a_web_servers_credentials_are_those_of_netrc(server, monkeypatch, tmp_path):
    server.objects[f"{WEB}/a.png"] = SEVEN
    server.private.add(f"{WEB}/a.png")
    address = f"{server.url}/{WEB}/a.png"
    with pytest.raises(
        RemoteError, match=r"a.png: the credentials were refused \(401\), expected credentials that are valid for"
    ):
        rows_of([address])
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hush")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert [error for *_, error in rows_of([address])] == [None]


@pytest.mark.parametrize(
    ("protocol", "missing"), [("s3", "s3fs"), ("https", "aiohttp"), ("gs", "gcsfs"), ("s3", "fsspec")]
)
def test_a_missing_extra_is_named(protocol, missing, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] in (missing, "fsspec")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(RemoteError) as error:
        rows_of([f"{protocol}://host/a.png"])
    assert str(error.value) == (
        f"{protocol}://host/a.png: an address, which needs the extra 'remote': pip install 'fastmnist[remote]'"
    )


class AnsweredError(Exception):
    """An exception as botocore, aiohttp or gcsfs makes them, with an answer of the server."""

    def __init__(self, code="", status=0, http=0):
        super().__init__(f"signed with {SECRET}")
        self.response = (
            {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}} if code or status else None
        )
        self.status = http


@pytest.mark.parametrize(
    ("error", "words", "scope"),
    [
        (AnsweredError("SlowDown", 503), "the server answered SlowDown", Scope.PASSING),
        (AnsweredError("", 500), "the server answered 500", Scope.PASSING),
        (AnsweredError(http=429), "the server answered 429", Scope.PASSING),
        (AnsweredError(http=401), "the credentials were refused (401)", Scope.CREDENTIALS),
        (AnsweredError("ExpiredToken", 400), "the credentials were refused (ExpiredToken)", Scope.CREDENTIALS),
        (AnsweredError("403", 403), "access denied (403)", Scope.FILE),
        (AnsweredError("NoSuchBucket", 404), "no such bucket", Scope.STORE),
        (AnsweredError("InvalidRange", 416), "empty", Scope.EMPTY),
        (AnsweredError(f"with {SECRET}", 400), "the server answered 400", Scope.FILE),
        (AnsweredError(http=418), "the server answered 418", Scope.FILE),
        (FileNotFoundError(SECRET), "no such file", Scope.FILE),
        (PermissionError(SECRET), "access denied (PermissionError)", Scope.FILE),
        (TimeoutError(SECRET), "no answer (TimeoutError)", Scope.PASSING),
        (ConnectionResetError(SECRET), "no answer (ConnectionResetError)", Scope.PASSING),
        (ValueError(SECRET), "not something that the server can provide (ValueError)", Scope.FILE),
        (type("ProfileNotFound", (Exception,), {})(), "no usable credentials (ProfileNotFound)",
         Scope.CREDENTIALS),
        (ZeroDivisionError(SECRET), "no answer (ZeroDivisionError)", Scope.FILE),
    ],
)  # fmt: skip
def test_faults_are_told_in_words_of_our_own(error, words, scope):
    assert fault_of(error) == (words, scope)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("s3://bucket/a@b.png", "s3://bucket/a@b.png"),
        ("https://host/a.png?X-Amz-Signature=hush&x=1", "https://host/a.png?..."),
        ("https://me:hush@host/a.png?hush", "https://host/a.png?..."),
        ("no https://me:hush@host/ nor s3://b/c?hush here?", "no https://host/ nor s3://b/c?... here?"),
        (b"s3://b/\xff\n", r"s3://b/\udcff\n"),
        ("a?b@c", "a?b@c"),
    ],
)
def test_no_message_repeats_what_is_secret_in_an_address(address, shown):
    assert printable(address) == shown


FORM, JOB = CsvFormat(DIGITS), {"model": "abc"}
TARGET = f"s3://{BUCKET}/out.csv"


def write_rows(part, n_rows, *, resume=False, address=TARGET, job=JOB, fail=False):
    """Write rows for a.png, b.png, ... but those that are there."""
    with remote_part_file(address, part, job, FORM, resume=resume) as opened:
        names = [b"%c.png" % (97 + number) for number in range(n_rows)]
        n_known = opened.count_known(names, [None] * n_rows, range(n_rows))
        opened.file.write(b"".join(name + b",,7,0.900000\n" for name in names[n_known:]))
        if fail:
            raise KeyboardInterrupt
    return n_known


def test_a_part_is_uploaded_once_at_the_end(server, tmp_path):
    server.objects[f"{BUCKET}/out.csv"] = b"old"
    with pytest.raises(KeyboardInterrupt):
        write_rows(tmp_path / "part", 2, fail=True)
    assert server.objects[f"{BUCKET}/out.csv"] == b"old"
    assert (tmp_path / "part").read_bytes() == FORM.header + b"a.png,,7,0.900000\nb.png,,7,0.900000\n"
    with pytest.raises(OutputError, match=r"part: begun with -o \"s3://bucket/out.csv\", expected \"s3://bucket/other"):
        write_rows(tmp_path / "part", 3, resume=True, address=f"s3://{BUCKET}/other.csv")
    assert write_rows(tmp_path / "part", 3, resume=True) == 2
    assert server.objects[f"{BUCKET}/out.csv"] == FORM.header + b"".join(
        b"%c.png,,7,0.900000\n" % name for name in b"abc"
    )
    assert sorted(tmp_path.iterdir()) == []
    assert [name for method, name in server.requests if method == "PUT"] == [f"{BUCKET}/out.csv"]


def test_an_upload_is_tried_again(server, tmp_path):
    server.refuse_every = 2
    write_rows(tmp_path / "part", 3)
    assert server.objects[f"{BUCKET}/out.csv"].count(b"\n") == 4
    assert [method for method, _ in server.requests] == ["GET", "PUT", "PUT"]


def test_an_upload_that_fails_leaves_the_part(server, tmp_path, notes):
    server.always_put = 403
    with pytest.raises(
        OutputError, match=r"^s3://bucket/out.csv: access denied \(AccessDenied\), expected a place that"
    ):
        write_rows(tmp_path / "part", 3)
    assert notes == [f"{tmp_path}/part keeps the rows so far; to continue, run the same command with --resume"]
    server.always_put = None
    assert write_rows(tmp_path / "part", 3, resume=True) == 3
    assert server.objects[f"{BUCKET}/out.csv"].count(b"\n") == 4


def test_without_a_name_the_part_is_in_the_users_own_cache(server, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        write_rows(None, 2, fail=True)
    (folder,) = tmp_path.rglob("parts")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".part"]
    with pytest.raises(KeyboardInterrupt):
        write_rows(None, 2, fail=True, address=f"s3://{BUCKET}/another.csv")
    assert len(list(folder.iterdir())) == 4
    assert write_rows(None, 2, resume=True) == 2
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://host/out.csv", r": a web server, expected a store that can be written"),
        (f"s3://{BUCKET}", r": a folder, expected a file's address; add a file name to it"),
        (f"s3://{BUCKET}/p/", r": a folder, expected a file's address; add a file name to it"),
        ("s3://nowhere/out.csv", r": no such bucket, expected a place that can be written; "),
    ],
)
def test_a_place_that_cannot_be_written_is_known_before_the_work(server, tmp_path, address, told):
    with (
        pytest.raises((OutputError, RemoteError), match=told),
        remote_part_file(address, tmp_path / "part", JOB, FORM, resume=False),
    ):
        pytest.fail("it has begun")
    assert sorted(tmp_path.iterdir()) == []


def test_any_number_of_threads_may_read_at_once(server, digits, tmp_path):
    write_pngs(tmp_path / "p", digits[0][:20])
    for path in (tmp_path / "p").iterdir():
        server.objects[f"{BUCKET}/p/{path.name}"] = path.read_bytes()
    expected, actual = rows_of([f"s3://{BUCKET}/p/"]), {}
    threads = [
        threading.Thread(target=lambda place=place: actual.update({place: rows_of([f"s3://{BUCKET}/p/"])}))
        for place in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(actual.values()) == [expected] * 4


def test_a_length_that_is_not_told_is_an_error(monkeypatch, memory):
    memory("/a-idx3-ubyte", b"x")
    monkeypatch.setattr(store, "attempt", lambda *_: None)
    monkeypatch.setattr(
        "fastmnist.remote.file.attempt", lambda *_: type("Stream", (), {"size": None, "close": print})()
    )
    with pytest.raises(DataError, match=r"^memory://a: the server does not report its size, expected one that does; "):
        RemoteFile(b"memory://a")
