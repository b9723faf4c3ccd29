"""`fastmnist export`: a model in another file format, chosen by the output's suffix."""

import os
from typing import TYPE_CHECKING

import click

from fastmnist.cli.inputs import check_not_replaced
from fastmnist.cli.options import is_named, model_file, named_model, quiet_option
from fastmnist.cli.terminal import say
from fastmnist.errors import printable

if TYPE_CHECKING:
    from fastmnist.api import Model


@click.command()
@click.argument("model", metavar="[MODEL]", required=False, type=click.Path(readable=False))
@click.option("-o", "--output", metavar="FILE", required=True, type=click.Path(readable=False),
              help="File to write, ending in .onnx or .html.")  # fmt: skip
@click.option("--input-shape", type=click.Choice(["n,784", "n,1,28,28"]), default="n,784", show_default=True,
              help="Input shape of an .onnx file, for n images.")  # fmt: skip
@quiet_option
def export(model: str | None, output: str, input_shape: str) -> None:
    """Export a model to a file that other programs can run.

    MODEL is a model file, or shipped for the one that comes with fastmnist; by default, it is the one that the other
    commands would use.

    FILE.onnx is for ONNX Runtime and anything else that reads ONNX. Its input is raw uint8 pixels in MNIST's form; its
    outputs are `label`, int64, -1 for no digit, and `probabilities`. Needs the extra onnx: pip install
    'fastmnist[onnx]'.

    FILE.html is a page to draw on that shows what the model makes of the drawing. The model is inside the file, and any
    browser opens it from disk, offline.
    """
    suffix = os.path.splitext(output)[1].lower()
    if suffix not in EXPORTERS:
        raise click.BadParameter(
            f"{printable(output)!r}: expected a name that ends in {' or '.join(EXPORTERS)}", param_hint="'-o'"
        )
    if suffix != ".onnx" and is_named("input_shape"):
        raise click.UsageError("--input-shape applies only to .onnx files: leave it out")
    check_not_replaced({"-o": output}, [model_file(model)])
    EXPORTERS[suffix](named_model(model), output, input_shape)
    say(f"saved {printable(output)}")


def _export_onnx(model: "Model", output: str, input_shape: str) -> None:
    from fastmnist.export.onnx import export_onnx

    export_onnx(output, model, tuple(int(size) for size in input_shape.split(",")[1:]))


def _export_page(model: "Model", output: str, _input_shape: str) -> None:
    from fastmnist.export.page import export_page

    export_page(output, model)


EXPORTERS = {".onnx": _export_onnx, ".html": _export_page}  # by the output's suffix
