"""Training curves as a picture: `python -m experiments.curves OUT.svg NAME=HISTORY.csv ...` draws --history files."""

import argparse
import csv
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
mpl.rcParams["svg.hashsalt"] = "fastmnist"  # equal curves give equal files

from matplotlib import pyplot as plt  # noqa: E402  # the back end comes first

COLUMNS = {"validation_accuracy": "-", "train_accuracy": ":"}  # training images are distorted, hence harder


def main() -> None:
    """Draw the error rate after each epoch."""
    parser = argparse.ArgumentParser(prog="python -m experiments.curves", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("histories", nargs="+", metavar="NAME=HISTORY.csv")
    arguments = parser.parse_args()
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for number, given in enumerate(arguments.histories):
        name, _, path = given.rpartition("=")
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for column, style in COLUMNS.items():
            points = [(int(row["epoch"]), 100 - 100 * float(row[column])) for row in rows if row[column]]
            if points:
                label = f"{name}, {column.partition('_')[0]}"
                axes.plot(*zip(*points, strict=True), style, color=f"C{number}", linewidth=1, label=label)
    axes.set(xscale="log", yscale="log", xlabel="epoch", ylabel="errors, %")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(arguments.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
