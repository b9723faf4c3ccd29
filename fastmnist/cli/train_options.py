"""The options of `train` that change a recipe's settings, one for each."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fastmnist.training.recipes import Recipe

STRENGTHS = ("rotation", "scale", "shear", "translation", "elastic", "smoothness", "thickness")


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


class Strengths(click.ParamType[dict[str, float]]):
    """Strengths of distortions, as in rotation=10,elastic=1, or none."""

    name = "strengths"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, float]:
        """Return the strengths that are named, all of them as 0 for none; a usage error for anything else."""
        if value == "none":
            return {name: 0.0 for name in STRENGTHS if name != "smoothness"}
        strengths = {}
        for part in str(value).split(","):
            name, _, number = part.partition("=")
            try:
                strengths[name] = float(number)
            except ValueError:
                self.fail(f"{part!r}: expected NAME=NUMBER, as in rotation=10, or none", param, ctx)
            if name not in STRENGTHS:
                self.fail(f"{name!r}: expected one of {', '.join(STRENGTHS)}", param, ctx)
        return strengths


class Scale(click.ParamType[float | str]):
    """A number, or the word he."""

    name = "scale"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """Return the number or the word; a usage error for anything else."""
        if value == "he":
            return "he"
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r}: expected a number or 'he'", param, ctx)


OPTIONS = (
    click.option("--hidden", type=LayerSizes(), help="Sizes of the hidden layers, as in 300,100."),
    click.option("--epochs", type=click.IntRange(1), help="Passes over the training set."),
    click.option("--batch-size", type=click.IntRange(1, 65536), help="Images per step."),
    click.option("--learning-rate", type=float, help="Step size; with a schedule, the largest."),
    click.option("--schedule", type=click.Choice(["constant", "cosine"]), help="Of the step size: cosine falls to 0."),
    click.option("--warmup", type=float, metavar="EPOCHS", help="The step size rises for so long."),
    click.option("--momentum", type=float, help="Momentum of the steps, from 0 to below 1."),
    click.option("--nesterov/--no-nesterov", default=None, help="Nesterov's momentum."),
    click.option("--weight-decay", type=float, help="L2 penalty of the weights."),
    click.option("--label-smoothing", type=float, help="Share of each label that is spread over all classes."),
    click.option("--average", type=float, metavar="EPOCHS", help="Average the weights over so long."),
    click.option("--initial-scale", type=Scale(), help="Of the random initial weights: a number, or he."),
    click.option("--shuffle/--no-shuffle", default=None, help="Shuffle the images every epoch."),
    click.option("--augment", type=Strengths(), help=f"Distort the images: none, or {'=, '.join(STRENGTHS)}=, "
                 "separated by commas. Only what is named changes."),
    click.option("--validation", type=click.IntRange(0), metavar="N",
                 help="Hold out the last N training images and report the accuracy on them."),
    click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Seed of all that is random."),
)  # fmt: skip


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each setting of a recipe."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def recipe_with(name: str, augment: dict[str, float] | None, **settings: Any) -> "Recipe":
    """Return the named recipe with the settings that were given."""
    from dataclasses import replace

    from fastmnist.training.recipes import RECIPES

    recipe = RECIPES[name]
    return recipe.with_settings(**settings, augment=replace(recipe.augment, **augment) if augment else None)
