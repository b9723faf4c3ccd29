"""Errors the user can fix, each a one-line message."""

import logging
import os
import re

_log = logging.getLogger(__name__)

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]


class FastmnistError(Exception):
    """Something the user can fix.

    `str(error)` is one line: the file, what was found, what was expected, what to do.
    cause: the line without what to do, if that deserves a line of its own; hint: what to do, or None.
    """

    def __init__(self, cause: str, *, hint: str | None = None) -> None:
        super().__init__(cause if hint is None else f"{cause}; {hint}")
        self.cause, self.hint = cause, hint


class DataError(FastmnistError):
    """A data file (IDX, image, folder) is missing, unreadable or not what it should be."""


class ModelError(FastmnistError):
    """A model file is missing, damaged, or does not fit the data."""


class DownloadError(FastmnistError):
    """No source provided a file that could be verified."""


class TrainingError(FastmnistError):
    """Training can't start or continue: unusable settings, or a loss that is no longer finite."""


class OutputError(FastmnistError):
    """A result can't be written."""


class ClusterError(FastmnistError):
    """A cluster can't be used: no scheduler answers, the connection to it was lost, or its workers can't do the job."""


class RemoteError(FastmnistError):
    """A store can't be used now: it does not answer, it refuses the credentials, or its package is missing."""


class MissingExtraError(FastmnistError, ImportError):
    """A package is missing that one of fastmnist's extras installs."""


def counted(n: int, noun: str) -> str:
    """Return a number with its noun, as in 1,024 files."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


# In an address: the user before the host, and the query, which may be a signature.
_ADDRESS = re.compile(r"(?<=://)(?:[^/\s?#]*@)?([^\s?]*)(\?\S+)?")


def printable(path: AnyPath) -> str:
    r"""Return `path` as printable text: control and undecodable characters escaped (`\n`, `\udcff`).

    In an address such as https://host/a.png?signature, anything that may be secret is left out.
    """
    text = _ADDRESS.sub(lambda found: found[1] + ("?..." if found[2] else ""), os.fsdecode(path))
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def reason(error: BaseException) -> str:
    """Return an exception's message in one printable line: for an OSError, its text without the path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable(str(error)) or type(error).__name__


def bug(error: BaseException) -> str:
    """Return the line about an exception that nobody expected."""
    return f"{type(error).__name__}: {printable(str(error))}: this is a bug in fastmnist"


def as_data_error(error: Exception, name: AnyPath) -> DataError:
    """Return what went wrong with one picture, `name`, as an error that costs its row alone.

    A bug is logged with its traceback, for debugging. Raises what is not about the picture: another FastmnistError, or
    a lack of memory.
    """
    if isinstance(error, DataError):
        return type(error)(f"{printable(name)}: {error}")
    if isinstance(error, FastmnistError | MemoryError):
        raise error
    _log.debug("%s", printable(name), exc_info=error)
    return DataError(f"{printable(name)}: {bug(error)}")
