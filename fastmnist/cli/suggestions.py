"""Suggestions for a user who typed another tool's command or option, or put an option in the wrong place."""

import difflib
import os

import click

from fastmnist.errors import printable

# Options of scikit-learn, Keras, PyTorch's examples and fastai that have an equivalent here ...
SAME = {
    "--lr": "--learning-rate",
    "--alpha": "--weight-decay",
    "--l2": "--weight-decay",
    "--wd": "--weight-decay",
    "--layers": "--hidden",
    "--hidden-layers": "--hidden",
    "--hidden-layer-sizes": "--hidden",
    "--hidden-size": "--hidden",
    "--units": "--hidden",
    "--batch": "--batch-size",
    "--bs": "--batch-size",
    "--iterations": "--epochs",
    "--max-iter": "--epochs",
    "--n-epochs": "--epochs",
    "--num-epochs": "--epochs",
    "--init": "--initial-scale",
    "--scheduler": "--schedule",
    "--lr-schedule": "--schedule",
    "--ema": "--average",
    "--random-state": "--seed",
    "--augmentation": "--augment",
    "--test-size": "--validation",
    "--val-split": "--validation",
    "--validation-split": "--validation",
    "--fp16": "--float16",
    "--half": "--float16",
    "--quantize": "--int8",
    "--pretrained": "--from",
    "--fine-tune": "--from",
    "--jobs": "--threads",
    "--n-jobs": "--threads",
    "--num-workers": "--threads",
    "--workers": "--threads",
    "--out": "--output",
    "--save": "--output",
    "--save-model": "--output",
    "--weights": "--model",
    "--checkpoint-path": "--checkpoint",
    "--threshold": "--min-confidence",
    "--proba": "--probabilities",
    "--silent": "--quiet",
}
# ... and those that have none, with what to use instead.
ABSENT = {
    "--activation": "the hidden layers are ReLU, the last one is softmax; --hidden sets their sizes",
    "--cuda": "fastmnist runs on the CPU; --threads sets how many of its cores",
    "--device": "fastmnist runs on the CPU; --threads sets how many of its cores",
    "--dropout": "there is no dropout; --augment, --weight-decay and --label-smoothing regularise",
    "--early-stopping": "there is no early stopping; --validation reports the accuracy after each epoch",
    "--gpu": "fastmnist runs on the CPU; --threads sets how many of its cores",
    "--loss": "the loss is cross-entropy; --label-smoothing softens its targets",
    "--optimizer": "the optimiser is SGD; see --momentum, --nesterov and --schedule",
    "--patience": "there is no early stopping; --validation reports the accuracy after each epoch",
    "--solver": "the optimiser is SGD; see --momentum, --nesterov and --schedule",
}
# Options that other commands here have, or forms that are values here.
ELSEWHERE = {
    ("export", "--model"): "name the model without an option: fastmnist export FILE",
    ("info", "--model"): "name the model without an option: fastmnist info FILE",
    ("predict", "--csv"): "use --format csv",
    ("predict", "--json"): "use --format jsonl",
    ("read", "--json"): "use --format jsonl",
    ("train", "--model"): "-o FILE is the model to write, --from FILE one to train further",
}
COMMANDS = {
    "classify": "predict",
    "eval": "evaluate",
    "fit": "train",
    "infer": "predict",
    "ocr": "read",
    "test": "evaluate",
    "version": "--version",
}
ALIKE = 0.8  # similarity from 0 to 1: a word less like an option is not taken for a misspelling of it


class UnknownCommandError(click.UsageError):
    """The first word is no command."""

    def __init__(self, word: str, known: list[str], context: click.Context) -> None:
        super().__init__(f"No such command {word!r}.", context)
        self.word, self.known = word, known


def hint_for(error: click.UsageError) -> str | None:
    """Return what to use instead of an unknown word, or None if there is no suggestion."""
    if isinstance(error, UnknownCommandError):
        return _hint_for_command(error.word, error.known)
    if not isinstance(error, click.NoSuchOption) or error.ctx is None:
        return None
    command = error.ctx.command
    if isinstance(command, click.Group):
        return "options of a command come after its name: fastmnist COMMAND --help lists them"
    there = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
    word = error.option_name.lower().replace("_", "-")
    meant = SAME.get(word, word)
    if meant in there:
        return f"use {meant}"
    return ELSEWHERE.get((command.name or "", word)) or (ABSENT.get(word) if "--hidden" in there else None)


def _hint_for_command(word: str, known: list[str]) -> str | None:
    if word == "help":
        return "fastmnist --help lists the commands, fastmnist COMMAND --help their options"
    if os.path.exists(word):
        return f"to name the digits in it: fastmnist predict {printable(word)}"
    meant = COMMANDS.get(word) or next(iter(difflib.get_close_matches(word, known, 1)), None)
    return None if meant is None else f"use fastmnist {meant}"


def without_hint(error: click.UsageError) -> str:
    """Return the message of an error for which there is no hint: click's guesses only where they are close."""
    guesses = error.possibilities if isinstance(error, click.NoSuchOption) else None
    if not isinstance(error, click.NoSuchOption) or not guesses:
        return error.format_message()
    close = difflib.get_close_matches(error.option_name, guesses, cutoff=ALIKE)
    return click.NoSuchOption(error.option_name, possibilities=close).format_message()
