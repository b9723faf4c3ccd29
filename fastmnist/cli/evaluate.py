"""`fastmnist evaluate`: how well a model does on a test set."""

import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from fastmnist.cli.inputs import check_not_replaced
from fastmnist.cli.options import model_file, model_option, open_model, quiet_option, report_option, threads_option
from fastmnist.cli.terminal import painted, put, results_on_terminal, say
from fastmnist.errors import counted, printable
from fastmnist.shapes import NO_DIGIT, SIDE

if TYPE_CHECKING:
    from fastmnist.datasets.labelled import LabelledImages
    from fastmnist.evaluation import Evaluation
    from fastmnist.model.network import Uint8


@click.command()
@click.argument("data", type=click.Path(readable=False))
@model_option
@click.option("--json", "as_json", is_flag=True, help="Print the same figures as JSON.")
@click.option("--errors", type=click.Path(readable=False), metavar="FOLDER",
              help="Write misclassified images to FOLDER as PNG files named by true and predicted class.")  # fmt: skip
@report_option("Write an HTML report: the figures as tables and charts and the mistakes as pictures, in one file.")
@threads_option
@quiet_option
def evaluate(data: str, model: str | None, as_json: bool, errors: str | None, report: str | None) -> int:
    """Print how well a model does on the test set in DATA.

    The figures are accuracy, loss, calibration error, a per-class table, the confusion matrix and the most frequent
    confusions. The calibration error is the average gap between the confidences of `predict` and the accuracy; 0 is
    best. An image that the model takes for no digit counts as wrong and has a column of its own.

    DATA is a folder of IDX files, or with one folder of images per class, named after the model's classes, inside
    `test/` or at the top level; or anything else that 'fastmnist train' accepts. An image that can't be read is left
    out of the figures, and a line on stderr says why; the exit code is then 1.
    """
    from fastmnist.api import evaluate_labelled, write_report
    from fastmnist.cli.quiet import quiet_libraries
    from fastmnist.datasets.dataset import open_dataset
    from fastmnist.kernels.jit import n_threads
    from fastmnist.output.atomic import check_writable
    from fastmnist.output.png import make_folder

    check_not_replaced({"--report": report}, [data, model_file(model)])
    if errors is not None:
        make_folder(errors)
    if report is not None:
        check_writable(report)
    loaded = open_model(model)
    with quiet_libraries():
        images = open_dataset(data).load("test", loaded.class_names, loaded.preprocess, threads=n_threads())
    result = evaluate_labelled(loaded, images, data)
    if errors is not None:
        n_written = write_misclassified(errors, images, result.predictions)
        say(f"{n_written:,} misclassified images written to {printable(errors)}")
    if report is not None:
        write_report(report, loaded, images, result, data)
        say(f"report written to {printable(report)}")
    figures = {"class_names": loaded.class_names, **result.as_dict()}
    put(json.dumps(figures) if as_json else _report(result, loaded.class_names, is_shown=results_on_terminal()))
    return 1 if result.n_errors else 0


def write_misclassified(folder: str, images: "LabelledImages", predictions: "Uint8") -> int:
    """Write each image whose prediction is not its label as INDEX-true-NAME-read-NAME.png; return how many.

    predictions: (n,). An image with a name of its own has it after INDEX. NAME is no_digit for an image that was taken
    for none. Raises OutputError when a file can't be written.
    """
    from fastmnist.output.png import safe_name, write_png

    classes = [safe_name(name) for name in [*images.class_names, NO_DIGIT]]
    misclassified = (predictions != images.labels).nonzero()[0].tolist()
    for index in misclassified:
        own = f"-{safe_name(os.path.basename(images.names[index]))}" if images.names else ""
        name = f"{index:05d}{own}-true-{classes[images.labels[index]]}-read-{classes[predictions[index]]}.png"
        write_png(os.path.join(folder, name), images.pixels[index].reshape(SIDE, SIDE))
    return len(misclassified)


def _report(result: "Evaluation", names: list[str], *, is_shown: bool) -> str:
    """Return the figures as text: rows of the confusion matrix are true classes, columns predicted ones.

    Where it `is_shown` on a terminal, what matters stands out; in a pipe or file every cell is a number.
    """
    left_out = f", {result.n_errors:,} more can't be read" if result.n_errors else ""
    accuracy = painted(f"accuracy {100 * result.accuracy:.2f} %", sys.stdout, bold=True)
    width = max(9, *(len(name) + 2 for name in names))
    lines = [
        f"{accuracy} ({result.n_samples:,} images{left_out})   loss {result.loss:.4f}   "
        f"calibration error {result.calibration_error:.4f}",
        *(
            []
            if result.refused is None
            else [f"{result.n_refused:,} images taken for {NO_DIGIT}, which count as wrong"]
        ),
        "",
        f"{'class':>{width}}{'precision':>11}{'recall':>9}{'f1':>9}{'images':>9}",
    ]
    for label, name in enumerate(names):
        lines.append(
            f"{name:>{width}}{result.precision[label]:>11.4f}{result.recall[label]:>9.4f}"
            f"{result.f1[label]:>9.4f}{result.class_sizes[label]:>9}"
        )
    lines += ["", "confusion matrix: a row per true class, a column per predicted class"]
    lines += _confusion_matrix(result, names, width, _shown_cell if is_shown else _plain_cell)
    if result.top_confusions:
        said_names = [*names, NO_DIGIT]
        lines += ["", "most frequent confusions"]
        for true, said, count in result.top_confusions:
            times = f"   {counted(count, 'time')}" if is_shown else f": {count}"
            lines.append(f"{names[true]} read as {said_names[said]}{times}")
    return "\n".join(lines)


def _plain_cell(count: int, width: int, _is_right: bool) -> str:
    return f"{count:>{width}}"


def _shown_cell(count: int, width: int, is_right: bool) -> str:
    """Return a cell for a terminal: a dot for zero, and mistakes in another colour than the rest."""
    return painted(
        f"{count or '.':>{width}}", sys.stdout, fg="green" if is_right else "red" if count else "bright_black"
    )


def _confusion_matrix(
    result: "Evaluation", names: list[str], width: int, cell: Callable[[int, int, bool], str]
) -> list[str]:
    """Return the matrix's lines, the first column `width` wide and the last one that of the refused images.

    `cell` returns a count as text, given its width and whether it is of the right class.
    """
    column, last = max(6, *(len(name) + 1 for name in names)), len(NO_DIGIT) + 2
    lines = [" " * width + "".join(f"{name:>{column}}" for name in names)]
    for label, name in enumerate(names):
        counts = enumerate(result.confusion[label].tolist())
        lines.append(f"{name:>{width}}" + "".join(cell(count, column, said == label) for said, count in counts))
    if result.refused is None:
        return lines
    refused = [f"{NO_DIGIT:>{last}}", *(cell(count, last, False) for count in result.refused.tolist())]
    return [line + end for line, end in zip(lines, refused, strict=True)]
