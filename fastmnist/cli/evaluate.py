"""`fastmnist evaluate`: how good a model is on the test set of a folder."""

import json
from typing import TYPE_CHECKING

import click

from fastmnist.cli.options import announce_compilation, model_option, open_model, put, say, threads_option

if TYPE_CHECKING:
    from fastmnist.evaluation import Evaluation


@click.command()
@click.argument("data", type=click.Path(readable=False))
@model_option
@click.option("--json", "as_json", is_flag=True, help="Print the same figures as JSON.")
@threads_option
def evaluate(data: str, model: str | None, as_json: bool) -> None:
    """Print a model's accuracy, loss, per-class table and confusion matrix on the test set in folder DATA."""
    from fastmnist import evaluation
    from fastmnist.data.locate import load_split

    loaded = open_model(model)
    pixels, labels = load_split(data, "test", loaded.network.n_classes, on_note=say)
    announce_compilation()
    result = evaluation.evaluate(loaded.network, pixels, labels)
    put(json.dumps(result.as_dict()) if as_json else _report(result, loaded.class_names))


def _report(result: "Evaluation", names: list[str]) -> str:
    """Return the figures as text: rows of the confusion matrix are true classes, columns predicted ones."""
    width = max(9, *(len(name) + 2 for name in names))
    lines = [
        f"accuracy {result.accuracy:.2%} ({result.n_samples:,} images)   loss {result.loss:.4f}",
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
    return "\n".join(lines)
