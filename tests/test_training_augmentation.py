"""Distorted copies of training images: what the kernel is told."""

from dataclasses import fields, replace

import numpy as np
import pytest
from test_kernels_augment import digits

from fastmnist.kernels import reference_augment
from fastmnist.training.augmentation import Augmenter, examples
from fastmnist.training.recipes import Augmentation

STRONG = Augmentation(rotation=30, scale=0.2, shear=0.2, translation=2, elastic=1, smoothness=4, thickness=0.5)


@pytest.mark.parametrize("name", [field.name for field in fields(Augmentation) if field.name != "smoothness"])
def test_each_strength_reaches_the_kernel(name):
    augmentation = Augmentation(**{name: getattr(STRONG, name)})
    inputs, order = digits(5), np.array([4, 2])
    actual = Augmenter(augmentation, 2).distort(inputs, order, 3, 9).astype(int)
    strengths = {**vars(augmentation), "rotation": np.radians(augmentation.rotation)}
    for copy, sample in zip(actual, order, strict=True):
        key = reference_augment.splitmix(3 << 32 | 9, int(sample))
        expected = reference_augment.augment(inputs[sample].reshape(28, 28), key, strengths, 5.0)
        assert np.abs(copy - expected.ravel()).max() <= 3


def test_copies_are_a_pure_function_of_seed_epoch_and_position():
    inputs, order = digits(6), np.arange(6)
    expected = Augmenter(STRONG, 6).distort(inputs, order, 1, 1).copy()
    augmenter = Augmenter(STRONG, 10)
    others = [augmenter.distort(inputs, order, seed, epoch).copy() for seed, epoch in ((2, 1), (1, 2))]
    assert all((other != expected).any() for other in others)
    assert (augmenter.distort(inputs, order[::-1].copy(), 1, 1)[::-1] == expected).all()
    assert (augmenter.distort(inputs, order[3:], 1, 1) == expected[3:]).all()


def test_examples_are_the_images_and_their_copies_of_the_first_epochs():
    inputs = digits(3)
    actual = examples(inputs, STRONG, 7, 2)
    assert actual.shape == (3, 3, 28, 28)
    assert (actual[:, 0].reshape(3, 784) == inputs).all()
    augmenter = Augmenter(STRONG, 3)
    for epoch in (1, 2):
        assert (actual[:, epoch].reshape(3, 784) == augmenter.distort(inputs, np.arange(3), 7, epoch)).all()


def test_smoothness_alone_changes_nothing():
    inputs = digits(2)
    assert (Augmenter(replace(Augmentation(), smoothness=3), 2).distort(inputs, np.arange(2), 0, 1) == inputs).all()
