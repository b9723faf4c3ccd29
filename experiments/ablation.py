"""Ablation of the recipe `best`: each ingredient removed in turn, validation accuracy of three seeds.

`python -m experiments.ablation DATA` trains on the first 50,000 images of the training set and validates on the other
10,000; the test set is not used. Every run leaves its history in experiments/results/ablation/ and is skipped if that
is complete, so the command may be interrupted and repeated.
"""

import argparse
import csv
import os
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.processes import fastmnist_command, run_checked

HELD_OUT = 10_000
HISTORIES = Path(__file__).parent / "results" / "ablation"

# What is removed -> the options of `fastmnist train` that remove it.
REMOVED = {
    "nothing": "",
    "all augmentation": "--augment none",
    "elastic displacement": "--augment elastic=0",
    "rotation, scale, shear and translation": "--augment rotation=0,scale=0,shear=0,translation=0",
    "stroke thickness": "--augment thickness=0",
    "cosine schedule": "--schedule constant",
    "warm-up": "--warmup 0",
    "Nesterov's form of momentum": "--no-nesterov",
    "momentum": "--no-nesterov --momentum 0",
    "label smoothing": "--label-smoothing 0",
    "weight decay": "--weight-decay 0",
    "He initialisation": "--initial-scale 0.01",
    "shuffling": "--no-shuffle",
}


def main() -> None:
    """Do the runs that are missing, and print the table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m experiments.ablation", description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=300, help="of each run; best has %(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    folder = HISTORIES / f"{arguments.epochs}-epochs"
    print(f"| removed | {', '.join(f'seed {seed}' for seed in arguments.seeds)} | mean | loss |\n|---|---|---|---|")
    for removed, options in REMOVED.items():
        rows = [_last_epoch(arguments.data, folder, removed, options, seed, arguments) for seed in arguments.seeds]
        accuracies = [100 * float(row["validation_accuracy"]) for row in rows]
        loss = statistics.mean(float(row["validation_loss"]) for row in rows)
        each = ", ".join(f"{accuracy:.2f}" for accuracy in accuracies)
        print(f"| {removed} | {each} | {statistics.mean(accuracies):.2f} % | {loss:.4f} |", flush=True)


def _last_epoch(
    data: str, folder: Path, removed: str, options: str, seed: int, arguments: argparse.Namespace
) -> dict[str, str]:
    """Return the last row of a run's history, running it first if there is none."""
    history = folder / f"{removed.replace(' ', '-')}-{seed}.csv"
    if not history.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = history.with_suffix(".part")
        with TemporaryDirectory() as elsewhere:
            run_checked(
                fastmnist_command(
                    "train", data, "--recipe", "best", *options.split(), "--validation", str(HELD_OUT),
                    "--epochs", str(arguments.epochs), "--seed", str(seed),
                    "--output", Path(elsewhere) / "model.safetensors", "--history", unfinished,
                )
            )  # fmt: skip
        os.replace(unfinished, history)
    with history.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))[-1]


if __name__ == "__main__":
    main()
