"""Peer: an IDX file to a CSV file with NumPy, ONNX Runtime and the csv module.

python -m bench.peers.predict_idx MODEL.safetensors IMAGES.idx OUT.csv
"""

import csv
import sys
from pathlib import Path

import numpy as np

from bench.machine import available_cores
from bench.peers.common import read_model
from bench.peers.onnx_runtime import Predictor

IMAGES_PER_CHUNK = 10_000


def main(model: str, images: str, output: str) -> None:
    """Predict chunk by chunk, so that memory does not grow with the file."""
    predictor = Predictor(threads=available_cores())
    predictor.prepare(*read_model(Path(model)))
    with open(images, "rb") as idx, open(output, "w", newline="", encoding="utf-8") as file:
        _, n_images, n_rows, n_columns = np.fromfile(idx, ">u4", 4).tolist()
        n_in = n_rows * n_columns
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "index", "label", "confidence"])
        for first in range(0, n_images, IMAGES_PER_CHUNK):
            n_chunk = min(IMAGES_PER_CHUNK, n_images - first)
            pixels = np.fromfile(idx, np.uint8, n_chunk * n_in).reshape(n_chunk, n_in)
            labels, confidences = predictor.predict(pixels)
            rows = zip(range(first, first + n_chunk), labels.tolist(), confidences.tolist(), strict=True)
            writer.writerows((images, index, label, f"{value:.6f}") for index, label, value in rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
