"""Peer: the seed recipe as a PyTorch script, from the IDX files to a saved model.

python -m bench.peers.train_seed DATA_DIR OUT
"""

import sys
from pathlib import Path

from bench.machine import available_cores
from bench.peers.common import read_images, read_labels
from bench.peers.pytorch import build, train


def main(data: str, output: str) -> None:
    """Train 784-100-10 for 10 epochs and save its parameters."""
    import torch

    result = train(
        read_images(Path(data, "train-images-idx3-ubyte")),
        read_labels(Path(data, "train-labels-idx1-ubyte")),
        hidden=(100,),
        batch_size=32,
        epochs=10,
        learning_rate=0.1,
        weight_decay=0.001,
        threads=available_cores(),
    )
    torch.save(build((result.weights, result.biases)).state_dict(), output)


if __name__ == "__main__":
    main(*sys.argv[1:])
