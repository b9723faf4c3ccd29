"""The `fastmnist` command: its commands, and every error and signal mapped to one line and an exit code."""

import contextlib
import os
import signal
import sys
import traceback
import warnings
from types import FrameType
from typing import Any

import click

from fastmnist import __version__
from fastmnist.cli import download, evaluate, info, predict, train
from fastmnist.cli.options import say
from fastmnist.errors import FastmnistError, OutputError, printable, reason

EXIT_FAILED, EXIT_USAGE = 1, 2


HELP = """Train and run fully connected handwritten-digit recognisers on a CPU, fast.

\b
  fastmnist download data/              fetch MNIST, verified
  fastmnist train data/                 train a network -> model.npz
  fastmnist predict images/ > out.csv   name the digits of folders, image files, IDX files
  fastmnist evaluate data/              accuracy, per-class table, confusion matrix
"""  # click keeps the lines of a paragraph that begins with \b


class Terminated(BaseException):
    """SIGTERM arrived."""


@click.group(help=HELP, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(__version__, "--version", message="fastmnist %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Run the command that was named."""
    context.obj = {"debug": debug}


for _command in (download.download, train.train, predict.predict, evaluate.evaluate, info.info):
    cli.add_command(_command)


def main() -> None:
    """Run the command line and exit: 0 all good, 1 failed, 2 usage, 130 and 143 by signal."""
    signal.signal(signal.SIGTERM, _raise_terminated)
    warnings.showwarning = _show_warning
    debug = "--debug" in sys.argv[1:2]
    try:
        code = _run()
        _flush_stdout()
    except BrokenPipeError:
        code = _quiet_stdout(0)  # the reader has gone, as `| head` does: that is no error
    except OSError as error:
        code = _quiet_stdout(_fail(f"{_subject(error)}{reason(error)}", debug))
    except FastmnistError as error:
        code = _fail(str(error), debug)
    except (KeyboardInterrupt, click.Abort):
        code = _stopped(signal.SIGINT)
    except Terminated:
        code = _stopped(signal.SIGTERM)
    except Exception as error:
        text = f"{type(error).__name__}: {printable(str(error))}"
        code = _fail(f"{text}: this is a fault of fastmnist; 'fastmnist --debug ...' shows where", debug)
    _exit(code)


def _run() -> int:
    """Parse and run, around click's own `main`: that one maps EOFError, Ctrl-C and EPIPE to exit 1."""
    try:
        with cli.make_context("fastmnist", sys.argv[1:]) as context:
            result: Any = cli.invoke(context)
    except click.exceptions.NoArgsIsHelpError as error:
        return _show_usage(error)
    except click.UsageError as error:
        return _show_usage(click.UsageError(printable(error.format_message()), error.ctx))
    except click.exceptions.Exit as error:  # --help and --version
        if sys.stdout is None:
            raise OutputError("stdout is closed, expected a place for the text") from None
        return error.exit_code
    return result if isinstance(result, int) else 0


def _show_usage(error: click.UsageError) -> int:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            error.show()
    return EXIT_USAGE


def _fail(message: str, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    say(f"fastmnist: error: {message}")
    return EXIT_FAILED


def _stopped(by: signal.Signals) -> int:
    say(f"fastmnist: stopped by {by.name}")
    return _quiet_stdout(128 + by)


def _subject(error: OSError) -> str:
    return f"{printable(error.filename)}: " if isinstance(error.filename, (str, bytes)) else "writing output: "


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    say(f"fastmnist: warning: {printable(str(message))}")


def _flush_stdout() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _quiet_stdout(code: int) -> int:
    """Point stdout to nowhere, so that Python's own flush at exit can't fail a second time."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code


def _raise_terminated(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated


def _exit(code: int) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
    sys.exit(code)
