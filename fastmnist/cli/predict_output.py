"""The options of `predict` about its rows, and what they come to: a writer on stdout, on a file, on a part of one."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from fastmnist.cli.options import ProgressBar, say
from fastmnist.errors import OutputError

if TYPE_CHECKING:
    from fastmnist.inputs.selection import Selection
    from fastmnist.model.model_file import Model
    from fastmnist.output.part_file import PartFile
    from fastmnist.output.rows import RowWriter
    from fastmnist.prediction import Predictions

MAX_SHARDS = 100_000


class Shard(click.ParamType[tuple[int, int]]):
    """One of several shards, as in 3/7."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return (I, N); a usage error for anything but 1 <= I <= N."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", str(value), re.ASCII)
        shard, n_shards = map(int, match.groups()) if match else (0, 0)
        if not 1 <= shard <= n_shards <= MAX_SHARDS:
            self.fail(f"{value!r}: expected I/N as in 3/7, with I from 1 to N and N up to {MAX_SHARDS}", param, ctx)
        return shard, n_shards


@dataclass(frozen=True)
class RowOptions:
    """What the user wants of the rows."""

    output: str | None
    form: str
    probabilities: bool
    min_confidence: float | None
    shard: tuple[int, int]
    resume: bool


def row_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of RowOptions, which come to the command one by one."""
    for option in (
        click.option("--resume", is_flag=True, help="Go on with what an interrupted run left in FILE.part."),
        click.option(
            "--shard", type=Shard(), default=(1, 1), metavar="I/N",
            help="Only every N-th row, from the I-th on: shards 1/N to N/N together are all rows.",
        ),
        click.option(
            "--min-confidence", type=click.FloatRange(0, 1), metavar="X",
            help="Add a column `review`: yes for confidences below X.",
        ),
        click.option("--probabilities", is_flag=True, help="Add the probability of every class."),
        click.option(
            "--format", "form", type=click.Choice(["csv", "jsonl", "kaggle"]), default="csv", show_default=True,
            help="CSV, JSON Lines, or ImageId,Label as Kaggle wants it.",
        ),
        click.option(
            "-o", "--output", metavar="FILE", type=click.Path(readable=False),
            help="File to write, all or nothing.  [default: stdout]",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


class RowOutput:
    """The place for the rows: writes and counts them."""

    def __init__(self, writer: "RowWriter", selection: "Selection", part: "PartFile | None", bar: ProgressBar) -> None:
        self.selection = selection
        self.say = bar.say
        self._writer, self._part, self._bar = writer, part, bar
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
        from fastmnist.output.rows import Rows

        batch = predictions.batch
        for row in sorted(batch.errors):
            self.say(f"fastmnist: error: {batch.errors[row]}")
        self._writer.write(
            Rows(
                batch.names,
                predictions.labels,
                predictions.confidences,
                batch.first_index,
                batch.step,
                batch.errors,
                predictions.probabilities,
            )
        )
        self._n_written += len(predictions.labels)
        self._n_failed += len(batch.errors)
        self._bar.at(self.n_images)

    def summary(self, seconds: float) -> str:
        """Return the line that counts images and errors, after so many seconds; the rate is this run's own."""
        n_images, n_errors = self.n_images, self.n_errors
        return (
            f"{n_images:,} image{'s' * (n_images != 1)}, {n_errors:,} error{'s' * (n_errors != 1)}, "
            f"{seconds:.2f} s, {self._n_written / seconds:,.0f} images/s"
        )


@contextmanager
def open_output(options: RowOptions, model: "Model", about: dict[str, Any], n_rows: int | None) -> Iterator[RowOutput]:
    """Yield the place for the rows, of which there will be about `n_rows`. Raises OutputError.

    A part file is resumed only with equal settings: the model, the options, and what else `about` names.
    """
    from fastmnist import __version__
    from fastmnist.inputs.selection import Selection
    from fastmnist.output.atomic import is_direct
    from fastmnist.output.part_file import part_file

    with ProgressBar(n_rows, "predicting", "images") as bar:
        if options.output is None or is_direct(options.output):
            with _stream(options.output) as stream:
                writer = _writer(options, model, stream)
                writer.write_header()
                yield RowOutput(writer, Selection(*options.shard), None, bar)
                stream.flush()
            return
        about = {
            "fastmnist_version": __version__,
            "model": model.metadata.get("checksum"),
            "--format": options.form,
            "--probabilities": options.probabilities,
            "--min-confidence": options.min_confidence,
            "--shard": list(options.shard),
            **about,
        }
        with part_file(options.output, about, resume=options.resume, on_note=say) as part:
            writer = _writer(options, model, part.file)
            part.begin(writer)
            yield RowOutput(writer, Selection(*options.shard, part.count_known), part, bar)


def check_options(options: RowOptions) -> None:
    """Raise UsageError for options that do not go together."""
    from fastmnist.output.atomic import is_direct

    if options.resume and (options.output is None or is_direct(options.output)):
        raise click.UsageError("--resume needs -o FILE, a regular file")
    if options.form == "kaggle" and (options.probabilities or options.min_confidence is not None):
        raise click.UsageError("--format kaggle has no room for --probabilities or --min-confidence")


def _writer(options: RowOptions, model: "Model", stream: BinaryIO) -> "RowWriter":
    from fastmnist.output.csv import CsvWriter
    from fastmnist.output.jsonl import JsonlWriter
    from fastmnist.output.kaggle import KaggleWriter

    if options.form == "kaggle":
        return KaggleWriter(stream, model.class_names, *options.shard)
    kind = CsvWriter if options.form == "csv" else JsonlWriter
    return kind(stream, model.class_names, probabilities=options.probabilities, min_confidence=options.min_confidence)


@contextmanager
def _stream(path: str | None) -> Iterator[BinaryIO]:
    """Yield the stream of stdout, of a device or of a FIFO."""
    from fastmnist.output.atomic import atomic_file

    if path is not None:
        with atomic_file(path) as file:  # which writes to such a path as it is
            yield file
    elif sys.stdout is None:
        raise OutputError("stdout is closed, expected a place for the rows: use -o FILE")
    else:
        yield sys.stdout.buffer
