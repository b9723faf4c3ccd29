import numpy as np
import pytest
from conftest import random_network

from fastmnist.errors import ModelError
from fastmnist.evaluation import CHUNK, N_BINS, Evaluation, evaluate
from fastmnist.kernels import reference

NOTHING = np.zeros(0, np.uint8)


def test_figures_of_an_example_worked_by_hand():
    # True class 0: 3 right, 1 taken for 1. True class 1: 2 right. Class 2 has no sample and is never predicted.
    result = Evaluation(0.5, np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]]), 0.1, NOTHING)
    assert result.n_samples == 6
    assert result.accuracy == pytest.approx(5 / 6)
    np.testing.assert_allclose(result.precision, [1, 2 / 3, 0])
    np.testing.assert_allclose(result.recall, [3 / 4, 1, 0])
    np.testing.assert_allclose(result.f1, [6 / 7, 4 / 5, 0])


def test_as_dict_is_the_same_in_plain_python():
    result = Evaluation(0.5, np.array([[1, 1], [0, 2]]), 0.1, NOTHING)
    assert result.as_dict() == {
        "n_samples": 4,
        "accuracy": 0.75,
        "accuracy_interval": [pytest.approx(0.300642), pytest.approx(0.954413)],
        "loss": 0.5,
        "calibration_error": 0.1,
        "reliability": [],
        "precision": [1.0, 2 / 3],
        "recall": [0.5, 1.0],
        "f1": [2 / 3, 0.8],
        "confusion": [[1, 1], [0, 2]],
        "top_confusions": [[0, 1, 1]],
        "n_errors": 0,
    }


@pytest.mark.parametrize("n_samples", [1, 300, CHUNK - 1, CHUNK, CHUNK + 1])
def test_loss_and_confusion_are_the_oracles(n_samples):
    rng = np.random.default_rng(n_samples)
    network = random_network()
    pixels = rng.integers(0, 256, (n_samples, 784), dtype=np.uint8)
    labels = rng.integers(0, 10, n_samples, dtype=np.uint8)
    layers = range(network.n_layers)
    logits = reference.forward([network.weights(n) for n in layers], [network.biases(n) for n in layers], pixels)[-1]
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (labels, logits.argmax(axis=1)), 1)
    actual = evaluate(network, pixels, labels)
    np.testing.assert_array_equal(actual.confusion, confusion)
    assert actual.loss == pytest.approx(reference.cross_entropy(logits, labels).mean(), rel=1e-5)
    assert (actual.predictions == logits.argmax(axis=1)).all()
    assert actual.calibration_error == pytest.approx(calibration_error(logits, labels), rel=1e-4, abs=1e-5)
    probabilities = reference.softmax(logits)
    np.testing.assert_allclose(actual.confidences, probabilities.max(axis=1), rtol=1e-4)
    np.testing.assert_allclose(actual.label_probabilities, probabilities[range(n_samples), labels], rtol=1e-4)


def test_the_bins_are_those_of_the_confidences():
    network = random_network()
    pixels = np.random.default_rng(1).integers(0, 256, (500, 784), dtype=np.uint8)
    labels = np.arange(500, dtype=np.uint8) % 10
    figures = evaluate(network, pixels, labels)
    bins = (figures.confidences * N_BINS).astype(int)
    assert [row["n_samples"] for row in figures.reliability] == [count for count in np.bincount(bins) if count]
    for row, bin_ in zip(figures.reliability, np.unique(bins), strict=True):
        inside = bins == bin_
        assert row["confidence"] == pytest.approx(figures.confidences[inside].mean(), rel=1e-5)
        assert row["accuracy"] == pytest.approx((figures.predictions == labels)[inside].mean())


@pytest.mark.parametrize(
    ("right", "wrong", "low", "high"),
    [(0, 10, 0.0, 0.277533), (10, 0, 0.722467, 1.0), (81, 182, 0.255289, 0.366210), (1, 1, 0.094531, 0.905469)],
)
def test_the_interval_of_the_accuracy_is_wilsons(right, wrong, low, high):
    """Newcombe 1998, Statistics in Medicine 17, table I, has 0.2553 to 0.3662 for 81 of 263."""
    figures = Evaluation(0.0, np.array([[right, wrong], [0, 0]]), 0.0, NOTHING)
    assert figures.accuracy_interval == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


def calibration_error(logits, labels):
    """By the definition: a mean of |accuracy - confidence| over bins of confidence."""
    confidences, right = reference.softmax(logits).max(axis=1), logits.argmax(axis=1) == labels
    error = 0
    for low in np.arange(15) / 15:
        inside = (confidences >= low) & (confidences < low + 1 / 15)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidences[inside].mean())
    return error


def test_a_network_that_is_always_sure_is_off_by_its_errors():
    network = random_network()
    network.parameters[:] = 0
    network.biases(1)[3] = 1e4
    labels = np.array([3] * 7 + [5] * 3, np.uint8)
    assert evaluate(network, np.zeros((10, 784), np.uint8), labels).calibration_error == pytest.approx(0.3)


def test_confusions_are_named_the_most_frequent_first():
    confusion = np.array([[9, 0, 2], [5, 9, 2], [1, 0, 9]])
    expected = [(1, 0, 5), (0, 2, 2), (1, 2, 2), (2, 0, 1)]
    assert Evaluation(0.0, confusion, 0.0, NOTHING).top_confusions == expected
    many = Evaluation(0.0, np.ones((10, 10), np.int64), 0.0, NOTHING).top_confusions
    assert many == [(0, said, 1) for said in range(1, 10)] + [(1, 0, 1)]
    assert Evaluation(0.0, np.eye(3, dtype=np.int64), 0.0, NOTHING).top_confusions == []


def test_nan_outputs_are_an_error():
    network = random_network()
    network.parameters[:] *= np.float32(1e37)
    with pytest.raises(ModelError, match="outputs are not finite"):
        evaluate(network, np.full((2, 784), 255, np.uint8), np.zeros(2, np.uint8))
