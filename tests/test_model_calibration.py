import numpy as np
import pytest
from conftest import random_network

from fastmnist.kernels import reference
from fastmnist.model.calibration import HIGHEST, LOWEST, calibrated, fit_temperature
from fastmnist.model.network import Network


def cross_entropy(logits, labels, temperature):
    probabilities = reference.softmax(logits.astype(np.float64) / temperature)
    return -np.log(probabilities[np.arange(len(labels)), labels]).mean()


def drawn(temperature, n=20_000, seed=0):
    """Logits, and labels drawn from the probabilities that they have at a temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3, size=(n, 10)).astype(np.float32)
    shares = reference.softmax(logits.astype(np.float64) / temperature).cumsum(axis=1)
    return logits, np.minimum((rng.random((n, 1)) > shares).sum(axis=1), 9).astype(np.uint8)


@pytest.mark.parametrize("temperature", [0.5, 1, 1.7, 6])
def test_the_temperature_that_labels_were_drawn_with_is_found(temperature):
    """To 4 %: the labels are a sample."""
    logits, labels = drawn(temperature)
    fitted = fit_temperature(logits, labels)
    assert fitted == pytest.approx(temperature, rel=0.04)
    for other in (fitted * 0.999, fitted * 1.001):
        assert cross_entropy(logits, labels, fitted) < cross_entropy(logits, labels, other)


def test_the_slope_is_zero_there():
    logits, labels = drawn(2, n=500)
    fitted, step = fit_temperature(logits, labels), 1e-5
    above, below = (cross_entropy(logits, labels, fitted + sign * step) for sign in (1, -1))
    assert abs(above - below) / (2 * step) < 1e-9


def test_all_right_and_all_wrong_end_at_the_bounds():
    logits = np.eye(10, dtype=np.float32) * 5
    labels = np.arange(10, dtype=np.uint8)
    assert fit_temperature(logits, labels) == pytest.approx(LOWEST)
    assert fit_temperature(logits, (labels + 1).astype(np.uint8) % 10) == pytest.approx(HIGHEST)
    assert np.isfinite(fit_temperature(np.full((3, 10), 3e38, np.float32), labels[:3]))


def test_a_calibrated_network_divides_its_logits_and_changes_no_label():
    network = random_network((784, 8, 16, 10))
    before = network.parameters.copy()
    pixels = np.random.default_rng(0).integers(0, 256, (200, 784), dtype=np.uint8)
    scaled = calibrated(network, 2.5)
    assert scaled.logits(pixels) == pytest.approx(network.logits(pixels) / 2.5, rel=1e-4, abs=1e-5)
    assert (scaled.predict(pixels)[0] == network.predict(pixels)[0]).all()
    assert (network.parameters == before).all()
    assert isinstance(scaled, Network)


def expected_calibration_error(confidences, is_right, n_bins=15):
    """How far confidence and accuracy are apart within equal ranges of confidence (Guo et al. 2017, eq. 3)."""
    bins = (confidences * n_bins).astype(int)
    gaps = [abs((confidences - is_right)[bins == number].sum()) for number in set(bins.tolist())]
    return sum(gaps) / len(confidences)


def test_calibration_brings_the_error_down():
    logits, labels = drawn(3)
    held_out, held_out_labels = drawn(3, seed=1)
    errors = []
    for temperature in (1, fit_temperature(held_out, held_out_labels)):
        probabilities = reference.softmax(logits.astype(np.float64) / temperature)
        is_right = probabilities.argmax(axis=1) == labels
        errors.append(expected_calibration_error(probabilities.max(axis=1), is_right))
    assert errors[0] > 0.2
    assert errors[1] < 0.02
