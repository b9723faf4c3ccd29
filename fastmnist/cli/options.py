"""What several commands share: options, the model they use, lines on stderr."""

import contextlib
import itertools
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from fastmnist.errors import DataError, OutputError, printable
from fastmnist.shapes import MAX_CLASSES, is_class_name

if TYPE_CHECKING:
    from fastmnist.datasets.idx_files import Split
    from fastmnist.datasets.labelled import LabelledImages
    from fastmnist.model.model_file import Model


def say(line: str) -> None:
    """Write one line for a person: stderr is talk, stdout is data."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # nobody may listen there; the exit code still tells
            click.echo(line, err=True)


def put(text: str) -> None:
    """Write a result to stdout. Raises OutputError where that is closed: click would be silent about it."""
    if sys.stdout is None:
        raise OutputError("stdout is closed, expected a place for the result")
    click.echo(text)


def threads_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --threads, which must reach Numba before it is imported."""
    return click.option(
        "--threads",
        type=click.IntRange(1, 1024),
        expose_value=False,
        is_eager=True,
        callback=_set_threads,
        metavar="N",
        help="Threads to use; results are the same for any number.  [default: the CPUs this process may use]",
    )(command)


threads_given = False  # by the option


def _set_threads(_context: click.Context, _option: click.Parameter, threads: int | None) -> None:
    global threads_given
    threads_given = threads is not None
    if threads is not None:
        os.environ["NUMBA_NUM_THREADS"] = str(threads)


def model_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --model."""
    return click.option(
        "--model",
        type=click.Path(readable=False),
        help="Model file.  [default: $FASTMNIST_MODEL, ./model.npz, the one shipped with fastmnist]",
    )(command)


PREPROCESS_HELP = (
    "Bring images into MNIST's form: auto those that are not in it yet, mnist all, none not one. "
    "Pixels of IDX files are normalised only with mnist."
)


def preprocess_option(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --preprocess; `default` says what holds without it."""
    return click.option(
        "--preprocess", type=click.Choice(["auto", "mnist", "none"]), help=f"{PREPROCESS_HELP}  [default: {default}]"
    )


def open_model(option: str | None) -> "Model":
    """Load the model to use and say which it is."""
    from fastmnist.model.model_file import find_model, load_model

    path, origin = find_model(option)
    model = load_model(path)
    say(f"model: {printable(path)} ({origin})")
    return model


class ClassNames(click.ParamType[list[str]]):
    """Names of classes, as in circle,square."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Return the names as a list; a usage error for what can't be such."""
        names = str(value).split(",")
        for name in names:
            if not is_class_name(name):
                self.fail(f"{name!r}: expected printable words that begin with a letter or digit", param, ctx)
        if not 2 <= len(set(names)) == len(names) <= MAX_CLASSES:
            self.fail(f"{len(names)} names: expected 2 to {MAX_CLASSES}, each of them once", param, ctx)
        return names


def class_names_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --class-names."""
    return click.option(
        "--class-names",
        type=ClassNames(),
        help="Names of the classes, as in circle,square, in the order of their labels.  "
        "[the class folders, in byte order; 0 to 9 for IDX files]",
    )(command)


def load_images(
    data: str, split: "Split", class_names: Sequence[str] | None, preprocess: str | None
) -> "LabelledImages":
    """Read one split of a data set; say what was passed over, and a line for each image that can't be read."""
    from fastmnist.cli.quiet import quiet_libraries
    from fastmnist.datasets.dataset import load
    from fastmnist.kernels.jit import n_threads

    with quiet_libraries():
        images = load(data, split, class_names, preprocess, threads=n_threads(), on_note=say)
    for error in images.errors:
        say(f"fastmnist: error: {error}")
    return images


def load_whole(data: str, split: "Split", class_names: list[str] | None, preprocess: str | None) -> "LabelledImages":
    """Read one split of a data set. Raises DataError if an image can't be read: a model of part of it is another."""
    images = load_images(data, split, class_names, preprocess)
    if images.errors:
        raise DataError(
            f"{printable(data)}: {len(images.errors):,} of {len(images.labels) + len(images.errors):,} images of the "
            f"{split} set can't be read, expected all of them; replace or remove those named above"
        )
    return images


def announce_compilation() -> None:
    """Say so, in one line, when kernels must be compiled because no cache has them."""
    from fastmnist.kernels import cache

    cache.on_first_compile = lambda: say("compiling kernels: first use of this version, once, some seconds")


class ProgressBar:
    """A bar on stderr with the time left, only where stderr is a terminal.

    click's bar writes to stdout unless told, and prints its label when there is no terminal.
    """

    def __init__(self, length: int | None, label: str, unit: str | None = None) -> None:
        """Make a bar of `length` steps, None where nobody knows; it is drawn while the context lasts.

        With a `unit`, of which a step is one, it shows the position and the rate too.
        """
        self._unit = unit
        self._bar = self._make(length, label) if on_terminal() else None
        self._done = 0
        self._start: tuple[float, int] | None = None

    def _make(self, length: int | None, label: str) -> Any:
        endless = itertools.repeat(None) if length is None else None
        return click.progressbar(
            endless,
            length,
            label,
            show_pos=self._unit is not None,
            item_show_func=lambda rate: f"{rate:,.0f} {self._unit}/s" if rate else None,
            file=sys.stderr,
        )

    def __enter__(self) -> "ProgressBar":
        if self._bar is not None:
            self._bar.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._bar is not None:
            self._bar.__exit__(*exception)

    def say(self, line: str) -> None:
        """Write a line above the bar."""
        if self._bar is not None:
            click.echo("\r\033[K", nl=False, err=True)
        say(line)
        if self._bar is not None:
            self._bar.render_progress()

    def at(self, position: int) -> None:
        """Move the bar to `position`."""
        if self._bar is not None:
            self._bar.update(position - self._done, self._rate(position))
            self._done = position

    def _rate(self, position: int) -> float | None:
        """Return the steps per second since the first call, if they are to be shown."""
        if self._unit is None:
            return None
        now = time.perf_counter()
        if self._start is None:
            self._start = now, position
        seconds = now - self._start[0]
        return (position - self._start[1]) / seconds if seconds > 0 else None


def on_terminal() -> bool:
    """Tell whether somebody watches stderr."""
    return sys.stderr is not None and sys.stderr.isatty()
