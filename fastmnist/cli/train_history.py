"""What `train` reports about its epochs: a line for each on stderr, and a row for each in the --history file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from fastmnist.errors import OutputError, printable, reason

if TYPE_CHECKING:
    from fastmnist.training.loop import EpochDone

COLUMNS = (
    "epoch",
    "seconds",
    "learning_rate",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
)


def line_of(epoch: "EpochDone", epochs: int, n_samples: int) -> str:
    """Return an epoch's line."""
    line = f"epoch {epoch.epoch}/{epochs}  training {_figures(epoch.train_loss, epoch.train_accuracy)}  "
    if epoch.validation_loss is not None and epoch.validation_accuracy is not None:
        line += f"validation {_figures(epoch.validation_loss, epoch.validation_accuracy)}  "
    return f"{line}{epoch.seconds:.2f} s  {n_samples / epoch.seconds:,.0f} images/s"


def _figures(loss: float, accuracy: float) -> str:
    return f"loss {loss:.4f}, accuracy {100 * accuracy:.2f} %"


class History:
    """The --history file, a CSV row per epoch; written row by row, so that an interrupted run leaves its epochs."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file
        self._write(",".join(COLUMNS))

    def add(self, epoch: "EpochDone") -> None:
        """Write an epoch's row."""
        self._write(",".join(_cell(name, getattr(epoch, name)) for name in COLUMNS))

    def _write(self, line: str) -> None:
        if self._file:
            self._file.write(f"{line}\n")
            self._file.flush()


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if name == "epoch" else f"{value:.4f}" if name == "seconds" else f"{value:.6f}"


@contextmanager
def open_history(path: str | None, epochs: Sequence["EpochDone"]) -> Iterator[History]:
    """Open the history, if one is wanted, and write the rows of the epochs so far."""
    if path is None:
        yield History(None)
        return
    try:
        with open(path, "w", encoding="utf-8", newline="") as file:
            history = History(file)
            for epoch in epochs:
                history.add(epoch)
            yield history
    except OSError as error:
        raise OutputError(f"{printable(path)}: {reason(error)}, expected a file to write --history to") from None
