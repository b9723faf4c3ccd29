"""`fastmnist evaluate`: how good a model is on the test set of a folder."""

import json
from typing import TYPE_CHECKING

import click

from fastmnist.cli.options import announce_compilation, model_option, open_model, put, say, threads_option
from fastmnist.errors import printable

if TYPE_CHECKING:
    from fastmnist.evaluation import Evaluation


@click.command()
@click.argument("data", type=click.Path())
@model_option
@click.option("--json", "as_json", is_flag=True, help="Print the same figures as JSON.")
@click.option("--errors", type=click.Path(), metavar="FOLDER",
              help="Write the misread images there, as PNG files named by truth and guess.")  # fmt: skip
@threads_option
def evaluate(data: str, model: str | None, as_json: bool, errors: str | None) -> None:
    """Print how good a model is on the test set in folder DATA.

    Accuracy, loss, calibration error, per-class table, confusion matrix and the most frequent confusions. The
    calibration error is how far confidence and accuracy are apart, on average; 0 is best.
    """
    from fastmnist import evaluation
    from fastmnist.data.locate import load_split
    from fastmnist.misread import check_folder, write_misread

    if errors is not None:
        check_folder(errors)
    loaded = open_model(model)
    pixels, labels = load_split(data, "test", loaded.network.n_classes)
    announce_compilation()
    result = evaluation.evaluate(loaded.network, pixels, labels)
    if errors is not None:
        n_written = write_misread(errors, pixels, labels, result.predictions, loaded.class_names)
        say(f"{n_written:,} misread images written to {printable(errors)}")
    put(json.dumps(result.as_dict()) if as_json else _report(result, loaded.class_names))


def _report(result: "Evaluation", names: list[str]) -> str:
    """Return the figures as text: rows of the confusion matrix are true classes, columns predicted ones."""
    width = max(9, *(len(name) + 2 for name in names))
    lines = [
        f"accuracy {result.accuracy:.2%} ({result.n_samples:,} images)   loss {result.loss:.4f}   "
        f"calibration error {result.calibration_error:.4f}",
        "",
        f"{'class':>{width}}{'precision':>11}{'recall':>9}{'f1':>9}{'images':>9}",
    ]
    for label, name in enumerate(names):
        lines.append(
            f"{name:>{width}}{result.precision[label]:>11.4f}{result.recall[label]:>9.4f}"
            f"{result.f1[label]:>9.4f}{result.confusion[label].sum():>9}"
        )
    lines += ["", "confusion matrix: a row per true class, a column per predicted class"]
    column = max(6, *(len(name) + 1 for name in names))
    lines.append(" " * width + "".join(f"{name:>{column}}" for name in names))
    for label, name in enumerate(names):
        lines.append(f"{name:>{width}}" + "".join(f"{count:>{column}}" for count in result.confusion[label]))
    if result.top_confusions:
        lines += ["", "most frequent confusions"]
        lines += [f"{names[true]} read as {names[said]}: {count}" for true, said, count in result.top_confusions]
    return "\n".join(lines)
