"""`fastmnist predict`: name the digit in each image, as rows."""

import os
import time
from itertools import islice
from typing import Any

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
    is_part_of_job,
    model_file,
    model_option,
    open_model,
    preprocess_option,
    quiet_option,
    threads_option,
)
from fastmnist.cli.predict_preview import Preview, open_review, show_options
from fastmnist.cli.row_output import RowOptions, check_options, files_of_rows, fit_for, open_output, row_options
from fastmnist.cli.terminal import say


@click.command()
@inputs_argument("INPUT")
@model_option
@list_options
@preprocess_option("as the model was trained")
@show_options
@row_options
@dask_option
@threads_option
@quiet_option
def predict(
    inputs: tuple[str, ...],
    model: str | None,
    files_from: str | None,
    null: bool,
    preprocess: str | None,
    n_shown: int,
    dump: str | None,
    report: str | None,
    dask: str | None,
    **row_settings: Any,
) -> int:
    """Name the digit in each image of INPUT.

    INPUT is any mix of image files, folders, zip files of pictures, IDX files, .npy and .npz files, Parquet files and
    tables of pixels; - is one image or one stream of IDX images on stdin.

    Image files may be of any size and format, with dark or light ink: --preprocess normalises them to MNIST's form.

    Writes CSV, one row per image in input order: path, index (the position inside a file of many images), label,
    confidence. A file with several pages (TIFF, animations, PDF, HEIC) gives a row per page, with an index from 0.
    An image that can't be read still gets a row, with an empty label, and a line on stderr says why; so does one that
    looks like no digit at all, if the model was trained to recognise those, as `fastmnist info` tells. The exit code is
    then 1, as it is if there are files but no images. In JSON Lines, the key `error` of such a row says why.
    """
    options = RowOptions(**row_settings)
    check_options(options)
    if report is not None and options.resume:
        raise click.UsageError("--report needs all rows, and --resume reads only those that are missing: leave one out")
    written = {"--report": report, **files_of_rows(options.output, options.part)}
    check_not_replaced(written, [*inputs, files_from, model_file(model)])
    check_apart(dump, "--dump-preprocessed", inputs)
    if dask is not None and (n_shown or dump or report):
        raise click.UsageError("--show, --dump-preprocessed and --report show what this process reads: omit --dask")
    from fastmnist.cli.quiet import quiet_libraries
    from fastmnist.compile_aside import compiled_aside

    paths = all_inputs("INPUT", inputs, files_from, null)
    if files_from is None:
        options = fit_for(inputs, options)
    loaded = open_model(model)
    preprocess = _preprocess(preprocess, loaded.preprocess)
    may_have_files = is_part_of_job(options.shard, options.resume)
    preview = Preview(loaded, preprocess, n_shown, dump, may_have_files=may_have_files)
    n_rows = count_for_bar(inputs, files_from, options.shard[1])
    start = time.perf_counter()
    with (
        quiet_libraries(),
        compiled_aside(*_kernels_of_pictures(inputs, loaded.network.KERNEL), beside="read_with serial"),
        open_review(report, loaded, options.min_confidence) as review,
        opened_cluster(dask) as cluster,
        open_output(options, loaded, {"--preprocess": preprocess}, n_rows) as output,
    ):
        for predictions in loaded.stream(
            paths,
            preprocess=preprocess,
            selection=output.selection,
            probabilities=options.probabilities,
            cluster=cluster,
        ):
            preview.see(predictions.batch)  # before its rows: a resumed run takes what has rows for done
            output.write(predictions)
            review(predictions)
    say(output.summary(time.perf_counter() - start))
    return 1 if output.n_errors or output.selection.found_nothing else 0


def _kernels_of_pictures(inputs: tuple[str, ...], classify: str) -> list[str]:
    """Return the kernels that pictures need besides the largest one, in the order in which they need them."""
    from fastmnist.model.network import FEW

    n_files = 0
    for path in inputs:
        try:
            with os.scandir(path) as entries:
                n_files += len(list(islice(entries, FEW + 1)))
        except (OSError, ValueError):  # a file, or what will have its own line
            n_files += 1
    build = "serial" if 0 < n_files <= FEW else "parallel"
    return ["choose_digit serial", "place_digit serial", f"{classify} {build}", "take_lines_out serial"]


def _preprocess(wanted: str | None, of_model: str) -> str:
    """Return how to preprocess: as the user wants it, or else as the model was trained."""
    if wanted is not None and wanted != of_model:
        say(f"--preprocess {wanted} instead of {of_model}, which the model was trained with")
    return wanted or of_model
