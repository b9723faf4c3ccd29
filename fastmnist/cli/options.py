"""What several commands share: their options, and the model they use."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from fastmnist.cli.terminal import be_quiet, say
from fastmnist.errors import printable
from fastmnist.shapes import CLASS_NAME, MAX_CLASSES, PREPROCESS_MODES, is_class_name, is_no_digit

if TYPE_CHECKING:
    from pathlib import Path

    from fastmnist.api import Model

# Of pictures that a command writes; see `is_part_of_job`.
FOLDER_HELP = (
    "FOLDER must be new or empty; with --resume or --shard, earlier runs and other shards may have written to it."
)


def threads_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --threads, which must reach Numba before it is imported."""
    return click.option(
        "--threads",
        type=click.IntRange(1, 1024),
        expose_value=False,
        is_eager=True,
        callback=_set_threads,
        metavar="N",
        help="Threads to use; results are the same for any number.  [default: the CPUs this process may use]",
    )(command)


threads_given = False  # by the option


def _set_threads(_context: click.Context, _option: click.Parameter, threads: int | None) -> None:
    global threads_given
    threads_given = threads is not None
    if threads is not None:
        os.environ["NUMBA_NUM_THREADS"] = str(threads)


def model_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --model."""
    return click.option(
        "--model",
        type=click.Path(readable=False),
        help="Model file, or shipped for the one that comes with fastmnist.  "
        "[default: $FASTMNIST_MODEL, ./model.safetensors, shipped]",
    )(command)


def report_option(told: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --report; `told` is its help."""
    return click.option("--report", type=click.Path(readable=False), metavar="FILE.html", help=told)


def is_named(option: str) -> bool:
    """Return whether the user gave an option of the running command a value."""
    return click.get_current_context().get_parameter_source(option) is not ParameterSource.DEFAULT


def _be_quiet(_context: click.Context, _option: click.Parameter, is_quiet: bool) -> None:
    if is_quiet:
        be_quiet()


def quiet_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --quiet."""
    return click.option(
        "-q", "--quiet", is_flag=True, expose_value=False, is_eager=True, callback=_be_quiet,
        help="Print only warnings and errors on stderr, and show no progress bar.",
    )(command)  # fmt: skip


PREPROCESS_HELP = (
    "Which images to normalise to MNIST's form. auto: those not in that form yet; mnist: all images; none: no image. "
    "With auto, 28x28 images in IDX files, arrays and tables are not normalised one by one; only a file's scale and "
    "polarity are corrected."
)


def preprocess_option(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --preprocess; `default` says what holds without it."""
    return click.option(
        "--preprocess", type=click.Choice(PREPROCESS_MODES), help=f"{PREPROCESS_HELP}  [default: {default}]"
    )


def model_file(option: str | None) -> "Path":
    """Return the file of the model to use, which may not exist."""
    from fastmnist.model.model_file import find_model

    return find_model(option)[0]


def open_model(option: str | None) -> "Model":
    """Load the model to use and say which it is, why, how accurate it is, and whether the shipped one is better."""
    from fastmnist import api
    from fastmnist.model.model_file import WITH_PACKAGE, find_model, shipped_if_better

    path, origin = find_model(option)
    model = api.load(path)
    told = f"model: {origin}" if origin == WITH_PACKAGE else f"model: {printable(path)} ({origin})"
    if model.test_accuracy is not None:
        told += f", test accuracy {100 * model.test_accuracy:.2f} %"
    if better := shipped_if_better(model):
        share = better.test_accuracy or 0.0
        told += f"; the shipped model reaches {100 * share:.2f} % on the same test set: --model shipped"
    say(told)
    return model


def named_model(path: str | None) -> "Model":
    """Load the model of an argument [MODEL], and say which it is, and where it comes from if it was not named."""
    from fastmnist import api
    from fastmnist.model.model_file import WITH_PACKAGE, find_model

    found, origin = find_model(path)
    model = api.load(found)
    named = printable(found) + (f" ({origin})" if path is None else "")
    say("model: " + (origin if origin == WITH_PACKAGE else named))
    return model


def is_part_of_job(shard: tuple[int, int], resume: bool) -> bool:
    """Return whether other runs of the same job may write to its folder of pictures.

    Their names don't clash: pictures are numbered by their place in the whole job, so a resumed run replaces an earlier
    one's by the same, and no two shards have one in common.
    """
    return resume or shard[1] > 1


def _class_names(context: click.Context, option: click.Parameter, value: str | None) -> list[str] | None:
    """Return the names in circle,square as a list; a usage error for what can't be class names."""
    if value is None:
        return None
    names = value.split(",")
    for name in names:
        if not is_class_name(name):
            message = f"{name!r}: expected {CLASS_NAME}"
            raise click.BadParameter(message, context, option)
        if is_no_digit(name):
            message = f"{name!r}: expected real classes only; pass images that belong to none of them with --no-digit"
            raise click.BadParameter(message, context, option)
    if not 2 <= len(set(names)) == len(names) <= MAX_CLASSES:
        message = f"{len(names)} names: expected 2 to {MAX_CLASSES}, all different"
        raise click.BadParameter(message, context, option)
    return names


def class_names_option(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --class-names; `default` says what holds without it."""
    return click.option(
        "--class-names",
        callback=_class_names,
        metavar="NAMES",
        help=f"Class names, as in circle,square, in the order of their labels.  [{default}]",
    )
