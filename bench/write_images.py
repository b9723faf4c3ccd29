"""Write a data set's test images as PNG files: `python -m bench.write_images DATA FOLDER --count N`."""

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from fastmnist.datasets.idx_files import find_idx_files
from fastmnist.inputs.idx import read_images


def main() -> None:
    """Write the first N test images of folder DATA to FOLDER, named by their positions."""
    parser = argparse.ArgumentParser(prog="python -m bench.write_images", description=__doc__)
    parser.add_argument("data")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    arguments = parser.parse_args()
    path = find_idx_files(arguments.data).paths.get("test_images")
    if path is None:
        parser.error(f"{arguments.data}: no test images; run: fastmnist download {arguments.data}")
    images = read_images(path)[: arguments.count]
    write(images, arguments.folder)
    print(f"{len(images):,} images written to {arguments.folder}")


def write(images: npt.NDArray[np.uint8], folder: Path) -> None:
    """Write images (n, height, width) to `folder`, named by their positions."""
    folder.mkdir(parents=True, exist_ok=True)
    for position, image in enumerate(images):
        name = folder / f"{position:05d}.png"
        if not cv2.imwrite(str(name), image):
            raise SystemExit(f"{name}: can't be written")


if __name__ == "__main__":
    main()
