"""The compressed inputs, CSR and CSC, against NumPy's own search."""

import numpy as np
import pytest
from kernel_builds import ROUNDING, WAYS, normal, run_in_all_ways, sparse_pixels

from fastmnist.kernels import reference
from fastmnist.kernels.compress import compress, compress_rows, count_nonzero
from fastmnist.kernels.dense import make_tiles
from fastmnist.kernels.lanes import MASK_BITS
from fastmnist.kernels.sparse import make_csc, make_csr
from fastmnist.training.blocks import NO_ROWS

WIDTHS = [1, 10, MASK_BITS - 1, MASK_BITS, MASK_BITS + 1, 2 * MASK_BITS - 1, 2 * MASK_BITS, 784]
BATCHES = [(1, 1), (31, 32), (32, 32), (33, 32), (64, 32), (7, 3)]  # n_samples, batch_size


def make_inputs(n_samples, n_in, share, dtype):
    pixels = sparse_pixels(np.random.default_rng([n_samples, n_in]), n_samples, n_in, share)
    return pixels if dtype == np.uint8 else (pixels - np.float32(128)) * (pixels > 0)


def compress_in_all_ways(inputs, order, batch_size):
    """The CSR and CSC that all builds make alike, for any number of parts, from inputs and from the rows of all."""
    n_in, counts = inputs.shape[1], np.count_nonzero(inputs, axis=1)
    made = []
    for build, n_parts in WAYS:
        rows = unfilled_csr(counts, n_in)
        getattr(compress_rows, build)(inputs, np.arange(len(inputs)), rows, n_parts)
        for source in (NO_ROWS, rows):
            csr = unfilled_csr(counts[order], n_in)
            csc = make_csc(csr.starts[::batch_size].copy(), csr.data.size, n_in, batch_size)
            nowhere = np.zeros(len(order), np.int64)
            tiles = make_tiles(np.zeros(len(csc.starts), np.bool_), nowhere, nowhere, 0, n_in, batch_size)
            for array in csc[1:]:
                array[...] = 1
            getattr(compress, build)(inputs, order, batch_size, source, csr, csc, tiles, n_parts)
            made.append((csr, csc))
    for other in made[1:]:
        for one, two in zip([*made[0][0], *made[0][1]], [*other[0], *other[1]], strict=True):
            assert one.tobytes() == two.tobytes()
    return made[0]


def unfilled_csr(counts, n_in):
    """A CSR for rows of `counts` inputs, with 3 places too many before each."""
    ends = np.cumsum(counts + 4) - 1
    csr = make_csr(ends - counts, ends, int(counts.sum()) + 4 * len(counts), n_in)
    csr.indices[...] = csr.data[...] = 1
    return csr


def as_dense(positions, values, n):
    dense = np.zeros(n, np.float32)
    dense[positions] = values
    return dense


def assert_values_equal(actual, expected):
    """Equal to the oracle's, up to the two roundings of a pixel's scale; zeros are zeros."""
    assert np.array_equal(actual, expected) or (np.abs(actual - expected) <= 3 * ROUNDING * np.abs(expected)).all()


def assert_compressed(inputs, order, batch_size):
    csr, csc = compress_in_all_ways(inputs, order, batch_size)
    expected = reference.as_unit(inputs)[order]
    n_in = inputs.shape[1]
    for sample, (start, end) in enumerate(zip(csr.starts, csr.ends, strict=True)):
        assert csr.indices[start:end].tolist() == np.flatnonzero(inputs[order[sample]]).tolist()
        assert_values_equal(as_dense(csr.indices[start:end], csr.data[start:end], n_in), expected[sample])
        assert csr.indices[end] == n_in
    for batch in range(-(-len(order) // batch_size)):
        first = batch * batch_size
        start, n_samples = csc.starts[batch], len(order[first : first + batch_size])
        assert sorted(csc.order[batch]) == list(range(n_in))
        lengths = np.diff([start, *csc.ends[batch]])
        assert (np.diff(lengths) <= 0).all()
        for column, end, length in zip(csc.order[batch], csc.ends[batch], lengths, strict=True):
            samples, values = csc.indices[end - length : end], csc.data[end - length : end]
            assert (np.diff(samples) > 0).all()
            wanted = expected[first : first + n_samples, column]
            assert length == np.count_nonzero(wanted)
            assert_values_equal(as_dense(samples, values, n_samples), wanted)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("n_in", WIDTHS)
def test_inputs_of_any_width_are_compressed(n_in, dtype):
    assert_compressed(make_inputs(70, n_in, 0.2, dtype), np.arange(70), 32)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("n_in", WIDTHS)
def test_inputs_that_are_not_zero_are_counted(n_in, dtype):
    inputs, order = make_inputs(70, n_in, 0.2, dtype), np.random.default_rng(0).permutation(70)[:65]
    actual = run_in_all_ways(count_nonzero, [inputs, order, np.full(65, -1, np.int64)], [2])
    assert actual.tolist() == np.count_nonzero(inputs[order], axis=1).tolist()


@pytest.mark.parametrize(("n_samples", "batch_size"), BATCHES)
def test_batches_of_any_size_are_compressed(n_samples, batch_size):
    assert_compressed(make_inputs(n_samples, 100, 0.2, np.uint8), np.arange(n_samples), batch_size)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("share", [0, 1])
def test_dense_and_empty_inputs_are_compressed(share, dtype):
    inputs = make_inputs(33, 100, share, dtype)
    if share == 0:
        inputs[...] = 0
    assert_compressed(inputs, np.arange(33), 32)


def test_samples_are_compressed_in_the_given_order_and_may_come_twice():
    inputs = make_inputs(20, 100, 0.2, np.uint8)
    assert_compressed(inputs, np.array([19, 0, 7, 7, 3]), 2)


def test_nan_infinity_and_the_smallest_numbers_are_nonzero_and_minus_zero_is_not():
    inputs = np.zeros((1, 100), np.float32)
    inputs[0, [0, 63, 64, 99]] = [np.nan, -np.inf, 1e-45, -0.0]
    csr, _ = compress_in_all_ways(inputs, np.arange(1), 1)
    assert csr.indices[csr.starts[0] : csr.ends[0]].tolist() == [0, 63, 64]
    assert np.array_equal(csr.data[csr.starts[0] : csr.ends[0]], inputs[0, [0, 63, 64]], equal_nan=True)


def test_float32_inputs_are_kept_bit_for_bit():
    inputs = normal(np.random.default_rng(0), 5, 100)
    csr, _ = compress_in_all_ways(inputs, np.arange(5), 5)
    assert csr.data[csr.starts[4] : csr.ends[4]].tobytes() == inputs[4].tobytes()


@pytest.mark.parametrize(("n_in", "expected"), [(2**16 - 1, np.uint16), (2**16, np.int32)])
def test_indices_take_16_bits_where_they_fit(n_in, expected):
    inputs = np.zeros((2, n_in), np.uint8)
    inputs[1, -1] = 255
    csr, _ = compress_in_all_ways(inputs, np.arange(2), 2)
    assert csr.indices.dtype == expected
    assert csr.indices[[csr.ends[0], csr.starts[1], csr.ends[1]]].tolist() == [n_in, n_in - 1, n_in]


def test_no_samples():
    csr, csc = compress_in_all_ways(make_inputs(4, 100, 0.2, np.uint8), np.arange(0), 32)
    assert csr.ends.size == csc.ends.size == 0
