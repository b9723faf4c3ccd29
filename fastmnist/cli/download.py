"""`fastmnist download`: fetch a data set, verified."""

import click

from fastmnist.cli.options import ProgressBar, say
from fastmnist.errors import printable


@click.command()
@click.argument("directory", type=click.Path())
@click.option("--dataset", type=click.Choice(["mnist", "fashion-mnist"]), default="mnist", show_default=True)
@click.option("--mirror", metavar="URL", help="An HTTPS folder with the four .gz files, to try first.")
def download(directory: str, dataset: str, mirror: str | None) -> None:
    """Fetch a data set's four files into DIRECTORY and verify them by checksum.

    Files that are already there and sound are kept, and nothing is requested for them.
    """
    from fastmnist.data import download as downloads

    bars: dict[str, ProgressBar] = {}

    def show(name: str, done: int, total: int) -> None:
        if name not in bars:
            bars[name] = ProgressBar(total, name)
        bars[name].at(done)

    for path in downloads.download(directory, dataset, mirror, progress=show, notice=say):
        say(f"{printable(path)}: verified")
