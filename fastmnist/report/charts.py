"""Charts as SVG: the reliability of confidences, and training curves. Each comes with the same figures as a table."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from fastmnist.evaluation import Evaluation, wilson_interval
from fastmnist.report.page import percent, table

WIDTH, HEIGHT = 360, 260  # of a chart, in units of its own
LEFT, RIGHT, TOP, BOTTOM = 52, 20, 12, 34  # what is around the axes
TICKS = 5
_SETS = {"train": "training", "validation": "held out (dashed)"}
_LARGE = 1e9  # a number in a file that is no loss of a training


class _Axes:
    """From values to places on a chart: `x` and `y` go from low to high."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.x, self.y = x, y

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a value, rounded to tenths."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return (
            round(LEFT + across * (WIDTH - LEFT - RIGHT), 1),
            round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1),
        )

    def points(self, values: Sequence[tuple[float, float]]) -> str:
        """Return the places of values as those of a line."""
        return " ".join(f"{x},{y}" for x, y in (self.at(*value) for value in values))

    def dot(self, x: float, y: float) -> str:
        """Return a dot at a value."""
        return '<circle cx="{}" cy="{}" r="4"/>'.format(*self.at(x, y))

    def grid(self, x_ticks: list[tuple[float, str]], y_ticks: list[tuple[float, str]], what: str) -> str:
        """Return lines and labels at the values of the ticks; `what` the x axis shows is below."""
        (left, bottom), (right, top) = self.at(self.x[0], self.y[0]), self.at(self.x[1], self.y[1])
        parts = [f'<text class="middle" x="{(left + right) / 2}" y="{HEIGHT - 4}">{what}</text>']
        for value, label in y_ticks:
            _, y = self.at(self.x[0], value)
            parts.append(f'<path class="grid" d="M{left} {y}H{right}"/>')
            parts.append(f'<text class="end" x="{left - 6}" y="{y + 4}">{label}</text>')
        for value, label in x_ticks:
            x, _ = self.at(value, self.y[0])
            parts.append(f'<path class="grid" d="M{x} {bottom}V{top}"/>')
            parts.append(f'<text class="middle" x="{x}" y="{bottom + 14}">{label}</text>')
        return "".join(parts)


def reliability(figures: Evaluation) -> str:
    """Return the diagram: the accuracy of the images that are given each confidence, with its 95 % interval.

    It should be the confidence itself, the dashed line (Guo et al. 2017, figure 4).
    """
    axes = _Axes((0, 1), (0, 1))
    shares = [(share / TICKS, percent(share / TICKS, 0)) for share in range(TICKS + 1)]
    ideal = axes.points([(0, 0), (1, 1)])
    parts = [axes.grid(shares, shares, "confidence"), f'<polyline class="ideal" points="{ideal}"/>']
    rows = []
    for row in figures.reliability:
        n_samples, confidence, accuracy = int(row["n_samples"]), row["confidence"], row["accuracy"]
        interval = wilson_interval(accuracy, n_samples)
        ends = axes.points([(confidence, share) for share in interval])
        parts.append(f'<polyline class="interval" points="{ends}"/>{axes.dot(confidence, accuracy)}')
        low, high = map(percent, interval)
        rows.append([percent(confidence), f"{n_samples:,}", percent(accuracy), f"{low} to {high}"])
    columns = ["mean confidence", "images", "right", "95\N{NO-BREAK SPACE}% interval"]
    chart = _chart("How often the model is right, by its confidence", parts)
    return chart + _details(table(columns, rows, "Images by confidence"))


def curves(history: Any) -> str:
    """Return charts of the loss and the accuracy over the epochs, "" where `history`, of a model file, has none."""
    if not _is_history(history):
        return ""
    names = [name for name in history if name != "epoch"]
    rows = [
        [f"{epoch:g}", *(f"{history[name][row]:.6f}" for name in names)] for row, epoch in enumerate(history["epoch"])
    ]
    heads = ["epoch", *(name.replace("_", " ") for name in names)]
    return (
        _curve(history, "loss", lambda value: f"{value:g}")
        + _curve(history, "accuracy", lambda value: f"{100 * value:g}\N{NO-BREAK SPACE}%")
        + _details(table(heads, rows, "Epochs"))
    )


def _is_history(history: Any) -> bool:
    """Return whether this is what `train` stores: columns of as many finite numbers, for two epochs or more."""
    known = {"epoch", *(f"{of}_{what}" for of in _SETS for what in ("loss", "accuracy"))}
    if not isinstance(history, dict) or not {"epoch", "train_loss", "train_accuracy"} <= set(history) <= known:
        return False
    columns = list(history.values())
    if not all(isinstance(column, list) and len(column) == len(columns[0]) >= 2 for column in columns):
        return False
    return all(isinstance(value, int | float) and abs(value) < _LARGE for column in columns for value in column)


def _curve(history: dict[str, list[float]], what: str, shown: Callable[[float], str]) -> str:
    """Return the chart of one figure, with a line for each set that has it."""
    lines = {of: history[name] for of in _SETS if (name := f"{of}_{what}") in history}
    epochs = _ticks(history["epoch"], least=1)
    values = _ticks([value for line in lines.values() for value in line])
    axes = _Axes((epochs[0], epochs[-1]), (values[0], values[-1]))
    labels = [(value, shown(round(value, 9))) for value in values]
    parts = [axes.grid([(epoch, f"{epoch:g}") for epoch in epochs], labels, "epoch")]
    for of, line in lines.items():
        places = axes.points(list(zip(history["epoch"], line, strict=True)))
        parts.append(f'<polyline class="{of}" points="{places}"/>')
    legend = ", ".join(f'<span class="{of}">{_SETS[of]}</span>' for of in lines)
    return _chart(f"{what.capitalize()} by epoch", parts, f": {legend}")


def _ticks(values: Sequence[float], least: float = 0) -> list[float]:
    """Return three to six round values, or some more, as far apart, around all of `values`."""
    low, high = min(values), max(values)
    step = max((high - low) / 4, least)
    step = step if step > 1e-300 else 1e-3  # of equal values, or nearly so
    unit = 10.0 ** math.floor(math.log10(step))
    step = unit * next(factor for factor in (1, 2, 5, 10) if factor * unit >= step * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    last = max(first + 1, math.ceil(high / step - 1e-9))
    return [number * step for number in range(first, last + 1)]


def _chart(title: str, parts: list[str], legend: str = "") -> str:
    return (
        f'<figure class="chart"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">{"".join(parts)}'
        f"</svg><figcaption>{title}{legend}</figcaption></figure>\n"
    )


def _details(content: str) -> str:
    return f"<details><summary>The same as a table</summary>\n{content}</details>\n"
