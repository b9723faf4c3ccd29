"""A model as a page to draw on: one HTML file that opens from the disk, with everything in it.

The page is put together from page_files/: its text, its style, and its scripts, which read a drawing as kernels/picture
does and run the network.
"""

import base64
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from fastmnist.errors import AnyPath
from fastmnist.images.normalize import FULL, PLAIN
from fastmnist.kernels.picture import components, ink, place, read, strokes
from fastmnist.model.integer_network import IntegerNetwork
from fastmnist.model.model_file import Model
from fastmnist.output.atomic import atomic_file
from fastmnist.output.html import html_file
from fastmnist.shapes import DIGITS, NO_DIGIT, SIDE

FILES = Path(__file__).parent / "page_files"
SCRIPTS = ("network.js", "normalize.js", "page.js")

# What normalize.js does as kernels/picture does, it does with the same numbers.
LIMITS = {
    "PLAIN_AREA": PLAIN.area,
    "FULL_AREA": FULL.area,
    "LEAST_SIZE": PLAIN.least_size,
    "LEAST_STROKE": PLAIN.least_stroke,
    "MIN_CONTRAST": ink.MIN_CONTRAST,
    "SOFT_EDGE": read.SOFT_EDGE,
    "INSET": components.INSET,
    "SIDE": SIDE,
    **{
        name: getattr(strokes, name)
        for name in ("LINE", "INNER_SHARE", "SPECK", "REACH", "AS_HIGH", "ROW", "IN_CORNER", "BAR", "LONGER", "HOLLOW")
    },
    **{name: getattr(place, name) for name in ("BOX", "CENTRE", "EDGE", "THIN", "THICK", "THICKENED", "THINNED")},
    **{name: float(getattr(place, name)) for name in ("CORE", "STRAIGHT", "DIAGONAL")},
}


def export_page(path: AnyPath, model: Model) -> None:
    """Write a page to draw on that asks `model`, as one HTML file, atomically. Equal models give equal bytes.

    Raises OutputError where the file can't be written.
    """
    with atomic_file(path) as file:
        file.write(_page(model))


def _page(model: Model) -> bytes:
    title = "Draw a digit" if tuple(model.class_names) == DIGITS else "Draw"
    body = Template(_text("page.html")).substitute(title=title, weights=_weights(model))
    return html_file(title, body, _text("page.css"), "".join(map(_text, SCRIPTS)), _data(model))


def _data(model: Model) -> dict[str, Any]:
    """Return what the scripts need to know besides the weights."""
    network = model.uncalibrated
    return {
        "limits": LIMITS,
        "outputs": [*model.class_names, *([NO_DIGIT] if model.can_refuse else [])],
        "layerSizes": model.trained.layer_sizes,
        "temperature": 1.0 if model.temperature is None else model.temperature,
        "storedAs": "int8" if isinstance(network, IntegerNetwork) else model.stored_as,
        "activationSteps": network.activation_steps if isinstance(network, IntegerNetwork) else [],
        "normalizes": model.preprocess != "none",
    }


def _weights(model: Model) -> str:
    """Return all parameters in base64, little-endian, as they are stored: each layer's weights, then its biases.

    Those of integers are all weights in steps, int8; then float32, layer by layer, the sizes of the steps and the
    biases.
    """
    network = model.uncalibrated
    if isinstance(network, IntegerNetwork):
        sizes = zip(network.step_sizes, map(network.biases, range(network.n_layers)), strict=True)
        parts = [*network.steps, *(part.astype("<f4") for layer in sizes for part in layer)]
    else:
        dtype = np.dtype(model.stored_as).newbyteorder("<")
        layers = range(network.n_layers)
        parts = [part.astype(dtype) for layer in layers for part in (network.weights(layer), network.biases(layer))]
    return base64.b64encode(b"".join(part.tobytes() for part in parts)).decode()


def _text(name: str) -> str:
    return (FILES / name).read_text(encoding="utf-8")
