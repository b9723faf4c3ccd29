"""`fastmnist download`: fetch a data set, verified."""

from contextlib import ExitStack

import click

from fastmnist.cli.options import quiet_option
from fastmnist.cli.terminal import ProgressBar, say
from fastmnist.datasets.known import DATASETS
from fastmnist.errors import printable


@click.command()
@click.argument("directory", type=click.Path(readable=False))
@click.option("--dataset", type=click.Choice(list(DATASETS)), default="mnist", show_default=True,
              help="Which data set.")  # fmt: skip
@click.option("--mirror", metavar="URL", help="HTTPS URL of a folder with the four .gz files, to try first.")
@quiet_option
def download(directory: str, dataset: str, mirror: str | None) -> None:
    """Fetch a data set's four files into DIRECTORY and verify them by checksum.

    Intact files that are already there are kept, and not requested again.
    """
    from fastmnist.datasets import download as downloads

    with ExitStack() as bars:
        paths = downloads.download(directory, dataset, mirror, progress=_FileBars(bars).show)
    for path in paths:
        say(f"{printable(path)}: verified")


class _FileBars:
    """A progress bar for the file on its way, left when the next one begins."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._bar: ProgressBar | None = None
        self._name, self._done = "", 0

    def show(self, name: str, done: int, total: int) -> None:
        """Show that `done` of `total` bytes of a file are there; fewer than before starts it over."""
        if self._bar is None or name != self._name or done < self._done:
            self._stack.close()
            self._bar = self._stack.enter_context(ProgressBar(total, name, "B"))
        self._bar.at(done)
        self._name, self._done = name, done
