"""The targets of the methods that were measured and left out."""

import numpy as np

from experiments import left_out
from fastmnist.model.network import Network

LABELS = np.array([3, 0, 9], np.uint8)


def some_images():
    return np.random.default_rng(0).integers(0, 256, (len(LABELS), 784), dtype=np.uint8)


def test_without_teachers_the_targets_are_the_smoothed_labels():
    targets = left_out.targets_of(some_images(), LABELS, 0.1, [])
    expected = 0.9 * np.eye(10)[LABELS] + 0.1 / 10
    np.testing.assert_allclose(targets, expected, rtol=1e-6)


def test_teachers_take_their_share_with_the_mean_of_their_probabilities():
    images = some_images()
    teachers = [Network.random((784, 16, 10), seed, scale=None) for seed in (0, 1)]
    seen = [teacher.predict_probabilities(images)[2].astype(np.float64) for teacher in teachers]
    targets = left_out.targets_of(images, LABELS, 0.1, teachers)
    labels = left_out.targets_of(images, LABELS, 0.1, [])
    share = left_out.TEACHERS_SHARE
    np.testing.assert_allclose(targets, share * (seen[0] + seen[1]) / 2 + (1 - share) * labels, rtol=1e-5)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-5)
