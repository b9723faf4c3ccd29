"""`fastmnist train`: train a network on labelled images and save it."""

import os
from typing import TYPE_CHECKING, Any

import click

from fastmnist.cli.options import (
    announce_compilation,
    class_names_option,
    load_images,
    preprocess_option,
    threads_option,
)
from fastmnist.cli.terminal import ProgressBar, say
from fastmnist.cli.train_history import line_of, open_history
from fastmnist.cli.train_options import recipe_options, recipe_with
from fastmnist.errors import DataError, TrainingError, printable
from fastmnist.training.recipes import RECIPES

if TYPE_CHECKING:
    from fastmnist.datasets.labelled import Dataset, LabelledImages, Split
    from fastmnist.evaluation import Evaluation
    from fastmnist.model.model_file import Model
    from fastmnist.model.network import Float32, Uint8
    from fastmnist.training.loop import EpochDone, Training
    from fastmnist.training.recipes import Recipe


SHEET_ROWS, SHEET_COLUMNS = 20, 16  # of the picture of distorted images

HELP = """Train a network on the training set in folder DATA.

DATA holds the IDX files of MNIST or of a set like it ('fastmnist download DATA' fetches them), or a folder of
images for each class, within `train/` or by themselves; the folders' names are the classes. It may also be a table of
pixels (.csv). Where a test set is there too, the accuracy on it is computed once, at the end.

The recipes, what they reach on MNIST, and the time they take on two cores:

\b
  seed     784-100-10       97.2 %  2 s     a teaching notebook's, exactly
  default  784-320-160-10   99.1 %  10 to 14 s
  best     784-1024-512-10  99.5 %  5 to 12 min
"""  # click keeps the lines of a paragraph that begins with \b


@click.command(help=HELP)
@click.argument("data", type=click.Path(readable=False))
@click.option("--recipe", "recipe_name", type=click.Choice(list(RECIPES)), default="default",
              show_default=True, help="Named settings; each can be overridden by the options below.")  # fmt: skip
@recipe_options
@class_names_option
@preprocess_option("auto; none for IDX files of another form than MNIST's")
@threads_option
@click.option("-o", "--output", type=click.Path(readable=False), default="model.safetensors", show_default=True,
              help="Model file to write.")  # fmt: skip
@click.option(
    "--float16",
    is_flag=True,
    help="Store the weights as float16, which halves the file. The reported accuracy is that of the rounded weights.",
)
@click.option("--history", type=click.Path(readable=False), help="CSV file to write: one row per epoch.")
@click.option("--checkpoint", type=click.Path(readable=False), help="File to write after each epoch, for --resume.")
@click.option(
    "--resume", is_flag=True, help="Resume from --checkpoint, with the same data and settings, to the same result."
)
@click.option("--show-augmented", type=click.Path(readable=False), metavar="FILE.png",
              help="Write a contact sheet of training images and distorted copies, and do not train.")  # fmt: skip
def train(
    data: str,
    recipe_name: str,
    output: str,
    history: str | None,
    class_names: list[str] | None,
    preprocess: str | None,
    checkpoint: str | None,
    resume: bool,
    show_augmented: str | None,
    float16: bool,
    **settings: Any,
) -> None:
    """Train a network and save it."""
    from fastmnist.datasets.dataset import open_dataset
    from fastmnist.model.model_file import round_to_float16, save_model
    from fastmnist.output.atomic import check_writable
    from fastmnist.training.loop import Training

    recipe = recipe_with(recipe_name, **settings)
    check_writable(show_augmented or output)
    dataset = open_dataset(data)
    images = _load_whole(data, dataset, "train", class_names, preprocess)
    if show_augmented:
        _show_augmented(show_augmented, images.pixels, recipe)
        return
    _check_checkpoint(checkpoint, resume)
    test_set = _load_whole(data, dataset, "test", images.class_names, images.preprocess) if dataset.has_test else None
    announce_compilation()
    training = Training(images.pixels, images.labels, recipe, len(images.class_names))
    sizes = "-".join(str(size) for size in training.network.layer_sizes)
    say(f"training {sizes} on {len(training.pixels):,} images, recipe {recipe.name}")
    epochs = _run(training, history, checkpoint, resume)
    if float16:
        round_to_float16(training.network)
    evaluation = _test(training, test_set.pixels, test_set.labels) if test_set else None
    save_model(output, _model(images, training, epochs[-1], evaluation, "float16" if float16 else "float32"))
    say(f"saved {printable(output)}")


def _load_whole(
    data: str, dataset: "Dataset", split: "Split", class_names: list[str] | None, preprocess: str | None
) -> "LabelledImages":
    """Read one split. Raises DataError if an image can't be read: training on the rest would give another model."""
    images = load_images(dataset, split, class_names, preprocess)
    if images.errors:
        raise DataError(
            f"{printable(data)}: {len(images.errors):,} of {len(images.labels) + len(images.errors):,} images of the "
            f"{split} set can't be read, expected all of them; replace or remove those named above"
        )
    return images


def _check_checkpoint(path: str | None, resume: bool) -> None:
    """Refuse to overwrite hours of work by a forgotten --resume."""
    from fastmnist.output.atomic import check_writable

    if path is None:
        if resume:
            raise click.UsageError("--resume needs --checkpoint FILE, the file to resume from")
        return
    check_writable(path)
    if os.path.exists(path) and not resume:
        raise TrainingError(f"{printable(path)}: there is a checkpoint already; add --resume to continue, or remove it")


def _run(training: "Training", history_path: str | None, checkpoint: str | None, resume: bool) -> "list[EpochDone]":
    """Train to the end, showing and recording each epoch; return all epochs."""
    from fastmnist.training.checkpoint import load_checkpoint, save_checkpoint
    from fastmnist.training.loop import BlockDone

    n_epochs, n_samples = training.recipe.epochs, len(training.pixels)
    epochs = load_checkpoint(checkpoint, training) if resume and checkpoint else []
    if epochs:
        say(f"resuming after epoch {len(epochs)} of {n_epochs}")
    with open_history(history_path, epochs) as history, ProgressBar(n_samples * n_epochs, "training") as bar:
        for event in training.run():
            if isinstance(event, BlockDone):
                bar.at((event.epoch - 1) * n_samples + event.n_samples)
                continue
            epochs.append(event)
            if checkpoint:
                save_checkpoint(checkpoint, training, epochs)
            history.add(event)
            bar.say(line_of(event, n_epochs, n_samples))
    return epochs


def _test(training: "Training", pixels: "Uint8", labels: "Uint8") -> "Evaluation":
    """Evaluate the finished network, once, on pixels (n_samples, n_in) and labels (n_samples,)."""
    from fastmnist.evaluation import evaluate

    evaluation = evaluate(training.network, pixels, labels)
    say(f"test accuracy {evaluation.accuracy:.2%} on {len(pixels):,} images")
    return evaluation


def _model(
    images: "LabelledImages", training: "Training", last: "EpochDone", evaluation: "Evaluation | None", stored_as: str
) -> "Model":
    """Return the model that this run has made; no dates, durations, paths or thread counts."""
    from fastmnist import __version__
    from fastmnist.model.model_file import Model

    origin = {
        "fastmnist_version": __version__,
        "recipe": training.recipe.as_metadata(),
        "train_data_sha256": training.data_sha256(),
        "train_loss": last.train_loss,
        "train_accuracy": last.train_accuracy,
        "test_accuracy": evaluation.accuracy if evaluation else None,
    }
    model = Model(training.network, images.class_names, images.preprocess, stored_as=stored_as, origin=origin)
    if training.recipe.validation:
        _validate(model, *training.held_out)
    return model


def _validate(model: "Model", pixels: "Uint8 | Float32", labels: "Uint8") -> None:
    """Add the accuracy on the held-out images, and the temperature that calibrates the confidences on them."""
    from fastmnist.evaluation import evaluate
    from fastmnist.model.calibration import fit_temperature

    model.origin["validation_accuracy"] = evaluate(model.trained, pixels, labels).accuracy  # of the weights as stored
    model.temperature = fit_temperature(model.trained.logits(pixels), labels)


def _show_augmented(path: str, pixels: "Uint8", recipe: "Recipe") -> None:
    """Write a contact sheet: a row for each of some images, which stands first, before its copies."""
    from fastmnist.output.png import sheet, write_png
    from fastmnist.training.augmentation import examples

    announce_compilation()
    write_png(path, sheet(examples(pixels[:SHEET_ROWS], recipe.augment, recipe.seed, SHEET_COLUMNS - 1)))
    say(f"saved {printable(path)}")
