"""The inputs of a command: paths on its command line, and those of a list. No output may take the place of one."""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from fastmnist.cli.terminal import on_terminal
from fastmnist.errors import AnyPath, printable


def inputs_argument(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the argument of any number of paths, called `name` in the help."""
    return click.argument("inputs", nargs=-1, metavar=f"{name}...", type=click.Path(readable=False))


def list_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --files-from and --null."""
    for option in (
        click.option(
            "-0", "--null", is_flag=True, help="Paths in LIST are NUL-terminated, as `find -print0` writes them."
        ),
        click.option(
            "--files-from", metavar="LIST", type=click.Path(readable=False),
            help="Read more inputs from LIST, one path per line; - is stdin.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def all_inputs(name: str, inputs: tuple[str, ...], files_from: str | None, null: bool) -> Iterable[str | bytes]:
    """Return all inputs: those of the command line, and then those of the list. Raises UsageError."""
    from itertools import chain

    from fastmnist.inputs.file_list import read_list

    if not inputs and files_from is None:
        raise click.UsageError(f"Missing argument '{name}...'")
    if null and files_from is None:
        raise click.UsageError("--null needs --files-from")
    if inputs.count("-") + (files_from == "-") > 1:
        raise click.UsageError("stdin can be read only once: give - once")
    return inputs if files_from is None else chain(inputs, read_list(files_from, b"\0" if null else b"\n"))


def check_apart(folder: str | None, option: str, inputs: tuple[str, ...]) -> None:
    """Raise UsageError if the folder for an option's pictures lies in an input: they would be read as well."""
    if folder is None:
        return
    place = os.path.realpath(folder)
    for given in filter(os.path.isdir, inputs):
        top = os.path.realpath(given)
        if os.path.commonpath([top, place]) == top:
            raise click.UsageError(
                f"{option} {printable(folder)} lies in {printable(given)}, and what is in there is read: name a folder "
                "elsewhere"
            )


def check_not_replaced(outputs: Mapping[str, str | None], inputs: Iterable[AnyPath | None]) -> None:
    """Raise UsageError if one of a command's outputs, by option, would replace an input or another output.

    None stands for what the user did not ask for. What a list holds is not looked at.
    """
    read = {place for path in inputs if (place := _place(path)) is not None}
    written: dict[str, str] = {}
    for option, path in outputs.items():
        if path == "-":
            raise click.UsageError(f"{option} -: only rows can go to stdout; name a file")
        place = _place(path)
        if path is None or place is None:
            continue
        if place in read or _is_read_within(place, read):
            raise click.UsageError(f"{option} {printable(path)} would replace an input: use another name")
        if place in written:
            raise click.UsageError(f"{written[place]} and {option} name the same file: use two different names")
        written[place] = option


def _is_read_within(place: str, read: set[str]) -> bool:
    """Return whether an output is there already, and is a picture or holds data in one of the folders that are read."""
    from fastmnist.inputs.idx import looks_like_idx
    from fastmnist.inputs.paths import is_called_picture

    if not os.path.isfile(place) or not any(place.startswith(os.path.join(folder, "")) for folder in read):
        return False
    is_data = place.endswith((".npy", ".npz", ".parquet")) or looks_like_idx(place)
    return is_data or is_called_picture(os.fsencode(place))


def _place(path: AnyPath | None) -> str | None:
    """Return what two names of one file or address have in common; None for a stream or a device.

    What is in a zip or .npz file has that file's.
    """
    from fastmnist.inputs.archive import split_path
    from fastmnist.inputs.npz import split_key
    from fastmnist.output.atomic import is_direct
    from fastmnist.remote.address import is_address

    if path is None or path == "-":
        return None
    if is_address(path):
        return os.fsdecode(path)
    file = os.fsencode(split_key(path)[0])
    if not os.path.lexists(file) and (found := split_path(file)):
        file = found[0]
    return None if is_direct(file) else os.fsdecode(os.path.realpath(file))


def count_for_bar(inputs: tuple[str, ...], files_from: str | None, n_shards: int) -> int | None:
    """Return roughly how many rows to expect, for the bar; None without a bar, or if counting would take too long."""
    from fastmnist.inputs.paths import count_rows
    from fastmnist.remote.address import is_address

    if not on_terminal() or files_from is not None or "-" in inputs or any(map(is_address, inputs)):
        return None
    return count_rows(inputs) // n_shards
