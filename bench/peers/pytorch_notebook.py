"""Peer: the notebook's second system, its PyTorch network, mistakes and all.

It feeds a softmax into CrossEntropyLoss, which applies a softmax again, so the gradients are small; with a
step of 0.01 it reaches about 85 % after 10 epochs. It is here because it is what fastmnist replaces, not as
a rival: `pytorch.py` is the rival.
"""

import time

from bench.peers.common import N_CLASSES, Bytes, Result
from bench.peers.pytorch import parameters_of

BATCH_SIZE = 32
LEARNING_RATE = 0.01


def train(pixels: Bytes, labels: Bytes, *, epochs: int = 10, seed: int = 0, threads: int = 2) -> Result:
    """Train 784-100-10 from PyTorch's own start: plain SGD, file order, no weight decay."""
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Linear(pixels.shape[1], 100), nn.ReLU(), nn.Linear(100, N_CLASSES))
    model = nn.Sequential(body, nn.Softmax(dim=1))
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    loss_function = nn.CrossEntropyLoss()

    start = time.perf_counter()
    inputs = torch.from_numpy(pixels).float() / 255
    targets = torch.from_numpy(labels).long()
    for _ in range(epochs):
        for first in range(0, len(inputs), BATCH_SIZE):
            batch = slice(first, first + BATCH_SIZE)
            optimizer.zero_grad()
            loss_function(model(inputs[batch]), targets[batch]).backward()
            optimizer.step()
    seconds = time.perf_counter() - start
    weights, biases = parameters_of(body)
    return Result(seconds / epochs, weights, biases)
