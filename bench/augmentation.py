"""Distorted copies of images: how many a second, and what share of a training step they are."""

from dataclasses import asdict
from math import radians

import numpy as np

from bench.load import undisturbed
from bench.peers.common import Bytes
from bench.settings import Settings, WrongResultError, mnist
from bench.table import Table
from bench.timing import measure
from fastmnist.kernels import reference_augment
from fastmnist.shapes import SIDE
from fastmnist.training.augmentation import Augmenter
from fastmnist.training.loop import SAMPLES_PER_CALL, EpochDone, Training
from fastmnist.training.recipes import BEST, DEFAULT, Recipe

CHECKED_IMAGES = 50
TOLERANCE = 3  # grey levels: places are rounded to 1/256 pixel, and float32 may round one the other way


def make_table(settings: Settings) -> Table:
    """Check and time the copies of the recipes that make them."""
    pixels, labels = mnist(settings).pixels, mnist(settings).labels
    table = Table(f"Distorted copies of images, {settings.threads} threads")
    for recipe in (DEFAULT, BEST):
        _check(recipe, pixels)
        for _ in undisturbed(table, settings):
            copies = _seconds_per_image(recipe, pixels, settings)
            training = Training(pixels, labels, recipe.with_settings(epochs=2, warmup=0))
            step = min(event.seconds for event in training.run() if isinstance(event, EpochDone)) / len(pixels)
            table.add(recipe.name, 1 / copies, unit="images/s", note=f"{copies / step:.0%} of the step; goal 25 %")
    return table


def _seconds_per_image(recipe: Recipe, pixels: Bytes, settings: Settings) -> float:
    augmenter, order = Augmenter(recipe.augment, SAMPLES_PER_CALL), np.arange(SAMPLES_PER_CALL)
    timing = measure(lambda: augmenter.distort(pixels, order, recipe.seed, 1), repeats=settings.repeats(50))
    return timing.median / SAMPLES_PER_CALL


def _check(recipe: Recipe, pixels: Bytes) -> None:
    """Compare the first copies with the reference's."""
    strengths = asdict(recipe.augment) | {"rotation": radians(recipe.augment.rotation)}
    order = np.arange(CHECKED_IMAGES)
    actual = Augmenter(recipe.augment, len(order)).distort(pixels, order, recipe.seed, 1)
    for sample in order:
        key = reference_augment.splitmix(recipe.seed << 32 | 1, int(sample))
        image = pixels[sample].reshape(SIDE, SIDE)
        expected = reference_augment.augment(image, key, strengths, recipe.augment.smoothness).ravel()
        if np.abs(actual[sample].astype(int) - expected).max() > TOLERANCE:
            raise WrongResultError(f"copies of the recipe {recipe.name}: image {sample} is not the reference's")
