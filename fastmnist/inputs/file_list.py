"""Lists of paths, as `find` writes them: one a line, or each ended by a NUL."""

import codecs
import io
import sys
from collections.abc import Iterator

from fastmnist.errors import DataError, printable, reason
from fastmnist.inputs.files import RawStream, open_regular

MAX_PATH_BYTES = 64 * 1024  # Linux takes no path of more than 4,096
_BLOCK_BYTES = 1 << 16


def read_list(path: str, separator: bytes) -> Iterator[bytes]:
    """Yield the paths in the list `path`, or on stdin where that is `-`, in constant memory; empty ones left out.

    Raises DataError if the list can't be read, is not a regular file, or has a path that is too long.
    """
    if path != "-":
        with open_regular(path) as file:
            yield from _paths(file, separator, printable(path))
    elif sys.stdin is None:
        raise DataError("<stdin>: closed, expected a list of paths")
    else:
        yield from _paths(io.FileIO(0, closefd=False), separator, "<stdin>")


def _paths(stream: RawStream, separator: bytes, name: str) -> Iterator[bytes]:
    """Yield the paths of a list. If its first line that is not empty ends as Windows ends lines, all do."""
    line_end: bytes | None = None if separator == b"\n" else b""
    for number, path in enumerate(_split(stream, separator, name)):
        if number == 0 and separator == b"\n":
            path = path.removeprefix(codecs.BOM_UTF8)
        if line_end is None and path:
            line_end = b"\r" if path.endswith(b"\r") else b""
        yield from _checked(path.removesuffix(line_end or b""), name)


def _split(stream: RawStream, separator: bytes, name: str) -> Iterator[bytes]:
    """Yield what is between the separators, as it is; a piece that is too long ends the list."""
    rest = b""
    try:
        while block := stream.read(_BLOCK_BYTES):
            *paths, rest = (rest + block).split(separator)
            yield from paths
            if len(block) >= MAX_PATH_BYTES and not block.strip(separator):
                raise DataError(
                    f"{name}: {MAX_PATH_BYTES:,} empty paths in a row, expected a list of paths; check the list"
                )
            if len(rest) > MAX_PATH_BYTES:
                break
    except OSError as error:
        raise DataError(f"{name}: {reason(error)}, expected a list of paths") from error
    yield rest


def _checked(path: bytes, name: str) -> Iterator[bytes]:
    """Yield `path`, unless it is empty; `-` means a file of that name here."""
    if len(path) > MAX_PATH_BYTES:
        raise DataError(f"{name}: more than {MAX_PATH_BYTES:,} bytes without an end, expected a list of paths")
    if b"\0" in path:
        raise DataError(f"{name}: a NUL within a path, expected a path per line; for NULs between paths use --null")
    if path:
        yield b"./-" if path == b"-" else path
