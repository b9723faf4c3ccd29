"""Peer: PyTorch running a model file of fastmnist, loaded as docs/library.md says."""

import json
from pathlib import Path

from bench.peers.common import Bytes, Floats


def probabilities(path: Path, pixels: Bytes) -> Floats:
    """Return what PyTorch makes of pixels (n, 784) with a model file: probabilities (n, n_classes)."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file

    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["fastmnist"])
    layers: list[torch.nn.Module] = []
    for n_in, n_out in zip(about["layer_sizes"], about["layer_sizes"][1:], strict=False):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    network.load_state_dict(load_file(path))
    with torch.inference_mode():
        logits = network(torch.from_numpy(pixels).float() / 255)
        result: Floats = torch.softmax(logits / about.get("temperature", 1.0), dim=1).numpy()
    return result
