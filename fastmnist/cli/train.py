"""`fastmnist train`: train a network on labelled images and save it."""

import os
from typing import TYPE_CHECKING, Any

import click

from fastmnist.cli.inputs import check_not_replaced
from fastmnist.cli.options import (
    class_names_option,
    is_named,
    preprocess_option,
    quiet_option,
    threads_option,
)
from fastmnist.cli.terminal import ProgressBar, clear_line, complain, say
from fastmnist.cli.train_help import TrainCommand
from fastmnist.cli.train_history import line_of, open_history
from fastmnist.cli.train_options import recipe_options
from fastmnist.errors import TrainingError, printable
from fastmnist.training.recipes import RECIPES, recipe_with

if TYPE_CHECKING:
    from fastmnist.model.network import Uint8
    from fastmnist.training.recipes import Recipe
    from fastmnist.training.run import TrainingRun

SHEET_ROWS, SHEET_COLUMNS = 20, 16  # of the picture of distorted images

HELP = """Train a network on the training set in folder DATA.

DATA is a folder with the IDX files of MNIST or of a similar data set ('fastmnist download DATA' fetches them), or with
one folder of images per class, inside `train/` or at the top level; the folder names are the class names. DATA may also
be a zip file of such folders, an .npz file, a Parquet file or a folder of them in Hugging Face's layout, a table of
pixels (.csv), or a table that 'fastmnist predict' wrote, with its labels corrected. If there is a test set as well, the
accuracy on it is computed once, at the end.

The recipes, their accuracy on MNIST and the time they take on two cores:

\b
  seed     784-100-10       97.2 %  2 s       exactly a teaching notebook's
  default  784-320-160-10   99.1 %  10 to 14 s
  best     784-1024-512-10  99.5 %  5 to 9 min
  tune     same as --from           1 to 5 s  20 to 200 pictures of your own
"""  # click keeps the lines of a paragraph that begins with \b


@click.command(cls=TrainCommand, help=HELP)
@click.argument("data", type=click.Path(readable=False))
@click.option("--from", "start", type=click.Path(readable=False), metavar="MODEL",
              help="Fine-tune this model (a file, or shipped), say on a few pictures of your own.")  # fmt: skip
@click.option("--no-digit", type=click.Path(readable=False), metavar="PATH",
              help="Images that belong to none of the classes: a picture, folder, IDX file or table. The model learns "
                   "to recognise such images, and predict gives them no label.")  # fmt: skip
@click.option("--recipe", "recipe_name", type=click.Choice(list(RECIPES)),
              help="Named settings; each can be overridden by the options below.  "
                   "[default: default; with --from: tune]")  # fmt: skip
@recipe_options
@class_names_option("the class folders, in byte order; 0 to 9 for IDX files")
@preprocess_option("auto; none for IDX files that are not in MNIST's form; with --from, that model's")
@threads_option
@click.option("-o", "--output", type=click.Path(readable=False), default="model.safetensors", show_default=True,
              help="Model file to write.")  # fmt: skip
@click.option(
    "--float16",
    is_flag=True,
    help="Store the weights as float16, which halves the file size. The reported accuracy is for the rounded weights.",
)
@click.option(
    "--int8",
    is_flag=True,
    help="Predict with 8-bit integers, with the same answers on every processor: 2 to 3.5 times as fast where it has "
    "AVX-512 VNNI, more with AMX, a little faster elsewhere. The reported accuracy is for the integers.",
)
@click.option("--history", type=click.Path(readable=False), help="CSV file to write: one row per epoch.")
@click.option("--checkpoint", type=click.Path(readable=False), help="File to write after each epoch, for --resume.")
@click.option(
    "--resume",
    is_flag=True,
    help="Resume from --checkpoint, if it exists, with the same data and settings; the result is as if training had "
    "never been interrupted.",
)
@click.option(
    "--skip-unreadable", is_flag=True, help="Skip images that can't be read, naming each one, instead of stopping."
)
@click.option("--show-augmented", type=click.Path(readable=False), metavar="FILE.png",
              help="Write a contact sheet of training images and distorted copies instead of training.")  # fmt: skip
@quiet_option
def train(
    data: str,
    start: str | None,
    recipe_name: str | None,
    output: str,
    history: str | None,
    class_names: list[str] | None,
    preprocess: str | None,
    checkpoint: str | None,
    resume: bool,
    show_augmented: str | None,
    float16: bool,
    int8: bool,
    skip_unreadable: bool,
    no_digit: str | None,
    **settings: Any,
) -> None:
    """Train a network and save it."""
    from fastmnist.cli.quiet import quiet_libraries
    from fastmnist.datasets.labelled import Loading
    from fastmnist.kernels.jit import n_threads
    from fastmnist.model.model_file import find_model, load_model, save_model
    from fastmnist.output.atomic import check_writable
    from fastmnist.training.run import TrainingRun, training_sets

    if resume and checkpoint is None:
        raise click.UsageError("--resume needs --checkpoint FILE, the file to resume from")
    _check_outputs([data, no_digit], start, output, {"--history": history, "--checkpoint": checkpoint}, show_augmented)
    first = None if start is None else load_model(find_model(start)[0])
    recipe = recipe_with(recipe_name, goes_on=start is not None, **settings)
    check_writable(show_augmented or output)
    with quiet_libraries():
        how = Loading(class_names, preprocess, n_threads())
        images, test_set = training_sets(
            data, None, None, how, start=first, no_digit=no_digit, skip_unreadable=skip_unreadable
        )
    if show_augmented:
        _show_augmented(show_augmented, images.pixels[images.n_no_digit :], recipe)
        return
    run = TrainingRun(
        images, test_set, recipe, start=first, checkpoint=checkpoint, resume=resume, float16=float16, int8=int8
    )
    _show(run, history)
    model = run.model()
    if test_set is not None and run.evaluation is not None:
        say(f"test accuracy {100 * run.evaluation.accuracy:.2f} % on {len(test_set.labels):,} images")
    if not run.has_learnt and not is_named("output") and os.path.exists(output):
        raise TrainingError(
            f"{printable(output)}: already holds a model, which is kept",
            hint="name another file with --output to save this one",
        )
    save_model(output, model)
    say(f"saved {printable(output)}")


def _check_outputs(
    inputs: list[str | None], start: str | None, output: str, others: dict[str, str | None], show_augmented: str | None
) -> None:
    """Raise UsageError if what is written would replace what is read. A model may be replaced by a fine-tuned one."""
    from fastmnist.model.model_file import find_model

    if show_augmented is not None:
        if given := [option for option, path in others.items() if path is not None]:
            raise click.UsageError(f"--show-augmented trains nothing: leave out {' and '.join(given)}")
        check_not_replaced({"--show-augmented": show_augmented}, inputs)
        return
    check_not_replaced({**others, "-o": output}, inputs)
    check_not_replaced(others, [None if start is None else find_model(start)[0]])


def _show(run: "TrainingRun", history_path: str | None) -> None:
    """Train to the end, showing and recording each epoch."""
    from fastmnist.compile_aside import compiled_aside
    from fastmnist.training.loop import BlockDone

    training = run.training
    sizes = "-".join(str(size) for size in training.network.layer_sizes)
    n_epochs, n_samples = training.recipe.epochs, len(training.pixels)
    say(f"training {sizes} on {n_samples:,} images, recipe {training.recipe.name}")
    if training.recipe.augment:
        say("training loss and accuracy are for distorted images, validation and test for the originals")
    if run.epochs:
        say(f"resuming after epoch {len(run.epochs)} of {n_epochs}")
    with compiled_aside("train_batches parallel", "classify parallel"):
        training.compile()
    with open_history(history_path, run.epochs) as history, ProgressBar(n_samples * n_epochs, "training") as bar:
        try:
            for event in run.events():
                if isinstance(event, BlockDone):
                    bar.at((event.epoch - 1) * n_samples + event.n_samples)
                else:
                    history.add(event)
                    say(line_of(event, n_epochs, n_samples))
        except BaseException as error:
            if not isinstance(error, TrainingError) and (note := run.how_to_resume()):
                clear_line()  # of the ^C behind the bar
                complain(note)
            raise


def _show_augmented(path: str, pixels: "Uint8", recipe: "Recipe") -> None:
    """Write a contact sheet: a row for each of some images, which stands first, before its copies."""
    from fastmnist.output.png import sheet, write_png
    from fastmnist.training.augmentation import examples

    write_png(path, sheet(examples(pixels[:SHEET_ROWS], recipe.augment, recipe.seed, SHEET_COLUMNS - 1)))
    say(f"saved {printable(path)}")
