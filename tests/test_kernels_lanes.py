"""Operations across the lanes of vectors, each in a small compiled function."""

import numpy as np
import pytest
from vector_functions import apply, compiled, random_floats

from fastmnist.kernels.lanes import (
    MASK_BITS,
    bits_above,
    exp,
    first_lanes,
    highest_bit,
    largest,
    low_bits,
    lowest_bit,
    nonzero_bits,
    store_bits,
    total,
    transpose,
)
from fastmnist.kernels.simd import LANES, load, store

LOW = np.float32(-86)


def test_exp_is_right_to_two_units_in_the_last_place():
    run, values = apply(exp, 1), np.linspace(-86, 0, 40_001, dtype=np.float32)
    values = np.concatenate([values, np.float32(-np.logspace(-9, 0, 999)), -np.log(2) * np.arange(0, 124, 0.5)])
    values = values[: values.size // LANES * LANES].astype(np.float32).reshape(-1, LANES)
    actual = np.array([run(row) for row in values]).ravel()
    expected = np.exp(values.ravel().astype(np.float64))
    assert (np.abs(actual - expected) <= 2 * np.spacing(expected.astype(np.float32))).all()


def test_exp_of_zero_is_one_and_no_smaller_number_overflows():
    values = [0.0, -0.0, LOW, -86.1, -1e4, -3e38, -np.inf, np.nan]
    actual = apply(exp, 1)(values)
    assert actual[:2].tolist() == [1, 1]
    assert (actual[2:7] == actual[2]).all()
    assert actual[2] == pytest.approx(np.exp(-86.0), rel=2.5e-7)
    assert np.isnan(actual[7])


@compiled
def reduce_register(a, out):
    out[0] = total(load(a, 0, LANES))
    out[1] = largest(load(a, 0, LANES))


def test_total_adds_in_halves():
    for seed in range(20):
        array, out = random_floats(seed=seed), np.zeros(2, np.float32)
        reduce_register(array, out)
        halves = array
        while halves.size > 1:
            halves = halves[: halves.size // 2] + halves[halves.size // 2 :]
        assert out[0] == halves[0]


@pytest.mark.parametrize("place", range(LANES))
def test_largest_finds_each_lane(place):
    array, out = np.full(LANES, -np.inf, np.float32), np.zeros(2, np.float32)
    array[place] = -3e38
    reduce_register(array, out)
    assert out[1] == array[place]


@pytest.mark.parametrize("n", [-5, 0, 1, 7, 15, 16, 17, 1000])
def test_first_lanes_keeps_n_lanes(n):
    @compiled
    def run(a, n, other, out):
        store(out, 0, first_lanes(load(a, 0, LANES), n, other))

    a, out = random_floats(), np.zeros(LANES, np.float32)
    run(a, n, np.float32(-np.inf), out)
    kept = min(max(n, 0), LANES)
    assert out[:kept].tolist() == a[:kept].tolist()
    assert (out[kept:] == -np.inf).all()


@pytest.mark.parametrize(("stride", "target_stride", "offset"), [(16, 16, 0), (17, 48, 3)])
def test_transpose_fills_a_square_and_nothing_else(stride, target_stride, offset):
    @compiled
    def run(source, offset, stride, target, target_offset, target_stride):
        transpose(source, offset, stride, target, target_offset, target_stride)

    source = random_floats(offset + LANES * stride)
    actual = np.full(2 * offset + LANES * target_stride, 9, np.float32)
    expected = actual.copy()
    square = source[offset:].reshape(LANES, stride)[:, :LANES]
    expected[2 * offset :].reshape(LANES, target_stride)[:, :LANES] = square.T
    run(source, offset, stride, actual, 2 * offset, target_stride)
    assert (actual == expected).all()


@compiled
def read_mask(array, offset, out):
    out[0] = nonzero_bits(array, offset)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_nonzero_bits_marks_each_element_that_is_not_zero(dtype):
    out = np.zeros(1, np.uint64)
    for place in range(MASK_BITS):
        array = np.zeros(MASK_BITS + 4, dtype)
        array[2 + place] = 1
        array[[0, 1, -1, -2]] = 1  # outside
        read_mask(array, 2, out)
        assert out[0] == 1 << place
    read_mask(np.full(MASK_BITS, 255, dtype), 0, out)
    assert out[0] == 2**64 - 1


def test_nonzero_bits_takes_both_zeros_for_zero_and_nan_for_a_number():
    array, out = np.zeros(MASK_BITS, np.float32), np.zeros(1, np.uint64)
    array[:5] = [-0.0, np.nan, 1e-45, -np.inf, 0.0]
    read_mask(array, 0, out)
    assert out[0] == 0b01110


@compiled
def read_above(array, offset, threshold, out):
    out[0] = bits_above(array, offset, threshold)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_bits_above_marks_each_element_above_the_threshold(dtype):
    rng, out = np.random.default_rng(6), np.zeros(1, np.uint64)
    array = rng.integers(0, 256, MASK_BITS + 4).astype(dtype)
    for threshold in map(dtype, (0, 100, 127, 128, 254, 255)):
        read_above(array, 2, threshold, out)
        assert out[0] == sum(1 << place for place in range(MASK_BITS) if array[2 + place] > threshold)


def test_no_number_is_above_nan():
    array, out = np.array([np.nan, 1, np.inf, -1] * (MASK_BITS // 4), np.float32), np.zeros(1, np.uint64)
    read_above(array, 0, np.float32(0), out)
    assert out[0] == 0x6666666666666666
    read_above(array, 0, np.float32(np.nan), out)
    assert out[0] == 0


def test_the_lowest_bits_are_as_many_as_asked_for():
    @compiled
    def run(n, out):
        out[0] = low_bits(n)

    out = np.zeros(1, np.uint64)
    for n in (0, 1, 2, 31, 32, 63, 64, 65, 1000):
        run(n, out)
        assert out[0] == 2 ** min(n, MASK_BITS) - 1


def test_bits_are_stored_as_zeros_and_ones():
    @compiled
    def run(array, offset, mask):
        store_bits(array, offset, mask)

    for mask in [*(1 << place for place in range(MASK_BITS)), 0, 2**64 - 1, 0x8000F00000000005]:
        array = np.full(MASK_BITS + 6, 9, np.uint8)
        run(array, 3, np.uint64(mask))
        assert array.tolist() == [9] * 3 + [mask >> place & 1 for place in range(MASK_BITS)] + [9] * 3


def test_highest_bit_finds_every_bit():
    @compiled
    def run(mask, out):
        out[0] = highest_bit(mask)

    out = np.zeros(1, np.int64)
    for bit in range(MASK_BITS):
        run(np.uint64((2 << bit) - 1), out)
        assert out[0] == bit


def test_lowest_bit_finds_every_bit():
    @compiled
    def run(mask, out):
        out[0] = lowest_bit(mask)

    out = np.zeros(1, np.int64)
    for bit in range(MASK_BITS):
        run(np.uint64((2**64 - 1) << bit & (2**64 - 1)), out)
        assert out[0] == bit
