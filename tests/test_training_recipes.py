"""Recipes: what they refuse, what they tell, and the learning rates that they ask for."""

import json
from dataclasses import replace

import numpy as np
import pytest

from fastmnist.errors import TrainingError
from fastmnist.training.recipes import BEST, DEFAULT, RECIPES, SEED, TUNE, Augmentation, recipe_with


def test_the_seed_recipe_is_the_notebooks():
    assert SEED.as_metadata() == {
        "name": "seed",
        "hidden": [100],
        "epochs": 10,
        "batch_size": 32,
        "learning_rate": 0.1,
        "momentum": 0.0,
        "weight_decay": 0.001,
        "shuffle": False,
        "initial_scale": 0.01,
        "seed": 2,
    }


def test_recipes_are_known_by_their_names():
    assert RECIPES == {"seed": SEED, "default": DEFAULT, "best": BEST, "tune": TUNE}
    assert all(recipe.name == name for name, recipe in RECIPES.items())


def test_metadata_tells_every_setting_that_is_on():
    recipe = replace(
        SEED,
        nesterov=True,
        momentum=0.5,
        schedule="cosine",
        warmup=2,
        label_smoothing=0.1,
        average=3,
        keep=0.2,
        augment=Augmentation(rotation=5, smoothness=4),
        validation=7,
    )
    told = recipe.as_metadata()
    assert set(told) - set(SEED.as_metadata()) == {
        "nesterov", "schedule", "warmup", "label_smoothing", "average", "keep", "augment", "validation",
    }  # fmt: skip
    assert told["augment"] == {"rotation": 5, "smoothness": 4}
    assert (told["schedule"], told["warmup"], told["validation"]) == ("cosine", 2, 7)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"hidden": (5, 0)}, "hidden 5,0: expected a number from 1 to 100000"),
        ({"augment": True}, "augment True: expected an Augmentation, or a mapping of strengths"),
        ({"hidden": 300}, "hidden 300: expected a tuple of whole numbers"),
        ({"learning_rate": 10**400}, "expected a number above 0"),
        ({"epochs": 10**400}, "0: expected a number of at least 1"),
        ({"hidden": ()}, "no hidden layers, expected the sizes of one or more"),
        ({"epochs": 0}, "epochs 0: expected a number of at least 1"),
        ({"learning_rate": float("inf")}, "learning rate inf: expected a number above 0"),
        ({"weight_decay": -0.1}, "weight decay -0.1"),
        ({"momentum": 1.0}, "momentum 1: expected a number from 0 to below 1"),
        ({"momentum": float("nan")}, "momentum nan"),
        ({"label_smoothing": 1.0}, "label smoothing 1"),
        ({"warmup": -1}, "warmup -1"),
        ({"average": float("inf")}, "average inf"),
        ({"initial_scale": 0.0}, "initial scale 0: expected a number above 0, or he"),
        ({"initial_scale": float("nan")}, "initial scale nan"),
        ({"schedule": "linear"}, "schedule linear: expected one of constant, cosine"),
        ({"nesterov": True}, "nesterov without momentum"),
    ],
)
def test_settings_that_no_training_can_work_with_are_refused(settings, told):
    with pytest.raises(TrainingError, match=told):
        replace(SEED, **settings)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"rotation": 181}, "rotation 181: expected a number from 0 to 180"),
        ({"scale": 1}, "scale 1"),
        ({"smoothness": 1}, "smoothness 1: expected a number from 2 to 28"),
        ({"thickness": -0.1}, "thickness -0.1"),
        ({"elastic": float("nan")}, "elastic nan"),
    ],
)
def test_strengths_out_of_bounds_are_refused(settings, told):
    with pytest.raises(TrainingError, match=told):
        Augmentation(**settings)


def test_an_augmentation_without_strength_is_none():
    assert not Augmentation()
    assert not Augmentation(smoothness=3)
    assert Augmentation(thickness=0.1)


def test_settings_that_are_not_given_stay():
    assert DEFAULT.with_settings(epochs=None, seed=5) == replace(DEFAULT, seed=5)


def test_without_a_schedule_the_learning_rate_is_one():
    assert {SEED.rate_at(done) for done in np.linspace(0, 9.99, 50)} == {0.1}


def test_the_learning_rate_rises_and_falls_by_half_a_cosine():
    recipe = replace(SEED, epochs=10, learning_rate=2.0, schedule="cosine", warmup=2)
    done = np.array([0, 0.5, 1, 2, 4, 6, 8, 9, 10])
    expected = [0, 0.5, 1, *(1 + np.cos(np.pi * (done[3:] - 2) / 8))]
    assert [recipe.rate_at(epochs) for epochs in done] == pytest.approx(expected, abs=1e-12)
    assert replace(recipe, schedule="constant").rate_at(9) == 2
    assert replace(recipe, warmup=20).rate_at(5) == pytest.approx(0.5)


def test_numbers_of_numpy_are_numbers():
    recipe = recipe_with("seed", hidden=np.array([30, 20]), seed=np.int64(3), learning_rate=np.float32(0.5))
    assert recipe == recipe_with("seed", hidden=(30, 20), seed=3, learning_rate=0.5)
    as_given = replace(SEED, hidden=tuple(np.array([30, 20])), seed=np.int64(3))
    assert json.loads(json.dumps(as_given.as_metadata()))["hidden"] == [30, 20]
    assert json.dumps(Augmentation(rotation=np.float32(8)).as_metadata()) == '{"rotation": 8.0, "smoothness": 5.0}'
