"""Inference beside its peers: from uint8 pixels in memory to labels and confidences."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.checks import DIFFERENT_LABELS, check_labels
from bench.load import undisturbed
from bench.machine import NOT_INSTALLED
from bench.peers import numpy_infer, onnx_runtime, openvino_infer, pytorch_infer, pytorch_model_file
from bench.peers.common import Bytes, Parameters
from bench.processes import PeerProcess
from bench.settings import Settings, WrongResultError, mnist
from bench.table import Table
from bench.timing import compare_clocks, seconds_when_awake
from bench.training import WIDE, parameters_of, train
from fastmnist.kernels import reference
from fastmnist.model.calibration import calibrated
from fastmnist.model.model_file import SHIPPED, load_model
from fastmnist.model.network import Network
from fastmnist.training.recipes import SEED

CONFIDENCE_TOLERANCE = 1e-3
FILE_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Peer:
    """A peer of one network."""

    name: str
    predictor: Any
    goal: float | None = None
    batch_size: int = 1000
    all_cores: bool = False  # by itself, without being told how many


NUMPY = Peer("NumPy float32", numpy_infer.Predictor, all_cores=True)
PYTORCH = Peer("PyTorch", pytorch_infer.Predictor)
OPENVINO = Peer("OpenVINO in float32, batches of 2000", openvino_infer.Predictor, 1.6, 2000)


@dataclass(frozen=True)
class Case:
    """A network as we compute it, the float32 one that peers compute, and how far their answers may be apart."""

    network: Network
    exact: Network
    labels: float = DIFFERENT_LABELS  # the share that may differ
    confidences: float = CONFIDENCE_TOLERANCE


# Our integers give 0.01 % of the test digits another label than float32 does; a peer's are rounded in another way.
INTEGER_LABELS, INTEGER_CONFIDENCES = 1e-3, 0.2


def run(settings: Settings) -> Iterator[Table]:
    """Yield a table for each network."""
    digits = mnist(settings)
    for recipe, goal, batch_size in ((SEED, 3, 2000), (WIDE, 1.4, 256)):
        _, network = train(recipe.with_settings(epochs=1, learning_rate=0.01), digits)
        sizes = "-".join(map(str, network.layer_sizes))
        table = Table(f"Inference {sizes} from uint8, {len(digits.pixels):,} images")
        onnx = Peer(f"ONNX Runtime, batches of {batch_size}", onnx_runtime.Predictor, goal, batch_size)
        _compare_all(Case(network, network), digits.pixels, (onnx, OPENVINO, PYTORCH, NUMPY), table, settings)
        yield table
    if not settings.smoke:
        yield from _shipped(digits.test_pixels, settings)
        yield _model_file(digits.test_pixels)


def _shipped(pixels: Bytes, settings: Settings) -> Iterator[Table]:
    """Yield a table of the shipped model in float32, and one of its integers."""
    model, exact = load_model(SHIPPED), _in_float32()
    onnx = Peer("ONNX Runtime in float32, batches of 256", onnx_runtime.Predictor, 3, 256)
    quantized = Peer("ONNX Runtime in int8, batches of 256", onnx_runtime.QuantizedPredictor, None, 256)
    table = Table(f"Inference of the shipped model in float32, from uint8, {len(pixels):,} images")
    _compare_all(Case(exact, exact), pixels, (onnx, OPENVINO), table, settings)
    yield table
    table = Table(f"Inference of the shipped model with integers, from uint8, {len(pixels):,} images")
    case = Case(model.network, exact, INTEGER_LABELS, INTEGER_CONFIDENCES)
    _compare_all(case, pixels, (quantized, onnx, OPENVINO), table, settings)
    yield table


def _in_float32() -> Network:
    """Return the shipped model's network as others read it from its file."""
    model = load_model(SHIPPED)
    return calibrated(model.trained, model.temperature or 1.0)


def _compare_all(case: Case, pixels: Bytes, peers: tuple[Peer, ...], table: Table, settings: Settings) -> None:
    """Add a row for each peer, in a smoke run for NumPy alone."""
    for peer in (NUMPY,) if settings.smoke else peers:
        for _ in undisturbed(table, settings):
            _compare(case, pixels, peer, table, settings)


def _model_file(pixels: Bytes) -> Table:
    """Check that PyTorch answers like us with the model file that ships."""
    table = Table(f"The shipped model's file in PyTorch, {len(pixels):,} images")
    labels, _, ours = _in_float32().predict_probabilities(pixels)
    with PeerProcess() as process:
        try:
            theirs = process.call(pytorch_model_file.probabilities, SHIPPED, pixels)
        except ImportError as error:
            table.add("load_state_dict(load_file(...))", None, note=f"{NOT_INSTALLED}: {error.name}")
            return table
    check_labels("PyTorch with our file", theirs.argmax(axis=1).astype(np.uint8), labels)
    difference = float(np.abs(theirs - ours).max())
    if difference > FILE_TOLERANCE:
        raise WrongResultError(f"PyTorch with our file: a probability that differs by {difference:.1e}")
    table.add("load_state_dict(load_file(...))", None, note=f"same labels, probabilities within {difference:.1e}")
    return table


def _compare(case: Case, pixels: Bytes, peer: Peer, table: Table, settings: Settings) -> None:
    """Check both answers and add the peer's row."""
    labels, confidences = case.network.predict(pixels)
    weights, biases = parameters_of(case.exact)
    expected = reference.forward(weights, biases, pixels[:2000])[-1].argmax(axis=1).astype(np.uint8)
    check_labels("ours", labels[:2000], expected, case.labels)
    arguments = peer, (weights, biases), pixels, None if peer.all_cores else settings.threads
    with PeerProcess() as process:
        try:
            _, its_labels, its_confidences = process.call(predict, *arguments)
        except ImportError as error:
            table.add(f"vs {peer.name}", None, note=f"{NOT_INSTALLED}: {error.name}")
            return
        check_labels(peer.name, its_labels, labels, case.labels)
        if np.abs(its_confidences - confidences).max() > case.confidences:
            raise WrongResultError(f"{peer.name}: other confidences than ours")
        comparison = compare_clocks(
            lambda: seconds_when_awake(lambda: case.network.predict(pixels)),
            lambda: process.call(predict, *arguments)[0],
            repeats=settings.repeats(9),
        )
    rates = [len(pixels) / timing.median for timing in (comparison.ours, comparison.peer)]
    goal = f"; goal {peer.goal:g} x" if peer.goal else ""
    note = f"{rates[0]:,.0f} images/s, peer {rates[1]:,.0f}{goal}"
    table.add_comparison(f"vs {peer.name}", comparison, "ms", note)


def predict(peer: Peer, parameters: Parameters, pixels: Bytes, threads: int | None) -> tuple[float, Bytes, Any]:
    """Return the seconds that a peer takes when it is warm, and its answers."""
    predictor = peer.predictor(threads=threads, batch_size=peer.batch_size)
    predictor.prepare(*parameters)
    seconds = seconds_when_awake(lambda: predictor.predict(pixels))
    return seconds, *predictor.predict(pixels)
