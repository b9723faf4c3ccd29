"""`fastmnist info`: what a model file says about itself."""

import json

import click

from fastmnist.cli.options import open_model
from fastmnist.cli.terminal import put


@click.command()
@click.argument("path", metavar="[MODEL]", required=False, type=click.Path(readable=False))
def info(path: str | None) -> None:
    """Print a model's metadata as JSON: layers, recipe, settings, accuracy, checksums."""
    put(json.dumps(open_model(path).metadata, indent=2, sort_keys=True))
