"""The `fastmnist` command: its commands, and every error and signal mapped to one line and an exit code."""

import atexit
import contextlib
import importlib
import io
import os
import re
import signal
import sys
import threading
import traceback
import warnings
from types import FrameType
from typing import Any

import click

from fastmnist.cli.suggestions import UnknownCommandError, hint_for, without_hint
from fastmnist.cli.terminal import HINT, clear_line, complain, complain_of, showing_logs
from fastmnist.errors import FastmnistError, OutputError, bug, printable, reason
from fastmnist.threads import set_up_program
from fastmnist.version import __version__

COMMANDS = {
    "download": "Fetch a data set, verified by checksum.",
    "train": "Train a network on labelled images.",
    "predict": "Name the digit in each image, as CSV.",
    "read": "Read the numbers in each picture, as CSV.",
    "merge": "Merge the shards of a job.",
    "evaluate": "Print accuracy, per-class table and confusion matrix.",
    "export": "Write a model as an ONNX file or a page to draw on.",
    "convert": "Make a model from weights trained in PyTorch.",
    "info": "Print what is known about a model.",
    "warmup": "Compile all kernels now instead of at first use.",
    "doctor": "Print versions, threads, CPU, kernel cache and model.",
}
EXIT_FAILED, EXIT_USAGE = 1, 2
COMPLETE = "_FASTMNIST_COMPLETE"
REPEAT_SECONDS = 0.5  # delay before raising again; long enough for cleanup to finish


HELP = """Train and run fully connected handwritten-digit recognisers on a CPU, fast.

\b
  fastmnist download data/              fetch MNIST, verified
  fastmnist train data/                 train a network -> model.safetensors
  fastmnist predict images/ > out.csv   name the digit in each image
  fastmnist read photos/ > numbers.csv  read rows and pages of digits
  fastmnist evaluate data/              accuracy and confusion matrix
"""  # click keeps the lines of a paragraph that begins with \b


class Stopped(BaseException):
    """SIGINT or SIGTERM arrived."""


_stopped_by: signal.Signals | None = None


class Commands(click.Group):
    """The commands. A command's module is loaded when it is named: `train`'s options alone take 20 ms."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names, in the order of --help."""
        return list(COMMANDS)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each command is for, without loading it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command that its module has under its own name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"fastmnist.cli.{cmd_name}"), cmd_name)
        command.short_help = COMMANDS[cmd_name]  # for shells that complete commands
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is named first, its name, and the other words. Raises UsageError."""
        word = args[0]
        if word not in COMMANDS and not word.startswith("-") and not ctx.resilient_parsing:  # as shells complete
            raise UnknownCommandError(word, list(COMMANDS), ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, help=HELP, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(__version__, "-V", "--version", message="fastmnist %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Run the command that was named."""
    threads = os.environ.get("NUMBA_NUM_THREADS", "1")
    if not re.fullmatch(r"\s*0*[1-9]\d*\s*", threads, re.ASCII):  # Numba would fail where it is imported
        raise click.UsageError(f"NUMBA_NUM_THREADS is {threads!r}, expected a whole number, at least 1")
    context.obj = {"debug": debug}


def run() -> None:
    """Run the command line as a process of its own, which ends with it."""
    try:
        main()
    except SystemExit as end:
        # Python would tear down all objects one by one: 75 ms of the 0.4 s that a command takes to start and to exit.
        # Threads, such as those that a cluster or a store leaves behind, have to be waited for.
        if threading.active_count() == 1 and isinstance(end.code, int):
            atexit._run_exitfuncs()
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, AttributeError):  # full, or closed from the beginning
                    stream.flush()
            os._exit(end.code)
        raise


def main() -> None:
    """Run the command line and exit: 0 all good, 1 failed, 2 usage, 130 and 143 by signal."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and the shell's & leave it
            signal.signal(number, _stop)
    warnings.showwarning = _show_warning
    sys.unraisablehook = _show_unraisable
    set_up_program()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does with what its encoding lacks
    # We multiply nothing large with NumPy; where OpenBLAS can't start its threads, it raises SIGINT.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        code = _run()
        _flush_stdout()
    except (Exception, Stopped) as error:
        code = _code_for(error, debug="--debug" in sys.argv[1:2])
    _exit(code)


def _stop(number: int, _frame: FrameType | None) -> None:
    """Raise Stopped, and again until `main` has it: imports, compilers and finalizers may swallow it."""
    global _stopped_by
    if number != signal.SIGALRM:
        _stopped_by = signal.Signals(number)
    signal.setitimer(signal.ITIMER_REAL, REPEAT_SECONDS)
    raise Stopped


def _code_for(error: BaseException, *, debug: bool) -> int:
    """Return the exit code for what a command raised, and say why in one line."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    if _stopped_by is not None:  # whatever our Stopped was turned into on its way
        clear_line()
        complain(f"fastmnist: stopped by {_stopped_by.name}")
        # By now all files are closed. Python's own end may crash after a half-done import or compilation.
        os._exit(128 + _stopped_by)
    if isinstance(error, BrokenPipeError):
        return _quiet_stdout(0)  # the reader has gone, as `| head` does: not an error
    if isinstance(error, OSError):
        return _quiet_stdout(_fail(f"{_subject(error)}{reason(error)}", debug))
    if isinstance(error, FastmnistError):
        return _fail(error.cause, debug, error.hint)
    if isinstance(error, MemoryError):
        return _fail(f"not enough memory: {reason(error)}", debug, "allow more, or name fewer inputs at once")
    if isinstance(error, ImportError) and not (error.name or "fastmnist").startswith("fastmnist"):
        hint = "reinstall it; if memory is limited, as by `ulimit -v`, allow more"
        return _fail(f"{error.name} can't be loaded: {reason(error)}", debug, hint)
    return _fail(bug(error), debug, "run 'fastmnist --debug ...' to see where")


def _run() -> int:
    """Parse and run, around click's own `main`: that one maps EOFError, Ctrl-C and EPIPE to exit 1."""
    if asked := os.environ.get(COMPLETE):  # by a shell, for a script or for what may come next
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, "fastmnist", COMPLETE, asked)
    try:
        with showing_logs(), cli.make_context("fastmnist", sys.argv[1:]) as context:
            result: Any = cli.invoke(context)
    except click.exceptions.NoArgsIsHelpError as error:
        return _show_usage(error)
    except click.UsageError as error:
        hint = hint_for(error)
        told = printable(without_hint(error)) if hint is None else f"{printable(error.message)}\n{HINT}{hint}"
        return _show_usage(click.UsageError(told, error.ctx))
    except click.exceptions.Exit as error:  # --help and --version
        if sys.stdout is None:
            raise OutputError("stdout is closed, so the text has nowhere to go") from None
        return error.exit_code
    return result if isinstance(result, int) else 0


def _show_usage(error: click.UsageError) -> int:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            error.show()
    return EXIT_USAGE


def _fail(message: str, debug: bool, hint: str | None = None) -> int:
    if debug:
        traceback.print_exc()
    complain_of(message)
    if hint is not None:
        complain(HINT + hint)
    return EXIT_FAILED


def _subject(error: OSError) -> str:
    return f"{printable(error.filename)}: " if isinstance(error.filename, (str, bytes)) else "writing output: "


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    lines = str(message).strip().splitlines()  # Dask's of other versions has a table
    complain("fastmnist: warning: " + "\n".join(printable(line) for line in lines))


def _show_unraisable(error: "sys.UnraisableHookArgs") -> None:
    """Report what a finalizer raised, as Python does, unless it is a signal's Stopped, which is raised again anyway."""
    if not isinstance(error.exc_value, Stopped):
        sys.__unraisablehook__(error)


def _flush_stdout() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _quiet_stdout(code: int) -> int:
    """Point stdout to nowhere, so that Python's own flush at exit can't fail a second time."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code


def _exit(code: int) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
    sys.exit(code)
