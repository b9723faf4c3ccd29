"""Distorted copies of images, against the oracle."""

import numpy as np
import pytest
from kernel_builds import run_in_all_ways

from fastmnist.kernels import augment, reference_augment

SMOOTHNESS = 5.0
NONE = {"rotation": 0, "scale": 0, "shear": 0, "translation": 0, "elastic": 0, "thickness": 0}
ALL = {"rotation": 0.3, "scale": 0.2, "shear": 0.2, "translation": 2, "elastic": 1.5, "thickness": 0.8}
KEY = np.uint64(7 << 32 | 3)


def digits(n, seed=0):
    """Images with rings of ink of random sizes and places, soft at the edges, uint8 (n, 784)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:28, :28]
    distances = np.hypot(y - rng.uniform(10, 18, (n, 1, 1)), x - rng.uniform(10, 18, (n, 1, 1)))
    ink = np.clip(2.5 - np.abs(distances - rng.uniform(3, 9, (n, 1, 1))), 0, 1)
    return (255 * ink).astype(np.uint8).reshape(n, 784)


def run(inputs, strengths, order=None, key=KEY, smoothness=SMOOTHNESS):
    """Copies by all builds, which must give equal bytes, on any number of parts."""
    order = np.arange(len(inputs)) if order is None else order
    basis = augment.make_basis(smoothness)
    arguments = (
        inputs,
        order,
        key,
        augment.Strengths(**{name: np.float32(value) for name, value in strengths.items()}),
        augment.make_columns(basis),
        lambda n_parts: augment.make_workspace(basis.shape[1], n_parts),
        np.full((len(order), 784), 9, np.uint8),
    )
    return run_in_all_ways(augment.augment, arguments, outputs=[6])


def reference_copies(inputs, strengths, order, smoothness=SMOOTHNESS):
    keys = [reference_augment.splitmix(int(KEY), int(sample)) for sample in order]
    images = [inputs[sample].reshape(28, 28) for sample in order]
    return np.array(
        [reference_augment.augment(image, key, strengths, smoothness) for image, key in zip(images, keys, strict=True)]
    ).reshape(-1, 784)


@pytest.mark.parametrize("strengths", [NONE, *({**NONE, name: ALL[name]} for name in ALL), ALL], ids=str)
def test_copies_equal_the_oracles(strengths):
    inputs, order = digits(8), np.array([3, 0, 7, 7, 5])
    actual = run(inputs, strengths, order).astype(int)
    # A place may be rounded to the next 256th of a pixel: a grey level off on each axis, and one for the rounding.
    assert np.abs(actual - reference_copies(inputs, strengths, order)).max() <= 3
    if strengths != NONE:
        assert (np.abs(actual - inputs[order]).max(axis=1) > 10).all()


@pytest.mark.parametrize("smoothness", [2.0, 3.5, 28.0])
def test_displacements_of_any_smoothness_equal_the_oracles(smoothness):
    inputs, order = digits(3), np.arange(3)
    actual = run(inputs, {**NONE, "elastic": 1}, smoothness=smoothness).astype(int)
    assert np.abs(actual - reference_copies(inputs, {**NONE, "elastic": 1}, order, smoothness)).max() <= 3


def test_without_strength_a_copy_is_the_image_byte_for_byte():
    inputs = np.random.default_rng(0).integers(256, size=(4, 784), dtype=np.uint8)
    assert (run(inputs, NONE) == inputs).all()


@pytest.mark.parametrize("smoothness", [2.0, 5.0, 28.0])
def test_displacements_vary_as_much_at_the_edge_as_in_the_middle(smoothness):
    basis = augment.make_basis(smoothness)
    assert (basis[:, 2:].astype(np.float64) ** 2).sum(axis=1) == pytest.approx(np.ones(28), rel=1e-6)


def test_a_copy_depends_on_the_key_and_the_position_and_nothing_else():
    inputs = np.repeat(digits(1), 50, axis=0)
    copies = run(inputs, ALL)
    assert len(np.unique(copies, axis=0)) == 50
    order = np.random.default_rng(0).permutation(50)
    assert (run(inputs, ALL, order) == copies[order]).all()
    assert (run(inputs, ALL, order[:1]) == copies[order[:1]]).all()
    assert (run(inputs, ALL, key=KEY + np.uint64(1)) != copies).any(axis=1).all()


def test_background_stays_zero():
    inputs = digits(20)
    assert (run(inputs * np.uint8(0), ALL) == 0).all()
    far = np.ones((28, 28), bool)
    far[1:27, 1:27] = False  # the ink ends 8 pixels from the edge, or farther
    inputs.reshape(-1, 28, 28)[:, far] = 0
    copies = run(inputs, {**NONE, "translation": 1, "thickness": 1}).reshape(-1, 28, 28)
    grown = np.pad(inputs.reshape(-1, 28, 28), ((0, 0), (2, 2), (2, 2)))
    near = np.lib.stride_tricks.sliding_window_view(grown, (5, 5), axis=(1, 2)).max(axis=(3, 4)) > 0
    assert (copies[~near] == 0).all()


def test_ink_beyond_the_edge_is_gone_and_does_not_come_in_again():
    inputs = np.full((1, 784), 255, np.uint8)
    copies = np.concatenate(
        [run(inputs, {**NONE, "translation": 28}, key=np.uint64(key)) for key in range(20)]
    ).reshape(-1, 28, 28)
    for copy in copies:
        rows, columns = (copy > 0).any(axis=1), (copy > 0).any(axis=0)
        assert rows[0] or rows[-1] or not rows.any()
        assert np.abs(np.diff(rows.astype(int))).sum() <= 1
        assert np.abs(np.diff(columns.astype(int))).sum() <= 1


def test_no_images_give_no_copies():
    assert run(digits(2), ALL, np.zeros(0, np.int64)).shape == (0, 784)
