"""`fastmnist convert`: makes a model from weights trained in PyTorch."""

import click

from fastmnist.cli.inputs import check_not_replaced
from fastmnist.cli.options import class_names_option, quiet_option
from fastmnist.cli.terminal import say
from fastmnist.errors import printable


@click.command()
@click.argument("path", metavar="FILE.safetensors", type=click.Path(readable=False))
@click.option("-o", "--output", metavar="MODEL", required=True, type=click.Path(readable=False),
              help="Model file to write.")  # fmt: skip
@click.option("--mean", type=float, metavar="M", help="Mean subtracted from the pixels, from 0 to 1.  [required]")
@click.option("--std", type=float, metavar="S", help="Standard deviation they were then divided by.  [required]")
@class_names_option("0, 1, 2, ...")
@quiet_option
def convert(path: str, output: str, mean: float | None, std: float | None, class_names: list[str] | None) -> None:
    """Make a model from the weights of a PyTorch network.

    FILE.safetensors holds the state_dict of Linear layers with ReLU between them, under any names, in float32, float16
    or float64; a softmax at the end makes no difference. The network takes 784 pixels.

    M and S are the arguments of transforms.Normalize((M,), (S,)), 0.1307 and 0.3081 in most examples; for pixels from 0
    to 1, as ToTensor alone makes them, they are 0 and 1. With the wrong values the model gives wrong answers: check it
    with 'fastmnist evaluate'.
    """
    from fastmnist import api

    if mean is None or std is None:
        raise click.UsageError(
            "--mean and --std are required, expected the values given to transforms.Normalize, as in --mean 0.1307 "
            "--std 0.3081; without Normalize use --mean 0 --std 1"
        )
    check_not_replaced({"-o": output}, [path])
    model = api.convert(path, mean=mean, std=std, class_names=class_names)
    layers = ", ".join(printable(name) for name in model.origin["converted"]["layers"])
    say(f"layers {layers}: {'-'.join(map(str, model.trained.layer_sizes))}")
    model.save(output)
    say(f"saved {printable(output)}")
