"""`fastmnist info`: prints what is known about a model."""

import json

import click

from fastmnist.cli.options import named_model, quiet_option
from fastmnist.cli.terminal import put, results_on_terminal


@click.command()
@click.argument("path", metavar="[MODEL]", required=False, type=click.Path(readable=False))
@click.option("--json", "as_json", is_flag=True, help="Print everything, as JSON; a pipe or file gets JSON anyway.")
@quiet_option
def info(path: str | None, as_json: bool) -> None:
    """Print what is known about a model: layers, size, recipe, accuracy, classes, temperature.

    MODEL is a model file, or shipped for the one that comes with fastmnist; by default, it is the one that the other
    commands would use.
    A terminal gets a table; a pipe or file gets JSON, with all settings and checksums.
    """
    from fastmnist.model.facts import facts_of

    model = named_model(path)
    if as_json or not results_on_terminal():
        put(json.dumps(model.metadata, indent=2, sort_keys=True))
        return
    for name, value in facts_of(model):
        put(f"{name:13}{value}")
