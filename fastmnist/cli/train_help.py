"""The help of `train`: its many options in groups, and what each recipe sets in a table."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import click

from fastmnist.training.recipes import RECIPES, Augmentation, Recipe
from fastmnist.training.settings import settings_of

GROUPS = {
    "Data": ("start", "no_digit", "class_names", "preprocess", "validation", "skip_unreadable"),
    "Network": ("recipe_name", "hidden", "initial_scale"),
    "Optimisation": (
        "epochs", "batch_size", "shuffle", "learning_rate", "schedule", "warmup", "momentum", "nesterov",
        "weight_decay", "label_smoothing", "average", "keep", "seed", "threads",
    ),
    "Augmentation": ("augment", "show_augmented"),
    "Output": ("output", "float16", "int8", "history", "checkpoint", "resume", "quiet"),
}  # fmt: skip
OTHER = "Other"
NAME_WIDTH, COLUMN_WIDTH = 19, 10
OFF = "-"


class TrainCommand(click.Command):
    """A command whose options are listed in GROUPS, before a table of the recipes."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, a section for each group."""
        options = {option.name: option for option in self.get_params(ctx) if isinstance(option, click.Option)}
        for group, names in GROUPS.items():
            with formatter.section(group):
                formatter.write_dl(_records(ctx, [options.pop(name) for name in names]))
        with formatter.section(OTHER):
            formatter.write_dl(_records(ctx, options.values()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of the recipes."""
        with formatter.section(f"What the recipes set ({OFF} is off)"):
            for line in recipe_table():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def _records(ctx: click.Context, options: Iterable[click.Option]) -> list[tuple[str, str]]:
    return [record for option in options if (record := option.get_help_record(ctx))]


def recipe_table() -> list[str]:
    """Return the lines of a table: a column for each recipe, a row for each setting that one of them uses."""
    rows = [("", *RECIPES)]
    for name in settings_of(Recipe):
        values = [_cell(name, getattr(recipe, name), recipe) for recipe in RECIPES.values()]
        rows.append((name.replace("_", "-"), *values))
    for name in settings_of(Augmentation):
        strengths = [getattr(recipe.augment, name) if recipe.augment else 0.0 for recipe in RECIPES.values()]
        rows.append((f"augment {name}", *(f"{strength:g}" if strength else OFF for strength in strengths)))
    used = [row for row in rows if set(row[1:]) != {OFF}]
    return [f"{name:{NAME_WIDTH}}" + "".join(f"{cell:>{COLUMN_WIDTH}}" for cell in cells) for name, *cells in used]


def _cell(name: str, value: Any, recipe: Recipe) -> str:
    """Return a setting's value as the command line takes it, OFF for one that is at its default."""
    default = next(field.default for field in fields(recipe) if field.name == name)
    if name == "hidden":
        return "--from's" if recipe.keep else ",".join(map(str, value))
    if value == default or value is False:
        return OFF
    if value is True:
        return "yes"
    return f"{value:g}" if isinstance(value, float) else str(value)
