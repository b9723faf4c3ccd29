"""Peer: inference in ONNX Runtime, block by block."""

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers.common import Bytes, Floats


class Predictor:
    """An inference session on the network as an ONNX graph.

    The graph casts and scales the pixels. The fastest `batch_size` found: about 2000 images for 784-100-10, 256 for
    784-800-800-10.
    """

    def __init__(self, *, threads: int = 2, batch_size: int = 1000) -> None:
        self.threads = threads
        self.batch_size = batch_size

    def prepare(self, weights: list[Floats], biases: list[Floats]) -> None:
        """Build the graph and load it."""
        self._load(build_model(weights, biases).SerializeToString())

    def _load(self, graph: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def predict(self, pixels: Bytes) -> tuple[Bytes, Floats]:
        """Return every image's label and its probability."""
        labels = np.empty(len(pixels), np.uint8)
        confidences = np.empty(len(pixels), np.float32)
        for first in range(0, len(pixels), self.batch_size):
            batch = slice(first, first + self.batch_size)
            (probabilities,) = self.session.run(None, {"pixels": pixels[batch]})
            labels[batch] = probabilities.argmax(axis=1)
            confidences[batch] = probabilities.max(axis=1)
        return labels, confidences


class QuantizedPredictor(Predictor):
    """The same with int8 weights, a scale for each output, and uint8 activations, scaled anew for each batch."""

    def prepare(self, weights: list[Floats], biases: list[Floats]) -> None:
        """Build the graph, quantise it and load it."""
        from onnxruntime.quantization import QuantType, quantize_dynamic

        logging.disable(logging.WARNING)  # it recommends shape inference, which changes nothing here
        with tempfile.TemporaryDirectory() as folder:
            exact, quantized = Path(folder) / "exact.onnx", Path(folder) / "quantized.onnx"
            exact.write_bytes(build_model(weights, biases).SerializeToString())
            quantize_dynamic(exact, quantized, per_channel=True, weight_type=QuantType.QInt8)
            self._load(quantized.read_bytes())


def build_model(weights: list[Floats], biases: list[Floats]) -> Any:
    """Return the graph: Cast, Mul 1/255, Gemm, Relu, ..., Gemm, Softmax."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    constants = [numpy_helper.from_array(np.array(1 / 255, np.float32), "scale")]
    nodes = [
        helper.make_node("Cast", ["pixels"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["cast", "scale"], ["scaled"]),
    ]
    current = "scaled"
    for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
        constants.append(numpy_helper.from_array(w.astype(np.float32), f"weights_{layer}"))
        constants.append(numpy_helper.from_array(b.astype(np.float32), f"biases_{layer}"))
        inputs = [current, f"weights_{layer}", f"biases_{layer}"]
        nodes.append(helper.make_node("Gemm", inputs, [f"gemm_{layer}"]))
        operation, current = ("Relu", f"relu_{layer}") if layer < len(weights) - 1 else ("Softmax", "probabilities")
        nodes.append(helper.make_node(operation, [f"gemm_{layer}"], [current]))

    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", weights[0].shape[0]])],
        [helper.make_tensor_value_info(current, TensorProto.FLOAT, ["n", weights[-1].shape[1]])],
        constants,
    )
    # An older operator set and format, so that a runtime older than the onnx package reads it too.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model
