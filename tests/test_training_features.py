"""Features of any scale, brought to that of MNIST's pixels."""

import numpy as np
import pytest

from fastmnist.training import features as module
from fastmnist.training.features import BLOCK, SQUARED_LENGTH, Scaling


def scaled(features):
    return Scaling.of(features).apply(features)


def mean_squared_length(rows):
    return float(np.square(rows.astype(np.float64)).sum(axis=1).mean())


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("n_samples", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 7])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.bool_, np.float16, np.float32, np.float64])
def test_any_numbers_of_any_type_become_float32(n_samples, dtype, rng):
    features = rng.integers(0, 2, (n_samples, 5)).astype(dtype)
    result = scaled(features)
    assert (result.shape, result.dtype, result.flags.c_contiguous) == (features.shape, np.float32, True)
    assert np.isfinite(result).all()


@pytest.mark.parametrize("share", [0.02, 0.5, 0.8])
def test_features_with_many_zeros_keep_them_and_their_signs(share, rng):
    features = rng.normal(size=(1000, 20)) * (rng.random((1000, 20)) < share)
    assert (np.sign(scaled(features)) == np.sign(features)).all()


def test_other_features_are_centred(rng):
    result = scaled(rng.uniform(1990, 2020, (1000, 20)))
    assert np.abs(result.mean(axis=0)).max() < 1e-6


@pytest.mark.parametrize(("n_features", "expected"), [(1, 1), (30, 30), (87, 87), (784, SQUARED_LENGTH)])
@pytest.mark.parametrize("share", [0.2, 1])
def test_the_mean_squared_length_is_that_of_mnist_or_the_number_of_features(n_features, expected, share, rng):
    features = 1e5 * rng.random((1000, n_features)) * (rng.random((1000, n_features)) < share)
    assert mean_squared_length(scaled(features)) == pytest.approx(expected, rel=1e-5)


def test_pixels_of_mnist_hardly_change_their_length(digits):
    pixels = digits[0].reshape(-1, 784)
    assert mean_squared_length(pixels / 255) == pytest.approx(SQUARED_LENGTH, rel=0.05)


@pytest.mark.parametrize("value", [0.0, 1.0, -1e300, 0.1, 5e-324])
def test_a_constant_feature_is_nothing(value, rng):
    features = np.column_stack([rng.normal(size=300), np.full(300, value)])
    assert (scaled(features)[:, 1] == 0).all()


def test_constant_data_are_nothing():
    assert (scaled(np.full((3, 4), 7.0)) == 0).all()


def plainly_scaled(features, predicted):
    """Features `predicted` by the plain formula, whole arrays at once."""
    seen = features.astype(np.float64)
    unit = np.abs(seen).max(axis=0)
    unit[unit == 0] = 1
    centre = np.where((seen != 0).mean(axis=0) > 0.9, (seen / unit).mean(axis=0), 0)
    factor = 1 / np.abs(seen / unit - centre).max(axis=0)
    factor *= np.sqrt(min(seen.shape[1], SQUARED_LENGTH) / mean_squared_length((seen / unit - centre) * factor))
    clipped = np.clip(predicted.astype(np.float64), seen.min(axis=0), seen.max(axis=0))
    return (clipped / unit - centre) * factor


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_sparse_and_dense_features_are_scaled_as_the_plain_formula_says(dtype, rng):
    features = rng.integers(1, 200, (3 * BLOCK + 5, 40)) * (rng.random((3 * BLOCK + 5, 40)) < np.linspace(0.5, 1, 40))
    features, others = features[:-BLOCK].astype(dtype), 2 * features[-BLOCK:].astype(dtype)
    actual = Scaling.of(features).apply(others)
    np.testing.assert_allclose(actual, plainly_scaled(features, others), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_any_number_of_threads_gives_the_same_bytes(threads, rng, monkeypatch):
    features = rng.normal(size=(3 * BLOCK + 5, 30)) * (rng.random((3 * BLOCK + 5, 30)) < np.linspace(0.5, 1, 30))
    expected = scaled(features).tobytes()
    monkeypatch.setattr(module, "n_threads", lambda: threads)
    monkeypatch.setattr(module, "VALUES_PER_THREAD", 1)
    assert scaled(features).tobytes() == expected
    assert scaled(features[:2]).shape == (2, 30)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.bool_, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("n_features", [1, 30, 64, 100])
def test_rows_are_what_apply_gives_without_its_zeros(n_features, dtype, rng, monkeypatch):
    shape = 3 * BLOCK + 5, n_features
    features = (rng.normal(size=shape) * 20 * (rng.random(shape) < np.linspace(0.2, 1, n_features))).astype(dtype)
    features[:, 0] = 3  # centred, all are 0
    features = np.asfortranarray(features)
    scaling = Scaling.of(features)
    expected = scaling.apply(features)
    monkeypatch.setattr(module, "n_threads", lambda: 3)
    monkeypatch.setattr(module, "VALUES_PER_THREAD", 1)
    rows = scaling.rows(features)
    for sample, (start, end) in enumerate(zip(rows.csr.starts, rows.csr.ends, strict=True)):
        assert rows.csr.indices[start:end].tolist() == np.flatnonzero(expected[sample]).tolist()
        assert rows.csr.data[start:end].tobytes() == expected[sample][expected[sample] != 0].tobytes()
        assert rows.csr.indices[end] == n_features


def test_rows_that_take_too_much_memory_are_not_kept(rng, monkeypatch):
    features = rng.random((100, 10))
    monkeypatch.setattr(module, "KEPT_BYTES", 100 * 11 * 6)
    assert Scaling.of(features).rows(features) is not None
    monkeypatch.setattr(module, "KEPT_BYTES", 100 * 11 * 6 - 1)
    assert Scaling.of(features).rows(features) is None


@pytest.mark.parametrize("exponent", [-1000, -30, 30, 1000])
def test_a_power_of_two_changes_no_bit(exponent, rng):
    features = rng.normal(size=(500, 30)) * (rng.random((500, 30)) < np.linspace(0.1, 1, 30))
    assert scaled(np.ldexp(features, exponent)).tobytes() == scaled(features).tobytes()


def test_the_largest_and_the_smallest_numbers_stay_finite(rng):
    largest, smallest = np.finfo(np.float64).max, 5e-324
    features = rng.choice([-largest, -1, -smallest, 0, smallest, 1, largest], (1000, 10))
    result = scaled(features)
    assert np.isfinite(result).all()
    assert mean_squared_length(result) == pytest.approx(10, rel=1e-5)


def test_what_lies_beyond_the_training_counts_as_its_bound(rng):
    features = rng.uniform(-1, 3, (500, 4))
    scaling = Scaling.of(features)
    bounds = scaling.apply(np.stack([features.min(axis=0), features.max(axis=0)]))
    beyond = scaling.apply(np.stack([np.full(4, -1.7e308), np.full(4, 1.7e308)]))
    assert beyond.tobytes() == bounds.tobytes()


def test_a_rare_feature_is_not_blown_up(rng):
    features = np.column_stack([rng.random((1000, 2)), np.zeros(1000)])
    features[7, 2] = 1
    result = scaled(features)
    assert result.max() == result[7, 2] < 3


def test_no_features_to_predict_for(rng):
    assert Scaling.of(rng.random((5, 3))).apply(np.zeros((0, 3))).shape == (0, 3)
