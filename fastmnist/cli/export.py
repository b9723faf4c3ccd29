"""`fastmnist export`: a model as a file of another form, which the output's suffix chooses."""

import os
from typing import TYPE_CHECKING

import click

from fastmnist.cli.options import is_named, named_model, quiet_option
from fastmnist.cli.terminal import say
from fastmnist.errors import printable

if TYPE_CHECKING:
    from fastmnist.api import Model


@click.command()
@click.argument("model", metavar="[MODEL]", required=False, type=click.Path(readable=False))
@click.option("-o", "--output", metavar="FILE", required=True, type=click.Path(readable=False),
              help="File to write; it ends in .onnx or .html.")  # fmt: skip
@click.option("--input-shape", type=click.Choice(["n,784", "n,1,28,28"]), default="n,784", show_default=True,
              help="Shape of the input of an .onnx file, n images.")  # fmt: skip
@quiet_option
def export(model: str | None, output: str, input_shape: str) -> None:
    """Write a model as a file that other programs run.

    MODEL is a model file, or shipped for fastmnist's own; by default, the one that the other commands would use.

    FILE.onnx is for ONNX Runtime and whatever else reads ONNX: raw pixels in, uint8, in MNIST's form; out come `label`,
    int64, -1 for no digit, and `probabilities`. It needs the extra onnx: pip install 'fastmnist[onnx]'.

    FILE.html is a page to draw on, which shows what the model makes of it. The model is in the file, and any browser
    opens it from the disk, offline.
    """
    suffix = os.path.splitext(output)[1].lower()
    if suffix not in EXPORTERS:
        raise click.BadParameter(
            f"{printable(output)!r}: expected a name that ends in {' or '.join(EXPORTERS)}", param_hint="'-o'"
        )
    if suffix != ".onnx" and is_named("input_shape"):
        raise click.UsageError("--input-shape is for .onnx files: leave it out")
    EXPORTERS[suffix](named_model(model), output, input_shape)
    say(f"saved {printable(output)}")


def _export_onnx(model: "Model", output: str, input_shape: str) -> None:
    from fastmnist.export.onnx import export_onnx

    export_onnx(output, model, tuple(int(size) for size in input_shape.split(",")[1:]))


def _export_page(model: "Model", output: str, _input_shape: str) -> None:
    from fastmnist.export.page import export_page

    export_page(output, model)


EXPORTERS = {".onnx": _export_onnx, ".html": _export_page}  # by the output's suffix
