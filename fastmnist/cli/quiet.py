"""Keeps what C libraries write to file descriptor 2 out of stderr."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep what libpng and libjpeg write to file descriptor 2 out of stderr while the context lasts.

    Descriptor 2 leads to /dev/null meanwhile; a `sys.stderr` that wrote there writes to a duplicate of the
    old one, so Python's messages still get through, in order. It holds for the whole process: enter it once.
    """
    kept = _duplicate(2)
    python_stderr = sys.stderr
    try:
        if kept is not None and _writes_to_2(python_stderr):
            python_stderr.flush()
            sys.stderr = _stream_on(kept)
        # A closed stderr too: the next file opened would get its number, and collect those words.
        _lead_to_null(2)
        yield
    finally:
        sys.stderr = python_stderr
        if kept is not None:
            os.dup2(kept, 2)
            os.close(kept)


def _duplicate(descriptor: int) -> int | None:
    """Return a duplicate of `descriptor`, or None where it is closed."""
    try:
        return os.dup(descriptor)
    except OSError:
        return None


def _lead_to_null(descriptor: int) -> None:
    """Make `descriptor` lead to /dev/null."""
    null = os.open(os.devnull, os.O_WRONLY)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)


def _writes_to_2(stream: object) -> bool:
    """Tell whether `stream` is a text file on descriptor 2 (not None, nor a test's capture)."""
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == 2
    except (OSError, ValueError):  # no descriptor, or a closed stream
        return False


def _stream_on(descriptor: int) -> io.TextIOWrapper:
    """Return an unbuffered text stream on `descriptor`, which stays open after it."""
    raw = io.FileIO(descriptor, "wb", closefd=False)
    return io.TextIOWrapper(raw, sys.stderr.encoding, "backslashreplace", write_through=True)
