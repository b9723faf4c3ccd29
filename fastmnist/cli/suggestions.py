"""What somebody meant who used an option of another tool."""

import click

# The words of scikit-learn, Keras, PyTorch's examples and fastai for what has an option here ...
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
    "--val-split": "--validation",
    "--validation-split": "--validation",
    "--fp16": "--float16",
    "--half": "--float16",
    "--pretrained": "--from",
    "--fine-tune": "--from",
    "--jobs": "--threads",
    "--n-jobs": "--threads",
    "--num-workers": "--threads",
    "--workers": "--threads",
    "--out": "--output",
    "--save": "--output",
    "--weights": "--model",
    "--checkpoint-path": "--checkpoint",
    "--threshold": "--min-confidence",
    "--proba": "--probabilities",
    "--silent": "--quiet",
}
# ... and for what has none, with what there is instead.
ABSENT = {
    "--activation": "the hidden layers are ReLU, the last one is softmax; --hidden sets their sizes",
    "--device": "fastmnist runs on the CPU; --threads sets how many of its cores",
    "--dropout": "there is no dropout; --augment, --weight-decay and --label-smoothing regularise",
    "--gpu": "fastmnist runs on the CPU; --threads sets how many of its cores",
    "--loss": "the loss is cross-entropy; --label-smoothing softens its targets",
    "--optimizer": "the optimiser is SGD; see --momentum, --nesterov and --schedule",
    "--solver": "the optimiser is SGD; see --momentum, --nesterov and --schedule",
}


def hint_for(error: click.UsageError) -> str | None:
    """Return what to use in place of an option that the command does not have, if that is known."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None:
        return None
    there = {flag for option in error.ctx.command.params for flag in (*option.opts, *option.secondary_opts)}
    word = error.option_name.lower().replace("_", "-")
    meant = SAME.get(word, word)
    if meant in there:
        return f"use {meant}"
    return ABSENT.get(word) if "--hidden" in there else None
