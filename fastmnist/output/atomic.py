"""Files that are written whole or not at all."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from typing import BinaryIO

from fastmnist.errors import AnyPath, OutputError, printable, reason


@contextlib.contextmanager
def atomic_file(path: AnyPath) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of `path` at the end of the context, complete and on the disk.

    On any exception, KeyboardInterrupt included, the old file is untouched and nothing else is left behind.
    A symbolic link stays one, a new file takes over the permissions of the old one, and a device or FIFO is
    written to directly. Raises OutputError where writing fails, but BrokenPipeError where a FIFO's reader left.
    """
    try:
        with direct_file(path) if is_direct(path) else _replacing_file(path) as file:
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
        if is_direct(path):
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


def is_direct(path: AnyPath) -> bool:
    """Tell whether `path` is to be written to as it is: no regular file, or a name for an open descriptor."""
    name = os.path.abspath(os.fsencode(path))
    # `-o /dev/stdout > file`: a regular file behind a link that belongs to the system and must stay.
    if name in (b"/dev/stdout", b"/dev/stderr") or name.startswith((b"/dev/fd/", b"/proc/")):
        return True
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


@contextlib.contextmanager
def direct_file(path: AnyPath) -> Iterator[BinaryIO]:
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
        sync_folder(folder)


def sync_folder(folder: bytes) -> None:
    """Put the folder's entries, the rename among them, on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
