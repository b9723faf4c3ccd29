"""A mutation fuzzer over what comes from outside: IDX files, tables, arrays, zip files, Parquet, models, pictures.

    python tests/fuzz.py --seconds 3600 --seed 1

Each execution changes a sound file in a few places and reads it. It must be refused with a FastmnistError of one
printable line, or be read as something legal; a model besides must then be the one that was stored. An execution is a
pure function of the target, the seed and its number, so a finding is repeated with `--target NAME --seed S --number N`.
"""

import argparse
import faulthandler
import gzip
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import safetensors.numpy
from conftest import random_network
from test_images_decode import colour, encoded
from test_images_pages import KINDS
from test_images_pages import pictures as drawn
from test_inputs_archive import zip_bytes
from test_inputs_npz import npy_bytes
from test_inputs_parquet import write_parquet
from test_model_pytorch_file import state_dict

from fastmnist.cli.quiet import quiet_libraries
from fastmnist.errors import DataError, FastmnistError
from fastmnist.images.decode import decode_picture
from fastmnist.images.files import read_file
from fastmnist.images.preprocess import read_digits
from fastmnist.inputs.idx import open_images, read_labels, write_images, write_labels
from fastmnist.inputs.stream import open_stream
from fastmnist.inputs.table import open_table
from fastmnist.model.model_file import Model, load_model, save_model
from fastmnist.model.pytorch_file import load_pytorch
from fastmnist.reading import read_files

INTERESTING = [
    bytes(4),
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"\0\0\0\x01",
    b"\0",
    b"\xff",
    b",",
    b"\n",
    b"28",
]
PICTURES = ["png", "jpg", "bmp", "tiff", "webp", "ppm", "gif"]


def mutated(content, others, rng):
    """`content` with one to five changes, most of them small."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 5])):
        place = rng.randrange(len(data) + 1) if rng.random() < 0.5 else rng.randrange(min(64, len(data)) + 1)
        length = rng.choice([1, 1, 2, 4, 16, rng.randrange(1, 200)])
        change = rng.randrange(8)
        if change == 0 and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        elif change == 1:
            data[place : place + length] = rng.randbytes(length)
        elif change == 2:
            del data[place : place + length]
        elif change == 3:
            data[place:place] = data[place : place + length] * rng.choice([1, 2, 50])
        elif change == 4:
            interesting = rng.choice(INTERESTING)
            data[place : place + len(interesting)] = interesting
        elif change == 5:
            del data[place:]
        elif change == 6:
            data[place:place] = rng.choice(INTERESTING)
        else:
            other = rng.choice(others)
            data[place:] = other[rng.randrange(len(other) + 1) :]
    return bytes(data)


def saved(write, suffix=""):
    """The bytes that `write(path)` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        write(path)
        return path.read_bytes()


def read_idx(path):
    n_images = sum(len(pixels) for pixels in open_images(path).batches(2))
    assert os.path.getsize(path) == 16 + 784 * n_images or path.read_bytes()[:2] == b"\x1f\x8b"


def read_idx_labels(path):
    assert read_labels(path).dtype == np.uint8


def read_rows(path):
    table = open_table(path)
    for rows in table.batches():
        assert rows.pixels.shape == (len(rows.labels), 784)
        assert all(error.isprintable() for error in rows.errors.values())


def read_picture(path):
    pixels = decode_picture(read_file(os.fsencode(path)), os.fsencode(path))
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 2


def read_weights(path):
    network = load_pytorch(path, mean=0.1307, std=0.3081).network
    assert network.n_in == 784
    assert np.isfinite(network.parameters).all()


def drawing(rng):
    """A PNG file of up to 400 pixels a side: rectangles, lines and ellipses of any grey, some with noise."""
    height, width = ((rng.randint(1, 60), rng.randint(1, 60)), (rng.randint(1, 400), rng.randint(1, 400)))[
        rng.random() < 0.5
    ]
    picture = np.full((height, width), rng.randrange(256), np.uint8)

    def place():
        return rng.randrange(width), rng.randrange(height)

    for _ in range(rng.randint(0, 8)):
        grey, thickness = rng.randrange(256), rng.choice([1, 1, 2, 3, 6, 12])
        shape = rng.randrange(4)
        if shape == 0:
            cv2.rectangle(picture, place(), place(), grey, rng.choice([-1, thickness]))
        elif shape == 1:
            cv2.line(picture, place(), place(), grey, thickness, cv2.LINE_AA)
        elif shape == 2:
            axes = rng.randint(1, 1 + width // 2), rng.randint(1, 1 + height // 2)
            cv2.ellipse(picture, place(), axes, rng.randrange(180), 0, rng.randint(20, 360), grey, thickness)
        else:  # ruled paper
            for row in range(rng.randrange(height), height, rng.randint(5, 60)):
                cv2.line(picture, (0, row), (width, row + rng.randint(-9, 9)), grey, thickness)
    if rng.random() < 0.4:
        noise = np.random.default_rng(rng.randrange(2**32)).normal(0, rng.randint(1, 40), picture.shape)
        picture = (picture + noise).clip(0, 255).astype(np.uint8)
    return encoded("png", picture)


def large_jpegs():
    """JPEG files that are reduced while they are decoded."""
    progressive = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    large = [
        cv2.resize(colour(), size, interpolation=cv2.INTER_CUBIC) for size in ((200, 200), (320, 480), (1400, 900))
    ]
    return [encoded("jpg", picture, settings) for picture in large for settings in ((), progressive)]


def read_drawing(path):
    """Either a digit in MNIST's form, or a refusal."""
    image = np.zeros((1, 28, 28), np.uint8)
    errors = read_digits([os.fsencode(path)], "mnist", image).errors
    if errors:
        raise DataError(errors[0])
    assert image.max() == 255


def read_any(path):
    """As `predict` does: nothing is raised, and every row has an error or is read."""
    n_rows = 0
    for batch in open_stream([path]):
        assert batch.pixels.shape[1] == 784
        assert all(error.isprintable() for error in batch.errors.values())
        n_rows += len(batch.pixels)
    assert n_rows < 10_000


class Targets:
    """Names, sound files, and what reads them."""

    def __init__(self):
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (3, 28, 28), dtype=np.uint8)
        idx = saved(lambda path: write_images(path, images))
        labels = saved(lambda path: write_labels(path, np.arange(9, dtype=np.uint8)))
        rows = "\n".join(",".join(map(str, image.ravel() % 10)) for image in images).encode()
        header = ",".join(f"pixel{pixel}" for pixel in range(784)).encode()
        pictures = [encoded(suffix, colour()) for suffix in PICTURES]
        self.network = random_network((784, 3, 10))
        self.model = Model(self.network, list("0123456789"), "auto", origin={"note": "sound"})
        model = saved(lambda path: save_model(path, self.model))
        self.all = {
            "idx": ("", [idx, gzip.compress(idx, mtime=0)], read_idx),
            "labels": ("", [labels, gzip.compress(labels, mtime=0)], read_idx_labels),
            "table": (".csv", [rows, header + b"\n" + rows, gzip.compress(rows, mtime=0)], read_rows),
            "picture": ("", pictures, read_picture),
            "model": (".safetensors", [model], self.read_model),
            "weights": (".safetensors", [safetensors.numpy.save(state_dict((784, 3, 10)))], read_weights),
            "any": (".csv", [idx, gzip.compress(idx, mtime=0), rows, *pictures], read_any),
            "pages": ("", [make(drawn(3)) for make in KINDS.values()], read_any),
            "npy": (
                ".npy",
                [npy_bytes(images), npy_bytes(images / 255)],
                read_any,
            ),
            "npz": (".npz", [saved(lambda path: np.savez_compressed(path, x_test=images), ".npz")], read_any),
            "zip": ("", [zip_bytes({"a/1.png": pictures[0], "2.jpg": pictures[1]})], read_any),
            "parquet": ("", [saved(lambda path: write_parquet(path, images, [1, 2, 3]), ".parquet")], read_any),
            "jpeg": ("", large_jpegs(), read_any),
            "drawing": ("", [], read_drawing),
            "numbers": ("", [], self.read_numbers),
            "unnamed": ("", [idx, gzip.compress(idx, mtime=0), rows, *pictures], read_any),
        }

    def read_model(self, path):
        model = load_model(path)
        assert model.network.layer_sizes == self.network.layer_sizes
        assert model.network.parameters.tobytes() == self.network.parameters.tobytes()
        assert model.metadata["note"] == "sound"

    def read_numbers(self, path):
        for page in read_files(self.model, [str(path)], None, 1):
            assert (page.error is None) == bool(page.numbers)
            assert page.error is None or page.error.isprintable()
            for number in page.numbers:
                assert 0 <= number.confidence <= 1
                assert number.text.strip()
                assert all(digit.box.left < digit.box.right for digit in number.digits)

    def execute(self, name, seed, number, folder):
        """Run one execution; return whether the file was refused. Raises whatever is a finding."""
        suffix, contents, read = self.all[name]
        rng = random.Random(f"{name} {seed} {number}")  # noqa: S311 (no secret)
        path = folder / f"{name}{suffix}"
        path.write_bytes(mutated(rng.choice(contents), contents, rng) if contents else drawing(rng))
        try:
            read(path)
        except FastmnistError as error:
            refusal = str(error)
        else:
            return False
        assert refusal.isprintable()
        assert refusal.startswith(str(path))
        return True


def main():
    parser = argparse.ArgumentParser(description="Fuzz the readers.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=list(Targets().all))
    parser.add_argument("--number", type=int, help="repeat this execution only")
    options = parser.parse_args()
    faulthandler.enable(os.dup(2))  # libraries are quiet while they read
    targets = Targets()
    names = [options.target] if options.target else list(targets.all)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    end, number = time.monotonic() + options.seconds, options.number or 0
    n_done, n_refused, findings = dict.fromkeys(names, 0), dict.fromkeys(names, 0), []
    print(f"files in {folder}; after a crash the last one is there", flush=True)
    while time.monotonic() < end:
        for name in names:
            try:
                with quiet_libraries():
                    n_refused[name] += targets.execute(name, options.seed, number, folder)
            except Exception as error:
                findings.append(
                    f"--target {name} --seed {options.seed} --number {number}: {type(error).__name__}: {error}"
                )
                print(findings[-1], flush=True)
            n_done[name] += 1
        number += 1
        if options.number is not None:
            break
    for name in names:
        print(f"{name}: {n_done[name]:,} executions, {n_refused[name]:,} refused")
    print(f"{sum(n_done.values()):,} executions, {len(findings)} findings")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
