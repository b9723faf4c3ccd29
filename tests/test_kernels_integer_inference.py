"""From uint8 inputs to labels by integers, in one pass, against plain NumPy: each logit is the same number."""

import sys
from itertools import pairwise

import numpy as np
import pytest
from kernel_builds import FOREIGN, classified, garbage, sparse_pixels

from fastmnist.kernels import amx, integer_inference, reference
from fastmnist.kernels.inference import BLOCK
from fastmnist.kernels.integer_inference import Integers, classify_integers, make_layers, make_workspace, packed
from fastmnist.kernels.simd import LANES

LAYER_SIZES = [
    (64, 1, 1),
    (65, 15, 2),
    (100, 17, 33, 3),
    (257, 129, 256),  # a mask is of 256 inputs
    (128, 48, 15, 16, 10),
    (1, 5, 3),
    (3, 256, 2),
    (512, 300, 10),
]
if not FOREIGN:
    LAYER_SIZES += [(784, 1024, 512, 11)]


class Plain:
    """A network in plain NumPy: int8 weights, scales and biases of each layer."""

    def __init__(self, layer_sizes, seed=0):
        rng = np.random.default_rng(seed)
        self.weights, self.scales, self.biases = [], [], []
        for n_in, n_out in pairwise(layer_sizes):
            self.weights.append(rng.integers(-127, 128, (n_in, n_out), dtype=np.int8))
            self.scales.append((rng.uniform(0.5, 2, n_out) / (40 * np.sqrt(n_in))).astype(np.float32))
            self.biases.append(rng.normal(scale=20, size=n_out).astype(np.float32))

    def logits(self, inputs):
        """float32 (n_samples, n_classes), each rounded once after its sum, as a fused multiply-add does."""
        for layer, weights in enumerate(self.weights):
            sums = (inputs.astype(np.int64) @ weights.astype(np.int64)).astype(np.float32).astype(np.longdouble)
            numbers = (sums * self.scales[layer] + self.biases[layer]).astype(np.float32)
            inputs = np.clip(np.rint(numbers), 0, 255).astype(np.uint8)
        return numbers

    def packed(self, layers):
        """The same for the kernels."""
        sizes = [layer.n_registers * LANES for layer in layers]
        scales, biases = (
            np.concatenate([np.pad(row, (0, size - len(row))) for row, size in zip(rows, sizes, strict=True)])
            for rows in (self.scales, self.biases)
        )
        return Integers(np.array(layers, np.int64), np.concatenate(list(map(packed, self.weights))), scales, biases)


def run(plain, layer_sizes, inputs, n_logits, n_probabilities):
    """Labels, confidences, logits and probabilities of all builds on 1 to 4 parts."""
    layers = make_layers(layer_sizes)
    integers = plain.packed(layers)

    def arguments(n_parts):
        return integers, inputs, make_workspace(layers, n_parts)

    def without_tiles(n_parts):
        return integers, inputs, make_workspace(layers, n_parts)._replace(tiles=np.zeros(64, np.uint8))

    found, other = (
        classified(classify_integers, way, len(inputs), n_logits, n_probabilities) for way in (arguments, without_tiles)
    )
    for one, the_same in zip(found, other, strict=True):
        assert one.tobytes() == the_same.tobytes()
    return found


def assert_equals_plain(layer_sizes, inputs):
    plain, n_classes = Plain(layer_sizes, len(inputs)), layer_sizes[-1]
    expected = plain.logits(inputs)
    labels, confidences, logits, probabilities = run(plain, layer_sizes, inputs, n_classes, n_classes)
    assert logits.tobytes() == expected.tobytes()
    assert (labels == expected.argmax(axis=1)).all()
    assert probabilities == pytest.approx(reference.softmax(expected.astype(np.float64)), rel=1e-4, abs=1e-30)
    assert (confidences == np.take_along_axis(probabilities, labels[:, None].astype(np.intp), 1)[:, 0]).all()
    alone = run(plain, layer_sizes, inputs, 0, 0)
    assert (alone[0].tobytes(), alone[1].tobytes()) == (labels.tobytes(), confidences.tobytes())


@pytest.mark.parametrize("layer_sizes", LAYER_SIZES)
def test_each_logit_is_that_of_plain_numpy(layer_sizes):
    assert_equals_plain(layer_sizes, sparse_pixels(np.random.default_rng(7), 33, layer_sizes[0]))


def test_tiles_are_used_where_linux_gives_leave():
    allowed = bool(amx.configuration()[0])
    assert allowed == amx.COMPILED or not sys.platform.startswith("linux")


@pytest.mark.parametrize("n_samples", [0, 1, 15, 16, 17, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 33])
def test_any_number_of_samples(n_samples):
    assert_equals_plain((100, 17, 10), sparse_pixels(np.random.default_rng(n_samples), n_samples, 100))


@pytest.mark.parametrize("value", [0, 255])
def test_blank_and_full_images(value):
    assert_equals_plain((300, 40, 10), np.full((3, 300), value, np.uint8))


def test_working_memory_may_have_been_used_before():
    layer_sizes, plain = (260, 17, 10), Plain((260, 17, 10))
    layers = make_layers(layer_sizes)
    workspace = make_workspace(layers, 1)
    for inputs in (np.full((BLOCK, 260), 255, np.uint8), sparse_pixels(np.random.default_rng(1), 9, 260)):
        n = len(inputs)
        logits = garbage(n, 10)
        outputs = np.empty(n, np.uint8), garbage(n), logits, garbage(n, 0)
        classify_integers.serial(plain.packed(layers), inputs, workspace, *outputs, 1)
        assert logits.tobytes() == plain.logits(inputs).tobytes()


def test_a_part_of_the_weights_is_where_the_kernel_looks_for_it():
    weights = np.arange(6 * 20, dtype=np.int8).reshape(6, 20)
    (layer,) = make_layers((6, 20))
    quads = integer_inference.packed(weights).view(np.int8).reshape(layer.n_quads, -1, 4)
    for position in range(6):
        assert (quads[position // 4, :20, position % 4] == weights[position]).all()
    assert (quads[1, :, 2:] == 0).all()
    assert (quads[2:] == 0).all()
    assert (quads[:, 20:] == 0).all()
