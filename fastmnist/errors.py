"""Errors the user can fix, each a one-line message."""

import os

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]


class FastmnistError(Exception):
    """Something the user can fix.

    `str(error)` is one line: the file, what was found, what was expected, what to do.
    """


class DataError(FastmnistError):
    """A data file (IDX, image, folder) is missing, unreadable or not what it should be."""


class ModelError(FastmnistError):
    """A model file is missing, damaged, or does not fit the data."""


class DownloadError(FastmnistError):
    """No source gave a verified file."""


class TrainingError(FastmnistError):
    """Training can't start or go on: unusable settings, or a loss that is no longer finite."""


class OutputError(FastmnistError):
    """A result can't be written."""


class MissingExtraError(FastmnistError, ImportError):
    """What was asked for needs a package that an extra of fastmnist installs."""


def printable(path: AnyPath) -> str:
    r"""Return `path` as printable text: control and undecodable characters escaped (`\n`, `\udcff`)."""
    text = os.fsdecode(path)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def reason(error: BaseException) -> str:
    """Return an exception's reason in one printable line: an OSError's own words without its path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable(str(error)) or type(error).__name__
