"""The lists of the non-zero inputs, against NumPy's own search."""

import numpy as np
import pytest
from kernel_builds import ROUNDING, WAYS, normal, sparse_pixels

from fastmnist.kernels import reference
from fastmnist.kernels.lanes import MASK_BITS
from fastmnist.kernels.sparse import list_nonzeros, make_column_lists, make_row_lists

WIDTHS = [MASK_BITS, MASK_BITS + 1, 2 * MASK_BITS - 1, 2 * MASK_BITS, 784]
BATCHES = [(1, 1), (31, 32), (32, 32), (33, 32), (64, 32), (7, 3)]  # n_samples, batch_size


def make_inputs(n_samples, n_in, share, dtype):
    pixels = sparse_pixels(np.random.default_rng([n_samples, n_in]), n_samples, n_in, share)
    return pixels if dtype == np.uint8 else (pixels - np.float32(128)) * (pixels > 0)


def list_in_all_ways(inputs, order, batch_size):
    """The lists that all builds make alike, for any number of parts."""
    made = []
    for build, n_parts in WAYS:
        rows = make_row_lists(len(order), inputs.shape[1])
        columns = make_column_lists(len(order), inputs.shape[1], batch_size)
        for array in (*rows, *columns):
            array[...] = -1
        getattr(list_nonzeros, build)(inputs, order, batch_size, rows, columns, n_parts)
        made.append((rows, columns))
    for other in made[1:]:
        for one, two in zip([*made[0][0], *made[0][1]], [*other[0], *other[1]], strict=True):
            assert one.tobytes() == two.tobytes()
    return made[0]


def as_dense(positions, values, n):
    dense = np.zeros(n, np.float32)
    dense[positions] = values
    return dense


def assert_values_equal(actual, expected):
    """Equal to the oracle's, up to the two roundings of a pixel's scale; zeros are zeros."""
    assert np.array_equal(actual, expected) or (np.abs(actual - expected) <= 3 * ROUNDING * np.abs(expected)).all()


def assert_lists_hold(inputs, order, batch_size):
    rows, columns = list_in_all_ways(inputs, order, batch_size)
    expected = reference.as_unit(inputs)[order]
    n_in = inputs.shape[1]
    for sample, (start, end) in enumerate(zip(rows.starts, rows.ends, strict=True)):
        assert rows.columns[start:end].tolist() == np.flatnonzero(inputs[order[sample]]).tolist()
        assert_values_equal(as_dense(rows.columns[start:end], rows.values[start:end], n_in), expected[sample])
        assert rows.columns[end] == n_in
    for batch in range(-(-len(order) // batch_size)):
        first = batch * batch_size
        start, n_samples = rows.starts[first], len(order[first : first + batch_size])
        assert sorted(columns.columns[batch]) == list(range(n_in))
        lengths = np.diff([start, *columns.ends[batch]])
        assert (np.diff(lengths) <= 0).all()
        for column, end, length in zip(columns.columns[batch], columns.ends[batch], lengths, strict=True):
            samples, values = columns.samples[end - length : end], columns.values[end - length : end]
            assert (np.diff(samples) > 0).all()
            wanted = expected[first : first + n_samples, column]
            assert length == np.count_nonzero(wanted)
            assert_values_equal(as_dense(samples, values, n_samples), wanted)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("n_in", WIDTHS)
def test_inputs_of_any_width_are_listed_by_row_and_by_column(n_in, dtype):
    assert_lists_hold(make_inputs(9, n_in, 0.2, dtype), np.arange(9), 4)


@pytest.mark.parametrize(("n_samples", "batch_size"), BATCHES)
def test_batches_of_any_size_are_listed(n_samples, batch_size):
    assert_lists_hold(make_inputs(n_samples, 100, 0.2, np.uint8), np.arange(n_samples), batch_size)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("share", [0, 1])
def test_inputs_without_a_zero_or_with_nothing_else_are_listed(share, dtype):
    inputs = make_inputs(33, 100, share, dtype)
    if share == 0:
        inputs[...] = 0
    assert_lists_hold(inputs, np.arange(33), 32)


def test_samples_are_listed_in_the_given_order_and_may_come_twice():
    inputs = make_inputs(20, 100, 0.2, np.uint8)
    assert_lists_hold(inputs, np.array([19, 0, 7, 7, 3]), 2)


def test_nan_infinity_and_the_smallest_numbers_are_inputs_and_minus_zero_is_none():
    inputs = np.zeros((1, 100), np.float32)
    inputs[0, [0, 63, 64, 99]] = [np.nan, -np.inf, 1e-45, -0.0]
    rows, _ = list_in_all_ways(inputs, np.arange(1), 1)
    assert rows.columns[: rows.ends[0]].tolist() == [0, 63, 64]
    assert np.array_equal(rows.values[: rows.ends[0]], inputs[0, [0, 63, 64]], equal_nan=True)


def test_float32_inputs_are_listed_bit_for_bit():
    inputs = normal(np.random.default_rng(0), 5, 100)
    rows, _ = list_in_all_ways(inputs, np.arange(5), 5)
    assert rows.values[rows.starts[4] : rows.ends[4]].tobytes() == inputs[4].tobytes()


def test_no_samples_make_no_lists():
    rows, columns = list_in_all_ways(make_inputs(4, 100, 0.2, np.uint8), np.arange(0), 32)
    assert rows.ends.size == columns.ends.size == 0
