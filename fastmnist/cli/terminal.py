"""Terminal output: messages go to stderr, results to stdout."""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import click

from fastmnist.errors import OutputError

ERROR = "fastmnist: error: "  # what the line of an error begins with
HINT = "hint: "  # and the line after it, which says what to do
# The library's errors and logs name its arguments, as in `learning_rate`. Those whose options have other names ...
RENAMED = {"start": "from"}
# ... and all of them. Anything else between backticks is left alone: it may be part of a path.
ARGUMENTS = (
    *("checkpoint", "class_names", "float16", "hidden", "initial_scale", "int8", "learning_rate", "momentum"),
    *("no_digit", "preprocess", "resume", "skip_unreadable", "start", "validation"),
)
NARROW = 64  # columns: in a narrower terminal, position, times and rate leave no room for a bar
_bar: Any = None  # the one on the terminal
_is_quiet = False


def be_quiet() -> None:
    """Write no messages and draw no bar from now on; warnings and errors still appear."""
    global _is_quiet
    _is_quiet = True


def say(line: str) -> None:
    """Write one line for a person, to stderr, above a progress bar; nothing with --quiet."""
    if not _is_quiet:
        complain(line)


def complain(line: str) -> None:
    """Write one line about what is wrong, to stderr, above a progress bar, whether --quiet or not."""
    if sys.stderr is None:
        return
    bar = _bar
    if bar is not None:
        bar.clear()
    with contextlib.suppress(OSError):  # stderr may be closed; the exit code still reports failure
        click.echo(with_options(line), err=True)
    if bar is not None:
        bar.refresh()


def with_options(line: str) -> str:
    """Return a line of the library with the options of the command line in place of arguments."""
    return re.sub(
        f"`({'|'.join(ARGUMENTS)})`", lambda name: "--" + RENAMED.get(name[1], name[1]).replace("_", "-"), line
    )


def clear_line() -> None:
    """Go back to the beginning of the terminal's line, and empty it: a row that was cut short, and an echoed ^C."""
    if on_terminal():
        columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
        with contextlib.suppress(OSError):
            click.echo(f"\r{'':{columns - 1}}\r", err=True, nl=False)


def complain_of(error: str) -> None:
    """Write the line of an error, to stderr."""
    complain(painted(ERROR, sys.stderr, fg="red", bold=True) + error)


def painted(text: str, stream: TextIO | None, **style: Any) -> str:
    """Return `text` in click's `style`, where `stream` is a terminal that has colours and the user wants them.

    https://no-color.org: NO_COLOR, if it is not empty, forbids them.
    """
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return text if is_plain or stream is None or not stream.isatty() else click.style(text, **style)


class Talk(logging.Handler):
    """Writes what the library logs to stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message as a line."""
        if record.levelno >= logging.ERROR:
            complain_of(record.getMessage())
        else:
            (complain if record.levelno >= logging.WARNING else say)(record.getMessage())


def put(text: str) -> None:
    """Write a result to stdout. Raises OutputError where that is closed: click would be silent about it."""
    if sys.stdout is None:
        raise OutputError("stdout is closed, expected somewhere to write the result")
    click.echo(text)


def on_terminal() -> bool:
    """Return whether stderr is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def results_on_terminal() -> bool:
    """Return whether stdout is a terminal: a person reads the results."""
    return sys.stdout is not None and sys.stdout.isatty()


@contextlib.contextmanager
def showing_logs() -> Iterator[None]:
    """Show what the library logs while the context lasts, and nothing of other packages, such as gcsfs's tracebacks."""
    logger, handler = logging.getLogger("fastmnist"), Talk()
    root, nobody = logging.getLogger(), logging.NullHandler()  # without one Python writes their errors to stderr
    level = logger.level
    root.addHandler(nobody)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        root.removeHandler(nobody)
        logger.setLevel(level)


class ProgressBar:
    """A bar on stderr with the rate and the time left, only where stderr is a terminal.

    Its clock begins with the first result: before that kernels may be compiled, which says nothing of the time left.
    """

    def __init__(self, total: int | None, label: str, unit: str = "images", *, shown: bool = True) -> None:
        """Make a bar of `total` units, None if unknown, if it is to be `shown`; it is drawn while the context lasts."""
        global _bar
        self._bar: Any = None
        self._has_begun = False
        if shown and on_terminal() and not _is_quiet:
            size = os.get_terminal_size(sys.stderr.fileno())  # 0 x 0 where the terminal does not tell
            # Room for the ^C that a terminal echoes: beyond the last column it would begin a line, and a second bar; in
            # the last one it would stay when the line is emptied.
            shape: dict[str, Any] = {"ncols": (size.columns or 80) - 3, "nrows": size.lines or 24}
            if shape["ncols"] < NARROW:
                shape["bar_format"] = "{desc}: {n_fmt}{unit}" if total is None else "{l_bar}{bar}| {remaining} left"
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
        if self._bar is None:
            return
        if not self._has_begun:
            self._has_begun = True
            self._bar.reset(self._bar.total)
            self._bar.n = self._bar.initial = self._bar.last_print_n = position
            self._bar.refresh()
        else:
            self._bar.update(position - self._bar.n)


def _tqdm() -> Any:
    """Return tqdm, which is loaded where a bar is drawn, without its thread that watches over slow bars."""
    from tqdm import tqdm

    tqdm.monitor_interval = 0
    return tqdm
