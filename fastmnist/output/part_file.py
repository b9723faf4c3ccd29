"""`FILE.part`: rows on their way to FILE, from which a later run can resume.

`FILE.part.json` describes the job: the model and the options that made them. At the end FILE.part becomes FILE, in one
step.
"""

import contextlib
import fcntl
import json
import logging
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

from fastmnist.errors import AnyPath, OutputError, counted, printable, reason
from fastmnist.output.atomic import replace, sync_folder, target_of, writing_errors
from fastmnist.output.rows import ItemFormat, RowFormat

_log = logging.getLogger(__name__)

_MAX_LINE_BYTES = 1 << 20  # of a row: a path has 4,096


class PartFile:
    """An open FILE.part: `file` to write rows to, and what is known of the rows of an earlier run.

    n_known: how many of them were met so far; n_failed: how many of those have no label.
    """

    def __init__(self, path: bytes, job: dict[str, Any], row_format: RowFormat, *, resume: bool) -> None:
        """Open the part at `path`: an empty one, or where `resume` is set one that was made by the same `job`.

        The header is written, or found there. Raises OutputError where the part is another job's, or another process
        is writing it, and OSError.
        """
        self.path, self._job_path = path, path + b".json"
        self.n_known = self.n_failed = 0
        self._format = row_format
        self._end = 0  # of the rows that are known
        self._last_item: bytes | None = None  # the file that the last of them are of
        self._refused = False
        self.file: BinaryIO = _open_locked(self.path)
        self._is_reading = resume and os.fstat(self.file.fileno()).st_size > 0
        if resume and not self._is_reading:
            _log.info(f"{printable(self.path)}: no rows from an earlier run, starting from the first")
        try:
            self._begin(job)
        except BaseException:
            self.abandon()
            raise

    def _begin(self, job: dict[str, Any]) -> None:
        header = self._format.header
        if self._is_reading:
            self._check_job(job)
            if self.file.read(len(header)) == header:
                self._end = len(header)
                return
            self._end_reading()  # the part was cut within its header
        else:
            self.file.truncate(0)
            self._write_job(job)
        self.file.write(header)

    def count_known(self, paths: Sequence[bytes], indices: Sequence[int | None], numbers: Sequence[int]) -> int:
        """Return how many of these rows or files, from the first on, are there already (see CountKnown).

        Raises OutputError where other rows are there.
        """
        if not self._is_reading:
            return 0
        if isinstance(self._format, ItemFormat):
            return self._count_items(self._format, paths)
        n_known = 0
        for position, key in enumerate(self._format.keys(paths, indices, numbers)):
            is_file = indices[position] is None
            if not (self._skip_file(key, paths[position], numbers[position]) if is_file else self._skip_row(key)):
                self._end_reading()
                break
            n_known += 1
        return n_known

    def _skip_row(self, key: bytes) -> bool:
        """Return whether the next row is there and begins with `key`. Raises OutputError if it is a different row."""
        row = self._read_row(1 + key.count(b"\n"))
        if row is None:
            return False
        if not row.startswith(key):
            raise self._other_row(row, key)
        self._count(row, key)
        return True

    def _skip_file(self, key: bytes, path: bytes, number: int) -> bool:
        """Return whether all rows of a file are there: one that begins with `key`, or one for each of its pages.

        For Kaggle both begin alike. How many pages there are is not known here: where the part ends with a page, the
        file is read again.
        """
        start, n_known, n_failed = self._end, self.n_known, self.n_failed
        page = 0
        while True:
            end = self._end
            (page_key,) = self._format.keys([path], [page], [number])
            row = self._read_row(1 + page_key.count(b"\n"))
            if row is None or not row.startswith(page_key):
                break
            self._count(row, page_key)
            page += 1
        self._rewind(end)
        if page == 0:
            return self._skip_row(key)
        if row is None:
            self._rewind(start)
            self.n_known, self.n_failed = n_known, n_failed
        return row is not None

    def _count_items(self, row_format: ItemFormat, paths: Sequence[bytes]) -> int:
        """Return how many of these files, from the first on, have all their rows there."""
        for position, path in enumerate(paths):
            if not self._skip_item(row_format, path):
                self._end_reading()
                return position
        return len(paths)

    def _skip_item(self, row_format: ItemFormat, path: bytes) -> bool:
        """Return whether all rows of a file are there: what follows them is another file's.

        The part may end within its rows, so that a file is read again where no other follows. Rows of a file that is
        named twice, one after the other, are all taken for the first.
        """
        start, place, n_known, n_failed = row_format.start(path), self._end, self.n_known, self.n_failed
        if path == self._last_item:
            return True
        after = place
        while (row := self._read_row(1 + start.count(b"\n"))) is not None and row.startswith(start):
            after = self._end
            self.n_known += 1
            self.n_failed += row_format.is_failed(row[len(start) :])
        if row is None:
            self._rewind(place)
            self.n_known, self.n_failed = n_known, n_failed
            return False
        if self.n_known == n_known:
            raise self._other_row(row, start)
        self._rewind(after)
        self._last_item = path
        return True

    def _count(self, row: bytes, key: bytes) -> None:
        self.n_known += 1
        self.n_failed += row.startswith(self._format.no_label, len(key))

    def _rewind(self, place: int) -> None:
        self._end = place
        self.file.seek(place)

    def finish(self, place: Callable[[BinaryIO], None]) -> None:
        """Let `place` put the rows into their place. Raises OutputError where there are too many rows; OSError."""
        if self._is_reading:
            if self._read_row(1) is not None:
                raise self._refusal(f"more rows than the inputs, which have {self.n_known:,}: the inputs have changed")
            self._end_reading()
        place(self.file)
        with contextlib.suppress(OSError):
            os.unlink(self._job_path)  # before the lock is gone: another run may write its own then
            self.file.close()

    def abandon(self) -> str | None:
        """Close the part, which stays if it has any rows; return a line that says how to resume it."""
        with contextlib.suppress(OSError):
            self.file.flush()
        try:
            has_rows = os.stat(self.path).st_size > len(self._format.header)
        except OSError:
            has_rows = False
        if not has_rows:
            for path in (self.path, self._job_path):
                with contextlib.suppress(OSError):
                    os.unlink(path)
        with contextlib.suppress(OSError):
            self.file.close()  # and with it its lock
        if self._refused or not has_rows:
            return None
        return f"{printable(self.path)} keeps the rows so far; to continue, run the same command with --resume"

    def _read_row(self, n_lines: int) -> bytes | None:
        """Return the next row (`n_lines` lines), or None at the end or at a truncated row."""
        row = b""
        for _ in range(n_lines):
            line = self.file.readline(_MAX_LINE_BYTES)
            if not line.endswith(b"\n") or b"\0" in line:  # a crash may leave zeros where data was to come
                return None
            row += line
        self._end += len(row)
        return row

    def _end_reading(self) -> None:
        """Drop anything after the known rows, such as a row cut short, and log how many rows are known."""
        self._is_reading = False
        _log.info(f"resuming after {counted(self.n_known, 'row')} of an earlier run")
        self.file.seek(self._end)
        self.file.truncate()

    def _write_job(self, job: dict[str, Any]) -> None:
        with open(self._job_path, "wb") as file:
            file.write(json.dumps(job, sort_keys=True).encode() + b"\n")

    def _check_job(self, job: dict[str, Any]) -> None:
        """Raise OutputError unless the part was made with the same model and options."""
        try:
            with open(self._job_path, "rb") as file:
                before = json.loads(file.read(_MAX_LINE_BYTES))
        except (OSError, ValueError, RecursionError) as error:
            raise self._refusal(f"{printable(self._job_path)} can't be read ({reason(error)})") from error
        if not isinstance(before, dict):
            raise self._refusal(f"{printable(self._job_path)} was not written by fastmnist")
        for key in sorted({*before, *job}):
            if before.get(key) != job.get(key):
                found, expected = (printable(json.dumps(side.get(key))) for side in (before, job))
                raise self._refusal(f"begun with {printable(key)} {found}, expected {expected}")

    def _other_row(self, row: bytes, key: bytes) -> OutputError:
        return self._refusal(
            f"row {self.n_known + 1} begins {printable(row[: len(key)])!r}, expected "
            f"{printable(key)!r}: the inputs have changed"
        )

    def _refusal(self, why: str) -> OutputError:
        self._refused = True
        return OutputError(
            f"{printable(self.path)}: {why}",
            hint="resume with the same inputs, model and options, or start over without --resume",
        )


@contextlib.contextmanager
def part_file(path: AnyPath, job: dict[str, Any], row_format: RowFormat, *, resume: bool) -> Iterator[PartFile]:
    """Open the part of `path` (see PartFile), which replaces `path` at the end of the context.

    On any exception an old file at `path` is untouched, and the part stays if it has rows: a line is logged that
    says so. Raises OutputError where writing fails or a resumed part does not fit.
    """
    with writing_errors(path):
        target = target_of(path)
        part_path = target + b".part"

        def place(file: BinaryIO) -> None:
            replace(file, part_path, target)

        with kept_part(part_path, job, row_format, place, resume=resume) as part:
            yield part
        sync_folder(target)


@contextlib.contextmanager
def kept_part(
    path: bytes, job: dict[str, Any], row_format: RowFormat, place: Callable[[BinaryIO], None], *, resume: bool
) -> Iterator[PartFile]:
    """Open the part at `path` (see PartFile), which `place` puts into its place at the end of the context.

    On any exception the part stays if it has rows: a line is logged that says so.
    """
    part = PartFile(path, job, row_format, resume=resume)
    try:
        yield part
        part.finish(place)
    except BaseException:
        if note := part.abandon():
            _log.warning(note)
        raise


def _open_locked(path: bytes) -> BinaryIO:
    """Open a regular file to read and write, made if missing. Raises OutputError, OSError."""
    if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
        raise OutputError(f"{printable(path)}: not a regular file, expected rows of an earlier run; remove it")
    # A link or a FIFO that takes its place meanwhile is refused too: by O_NOFOLLOW, and because it can't seek.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    file: BinaryIO = open(descriptor, "r+b")  # noqa: SIM115 (it outlives this function)
    try:
        with contextlib.suppress(OSError):  # there are file systems without locks
            _lock(file, path)
        if not os.path.samestat(os.fstat(descriptor), os.stat(path)):  # renamed meanwhile, by the run that wrote it
            raise FileNotFoundError
    except FileNotFoundError:
        file.close()
        return _open_locked(path)
    except BaseException:
        file.close()
        raise
    return file


def _lock(file: BinaryIO, path: bytes) -> None:
    """Lock `file` until it is closed. Raises OutputError where another process writes it, OSError."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(
            f"{printable(path)}: another fastmnist is writing it; wait for it, or name another file"
        ) from None
