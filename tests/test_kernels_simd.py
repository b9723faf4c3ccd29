"""Vectors: each operation on its own, in a small compiled function."""

import numpy as np
import pytest
from vector_functions import apply, compiled, floats, random_floats

from fastmnist.kernels import simd
from fastmnist.kernels.lanes import exp
from fastmnist.kernels.simd import LANES

WIDTHS = (1, 3, 8)


@pytest.mark.parametrize("width", WIDTHS)
def test_load_and_store_move_their_lanes_and_nothing_else(width):
    lanes = LANES * width

    @compiled
    def copy(source, offset, target, target_offset):
        simd.store(target, target_offset, simd.load(source, offset, lanes))

    source = random_floats(lanes + 9)
    for offset, target_offset in ((0, 0), (1, 7), (9, 3), (2, 9)):
        actual = np.full_like(source, 7)
        expected = actual.copy()
        expected[target_offset : target_offset + lanes] = source[offset : offset + lanes]
        copy(source, offset, actual, target_offset)
        assert (actual == expected).all()


@pytest.mark.parametrize("width", WIDTHS)
def test_panels_are_loaded_and_stored_register_by_register(width):
    lanes = LANES * width

    @compiled
    def copy(n_registers, source, offset, step, target, target_offset, target_step):
        vector = simd.load_panels(source, offset, step, n_registers, lanes)
        simd.store_panels(target, target_offset, target_step, n_registers, vector)

    step, target_step = 3 * LANES, 2 * LANES + 1
    for n_registers in range(1, width + 1):
        source = random_floats(2 + (n_registers - 1) * step + LANES)  # and no more
        actual = np.full(1 + width * target_step, 7, np.float32)
        expected = actual.copy()
        for register in range(n_registers):
            lane, target_lane = 2 + register * step, 1 + register * target_step
            expected[target_lane : target_lane + LANES] = source[lane : lane + LANES]
        copy(n_registers, source, 2, step, actual, 1, target_step)
        assert (actual == expected).all()


@pytest.mark.parametrize("width", WIDTHS)
def test_each_register_of_a_vector_is_computed(width):
    lanes = LANES * width

    @compiled
    def compute(a, b, value, out):
        x, y = simd.load(a, 0, lanes), simd.load(b, 0, lanes)
        x = simd.fma(x, y, simd.broadcast(value, lanes))
        simd.store(out, 0, simd.add(simd.maximum(x, y), simd.mul(simd.where_positive(x, y), exp(y))))
        simd.store(out, lanes, simd.zeros(lanes))

    a, b = random_floats(lanes, 1), -np.abs(random_floats(lanes, 2))
    out = np.ones(2 * lanes, np.float32)
    compute(a, b, np.float32(0.5), out)
    x = a.astype(np.float64) * b + 0.5
    expected = np.maximum(x, b) + np.where(x > 0, b, 0) * np.exp(b.astype(np.float64))
    assert out[:lanes] == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert (out[lanes:] == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int32, np.int64])
def test_item_reads_one_element_of_a_matrix_at_its_flat_place(dtype):
    @compiled
    def read(array, offset, out):
        out[0] = simd.item(array, offset)

    array, out = np.arange(24, dtype=dtype).reshape(4, 6), np.zeros(1, dtype)
    for offset in (0, 5, 6, 23):
        read(array, offset, out)
        assert out[0] == offset


def test_fma_rounds_once():
    small = 2.0**-13
    actual = apply(simd.fma, 3)([1 + small], [1 - small], [-1])
    assert actual[0] == -(small**2)  # the product alone is rounded to 1


@pytest.mark.parametrize(("operation", "expected"), [(simd.add, np.add), (simd.mul, np.multiply)])
def test_add_and_mul_are_those_of_float32(operation, expected):
    a, b = random_floats(seed=1), random_floats(seed=2)
    b[3] = np.nan
    assert apply(operation, 2)(a, b).tobytes() == expected(a, b).tobytes()


def test_maximum_takes_the_second_where_the_first_is_nan():
    a, b = random_floats(seed=1), random_floats(seed=2)
    a[5], a[6], b[7] = np.nan, np.inf, -np.inf
    expected = np.fmax(a, b)
    assert (apply(simd.maximum, 2)(a, b) == expected).all()


def test_where_positive_leaves_out_zeros_and_keeps_nan():
    a = [1.0, 0.0, -0.0, -1.0, np.nan, 1e-45, -1e-45, np.inf, -np.inf]
    b = [2.0, 3.0, 4.0, 5.0, 6.0, np.nan, 7.0, -8.0, 9.0]
    expected = floats([2, 0, 0, 0, 6, np.nan, 0, -8, 0])
    assert np.array_equal(apply(simd.where_positive, 2)(a, b), expected, equal_nan=True)


@pytest.mark.parametrize("max_width", [1, 3, 8])
def test_by_n_registers_runs_the_function_with_each_number_of_them(max_width):
    @simd.by_n_registers(max_width)
    def tell(n_registers, out):
        out[0] = n_registers

    @compiled
    def run(width, out):
        tell(width, out)

    out = np.zeros(1, np.int64)
    for width in range(1, max_width + 1):
        run(width, out)
        assert out[0] == width


def test_vectors_of_equal_lanes_are_one_type():
    assert simd.Vector(16) == simd.Vector(16) != simd.Vector(32)


def test_the_two_functions_of_by_n_registers_have_names_of_their_own(monkeypatch):
    """Loaded from the cache together, two of one name would be taken for each other."""
    names = []
    for kind in ("inlined", "specialised"):
        monkeypatch.setattr(simd, kind, lambda function: names.append(function.__qualname__) or function)
    for function in (min, max):
        simd.by_n_registers(3)(function)
    assert len(names) == len(set(names)) == 4


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("offset", [0, 90, 2**40, -(2**40)])
def test_prefetch_may_ask_for_what_does_not_exist(offset, dtype):
    @compiled
    def run(array, offset):
        simd.prefetch(array, offset)

    array = np.arange(100).astype(dtype)
    run(array, offset)
    assert np.array_equal(array, np.arange(100))
