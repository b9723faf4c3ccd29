"""The table of accuracies counts what it says."""

import pytest

from experiments import normalization
from fastmnist.model.model_file import SHIPPED, load_model


@pytest.fixture(scope="module")
def network():
    return load_model(SHIPPED).network


def test_files_in_mnists_own_form_score_as_the_digits_do(network, digits, monkeypatch):
    monkeypatch.setattr(normalization, "CHUNK", 64)  # several, the last one smaller
    monkeypatch.setattr(normalization, "SHARE", 10)
    images, labels = (array[:150] for array in digits)
    expected = (network.predict(images.reshape(150, 784))[0] == labels).mean()
    ways = [normalization.resized, normalization.auto]
    plain, ours = normalization.score(network, normalization.as_png(images), labels, ways)
    assert plain == ours
    assert ours[:2] == (expected, 0)
    plain, ours = normalization.score(network, normalization.as_png(255 - images), labels, ways)
    assert plain.accuracy < 0.3 < 0.9 < ours.accuracy


def test_a_picture_without_a_digit_counts_as_wrong(network, digits):
    images, labels = digits[0][:4].copy(), digits[1][:4]
    images[2] = 0
    (ours,) = normalization.score(network, normalization.as_png(images), labels, [normalization.auto])
    assert ours == (0.75, 1, 0)
