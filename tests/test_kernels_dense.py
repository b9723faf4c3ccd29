"""Which batches are dense, and what their tiles are filled with, against NumPy's own search."""

import numpy as np
import pytest
from kernel_builds import ROUNDING, WAYS, sparse_pixels

from fastmnist.kernels import reference
from fastmnist.kernels.compress import DENSE_SHARE, compress
from fastmnist.kernels.dense import make_tiles
from fastmnist.kernels.sparse import make_csc, make_csr
from fastmnist.training.blocks import NO_ROWS, divided

ROWS = 8


def fill(inputs, order, batch_size):
    """The tiles that all builds fill alike, for any number of parts, over garbage."""
    n_in, room = inputs.shape[1], len(order) * (inputs.shape[1] + 1)
    starts = np.arange(0, room, n_in + 1)
    is_dense = divided(np.count_nonzero(inputs[order], axis=1), n_in, batch_size)[0]
    made = []
    for build, n_parts in WAYS:
        csr = make_csr(starts, starts + np.count_nonzero(inputs[order], axis=1), room, n_in)
        csc = make_csc(starts[::batch_size].copy(), room, n_in, batch_size)
        tiles = make_tiles(is_dense, starts, starts + n_in, room, n_in, batch_size)
        for array in (tiles.inputs, tiles.samples, tiles.indices, tiles.data):
            array[...] = 1
        getattr(compress, build)(inputs, order, batch_size, NO_ROWS, csr, csc, tiles, n_parts)
        made.append(tiles)
    for other in made[1:]:
        for one, two in zip(made[0], other, strict=True):
            assert one.tobytes() == two.tobytes()
    return made[0]


def inputs_of(n_samples, n_in, dtype=np.uint8, share=0.8):
    pixels = sparse_pixels(np.random.default_rng([n_samples, n_in]), n_samples, n_in, share)
    pixels[:, 8:16] = 0
    pixels[3] = 0
    return pixels if dtype == np.uint8 else (pixels - np.float32(128)) * (pixels > 0)


def groups_that_have(nonzero):
    """Of (n, m) booleans, for each whole or last group of 8 rows: the columns of which one is true."""
    return [nonzero[row : row + ROWS].any(axis=0) for row in range(0, len(nonzero), ROWS)]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("n_in", [64, 72, 128, 136, 784])
@pytest.mark.parametrize(("n_samples", "batch_size"), [(64, 32), (70, 32), (15, 100), (130, 65)])
def test_tiles_hold_all_inputs_and_flag_those_that_are_not_zero(n_samples, batch_size, n_in, dtype):
    inputs = inputs_of(n_samples, n_in, dtype)
    order = np.random.default_rng(0).permutation(n_samples)
    tiles = fill(inputs, order, batch_size)
    expected = reference.as_unit(inputs)[order]
    for batch, first in enumerate(range(0, n_samples, batch_size)):
        samples = range(first, min(first + batch_size, n_samples))
        assert tiles.is_dense[batch] == (len(samples) >= ROWS)
        if not tiles.is_dense[batch]:
            continue
        for sample in samples:
            values = tiles.data[tiles.starts[sample] : tiles.ends[sample]]
            assert (np.abs(values - expected[sample]) <= 3 * ROUNDING * np.abs(expected[sample])).all()
        for sample in samples[len(samples) // ROWS * ROWS :]:  # as the sparse product wants them
            assert tiles.indices[tiles.starts[sample] : tiles.ends[sample] + 1].tolist() == [*range(n_in + 1)]
        nonzero = expected[samples] != 0
        for group, has in enumerate(groups_that_have(nonzero)):
            assert np.flatnonzero(tiles.inputs[batch, group]).tolist() == np.flatnonzero(has).tolist()
        for block, has in enumerate(groups_that_have(nonzero.T)):
            assert np.flatnonzero(tiles.samples[batch, block]).tolist() == np.flatnonzero(has).tolist()


@pytest.mark.parametrize(("n_samples", "n_in"), [(32, 100), (32, 63), (7, 64), (1, 784)])
def test_what_fills_no_tile_is_sparse(n_samples, n_in):
    tiles = fill(np.ones((max(64, n_samples), n_in), np.uint8), np.arange(n_samples), 32)
    assert not tiles.is_dense.any()


@pytest.mark.parametrize("extra", [0, 1])
def test_a_batch_is_dense_from_one_input_over_the_share_on(extra):
    inputs = np.zeros((16, 200), np.uint8)
    inputs.flat[: int(inputs.size * DENSE_SHARE) + extra] = 255
    assert fill(inputs, np.arange(16), 16).is_dense.tolist() == [bool(extra)]


def test_a_batch_is_sparse_where_its_first_tile_is():
    inputs = np.full((32, 200), 255, np.uint8)
    inputs[:ROWS, int(200 * DENSE_SHARE) :] = 0
    order = np.random.default_rng(1).permutation(ROWS)
    assert fill(inputs, np.concatenate([order, np.arange(ROWS, 32)]), 32).is_dense.tolist() == [False]
    assert fill(inputs, np.concatenate([np.arange(ROWS, 32), order]), 32).is_dense.tolist() == [True]


def test_nan_is_not_zero():
    inputs = np.zeros((8, 64), np.float32)
    inputs[:, :32] = np.nan
    tiles = fill(inputs, np.arange(8), 8)
    assert tiles.is_dense.all()
    assert np.flatnonzero(tiles.inputs[0, 0]).tolist() == [*range(32)]
    assert np.isnan(tiles.data[tiles.starts[7] : tiles.starts[7] + 32]).all()


def test_the_batches_of_mnist_are_all_sparse(digits):
    pixels = digits[0].reshape(-1, 784)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(2048 * 4)
        for first in range(0, len(order), 2048):
            counts = np.count_nonzero(pixels[order[first : first + 2048]], axis=1)
            assert not divided(counts, 784, 32)[0].any()
