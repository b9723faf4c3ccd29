"""Peer: a PyTorch training loop as a careful user writes it for a CPU."""

import time
from typing import Any

import numpy as np

from bench.peers.common import Bytes, Parameters, Result, starting_parameters


def train(
    pixels: Bytes,
    labels: Bytes,
    *,
    hidden: tuple[int, ...],
    batch_size: int,
    epochs: int,
    learning_rate: float,
    weight_decay: float,
    momentum: float = 0.0,
    shuffle: bool = False,
    seed: int = 0,
    threads: int = 2,
    initial: Parameters | None = None,
) -> Result:
    """Train a network in eager mode: batches are views of one float32 tensor, the optimizer is fused."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    start = starting_parameters(pixels.shape[1], hidden, seed, initial, np.float32)
    settings = (batch_size, learning_rate, weight_decay, momentum, shuffle)

    n_warmup = 10 * batch_size
    _run(build(start), pixels[:n_warmup], labels[:n_warmup], 1, *settings)

    model = build(start)
    seconds = _run(model, pixels, labels, epochs, *settings)
    weights, biases = parameters_of(model)
    return Result(seconds / epochs, weights, biases)


def build(parameters: Parameters) -> Any:
    """Return linear layers with a ReLU between them, holding these parameters."""
    import torch
    from torch import nn

    layers: list[nn.Module] = []
    with torch.no_grad():
        for w, b in zip(*parameters, strict=True):
            linear = nn.Linear(*w.shape)
            linear.weight.copy_(torch.from_numpy(w.T))
            linear.bias.copy_(torch.from_numpy(b))
            layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def parameters_of(model: Any) -> Parameters:
    """Return the parameters of a model of `build`."""
    linear = model[::2]
    return [layer.weight.detach().numpy().T for layer in linear], [layer.bias.detach().numpy() for layer in linear]


def _run(
    model: Any,
    pixels: Bytes,
    labels: Bytes,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    momentum: float,
    shuffle: bool,
) -> float:
    """Train `model` and return the seconds from pixels to the last update."""
    import torch
    from torch import nn

    linear = model[::2]
    groups = [
        {"params": [layer.weight for layer in linear], "weight_decay": weight_decay},
        {"params": [layer.bias for layer in linear], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=learning_rate, momentum=momentum, fused=True)
    loss_function = nn.CrossEntropyLoss()

    start = time.perf_counter()
    inputs = torch.from_numpy(pixels).float().div_(255)
    targets = torch.from_numpy(labels).long()
    for _ in range(epochs):
        order = torch.randperm(len(inputs)) if shuffle else None
        for first in range(0, len(inputs), batch_size):
            batch = slice(first, first + batch_size)
            chosen = batch if order is None else order[batch]
            optimizer.zero_grad()
            loss_function(model(inputs[chosen]), targets[chosen]).backward()
            optimizer.step()
    return time.perf_counter() - start
