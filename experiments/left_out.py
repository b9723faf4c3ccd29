"""Training methods that were tried and left out, measured in PyTorch: `python -m experiments.left_out DATA`.

The recipe `best` with the product's own initial weights, order, augmentation and schedule, trained on the first 50,000
training images and validated on the other 10,000. `--adamw` replaces Nesterov's momentum with AdamW (Loshchilov and
Hutter 2019). `--teachers` mixes trained models' probabilities for the same distorted image into the targets:
distillation (Hinton, Vinyals and Dean 2015).
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.peers.pytorch import build
from experiments.ablation import HELD_OUT
from fastmnist.datasets.dataset import open_dataset
from fastmnist.model.model_file import load_model
from fastmnist.model.network import Network
from fastmnist.training.augmentation import Augmenter
from fastmnist.training.recipes import BEST, Recipe

N_CLASSES = 10
TEACHERS_SHARE = 0.7  # of a target
Float32 = npt.NDArray[np.float32]
Uint8 = npt.NDArray[np.uint8]


def main() -> None:
    """Train with each seed and print its validation loss and accuracy as a row of Markdown."""
    import torch

    parser = argparse.ArgumentParser(prog="python -m experiments.left_out", description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--adamw", type=float, nargs=2, metavar=("RATE", "DECAY"), help="in place of SGD")
    parser.add_argument("--teachers", type=Path, nargs="+", default=[], metavar="MODEL")
    parser.add_argument("--epochs", type=int, default=BEST.epochs)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    pixels, labels = open_dataset(arguments.data).load("train")[:2]
    teachers = [load_model(path).trained for path in arguments.teachers]
    rate = arguments.adamw[0] if arguments.adamw else BEST.learning_rate
    print("| seed | loss | accuracy |\n|---|---|---|", flush=True)
    for seed in arguments.seeds:
        recipe = BEST.with_settings(epochs=arguments.epochs, seed=seed, learning_rate=rate)
        decay = arguments.adamw[1] if arguments.adamw else None
        model = train(pixels[:-HELD_OUT], labels[:-HELD_OUT], recipe, decay, teachers)
        with torch.no_grad():
            logits = model(as_floats(pixels[-HELD_OUT:]))
        held_out = torch.from_numpy(labels[-HELD_OUT:].astype(np.int64))
        loss = torch.nn.functional.cross_entropy(logits, held_out)
        accuracy = (logits.argmax(1) == held_out).float().mean()
        print(f"| {seed} | {loss:.4f} | {100 * accuracy:.2f} % |", flush=True)


def train(pixels: Uint8, labels: Uint8, recipe: Recipe, adamw_decay: float | None, teachers: list[Network]) -> Any:
    """Return a PyTorch model of the recipe, trained on pixels (n, 784) and labels (n,); AdamW if that has a decay."""
    import torch

    network = Network.random((pixels.shape[1], *recipe.hidden, N_CLASSES), recipe.seed, scale=None)
    layers = range(network.n_layers)
    model = build(([network.weights(layer) for layer in layers], [network.biases(layer) for layer in layers]))
    optimizer = optimizer_of(model, recipe, adamw_decay)
    most = 16 * recipe.batch_size
    augmenter = Augmenter(recipe.augment, most)
    for epoch in range(1, recipe.epochs + 1):
        order = np.random.RandomState([recipe.seed, epoch]).permutation(len(pixels))
        for done in range(0, len(order), most):
            block = order[done : done + most]
            images = augmenter.distort(pixels, block, recipe.seed, epoch)
            targets = torch.from_numpy(targets_of(images, labels[block], recipe.label_smoothing, teachers))
            inputs = as_floats(images)
            for start in range(0, len(block), recipe.batch_size):
                batch = slice(start, start + recipe.batch_size)
                for group in optimizer.param_groups:
                    group["lr"] = recipe.rate_at(epoch - 1 + (done + start + recipe.batch_size / 2) / len(order))
                optimizer.zero_grad(set_to_none=True)
                torch.nn.functional.cross_entropy(model(inputs[batch]), targets[batch]).backward()
                optimizer.step()
    return model


def optimizer_of(model: Any, recipe: Recipe, adamw_decay: float | None) -> Any:
    """Return the optimizer; biases are not decayed."""
    import torch

    linear = model[::2]
    decay = recipe.weight_decay if adamw_decay is None else adamw_decay
    groups = [
        {"params": [layer.weight for layer in linear], "weight_decay": decay},
        {"params": [layer.bias for layer in linear], "weight_decay": 0.0},
    ]
    if adamw_decay is not None:
        return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)
    return torch.optim.SGD(
        groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov, fused=True
    )


def targets_of(images: Uint8, labels: Uint8, smoothing: float, teachers: list[Network]) -> Float32:
    """Return the target probabilities (n, 10): the smoothed labels, or in part the mean of what the teachers see."""
    targets = np.full((len(labels), N_CLASSES), smoothing / N_CLASSES, np.float32)
    targets[np.arange(len(labels)), labels] += np.float32(1 - smoothing)
    if not teachers:
        return targets
    seen = np.mean([teacher.predict_probabilities(images)[2] for teacher in teachers], axis=0)
    return np.asarray(TEACHERS_SHARE * seen + (1 - TEACHERS_SHARE) * targets, np.float32)


def as_floats(pixels: Uint8) -> Any:
    """Return pixels as a float32 tensor from 0 to 1."""
    import torch

    return torch.from_numpy(pixels.astype(np.float32) / 255)


if __name__ == "__main__":
    main()
