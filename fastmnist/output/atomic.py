"""Files that are written completely or not at all."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from typing import BinaryIO

from fastmnist.errors import AnyPath, OutputError, printable, reason


@contextlib.contextmanager
def atomic_file(path: AnyPath) -> Iterator[BinaryIO]:
    """Open a binary file that replaces `path` at the end of the context, complete and on the disk.

    On any exception, KeyboardInterrupt included, the old file is untouched and nothing else is left behind.
    A symbolic link stays one, a new file takes over the permissions of the old one, and a device or FIFO is
    written to directly. Raises OutputError where writing fails, but BrokenPipeError where a FIFO's reader has left.
    """
    with writing_errors(path), open(path, "wb") if is_direct(path) else replacing_file(path) as file:
        yield file


@contextlib.contextmanager
def writing_errors(path: AnyPath) -> Iterator[None]:
    """Turn an OSError within the context into an OutputError about `path`; BrokenPipeError comes through."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"{printable(path)}: {reason(error)}, expected a writable place with enough space; "
            "choose another (an existing file is unchanged)"
        ) from error


def check_writable(path: AnyPath) -> None:
    """Raise OutputError unless `atomic_file` could write `path` now: better before hours of work than after."""
    try:
        if is_direct(path):
            return
        folder = os.path.dirname(target_of(path))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(None, "its folder is missing or not writable")
    except OSError as error:
        raise OutputError(
            f"{printable(path)}: cannot be written ({reason(error)}), expected a writable place; "
            "choose another, or check its permissions"
        ) from error


def is_direct(path: AnyPath) -> bool:
    """Return whether `path` is to be written to as it is: no regular file, or a name for an open descriptor."""
    name = os.path.abspath(os.fsencode(path))
    # `-o /dev/stdout > file`: a regular file behind a link that belongs to the system and must stay.
    if name in (b"/dev/stdout", b"/dev/stderr") or name.startswith((b"/dev/fd/", b"/proc/")):
        return True
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def target_of(path: AnyPath) -> bytes:
    """Return the file behind the symbolic links of `path`. Raises OSError for a folder, or a name with a NUL."""
    name = os.fsencode(path)
    try:
        target = os.path.realpath(name)
    except ValueError:
        raise FileNotFoundError(None, "a name with a NUL") from None
    if os.path.isdir(target) or name.endswith(b"/"):
        raise IsADirectoryError(None, "it is a folder")
    return target


@contextlib.contextmanager
def replacing_file(path: AnyPath) -> Iterator[BinaryIO]:
    """Open a new file beside `path` and rename it at the end. Raises OSError."""
    target = target_of(path)
    temporary = os.path.join(os.path.dirname(target), b".fastmnist-%b.part" % secrets.token_hex(8).encode())
    try:
        with open(temporary, "xb") as file:
            yield file
            replace(file, temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(target)


def replace(file: BinaryIO, temporary: bytes, target: bytes) -> None:
    """Put an open file on the disk and rename it from `temporary` to `target`, whose permissions it takes over.

    Raises OSError; `target` is then as it was. `sync_folder` is left to do.
    """
    file.flush()
    if os.path.exists(target):
        os.fchmod(file.fileno(), stat.S_IMODE(os.stat(target).st_mode))
    os.fsync(file.fileno())
    os.replace(temporary, target)


def sync_folder(target: bytes) -> None:
    """Put the entries of a file's folder, its rename among them, on the disk.

    Raises nothing: the file is in place and complete by now, and some file systems have no fsync for folders.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(os.path.dirname(target), os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
