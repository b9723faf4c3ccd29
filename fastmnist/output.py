"""Predictions as CSV bytes, and files that are written whole or not at all."""

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Container, Iterator, Sequence
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from fastmnist.errors import AnyPath, OutputError, printable, reason

# RFC 4180 wants these quoted; Python's own csv writer leaves a bare \r unquoted when lines end with \n.
_NEEDS_QUOTES = re.compile(rb'[,"\r\n]')
# A cell that begins so is a formula to a spreadsheet, quoted or not (white space is dropped first).
_FORMULA = (b"=", b"+", b"-", b"@", b"\t", b"\r", b"\n")


def is_class_name(name: object) -> bool:
    """Tell whether `name` can be a label in the rows: printable words that no spreadsheet takes for a formula."""
    return isinstance(name, str) and name.isprintable() and name[:1].isalnum()


class CsvWriter:
    """Writes `path,index,label,confidence` rows to a buffered binary stream, one write per batch.

    The stream's OSErrors (a full disk, a reader gone) come through, at the latest from `flush`.
    """

    def __init__(self, stream: BinaryIO, class_names: Sequence[str]) -> None:
        self._stream = stream
        self._labels = [_quoted(name.encode()) for name in class_names]

    def header(self) -> None:
        """Write the names of the columns."""
        self._stream.write(b"path,index,label,confidence\n")

    def rows(
        self,
        names: Sequence[bytes],
        first_index: int | None,
        labels: npt.NDArray[np.uint8],
        confidences: npt.NDArray[np.float32],
        failed: Container[int],
    ) -> None:
        """Write a batch of m rows.

        names: the path of each row; exactly one for all rows where `first_index` is set.
        first_index: the index of row 0, or None to leave the column empty.
        labels: uint8 (m,). confidences: float32 (m,). Both columns stay empty for the rows in `failed`,
            of which there are none where `first_index` is set.
        """
        if first_index is not None:
            self._write_indexed(_path_cell(names[0]), first_index, labels, confidences)
            return
        classes = self._labels
        lines = [
            b"%b,,,\n" % _path_cell(name)
            if row in failed
            else b"%b,,%b,%.6f\n" % (_path_cell(name), classes[label], confidence)
            for row, (name, label, confidence) in enumerate(
                zip(names, labels.tolist(), confidences.tolist(), strict=True)
            )
        ]
        self._stream.write(b"".join(lines))

    def _write_indexed(
        self, path: bytes, first_index: int, labels: npt.NDArray[np.uint8], confidences: npt.NDArray[np.float32]
    ) -> None:
        """Write the rows of an IDX file's images."""
        from fastmnist.kernels import format_rows, jit

        names = np.frombuffer(b"".join(self._labels), np.uint8)
        ends = np.cumsum([len(name) for name in self._labels])
        longest = len(path) + max(len(name) for name in self._labels) + format_rows.INDEX_DIGITS + 12
        n_parts = jit.n_threads()
        text = np.empty((n_parts, longest * (len(labels) // n_parts + 1)), np.uint8)
        lengths = np.empty(n_parts, np.int64)
        format_rows.format_rows(
            np.frombuffer(path, np.uint8), first_index, labels, confidences, names, ends, text, lengths
        )
        for part, length in zip(text, lengths, strict=True):
            self._stream.write(part[:length].data)

    def flush(self) -> None:
        """Hand everything to the operating system; raises the OSError of a full disk."""
        self._stream.flush()


def _path_cell(path: bytes) -> bytes:
    """Return `path` as a cell that no spreadsheet takes for a formula: `=a` becomes `./=a`, the same file."""
    return _quoted(b"./" + path if path.startswith(_FORMULA) else path)


def _quoted(cell: bytes) -> bytes:
    if _NEEDS_QUOTES.search(cell):
        return b'"' + cell.replace(b'"', b'""') + b'"'
    return cell


@contextlib.contextmanager
def atomic_file(path: AnyPath) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of `path` at the end of the context, complete and on the disk.

    On any exception, KeyboardInterrupt included, the old file is untouched and nothing else is left behind.
    A symbolic link stays one, a new file takes over the permissions of the old one, and a device or FIFO is
    written to directly. Raises OutputError where writing fails, but BrokenPipeError where a FIFO's reader left.
    """
    try:
        with _direct_file(path) if _is_direct(path) else _replacing_file(path) as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"{printable(path)}: {reason(error)}, expected a writable place with enough room; "
            "choose another (a file that was there is unchanged)"
        ) from error


def check_writable(path: AnyPath) -> None:
    """Raise OutputError unless `atomic_file` could write `path` now: better before hours of work than after."""
    try:
        if _is_direct(path):
            return
        target = os.path.realpath(os.fsencode(path))
        if os.path.isdir(target):
            raise IsADirectoryError(None, "it is a folder")
        if not os.access(os.path.dirname(target), os.W_OK | os.X_OK):
            raise PermissionError(None, "its folder is missing or not writable")
    except OSError as error:
        raise OutputError(
            f"{printable(path)}: cannot be written ({reason(error)}), expected a writable place"
        ) from error


def _is_direct(path: AnyPath) -> bool:
    """Tell whether `path` is to be written to as it is: no regular file, or a name for an open descriptor."""
    name = os.path.abspath(os.fsencode(path))
    # `-o /dev/stdout > file`: a regular file behind a link that belongs to the system and must stay.
    if name in (b"/dev/stdout", b"/dev/stderr") or name.startswith((b"/dev/fd/", b"/proc/")):
        return True
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


@contextlib.contextmanager
def _direct_file(path: AnyPath) -> Iterator[BinaryIO]:
    """Open `path` itself for writing. Raises OSError."""
    with open(path, "wb") as file:
        yield file


@contextlib.contextmanager
def _replacing_file(path: AnyPath) -> Iterator[BinaryIO]:
    """Open a new file beside `path` and rename it at the end. Raises OSError."""
    target = os.path.realpath(os.fsencode(path))
    if os.path.isdir(target):
        raise IsADirectoryError(None, "it is a folder")
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, b".fastmnist-%b.part" % secrets.token_hex(8).encode())
    try:
        with open(temporary, "xb") as file:
            if os.path.exists(target):
                os.fchmod(file.fileno(), stat.S_IMODE(os.stat(target).st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    # From here on the new file is in place and complete; some file systems have no fsync for folders.
    with contextlib.suppress(OSError):
        _sync_folder(folder)


def _sync_folder(folder: bytes) -> None:
    """Put the folder's entries, the rename among them, on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
