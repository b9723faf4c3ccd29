"""Lists of paths, as `find` writes them: one a line, or each ended by a NUL."""

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
            yield from _split(file, separator, printable(path))
    elif sys.stdin is None:
        raise DataError("<stdin>: closed, expected a list of paths")
    else:
        yield from _split(io.FileIO(0, closefd=False), separator, "<stdin>")


def _split(stream: RawStream, separator: bytes, name: str) -> Iterator[bytes]:
    rest = b""
    try:
        while block := stream.read(_BLOCK_BYTES):
            *paths, rest = (rest + block).split(separator)
            for path in paths:
                yield from _checked(path, name)
            if len(block) >= MAX_PATH_BYTES and not block.strip(separator):
                raise DataError(
                    f"{name}: {MAX_PATH_BYTES:,} empty paths in a row, expected a list of paths; check the list"
                )
            if len(rest) > MAX_PATH_BYTES:
                break
    except OSError as error:
        raise DataError(f"{name}: {reason(error)}, expected a list of paths") from error
    yield from _checked(rest, name)


def _checked(path: bytes, name: str) -> Iterator[bytes]:
    """Yield `path`, unless it is empty; `-` means a file of that name here."""
    if len(path) > MAX_PATH_BYTES:
        raise DataError(f"{name}: more than {MAX_PATH_BYTES:,} bytes without an end, expected a list of paths")
    if b"\0" in path:
        raise DataError(f"{name}: a NUL within a path, expected a path per line; for NULs between paths use --null")
    if path:
        yield b"./-" if path == b"-" else path
