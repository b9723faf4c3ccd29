"""`fastmnist predict`: name the digit in each image, as CSV rows."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import click

from fastmnist.cli.options import announce_compilation, model_option, open_model, say, threads_option
from fastmnist.errors import OutputError


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=click.Path())
@model_option
@click.option("-o", "--output", type=click.Path(), help="File to write, all or nothing.  [default: stdout]")
@threads_option
def predict(inputs: tuple[str, ...], model: str | None, output: str | None) -> int:
    """Name the digit in each image of INPUT: image files, folders, IDX files, in any mix.

    Writes CSV, one row per image in input order: path, index (the position inside an IDX file), label,
    confidence. An image that can't be read keeps its row, with an empty label, and a line on stderr says
    why; the exit code is then 1.
    """
    from fastmnist.data.images import quiet_libraries
    from fastmnist.kernels.jit import n_threads
    from fastmnist.output import CsvWriter
    from fastmnist.prediction import predict as predictions

    loaded = open_model(model)
    announce_compilation()
    start = time.perf_counter()
    n_images = n_errors = 0
    with quiet_libraries(), _open_output(output) as stream:
        writer = CsvWriter(stream, loaded.class_names)
        writer.header()
        for prediction in predictions(loaded.network, inputs, threads=n_threads(), on_note=say):
            batch = prediction.batch
            for row in sorted(batch.errors):
                say(f"fastmnist: error: {batch.errors[row]}")
            writer.rows(batch.names, batch.first_index, prediction.labels, prediction.confidences, batch.errors)
            n_images += len(batch.pixels)
            n_errors += len(batch.errors)
        stream.flush()
    seconds = time.perf_counter() - start
    say(
        f"{n_images:,} image{'s' * (n_images != 1)}, {n_errors:,} error{'s' * (n_errors != 1)}, "
        f"{seconds:.2f} s, {n_images / seconds:,.0f} images/s"
    )
    return 1 if n_errors else 0


@contextmanager
def _open_output(path: str | None) -> Iterator[BinaryIO]:
    """Yield the stream for the rows: stdout, or a file that appears only when all is written."""
    from fastmnist.output import atomic_file

    if path is None:
        if sys.stdout is None:
            raise OutputError("stdout is closed, expected a place for the rows: use -o FILE")
        yield sys.stdout.buffer
    else:
        with atomic_file(path) as file:
            yield file
