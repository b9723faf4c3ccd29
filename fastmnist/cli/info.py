"""`fastmnist info`: what a model file says about itself."""

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import click

from fastmnist.cli.options import named_model, quiet_option
from fastmnist.cli.terminal import put, results_on_terminal
from fastmnist.errors import printable
from fastmnist.shapes import NO_DIGIT

if TYPE_CHECKING:
    from fastmnist.api import Model


@click.command()
@click.argument("path", metavar="[MODEL]", required=False, type=click.Path(readable=False))
@click.option(
    "--json", "as_json", is_flag=True, help="Print all that is known, as JSON; a pipe or file gets that anyway."
)
@quiet_option
def info(path: str | None, as_json: bool) -> None:
    """Print what is known of a model: layers, size, recipe, accuracy, classes, temperature.

    MODEL is a model file, or shipped for fastmnist's own; without it, it is the one that the other commands would use.
    A terminal gets a table; a pipe or file gets JSON, with all settings and checksums.
    """
    model = named_model(path)
    if as_json or not results_on_terminal():
        put(json.dumps(model.metadata, indent=2, sort_keys=True))
        return
    for name, value in _facts(model):
        put(f"{name:13}{value}")


def _facts(model: "Model") -> list[tuple[str, str]]:
    """Return the rows of the table. What a file's metadata say is checked by nobody else, so it is here."""
    sizes = model.trained.layer_sizes
    n_parameters = sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
    n_bytes = n_parameters * (2 if model.stored_as == "float16" else 4)
    besides = f", and {NO_DIGIT}" * model.can_refuse
    temperature = (
        "none: its confidences are not calibrated" if model.temperature is None else f"{model.temperature:.3f}"
    )
    return [
        ("layers", "-".join(map(str, sizes))),
        ("parameters", f"{n_parameters:,}"),
        ("size", f"{n_bytes / 1e6:.2f} MB of {model.stored_as}"),
        ("recipe", _recipe(model.origin.get("recipe"))),
        ("accuracy", _accuracies(model.origin)),
        ("classes", f"{len(model.class_names)}: {', '.join(model.class_names)}{besides}"),
        ("temperature", temperature),
        ("preprocess", model.preprocess),
    ]


def _recipe(recipe: Any) -> str:
    """Return a recipe's name and its epochs."""
    if not isinstance(recipe, dict) or not isinstance(recipe.get("name"), str):
        return "unknown"
    epochs = recipe.get("epochs")
    return printable(recipe["name"]) + (f", epochs: {epochs:,}" if isinstance(epochs, int) else "")


def _accuracies(origin: dict[str, Any]) -> str:
    """Return the accuracies that are known, the most telling first."""
    names = {"test_accuracy": "on the test set", "validation_accuracy": "held out", "train_accuracy": "in training"}
    known = [(origin.get(key), where) for key, where in names.items()]
    return ", ".join(f"{100 * share:.2f} % {where}" for share, where in known if isinstance(share, float)) or "unknown"
