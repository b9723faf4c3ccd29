"""What is known about a model, in words: the table of `info`, and part of a report."""

from itertools import pairwise
from typing import Any

from fastmnist.errors import printable
from fastmnist.model.model_file import Model
from fastmnist.shapes import NO_DIGIT


def facts_of(model: Model) -> list[tuple[str, str]]:
    """Return what is known, a name and a printable value each: layers, size, recipe, accuracies, classes and so on.

    What a file's metadata say is checked by nobody else, so it is here.
    """
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
        ("arithmetic", "float32" if model.rounding is None else "8-bit integers"),
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
    names = {
        "test_accuracy": "on the test set",
        "validation_accuracy": "on the held-out set",
        "train_accuracy": "during training",
    }
    known = [(origin.get(key), where) for key, where in names.items()]
    return ", ".join(f"{100 * share:.2f} % {where}" for share, where in known if isinstance(share, float)) or "unknown"
