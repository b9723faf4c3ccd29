"""`fastmnist train`: train a network on labelled images and save it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import click

from fastmnist.cli.options import (
    ProgressBar,
    announce_compilation,
    class_names_option,
    load_whole,
    preprocess_option,
    say,
    threads_option,
)
from fastmnist.errors import OutputError, printable, reason

if TYPE_CHECKING:
    from fastmnist.data.labelled import LabelledImages
    from fastmnist.evaluation import Evaluation
    from fastmnist.network import Uint8
    from fastmnist.recipes import Recipe
    from fastmnist.training import EpochDone, Training


class LayerSizes(click.ParamType[tuple[int, ...]]):
    """Sizes of hidden layers, as in 300,100."""

    name = "sizes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the sizes as a tuple; a usage error for anything else."""
        try:
            sizes = tuple(int(size) for size in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r}: expected sizes separated by commas, as in 300,100", param, ctx)
        if min(sizes) < 1 or max(sizes) > 100_000:
            self.fail(f"{value!r}: expected sizes from 1 to 100000", param, ctx)
        return sizes


@click.command()
@click.argument("data", type=click.Path(readable=False))
@click.option("--recipe", "recipe_name", type=click.Choice(["seed"]), default="seed", show_default=True,
              help="Named settings; each can be overridden by the options below.")  # fmt: skip
@click.option("--hidden", type=LayerSizes(), help="Sizes of the hidden layers, as in 300,100.  [seed: 100]")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the training set.  [seed: 10]")
@click.option("--batch-size", type=click.IntRange(1, 65536), help="Images per step.  [seed: 32]")
@click.option("--learning-rate", type=float, help="Step size.  [seed: 0.1]")
@click.option("--momentum", type=float, help="Momentum of the steps, from 0 to below 1.  [seed: 0]")
@click.option("--weight-decay", type=float, help="L2 penalty of the weights.  [seed: 0.001]")
@click.option("--shuffle/--no-shuffle", default=None, help="Shuffle the images every epoch.  [seed: no]")
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), help="Seed of the initial weights and of shuffling.  [seed: 2]"
)
@class_names_option
@preprocess_option("auto; none for IDX files of another form than MNIST's")
@threads_option
@click.option(
    "--output", type=click.Path(readable=False), default="model.npz", show_default=True, help="Model file to write."
)
@click.option("--history", type=click.Path(readable=False), help="CSV file to write: one row per epoch.")
def train(
    data: str,
    recipe_name: str,
    output: str,
    history: str | None,
    class_names: list[str] | None,
    preprocess: str | None,
    **settings: Any,
) -> None:
    """Train a network on the training set in folder DATA.

    DATA holds the IDX files of MNIST or of a set like it ('fastmnist download DATA' fetches them), or a folder of
    images for each class, within `train/` or by themselves; the folders' names are the classes. Where a test set is
    there too, the accuracy on it is computed once, at the end.
    """
    from fastmnist.data.datasets import has_test_set
    from fastmnist.model_file import save_model
    from fastmnist.output import check_writable
    from fastmnist.recipes import RECIPES
    from fastmnist.training import Training

    recipe = RECIPES[recipe_name].with_settings(**settings)
    check_writable(output)
    images = load_whole(data, "train", class_names, preprocess)
    test_set = load_whole(data, "test", images.class_names, images.preprocess) if has_test_set(data) else None
    announce_compilation()
    training = Training(images.pixels, images.labels, recipe, len(images.class_names))
    sizes = "-".join(str(size) for size in training.network.layer_sizes)
    say(f"training {sizes} on {len(images.labels):,} images, recipe {recipe.name}")
    last = _run(training, history)
    evaluation = _test(training, test_set.pixels, test_set.labels) if test_set else None
    save_model(output, training.network, _metadata(recipe, images, training, last, evaluation))
    say(f"saved {printable(output)}")


def _run(training: "Training", history: str | None) -> "EpochDone":
    """Train to the end, showing and recording each epoch; return the last one."""
    from fastmnist.training import BlockDone

    epochs = training.recipe.epochs
    with _history_file(history) as file:
        if file:
            file.write("epoch,seconds,train_loss,train_accuracy\n")
        with ProgressBar(len(training.pixels) * epochs, "training") as bar:
            for event in training.run():
                if isinstance(event, BlockDone):
                    bar.at((event.epoch - 1) * len(training.pixels) + event.n_samples)
                    continue
                last = event
                if file:
                    file.write(f"{event.epoch},{event.seconds:.4f},{event.train_loss:.6f},{event.train_accuracy:.6f}\n")
                    file.flush()
                bar.say(
                    f"epoch {event.epoch}/{epochs}  loss {event.train_loss:.4f}  "
                    f"accuracy {event.train_accuracy:.2%}  {event.seconds:.2f} s  "
                    f"{event.n_samples / event.seconds:,.0f} images/s"
                )
    return last


@contextmanager
def _history_file(path: str | None) -> Iterator[TextIO | None]:
    """Open the history to write; it grows row by row, so that an interrupted run leaves what it did."""
    if path is None:
        yield None
        return
    try:
        with open(path, "w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise OutputError(f"{printable(path)}: {reason(error)}, expected a file to write --history to") from None


def _test(training: "Training", pixels: "Uint8", labels: "Uint8") -> "Evaluation":
    """Evaluate the finished network, once, on pixels (n_samples, n_in) and labels (n_samples,)."""
    from fastmnist.evaluation import evaluate

    evaluation = evaluate(training.network, pixels, labels)
    say(f"test accuracy {evaluation.accuracy:.2%} on {len(pixels):,} images")
    return evaluation


def _metadata(
    recipe: "Recipe",
    images: "LabelledImages",
    training: "Training",
    last: "EpochDone",
    evaluation: "Evaluation | None",
) -> dict[str, Any]:
    """Return what the model file says about this run: no dates, durations, paths or thread counts."""
    from fastmnist import __version__

    return {
        "fastmnist_version": __version__,
        "class_names": images.class_names,
        "preprocess": images.preprocess,
        "recipe": recipe.as_metadata(),
        "train_data_sha256": training.data_sha256(),
        "train_loss": last.train_loss,
        "train_accuracy": last.train_accuracy,
        "test_accuracy": evaluation.accuracy if evaluation else None,
    }
