"""What the program says on the terminal: stderr is talk, stdout is data."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

import click

from fastmnist.errors import OutputError

ERROR = "fastmnist: error: "  # what the line of an error begins with
_bar: Any = None  # the one on the terminal


def say(line: str) -> None:
    """Write one line for a person, to stderr, above a progress bar."""
    if sys.stderr is None:
        return
    bar = _bar
    if bar is not None:
        bar.clear()
    with contextlib.suppress(OSError):  # stderr may be closed; the exit code still reports failure
        click.echo(line, err=True)
    if bar is not None:
        bar.refresh()


class Talk(logging.Handler):
    """Writes what the library logs to stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message as a line."""
        say(f"{ERROR}{record.getMessage()}" if record.levelno >= logging.ERROR else record.getMessage())


def put(text: str) -> None:
    """Write a result to stdout. Raises OutputError where that is closed: click would be silent about it."""
    if sys.stdout is None:
        raise OutputError("stdout is closed, expected a place for the result")
    click.echo(text)


def on_terminal() -> bool:
    """Return whether stderr is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextlib.contextmanager
def showing_logs() -> Iterator[None]:
    """Show what the library logs while the context lasts."""
    logger, handler = logging.getLogger("fastmnist"), Talk()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class ProgressBar:
    """A bar on stderr with the rate and the time left, only where stderr is a terminal."""

    def __init__(self, total: int | None, label: str, unit: str = "images") -> None:
        """Make a bar of `total` units, None if unknown; it is drawn while the context lasts."""
        global _bar
        self._bar: Any = None
        if on_terminal():
            size = os.get_terminal_size(sys.stderr.fileno())  # 0 x 0 where the terminal does not tell
            shape = {"ncols": size.columns or 80, "nrows": size.lines or 24}
            self._bar = _tqdm()(total=total, desc=label, unit=f" {unit}", unit_scale=True, **shape)
        _bar = self._bar

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *exception: object) -> None:
        global _bar
        _bar = None
        if self._bar is not None:
            self._bar.close()

    def at(self, position: int) -> None:
        """Move the bar to `position`."""
        if self._bar is not None:
            self._bar.update(position - self._bar.n)


def _tqdm() -> Any:
    """Return tqdm, which is loaded where a bar is drawn, without its thread that watches over slow bars."""
    from tqdm import tqdm

    tqdm.monitor_interval = 0
    return tqdm
