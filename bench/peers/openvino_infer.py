"""Peer: inference in OpenVINO, block by block, in float32."""

import numpy as np

from bench.peers.common import Bytes, Floats
from bench.peers.onnx_runtime import build_model


class Predictor:
    """A compiled model of the same ONNX graph as ONNX Runtime's.

    In float32: where the processor has AMX, OpenVINO by itself computes in bfloat16, with other confidences.
    """

    def __init__(self, *, threads: int = 2, batch_size: int = 1000) -> None:
        self.threads = threads
        self.batch_size = batch_size

    def prepare(self, weights: list[Floats], biases: list[Floats]) -> None:
        """Read the graph and compile it."""
        import openvino

        core = openvino.Core()
        model = core.read_model(build_model(weights, biases).SerializeToString())
        settings = {"INFERENCE_NUM_THREADS": self.threads, "INFERENCE_PRECISION_HINT": "f32"}
        self.request = core.compile_model(model, "CPU", settings).create_infer_request()

    def predict(self, pixels: Bytes) -> tuple[Bytes, Floats]:
        """Return every image's label and its probability."""
        labels = np.empty(len(pixels), np.uint8)
        confidences = np.empty(len(pixels), np.float32)
        for first in range(0, len(pixels), self.batch_size):
            batch = slice(first, first + self.batch_size)
            probabilities = self.request.infer({"pixels": pixels[batch]}, share_inputs=True)[0]
            labels[batch] = probabilities.argmax(axis=1)
            confidences[batch] = probabilities.max(axis=1)
        return labels, confidences
