"""Write a data set's test images as PNG files: `python -m bench.write_images DATA FOLDER --count N`."""

import argparse
from pathlib import Path

import cv2

from fastmnist.data.idx import read_images
from fastmnist.data.locate import locate


def main() -> None:
    """Write the first N test images of folder DATA to FOLDER, named by their positions."""
    parser = argparse.ArgumentParser(prog="python -m bench.write_images", description=__doc__)
    parser.add_argument("data")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    arguments = parser.parse_args()
    path = locate(arguments.data).test_images
    if path is None:
        parser.error(f"{arguments.data}: no test images; run: fastmnist download {arguments.data}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    images = read_images(path)[: arguments.count]
    for position, image in enumerate(images):
        name = arguments.folder / f"{position:05d}.png"
        if not cv2.imwrite(str(name), image):
            raise SystemExit(f"{name}: can't be written")
    print(f"{len(images):,} images written to {arguments.folder}")


if __name__ == "__main__":
    main()
