"""Four uint8 at a time times int8: each operation on its own, in a small compiled function."""

import numpy as np
import pytest
from vector_functions import compiled

from fastmnist.kernels import quads, simd
from fastmnist.kernels.lanes import MASK_BITS
from fastmnist.kernels.simd import LANES

EXTREMES = np.array([0, 1, 127, 128, 254, 255], np.uint8)
SIGNED_EXTREMES = np.array([-128, -127, -1, 0, 1, 127], np.int8)


@pytest.mark.parametrize("width", [1, 3, 8])
def test_products_are_added_exactly(width):
    lanes = LANES * width

    @compiled
    def add(sums, inputs, weights):
        quad = quads.load_quad(inputs, 1)
        simd.store(sums, 0, quads.add_quad(simd.load(sums, 0, lanes), quad, simd.load(weights, 0, lanes)))

    rng = np.random.default_rng(width)
    for _ in range(30):
        inputs, weights = rng.choice(EXTREMES, 5), rng.choice(SIGNED_EXTREMES, (lanes, 4))
        before = rng.integers(-(2**30), 2**30, lanes, dtype=np.int32)
        sums = before.copy()
        add(sums, inputs, weights.view(np.int32).ravel())
        assert (sums == before + weights.astype(np.int64) @ inputs[1:].astype(np.int64)).all()


def test_the_largest_products_do_not_saturate():
    @compiled
    def add(sums, inputs, weights):
        for _ in range(1000):
            total = quads.add_quad(simd.load(sums, 0, LANES), quads.load_quad(inputs, 0), simd.load(weights, 0, LANES))
            simd.store(sums, 0, total)

    for weight in (-127, 127):
        sums = np.zeros(LANES, np.int32)
        add(sums, np.full(4, 255, np.uint8), np.full(4 * LANES, weight, np.int8).view(np.int32))
        assert (sums == 1000 * 4 * 255 * weight).all()


def test_a_mask_tells_which_quads_are_not_zero():
    @compiled
    def nonzero(inputs, offset):
        return quads.nonzero_quads(inputs, offset)

    inputs = np.zeros(3 + 4 * MASK_BITS, np.uint8)
    assert nonzero(inputs, 3) == 0
    for position in (3, 6, 7, 3 + 4 * 31 + 2, 3 + 4 * 32, inputs.size - 1):
        inputs[:] = 0
        inputs[position] = 128 if position % 2 else 1
        assert nonzero(inputs, 3) == 1 << (position - 3) // 4
    inputs[:] = 255
    assert nonzero(inputs, 3) == 2**64 - 1


def test_sums_are_scaled_with_one_rounding_after_their_own():
    @compiled
    def scale(sums, scales, biases, out):
        vectors = simd.load(sums, 0, LANES), simd.load(scales, 0, LANES), simd.load(biases, 0, LANES)
        simd.store(out, 0, quads.scaled(*vectors))

    rng = np.random.default_rng(5)
    sums = rng.integers(-(2**31), 2**31, LANES, dtype=np.int32)
    sums[:4] = 0, 2**24 + 1, -(2**24) - 3, 7
    scales, biases, out = *rng.standard_normal((2, LANES), dtype=np.float32), np.empty(LANES, np.float32)
    biases[4] = -scales[4] * np.float32(sums[4])  # what is left are the bits that a product would have lost
    scale(sums, scales, biases, out)
    exact = sums.astype(np.float32).astype(np.longdouble) * scales + biases
    assert out.tobytes() == exact.astype(np.float32).tobytes()


def test_numbers_are_rounded_to_bytes():
    @compiled
    def store(out, numbers):
        quads.store_rounded(out, 1, simd.load(numbers, 0, LANES))

    numbers = [-np.inf, -1e30, -0.6, -0.5, 0.0, 0.5, 0.51, 1.5, 2.5, 254.49, 254.5, 255.0, 255.6, 1e30, np.inf, np.nan]
    out = np.full(LANES + 2, 77, np.uint8)
    store(out, np.array(numbers, np.float32))
    assert out.tolist() == [77, 0, 0, 0, 0, 0, 0, 1, 2, 2, 254, 254, 255, 255, 255, 255, 0, 77]
