"""`FILE.part`: rows on their way to FILE, with which a later run can go on.

`FILE.part.json` says which model and which options made them. At the end FILE.part becomes FILE, in one step.
"""

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

from fastmnist.errors import AnyPath, OutputError, printable, reason
from fastmnist.output.atomic import sync_folder
from fastmnist.output.rows import RowWriter

_MAX_LINE_BYTES = 1 << 20  # of a row: a path has 4,096


class PartFile:
    """An open FILE.part: `file` to write rows to, and what is known of the rows of an earlier run.

    n_known: how many of them were met so far; n_failed: how many of those have no label.
    """

    def __init__(self, path: AnyPath, about: dict[str, Any], *, resume: bool) -> None:
        """Open the part of `path`: an empty one, or where `resume` is set one that was made with the same `about`.

        Raises OutputError where that is another one, or another process writes it, and OSError.
        """
        self._target = os.path.realpath(os.fsencode(path))
        if os.path.isdir(self._target):
            raise IsADirectoryError(None, "it is a folder")
        self.path, self._about_path = self._target + b".part", self._target + b".part.json"
        self.n_known = self.n_failed = 0
        self._writer: RowWriter | None = None
        self._end = 0  # of the rows that are known
        self._refused = False
        self.file: BinaryIO = _open_locked(self.path)
        self._is_reading = resume and os.fstat(self.file.fileno()).st_size > 0
        try:
            if self._is_reading:
                self._check_about(about)
            else:
                self.file.truncate(0)
                self._write_about(about)
        except BaseException:
            self.abandon()
            raise

    def begin(self, writer: RowWriter) -> None:
        """Take the writer of the rows to `file`, and write its header or find it there."""
        self._writer = writer
        if self._is_reading:
            if self.file.read(len(writer.header)) == writer.header:
                self._end = len(writer.header)
                return
            self._end_reading()  # the part was cut within its header
        writer.write_header()

    def count_known(self, names: Sequence[bytes], positions: range | None) -> int:
        """Return how many of these rows, from the first on, are there (data/selection.py: CountKnown).

        Raises OutputError where other rows are there.
        """
        if not self._is_reading or self._writer is None:
            return 0
        n_known = 0
        for start in self._writer.starts(names, positions):
            row = self._read_row(1 + start.count(b"\n"))
            if row is None:
                self._end_reading()
                break
            if not row.startswith(start):
                raise self._refusal(
                    f"row {self.n_known + n_known + 1} begins {printable(row[: len(start)])!r}, expected "
                    f"{printable(start)!r}: the inputs have changed"
                )
            self.n_failed += row.startswith(self._writer.no_label, len(start))
            n_known += 1
        self._writer.pass_over(n_known)
        self.n_known += n_known
        return n_known

    def finish(self) -> None:
        """Put the rows on the disk and into their place. Raises OutputError where rows too many are there; OSError."""
        if self._is_reading:
            if self._read_row(1) is not None:
                raise self._refusal(f"more than the {self.n_known:,} rows of the inputs: they have changed")
            self._end_reading()
        self.file.flush()
        if os.path.exists(self._target):
            os.fchmod(self.file.fileno(), stat.S_IMODE(os.stat(self._target).st_mode))
        os.fsync(self.file.fileno())
        os.replace(self.path, self._target)
        # From here on the file is in place and complete; some file systems have no fsync for folders.
        with contextlib.suppress(OSError):
            self.file.close()
            os.unlink(self._about_path)
            sync_folder(os.path.dirname(self._target))

    def abandon(self) -> str | None:
        """Close the part, which stays if it has any rows; return a line that says how to go on with them."""
        with contextlib.suppress(OSError):
            self.file.close()
        header = self._writer.header if self._writer else b""
        try:
            has_rows = os.stat(self.path).st_size > len(header)
        except OSError:
            has_rows = False
        if not has_rows:
            for path in (self.path, self._about_path):
                with contextlib.suppress(OSError):
                    os.unlink(path)
        if self._refused or not has_rows:
            return None
        return f"{printable(self.path)} keeps the rows so far; the same command with --resume goes on from there"

    def _read_row(self, n_lines: int) -> bytes | None:
        """Return the next row, of so many lines, or None where the part ends or is cut."""
        row = b""
        for _ in range(n_lines):
            line = self.file.readline(_MAX_LINE_BYTES)
            if not line.endswith(b"\n") or b"\0" in line:  # a crash may leave zeros where data was to come
                return None
            row += line
        self._end += len(row)
        return row

    def _end_reading(self) -> None:
        """Drop what follows the known rows: a row cut short."""
        self._is_reading = False
        self.file.seek(self._end)
        self.file.truncate()

    def _write_about(self, about: dict[str, Any]) -> None:
        with open(self._about_path, "wb") as file:
            file.write(json.dumps(about, sort_keys=True).encode() + b"\n")

    def _check_about(self, about: dict[str, Any]) -> None:
        """Raise OutputError unless the part was made with the same model and options."""
        try:
            with open(self._about_path, "rb") as file:
                before = json.loads(file.read(_MAX_LINE_BYTES))
        except (OSError, ValueError) as error:
            raise self._refusal(f"{printable(self._about_path)} can't be read ({reason(error)})") from error
        if not isinstance(before, dict):
            raise self._refusal(f"{printable(self._about_path)} is none of fastmnist's")
        for key in sorted({*before, *about}):
            if before.get(key) != about.get(key):
                found, expected = (printable(json.dumps(side.get(key))) for side in (before, about))
                raise self._refusal(f"begun with {printable(key)} {found}, expected {expected}")

    def _refusal(self, why: str) -> OutputError:
        self._refused = True
        return OutputError(
            f"{printable(self.path)}: {why}; resume with what it was begun with, or begin anew without --resume"
        )


@contextlib.contextmanager
def part_file(
    path: AnyPath, about: dict[str, Any], *, resume: bool, on_note: Callable[[str], None]
) -> Iterator[PartFile]:
    """Open the part of `path` (see PartFile), which takes the place of `path` at the end of the context.

    On any exception an old file at `path` is untouched, and the part stays if it has rows: `on_note` gets a line that
    says so. Raises OutputError where writing fails or a resumed part does not fit.
    """
    try:
        part = PartFile(path, about, resume=resume)
        try:
            yield part
            part.finish()
        except BaseException:
            if note := part.abandon():
                on_note(note)
            raise
    except OSError as error:
        raise OutputError(
            f"{printable(path)}: {reason(error)}, expected a writable place with enough room; "
            "choose another (a file that was there is unchanged)"
        ) from error


def _open_locked(path: bytes) -> BinaryIO:
    """Open a regular file to read and write, made where there is none. Raises OutputError, OSError."""
    if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
        raise OutputError(f"{printable(path)}: no regular file, expected rows of an earlier run or nothing; remove it")
    # A link or a FIFO that takes its place meanwhile is refused too: by O_NOFOLLOW, and for want of a position.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    file: BinaryIO = open(descriptor, "r+b")  # noqa: SIM115 (it outlives this function)
    try:
        with contextlib.suppress(OSError):  # there are file systems without locks
            _lock(file, path)
    except BaseException:
        file.close()
        raise
    return file


def _lock(file: BinaryIO, path: bytes) -> None:
    """Keep others from writing to `file` until it is closed. Raises OutputError where another does, OSError."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(
            f"{printable(path)}: another fastmnist writes it, expected to be alone; wait for it or name another file"
        ) from None
