"""The options of commands that write rows, and where these go: to stdout, to a file, to a part that can be resumed."""

import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import click

from fastmnist.cli.options import is_named
from fastmnist.cli.terminal import ProgressBar, complain_of, results_on_terminal
from fastmnist.errors import OutputError, counted

if TYPE_CHECKING:
    from fastmnist.inputs.batch import Predictions
    from fastmnist.inputs.selection import Selection
    from fastmnist.model.model_file import Model
    from fastmnist.output.part_file import PartFile
    from fastmnist.output.rows import RowFormat

MAX_SHARDS = 100_000
PLAIN = "plain"  # a format that nobody can ask for: what a terminal gets for one picture


def _shard(context: click.Context, option: click.Parameter, value: str) -> tuple[int, int]:
    """Return (I, N) for I/N, as in 3/7; a usage error for anything but 1 <= I <= N."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", value, re.ASCII)
    shard, n_shards = map(int, match.groups()) if match else (0, 0)
    if not 1 <= shard <= n_shards <= MAX_SHARDS:
        message = f"{value!r}: expected I/N as in 3/7, with I from 1 to N and N up to {MAX_SHARDS}"
        raise click.BadParameter(message, context, option)
    return shard, n_shards


@dataclass(frozen=True)
class RowOptions:
    """What the user wants of the rows."""

    output: str | None
    form: str
    probabilities: bool
    min_confidence: float | None
    part: str | None
    shard: tuple[int, int]
    resume: bool


def file_or_stdout(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Return the file to write, None for stdout, which - names too."""
    return None if value == "-" else value


def job_options(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --output, --part, --shard and --resume, for rows of `what`."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--resume", is_flag=True, help="Resume from FILE.part, left behind by an interrupted run."),
            click.option(
                "--shard", default="1/1", callback=_shard, metavar="I/N",
                help=f"Process only every N-th {what}, from the I-th on; shards 1/N to N/N together cover all {what}s.",
            ),
            click.option(
                "--part", metavar="FILE", type=click.Path(readable=False),
                help="Where to keep rows until they are uploaded to an address.  [default: the user's cache folder]",
            ),
            click.option(
                "-o", "--output", metavar="FILE", type=click.Path(readable=False), callback=file_or_stdout,
                help="File or address (s3://...) to write, all or nothing.  [default: stdout]",
            ),
        ):  # fmt: skip
            command = option(command)
        return command

    return add


def _not_nan(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    """Return a number from 0 to 1; click lets NaN pass, which is in no order to them."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("nan is not in the range 0<=x<=1.", context, option)
    return value


min_confidence_option = click.option(
    "--min-confidence", type=click.FloatRange(0, 1), callback=_not_nan, metavar="X",
    help="Add a column `review`: yes for confidences below X.",
)  # fmt: skip


def row_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of RowOptions, which come to the command one by one."""
    for option in (
        min_confidence_option,
        click.option("--probabilities", is_flag=True, help="Add the probability of every class."),
        click.option(
            "--format", "form", type=click.Choice(["csv", "jsonl", "kaggle"]), default="csv", show_default=True,
            help="CSV, JSON Lines, or ImageId,Label for Kaggle. On a terminal, a single picture gives a readable line "
            "instead, unless you ask for csv.",
        ),
        job_options("row"),
    ):  # fmt: skip
        command = option(command)
    return command


class Target(NamedTuple):
    """Where rows go, which rows, and the part with earlier rows, None if there can't be one."""

    stream: BinaryIO
    selection: "Selection"
    part: "PartFile | None"


class RowOutput:
    """Where the rows go: writes and counts them."""

    def __init__(self, target: Target, row_format: "RowFormat", bar: ProgressBar) -> None:
        self.selection = target.selection
        self._stream, self._format, self._part, self._bar = target.stream, row_format, target.part, bar
        self._n_written = self._n_failed = 0

    @property
    def n_images(self) -> int:
        """All rows, those of an earlier run too."""
        return self._n_written + (self._part.n_known if self._part else 0)

    @property
    def n_errors(self) -> int:
        """The rows among them without a label."""
        return self._n_failed + (self._part.n_failed if self._part else 0)

    def write(self, predictions: "Predictions") -> None:
        """Write the rows of a batch, and a line on stderr for each error."""
        errors = predictions.errors
        for row in sorted(errors):
            complain_of(errors[row])
        for piece in self._format.rows(predictions):
            self._stream.write(piece)
        if self._stream.isatty():
            self._stream.flush()  # or the next batch's errors would be shown first
        self._n_written += len(predictions.labels)
        self._n_failed += len(errors)
        self._bar.at(self.n_images)

    def summary(self, seconds: float) -> str:
        """Return the summary line with the number of images and errors; its rate is for this run, of `seconds`.

        For one image there is no rate, as the time is mostly start-up.
        """
        n_images, n_errors = self.n_images, self.n_errors
        rate = f", {self._n_written / seconds:,.0f} images/s" if self._n_written > 1 else ""
        return f"{counted(n_images, 'image')}, {counted(n_errors, 'error')}, {seconds:.2f} s{rate}"


@contextmanager
def open_output(options: RowOptions, model: "Model", job: dict[str, Any], n_rows: int | None) -> Iterator[RowOutput]:
    """Yield where the rows go, of which there will be about `n_rows`. Raises OutputError.

    A part file is resumed only by an equal job: the same model, options, and whatever else `job` names.
    """
    row_format = _row_format(options, model)
    job = {
        "model": model.checksum,
        "--format": options.form,
        "--probabilities": options.probabilities,
        "--min-confidence": options.min_confidence,
        **job,
    }
    with (
        open_target(options.output, row_format, job, options.shard, resume=options.resume, part=options.part) as target,
        ProgressBar(n_rows, "predicting", shown=n_rows != 1 and not target.stream.isatty()) as bar,
    ):
        yield RowOutput(target, row_format, bar)


@contextmanager
def open_target(
    path: str | None,
    row_format: "RowFormat",
    job: dict[str, Any],
    shard: tuple[int, int],
    *,
    resume: bool,
    part: str | None,
) -> Iterator[Target]:
    """Yield where the rows of a format go: to stdout, or all or nothing to the file or address `path`.

    A part file, which for an address may be named, is resumed only by an equal job. Raises OutputError, RemoteError.
    """
    from fastmnist.inputs.selection import Selection
    from fastmnist.output.atomic import is_direct
    from fastmnist.output.part_file import part_file
    from fastmnist.output.remote_part import remote_part_file
    from fastmnist.remote.address import is_address
    from fastmnist.version import __version__

    if path is None or is_direct(path):
        with open_stream(path) as stream:
            stream.write(row_format.header)
            stream.flush()  # on a terminal it comes before the first error
            yield Target(stream, Selection(*shard), None)
            stream.flush()
        return
    job = {"fastmnist_version": __version__, **job, "--shard": list(shard)}
    with (
        remote_part_file(path, part, job, row_format, resume=resume)
        if is_address(path)
        else part_file(path, job, row_format, resume=resume)
    ) as opened:
        yield Target(opened.file, Selection(*shard, opened.count_known), opened)


def check_output(output: str | None, part: str | None, resume: bool) -> None:
    """Raise UsageError where there is no file to resume, or no address that needs a part."""
    from fastmnist.output.atomic import is_direct
    from fastmnist.remote.address import is_address

    if part is not None and (output is None or not is_address(output)):
        told = "--part needs -o with an address, as in s3://bucket/out.csv; a local file's part is kept next to it"
        raise click.UsageError(told)
    if resume and (output is None or is_direct(output)):
        raise click.UsageError("--resume needs -o FILE, a regular file")


def files_of_rows(output: str | None, part: str | None) -> dict[str, str | None]:
    """Return the files that rows are written to, by what the user knows them as."""
    from fastmnist.output.atomic import is_direct
    from fastmnist.remote.address import is_address

    files = {"-o": output, "--part": part}
    for option, path in list(files.items()):
        if path is not None and not is_address(path) and not is_direct(path):
            suffixes = (".part", ".part.json") if option == "-o" else (".json",)
            files |= {f"the {suffix} file of {option}": path + suffix for suffix in suffixes}
    return files


def check_options(options: RowOptions) -> None:
    """Raise UsageError for options that do not go together."""
    check_output(options.output, options.part, options.resume)
    if options.form == "kaggle" and (options.probabilities or options.min_confidence is not None):
        raise click.UsageError(
            "--format kaggle has no columns for --probabilities or --min-confidence: leave them out, "
            "or use --format csv"
        )


def fit_for(inputs: Sequence[str], options: RowOptions) -> RowOptions:
    """Return the options for these inputs: rows of one picture that a person sees are not CSV, unless asked for."""
    from fastmnist.inputs.paths import is_one_picture

    is_usual = not (is_named("form") or options.probabilities or options.min_confidence is not None)
    is_shown = options.output is None and results_on_terminal()
    return replace(options, form=PLAIN) if is_usual and is_shown and is_one_picture(inputs) else options


def _row_format(options: RowOptions, model: "Model") -> "RowFormat":
    from fastmnist.output.csv import CsvFormat
    from fastmnist.output.jsonl import JsonlFormat
    from fastmnist.output.kaggle import KaggleFormat
    from fastmnist.output.plain import PlainFormat

    if options.form == PLAIN:
        return PlainFormat(model.class_names)
    if options.form == "kaggle":
        return KaggleFormat(model.class_names)
    kind = CsvFormat if options.form == "csv" else JsonlFormat
    return kind(model.class_names, probabilities=options.probabilities, min_confidence=options.min_confidence)


@contextmanager
def open_stream(path: str | None) -> Iterator[BinaryIO]:
    """Yield the stream of stdout, of a device or FIFO, or of a file that appears at the end. Raises OutputError."""
    from fastmnist.output.atomic import atomic_file

    if path is not None:
        with atomic_file(path) as file:
            yield file
    elif sys.stdout is None:
        raise OutputError("stdout is closed, expected somewhere to write the rows", hint="use -o FILE")
    else:
        yield sys.stdout.buffer
