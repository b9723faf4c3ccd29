"""Peer: a folder of images to a CSV file with Pillow, ONNX Runtime and the csv module.

python -m bench.peers.predict_folder MODEL.safetensors FOLDER OUT.csv
"""

import csv
import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from bench.machine import available_cores
from bench.peers.common import Bytes, read_model
from bench.peers.onnx_runtime import Predictor

IMAGES_PER_BATCH = 1000


def main(model: str, folder: str, output: str) -> None:
    """Decode and predict batch by batch, in the order of the sorted paths.

    One thread decodes: Pillow holds the interpreter lock for small images, so that more threads are slower.
    """
    predictor = Predictor(threads=available_cores())
    predictor.prepare(*read_model(Path(model)))
    paths = find_images(folder)
    with open(output, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "index", "label", "confidence"])
        while batch := list(islice(paths, IMAGES_PER_BATCH)):
            labels, confidences = predictor.predict(np.stack([read_image(path) for path in batch]))
            rows = zip(batch, labels.tolist(), confidences.tolist(), strict=True)
            writer.writerows((path, "", label, f"{confidence:.6f}") for path, label, confidence in rows)


def find_images(folder: str) -> Iterator[str]:
    """Yield the paths of all PNG files below `folder`."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        yield from (os.path.join(parent, name) for name in sorted(names) if name.endswith(".png"))


def read_image(path: str) -> Bytes:
    """Decode one 28x28 image to grey pixels (784,)."""
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("L")).reshape(784)


if __name__ == "__main__":
    main(*sys.argv[1:])
