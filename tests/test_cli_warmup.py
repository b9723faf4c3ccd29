"""`fastmnist warmup`: after it no picture, table or training compiles anything."""

import subprocess
import sys

import cv2
import numpy as np
from conftest import cli_environment
from test_images_paper import boxed, digit_of, written

SCRIPT = """
import importlib, pkgutil, sys
import numpy as np
import fastmnist, fastmnist.kernels
from fastmnist.cli.warmup import warmup

def signatures():
    "How many signatures of each build of each kernel are compiled."
    count = {}
    for module in pkgutil.walk_packages(fastmnist.kernels.__path__, "fastmnist.kernels."):
        for name, kernel in vars(importlib.import_module(module.name)).items():
            for build in ("", "serial", "parallel", "kernel"):
                function = getattr(kernel, build, None) if build else kernel
                if isinstance(getattr(function, "signatures", None), list):
                    count[name, build] = len(function.signatures)
    return count

NAMES = (
    "read_with", "read_files", "find_opaque", "lay_plane",
    "find_seams", "find_valley_seams", "place_glyphs", "place_in_context", "find_best_way",
    "find_likeliest_text", "find_best_way_of_text", "add_ways_of_text",
)
PARTS = "choose_digit", "place_digit", "take_lines_out", "forward_dense", "step_dense"
warmup.callback()
before = signatures()
assert [before[name, "kernel"] for name in PARTS] == [1] * len(PARTS)
assert [before[name, ""] for name in NAMES] == [1] * len(NAMES)
for result in fastmnist.load("shipped").predict_files(sys.argv[1:], threads=1):
    print(*result.labels)
for page in fastmnist.load("shipped").read_files(sys.argv[1], threads=1):
    print(*(number.text for number in page.numbers))
after = signatures()
assert after == before, {name: n for name, n in after.items() if n != before.get(name)}
"""


def test_nothing_is_compiled_after_it(digits, mnist_dir, tmp_path):
    plain = written(digit_of(digits, 5))
    shadow = plain * np.where(np.arange(120) < 60, 0.6, 1)
    pictures = {
        "small.png": digits[0][0],
        "inverted.png": 255 - digits[0][0],
        "plain.jpg": plain,
        "shadow.png": shadow,
        "box.png": boxed(plain, 8, 4, 40),
        "transparent.png": np.dstack([255 - digits[0][0]] * 3 + [np.full((28, 28), 200, np.uint8)]),
        "sixteen.png": plain.astype(np.uint16) * 200,
    }
    for name, picture in pictures.items():
        cv2.imwrite(str(tmp_path / name), picture if picture.dtype == np.uint16 else picture.astype(np.uint8))
    (tmp_path / "table.csv").write_text(",".join(map(str, digits[0][0].ravel())) + "\n")
    inputs = [tmp_path, tmp_path / "table.csv", mnist_dir / "t10k-images-idx3-ubyte"]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, inputs)],
        env=cli_environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["5", "7"]  # box.png, inverted.png


def test_it_says_where_the_kernels_are_and_nothing_else(run_cli):
    lines = [line for line in run_cli("warmup").stderr.splitlines() if not line.startswith("compiling kernels")]
    assert len(lines) == 1
    assert lines[0].startswith("kernels ready in ")
    assert run_cli("warmup", "-q").stderr == ""
