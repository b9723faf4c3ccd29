"""The options of `train` that change a recipe's settings: one for each, from the settings' own declarations."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click

from fastmnist.training.recipes import HE, Augmentation, Recipe
from fastmnist.training.settings import Setting, settings_of

STRENGTHS = settings_of(Augmentation)
AUGMENT = Setting(
    f"Distort the images: none, or {'=, '.join(STRENGTHS)}=, separated by commas. Others stay as in the recipe.",
    metavar="STRENGTHS",
)


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each setting of a recipe."""
    settings = {**settings_of(Recipe), "augment": AUGMENT}
    for field in reversed(fields(Recipe)):
        if field.name in settings:
            command = _option(field.name, field.type, settings[field.name])(command)
    return command


def _option(name: str, kind: Any, declaration: Setting) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    flag = "--" + name.replace("_", "-")
    if kind is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", default=None, help=declaration.help)

    def convert(context: click.Context, option: click.Parameter, value: Any) -> Any:
        try:
            value = _PARSERS[name](value) if name in _PARSERS and value is not None else value
        except ValueError as error:
            raise click.BadParameter(str(error), context, option) from None
        if name != "augment" and value is not None and (fault := declaration.fault(name, value)):
            raise click.BadParameter(fault.removeprefix(name.replace("_", " ") + " "), context, option)
        return value

    choices = click.Choice(declaration.words) if kind is str else None
    types = {int: click.INT, float: click.FLOAT}
    return click.option(
        flag, type=choices or types.get(kind), callback=convert, help=declaration.help, metavar=declaration.metavar
    )


def _parse_sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError:
        raise ValueError(f"{text!r}: expected sizes separated by commas, as in 300,100") from None


def _parse_scale(text: str) -> float | str:
    try:
        return HE if text == HE else float(text)
    except ValueError:
        raise ValueError(f"{text!r}: expected a number or {HE!r}") from None


def _parse_strengths(text: str) -> dict[str, float]:
    """Return the strengths that are named; for "none", all of them as 0."""
    if text == "none":
        return {name: 0.0 for name in STRENGTHS if name != "smoothness"}
    strengths = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        try:
            strengths[name] = float(number)
        except ValueError:
            raise ValueError(f"{part!r}: expected NAME=NUMBER, as in rotation=10, or none") from None
        if name not in STRENGTHS:
            raise ValueError(f"{name!r}: expected one of {', '.join(STRENGTHS)}")
        if fault := STRENGTHS[name].fault(name, strengths[name]):
            raise ValueError(fault)
    return strengths


_PARSERS: dict[str, Callable[[str], Any]] = {
    "hidden": _parse_sizes,
    "initial_scale": _parse_scale,
    "augment": _parse_strengths,
}
