"""A model as an ONNX file: scaling, layers, temperature and softmax in one graph, which takes raw pixels.

The weights are named and laid out as in the model file: `0.weight` (n_out, n_in), `0.bias`, `2.weight`, ...
"""

import json
import math
from typing import Any

import numpy as np

from fastmnist.errors import AnyPath, OutputError, printable
from fastmnist.extras import import_extra
from fastmnist.model.integer_network import IntegerNetwork
from fastmnist.model.model_file import Model
from fastmnist.output.atomic import atomic_file
from fastmnist.shapes import N_PIXELS
from fastmnist.version import __version__

# Those of ONNX 1.8, of 2020. The onnx package writes its newest by itself, which every runtime refuses that is older.
IR_VERSION, OPSET = 7, 13


def export_onnx(path: AnyPath, model: Model, image_shape: tuple[int, ...] = (N_PIXELS,)) -> None:
    """Write `model` as an ONNX file, atomically. Equal models give equal bytes.

    Its input `pixels` is uint8 (n, *image_shape): (n, 784), or (n, 1, 28, 28). They are digits as the model sees them,
    in MNIST's form, ink bright on black. Its outputs are what `predict` says: `label` int64 (n,), positions in the
    class names, -1 for no digit; `probabilities` float32 (n, n_classes), which sum to less than 1 where the model can
    refuse. The metadata has `class_names`, a JSON list, and `preprocess`.

    Raises OutputError where the file can't be written or the package onnx is missing, ValueError for a shape of other
    than 784 pixels.
    """
    if math.prod(image_shape) != N_PIXELS:
        raise ValueError(f"images of shape {image_shape}: expected {N_PIXELS} pixels")
    onnx = import_extra("onnx", "onnx", f"{printable(path)}: an ONNX file", OutputError)
    content = _onnx_model(onnx, model, image_shape).SerializeToString()
    with atomic_file(path) as file:
        file.write(content)


def _onnx_model(onnx: Any, model: Model, image_shape: tuple[int, ...]) -> Any:
    """Return the ModelProto: the graph, its versions, its metadata."""
    helper, types = onnx.helper, onnx.TensorProto
    nodes, constants = _graph(onnx, model, len(image_shape))
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("pixels", types.UINT8, ["n", *image_shape])],
        [
            helper.make_tensor_value_info("label", types.INT64, ["n"]),
            helper.make_tensor_value_info("probabilities", types.FLOAT, ["n", len(model.class_names)]),
        ],
        constants,
    )
    written = helper.make_model(
        graph,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="fastmnist",
        producer_version=__version__,
    )
    helper.set_model_props(written, {"class_names": json.dumps(model.class_names), "preprocess": model.preprocess})
    return written


def _graph(onnx: Any, model: Model, n_axes: int) -> tuple[list[Any], list[Any]]:
    """Return the graph's nodes, in order, and its constants, for images of so many axes."""
    nodes: list[Any] = []
    constants: list[Any] = []

    def add(operation: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(onnx.helper.make_node(operation, inputs, [output], **attributes))
        return output

    def constant(name: str, value: Any, dtype: type[np.generic]) -> str:
        constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(value, dtype), name))
        return name

    network, n_classes = model.uncalibrated, len(model.class_names)
    current = "pixels" if n_axes == 1 else add("Flatten", ["pixels"], "flat")
    current = add("Cast", [current], "greys", to=onnx.TensorProto.FLOAT)
    current = add("Mul", [current, constant("scale", 1 / 255, np.float32)], "inputs")
    for layer in range(network.n_layers):
        if layer:
            current = add("Relu", [current], f"{2 * layer - 1}.relu")
        if layer and isinstance(network, IntegerNetwork):  # activations are rounded as they are there
            name = f"{2 * layer - 1}"
            step = constant(f"{name}.step", network.activation_steps[layer - 1], np.float32)
            current = add("Round", [add("Div", [current, step], f"{name}.in_steps")], f"{name}.rounded")
            current = add("Min", [current, constant(f"{name}.most_steps", 255, np.float32)], f"{name}.limited")
            current = add("Mul", [current, step], f"{name}.activations")
        weights = constant(f"{2 * layer}.weight", network.weights(layer).T, np.float32)
        biases = constant(f"{2 * layer}.bias", network.biases(layer), np.float32)
        current = add("Gemm", [current, weights, biases], f"{2 * layer}.linear", transB=1)
    logits = current
    if model.temperature is not None:
        current = add("Div", [logits, constant("temperature", model.temperature, np.float32)], "calibrated")
    if not model.can_refuse:
        add("ArgMax", [logits], "label", axis=1, keepdims=0)
        add("Softmax", [current], "probabilities", axis=1)
        return nodes, constants
    # The last output is "no digit": its label is -1, and its probability is what those of the classes lack to 1.
    labels = constant("labels", [*range(n_classes), -1], np.int64)
    add("Gather", [labels, add("ArgMax", [logits], "output", axis=1, keepdims=0)], "label")
    first, last, axis = (constant(*bound, np.int64) for bound in (("first", [0]), ("last", [n_classes]), ("axis", [1])))
    add("Slice", [add("Softmax", [current], "all_probabilities", axis=1), first, last, axis], "probabilities")
    return nodes, constants
