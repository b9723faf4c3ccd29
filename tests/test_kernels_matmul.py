"""The dense product and its two gradients, against the reference."""

import numpy as np
import pytest
from kernel_builds import FOREIGN, assert_sums_close, garbage, normal, padded, run_in_all_ways, sparse_pixels
from standalone_kernels import make_panels, matmul, matmul_input_gradient, matmul_weight_gradient

from fastmnist.kernels import reference
from fastmnist.kernels.layout import registers_for
from fastmnist.kernels.matmul import DEPTH_BLOCK
from fastmnist.kernels.products import sparse_product
from fastmnist.kernels.sparse import SPARSE_SHARE
from fastmnist.kernels.tiles import TILE_REGISTERS, TILE_ROWS

COLUMNS = 16 * TILE_REGISTERS
# (n_samples, n_in, n_out): around the ends of tiles, vectors and blocks of depth, then the networks' own.
SHAPES = [
    (1, 1, 1),
    (TILE_ROWS - 1, 15, COLUMNS - 1),
    (TILE_ROWS, 16, COLUMNS),
    (TILE_ROWS + 1, 17, COLUMNS + 1),
    (2 * TILE_ROWS, 33, 2 * COLUMNS + 17),
    (3, DEPTH_BLOCK - 1, 15),
    (3, DEPTH_BLOCK, 16),
    (3, DEPTH_BLOCK + 1, 17),
    (DEPTH_BLOCK + 1, 5, 33),
    (7, 9, DEPTH_BLOCK + 1),
    (31, 20, 256),
    (33, 300, 100),
]
if not FOREIGN:
    SHAPES += [(32, 784, 100), (32, 100, 10), (128, 800, 800)]
shapes = pytest.mark.parametrize(("n_samples", "n_in", "n_out"), SHAPES)
NAN, INFINITY = np.float32(np.nan), np.float32(np.inf)


def example(n_samples, n_in, n_out, dtype=np.float32):
    rng = np.random.default_rng([n_samples, n_in, n_out])
    inputs = normal(rng, n_samples, n_in) if dtype == np.float32 else sparse_pixels(rng, n_samples, n_in, 0.5)
    return inputs, normal(rng, n_in, n_out), normal(rng, n_out), normal(rng, n_samples, n_out)


def run_matmul(inputs, weights, biases):
    out = garbage(len(inputs), padded(weights).shape[1])
    return run_in_all_ways(matmul, (inputs, padded(weights), padded(biases)[0], out), outputs=[3])


def run_input_gradient(delta, weights, sparse_at=0):
    n_in, whole = weights.shape[0], 16 * registers_for(weights.shape[0])
    out = garbage(*padded(np.zeros((len(delta), n_in), np.float32)).shape)
    arguments = (sparse_at, padded(delta), padded(weights, whole), make_panels, out)
    actual = run_in_all_ways(matmul_input_gradient, arguments, outputs=[4])
    assert_padding_is_zero(actual[:, :whole], n_in)
    return actual


def run_weight_gradient(inputs, delta):
    out = garbage(inputs.shape[1], padded(delta).shape[1])
    return run_in_all_ways(matmul_weight_gradient, (inputs, padded(delta), out), outputs=[2])


def assert_padding_is_zero(actual, n):
    numbers = np.isfinite(actual).all(axis=1)  # 0 * NaN is NaN, in the padding too
    assert (actual[numbers, n:] == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@shapes
def test_matmul_equals_the_oracle(n_samples, n_in, n_out, dtype):
    inputs, weights, biases, _ = example(n_samples, n_in, n_out, dtype)
    actual = run_matmul(inputs, weights, biases)
    magnitudes = reference.matmul(np.abs(inputs), np.abs(weights), np.abs(biases))
    assert_sums_close(actual[:, :n_out], reference.matmul(inputs, weights, biases), magnitudes, n_in + 1)
    assert_padding_is_zero(actual, n_out)


@shapes
def test_input_gradient_equals_the_oracle(n_samples, n_in, n_out):
    _, weights, _, delta = example(n_samples, n_in, n_out)
    actual = run_input_gradient(delta, weights)[:, :n_in]
    magnitudes = reference.matmul_input_gradient(np.abs(delta), np.abs(weights))
    assert_sums_close(actual, reference.matmul_input_gradient(delta, weights), magnitudes, n_out)


@shapes
def test_input_gradient_without_its_zeros_is_the_same_bytes(n_samples, n_in, n_out):
    _, weights, _, delta = example(n_samples, n_in, n_out)
    delta[np.random.default_rng(n_in).random(delta.shape) > SPARSE_SHARE / 2] = 0
    by_tiles = run_input_gradient(delta, weights)
    without_zeros = run_input_gradient(delta, weights, sparse_product.address())
    assert without_zeros.tobytes() == by_tiles.tobytes()
    magnitudes = reference.matmul_input_gradient(np.abs(delta), np.abs(weights))
    assert_sums_close(by_tiles[:, :n_in], reference.matmul_input_gradient(delta, weights), magnitudes, n_out)


@shapes
def test_weight_gradient_equals_the_oracle(n_samples, n_in, n_out):
    inputs, _, _, delta = example(n_samples, n_in, n_out)
    actual = run_weight_gradient(inputs, delta)
    magnitudes = reference.matmul_weight_gradient(np.abs(inputs), np.abs(delta))
    assert_sums_close(actual[:, :n_out], reference.matmul_weight_gradient(inputs, delta), magnitudes, n_samples)
    assert_padding_is_zero(actual, n_out)


def test_inputs_that_are_all_zero_give_the_biases_and_no_gradient():
    inputs, weights, biases, delta = example(9, 20, 17)
    assert (run_matmul(0 * inputs, weights, biases)[:, :17] == biases).all()
    assert (run_weight_gradient(0 * inputs, delta) == 0).all()
    assert (run_input_gradient(0 * delta, weights)[:, :20] == 0).all()


@pytest.mark.parametrize("poison", [NAN, INFINITY])
def test_nan_and_infinity_propagate(poison):
    inputs, weights, biases, delta = example(9, 20, 17)
    inputs[8, 19] = delta[3, 16] = poison
    broken = ~np.isfinite(run_matmul(inputs, weights, biases)[:, :17])
    assert broken[8].all()
    assert not broken[:8].any()
    broken = ~np.isfinite(run_input_gradient(delta, weights)[:, :20])
    assert broken[3].all()
    assert broken.sum() == 20
    broken = ~np.isfinite(run_weight_gradient(inputs, delta)[:, :17])
    assert broken[:, 16].all()
    assert broken[19].all()
    assert broken.sum() == 20 + 17 - 1


def test_an_empty_batch_gives_nothing_and_a_gradient_of_zeros():
    inputs, weights, biases, delta = example(0, 20, 17)
    assert run_matmul(inputs, weights, biases).size == 0
    assert run_input_gradient(delta, weights).size == 0
    assert (run_weight_gradient(inputs, delta) == 0).all()
