"""`fastmnist read`: the numbers in each picture, as rows."""

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from fastmnist.cli.cluster import dask_option, opened_cluster
from fastmnist.cli.inputs import (
    all_inputs,
    check_apart,
    check_not_replaced,
    count_for_bar,
    inputs_argument,
    list_options,
)
from fastmnist.cli.options import (
    FOLDER_HELP,
    is_part_of_job,
    model_file,
    model_option,
    open_model,
    quiet_option,
    threads_option,
)
from fastmnist.cli.row_output import check_output, files_of_rows, job_options, min_confidence_option, open_target
from fastmnist.cli.terminal import ProgressBar, complain_of, say
from fastmnist.errors import counted

if TYPE_CHECKING:
    from fastmnist.numbers.number import PageRead
    from fastmnist.output.numbers import NumberLines, NumberRows

MOST_DIGITS = 1000


def _length(context: click.Context, option: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Return (N, M) for N-M, (N, N) for N; a usage error for anything but 1 <= N <= M."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", value, re.ASCII)
    least = int(match[1]) if match else 0
    most = int(match[2] or match[1]) if match else 0
    if not 1 <= least <= most <= MOST_DIGITS:
        raise click.BadParameter(
            f"{value!r}: expected N or N-M, as in 6 or 1-4, of 1 to {MOST_DIGITS:,} digits", context, option
        )
    return least, most


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options about what is written of a number."""
    for option in (
        click.option(
            "--draw", type=click.Path(readable=False), metavar="FOLDER",
            help="Write the pictures to FOLDER with bounding boxes and text drawn in, as PNG files named by number and "
            f"file. {FOLDER_HELP}",
        ),
        min_confidence_option,
        click.option(
            "--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True,
            help="CSV, or JSON Lines, in which each number contains its digits.",
        ),
        click.option(
            "--length", callback=_length, metavar="N[-M]",
            help="How many digits each number has, if you know; this helps to separate touching digits. A number that "
            "can't be split into so many is read as without this option, with confidence 0.",
        ),
        click.option(
            "--digits",
            is_flag=True,
            help="Write a row per digit instead: its position, label, confidence and bounding box. Not with --format "
            "jsonl, which includes the digits anyway.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command()
@inputs_argument("PICTURE")
@model_option
@list_options
@reading_options
@job_options("picture")
@dask_option
@threads_option
@quiet_option
def read(
    inputs: tuple[str, ...],
    model: str | None,
    files_from: str | None,
    null: bool,
    digits: bool,
    length: tuple[int, int] | None,
    form: str,
    min_confidence: float | None,
    draw: str | None,
    output: str | None,
    part: str | None,
    shard: tuple[int, int],
    resume: bool,
    dask: str | None,
) -> int:
    """Read the numbers in each PICTURE: rows of digits, one or many, apart or touching, in printed boxes, on pages.

    PICTURE is an image file, a folder, or - for one picture on stdin.

    Writes CSV, one row per number in reading order: path, page (from 0, if the file has several), line, text, the
    confidence of the whole text, and its bounding box in pixels. In the text, ? stands for something that is not a
    digit, and a space for an empty printed box.

    A picture that shows no number, or can't be read, still gets a row, without text, and a line on stderr says why.
    The exit code is then 1.
    """
    check_output(output, part, resume)
    if digits and form == "jsonl":
        raise click.UsageError("--format jsonl already includes each number's digits: leave out --digits")
    if draw is not None and "-" in inputs:
        raise click.UsageError("--draw reads each picture a second time, which stdin does not allow: name a file")
    check_not_replaced(files_of_rows(output, part), [*inputs, files_from, model_file(model)])
    check_apart(draw, "--draw", inputs)
    from fastmnist.cli.quiet import quiet_libraries
    from fastmnist.compile_aside import compiled_aside

    paths = all_inputs("PICTURE", inputs, files_from, null)
    loaded = open_model(model)
    rows = _row_format(form, digits, min_confidence)
    job = {
        "model": loaded.checksum,
        "--format": form,
        "--digits": digits,
        "--length": None if length is None else list(length),
        "--min-confidence": min_confidence,
    }
    counts, start = _Counts(), time.perf_counter()
    draw_page = _drawing(draw, may_have_files=is_part_of_job(shard, resume))
    n_pictures = count_for_bar(inputs, files_from, shard[1])
    with (
        quiet_libraries(),
        compiled_aside("place_digit serial", f"{loaded.network.KERNEL} serial"),
        opened_cluster(dask) as cluster,
        open_target(output, rows, job, shard, resume=resume, part=part) as target,
        ProgressBar(n_pictures, "reading", "pictures", shown=n_pictures != 1 and not target.stream.isatty()) as bar,
    ):
        for page in loaded.read_stream(paths, length=length, selection=target.selection, cluster=cluster):
            counts.add(page)
            draw_page(page)  # before its rows: a resumed run takes what has rows for done
            for row in rows.rows_of(page):
                target.stream.write(row)
            bar.at(counts.n_pictures)
    if target.part:
        counts.n_errors += target.part.n_failed  # of rows that an earlier run has written
    say(counts.summary(time.perf_counter() - start))
    return 1 if counts.n_errors or target.selection.found_nothing else 0


class _Counts:
    """Counts pages, and says why one has no number."""

    def __init__(self) -> None:
        self.n_pictures = self.n_numbers = self.n_errors = 0
        self._last = -1

    def add(self, page: "PageRead") -> None:
        """Count a page."""
        self.n_pictures += page.number != self._last
        self._last = page.number
        self.n_numbers += len(page.numbers)
        if page.error is not None:
            self.n_errors += 1
            complain_of(page.error)

    def summary(self, seconds: float) -> str:
        """Return the summary line; for one picture it gives no rate, as the time is mostly start-up."""
        words = [(self.n_pictures, "picture"), (self.n_numbers, "number"), (self.n_errors, "error")]
        told = ", ".join(counted(n, noun) for n, noun in words)
        rate = f", {self.n_pictures / seconds:,.0f} pictures/s" if self.n_pictures > 1 else ""
        return f"{told}, {seconds:.2f} s{rate}"


def _row_format(form: str, digits: bool, min_confidence: float | None) -> "NumberRows | NumberLines":
    from fastmnist.output.numbers import NumberLines, NumberRows

    if form == "jsonl":
        return NumberLines(min_confidence=min_confidence)
    return NumberRows(digits=digits, min_confidence=min_confidence)


def _drawing(folder: str | None, *, may_have_files: bool) -> Callable[["PageRead"], None]:
    """Return what draws a page into the folder, nothing without one. Raises OutputError."""
    if folder is None:
        return lambda page: None
    from fastmnist.cli.read_drawing import Drawing

    return Drawing(folder, may_have_files=may_have_files).add
