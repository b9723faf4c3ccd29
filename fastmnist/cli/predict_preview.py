"""The options of `predict` that let you see what the model sees: digits on the terminal, as PNG files, as a page."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from fastmnist.cli.options import FOLDER_HELP, report_option
from fastmnist.cli.terminal import on_terminal, say
from fastmnist.errors import DataError, printable
from fastmnist.shapes import NO_DIGIT, SIDE

if TYPE_CHECKING:
    from fastmnist.images.explain import Explanation
    from fastmnist.inputs.batch import Batch, Predictions
    from fastmnist.model.model_file import Model
    from fastmnist.model.network import Uint8

GUESSES = 3
BLACK = 232  # the first of the 24 greys among a terminal's 256 colours
GREYS = 24


def show_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --show, --dump-preprocessed and --report."""
    for option in (
        report_option(
            "Write an HTML page with the images whose confidence is below --min-confidence, by default 0.9. There you "
            "can correct their labels and save the table for train."
        ),
        click.option(
            "--dump-preprocessed", "dump", type=click.Path(readable=False), metavar="FOLDER",
            help="Write the images as the model sees them to PNG files named by row and file, and for each picture "
            f"that was normalised a second file that shows how: the part, the strokes and the digit. {FOLDER_HELP}",
        ),
        click.option(
            "--show", "n_shown", type=click.IntRange(0), default=0, metavar="N",
            help="On a terminal, draw the first N images as the model sees them, with its best guesses and how each "
            "image was read.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


class Preview:
    """Shows the images of a job, batch by batch."""

    def __init__(
        self, model: "Model", preprocess: str, n_shown: int, dump: str | None, *, may_have_files: bool
    ) -> None:
        """Draw the first `n_shown` images, and write all to the folder `dump`. Raises OutputError.

        The folder must be new or empty unless it `may_have_files`.
        """
        from fastmnist.inputs.reopen import Reopener
        from fastmnist.output.png import make_folder

        self._model, self._preprocess, self._dump = model, preprocess, dump
        self._reopener = Reopener()
        self._n_left = n_shown
        if n_shown and not on_terminal():
            say("--show draws only on a terminal; for PNG files use --dump-preprocessed FOLDER")
            self._n_left = 0
        if dump is not None:
            make_folder(dump, may_have_files=may_have_files)

    def see(self, batch: "Batch") -> None:
        """Draw and write the images of the next batch."""
        good = [row for row in range(len(batch.pixels)) if row not in batch.errors]
        for row in good[: self._n_left]:
            self._draw(batch, row)
        self._n_left = max(0, self._n_left - len(good))
        for row in good if self._dump is not None else ():
            self._write(batch, row)

    def _draw(self, batch: "Batch", row: int) -> None:
        image = batch.pixels[row : row + 1]
        probabilities = self._model.network.predict_probabilities(image)[2][0]
        names = [*self._model.class_names, NO_DIGIT]
        best = probabilities.argsort()[::-1][:GUESSES]
        guesses = "  ".join(f"{names[label]} {100 * probabilities[label]:.1f} %" for label in best)
        explanation = self._explain(batch, row)
        how = [] if explanation is None else [explanation.words]
        say("\n".join([*_drawn(image[0]), f"{batch.where(row)}:  {guesses}", *how]))

    def _explain(self, batch: "Batch", row: int) -> "Explanation | None":
        """Return how a row was read, None for what is no picture file."""
        from fastmnist.images.explain import explain_page

        path = batch.paths[row]
        if isinstance(batch.indices, range) or not os.path.isfile(path):
            return None
        try:
            data, picture = self._reopener.picture(path, batch.indices[row])
        except DataError:  # it is gone
            return None
        return explain_page(data, picture, batch.indices[row] or 0, path, self._preprocess, self._model.confidences)

    def _write(self, batch: "Batch", row: int) -> None:
        from fastmnist.images.explain import as_png
        from fastmnist.output.png import encode_png, picture_path, write_into_folder

        page = None if isinstance(batch.indices, range) else batch.indices[row]
        path = picture_path(self._dump or "", batch.numbers[row], batch.paths[row], page)
        files = {".png": encode_png(batch.pixels[row].reshape(SIDE, SIDE))}
        if explanation := self._explain(batch, row):
            files[".read.png"] = as_png(explanation)
        for suffix, content in files.items():
            write_into_folder(path + suffix, content, "--dump-preprocessed")


@contextmanager
def open_review(
    path: str | None, model: "Model", min_confidence: float | None
) -> Iterator[Callable[["Predictions"], None]]:
    """Yield a function to pass each batch of predictions to; at the end, the page of doubtful ones is at `path`.

    Without a path nothing is done. Raises OutputError.
    """
    if path is None:
        yield lambda predictions: None
        return
    from fastmnist.output.atomic import check_writable
    from fastmnist.report.review_page import BELOW, ReviewPage

    check_writable(path)
    review = ReviewPage(model, BELOW if min_confidence is None else min_confidence)
    yield review.add
    review.write(path)
    say(f"report written to {printable(path)}")


def _drawn(image: "Uint8") -> list[str]:
    """Return 14 lines that draw an image (784,): each character shows two pixels, one above the other.

    Both colours of a character are set, so it looks the same on a dark and on a light terminal.
    """
    greys = (BLACK + image.reshape(SIDE, SIDE).astype(int) * GREYS // 256).tolist()
    return [
        "".join(f"\033[38;5;{upper};48;5;{lower}m▀" for upper, lower in zip(*pair, strict=True)) + "\033[0m"
        for pair in zip(greys[::2], greys[1::2], strict=True)
    ]
