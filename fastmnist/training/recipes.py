"""Recipes: named sets of training settings."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, TypeVar

from fastmnist.errors import TrainingError
from fastmnist.shapes import SIDE
from fastmnist.training.settings import check_settings, setting

SCHEDULES = ("constant", "cosine")
HE = "he"  # initial weights of scale sqrt(2 / n_in) in each layer (He et al. 2015)


@dataclass(frozen=True)
class Augmentation:
    """How strong each distortion is: each image draws uniformly from -strength to strength. All 0: no distortion."""

    rotation: float = setting("degrees", 0.0, low=0, high=180)
    scale: float = setting("share of the size, for height and width each", 0.0, low=0, high=0.9)
    shear: float = setting("columns per row", 0.0, low=0, high=5)
    translation: float = setting("pixels, for each axis", 0.0, low=0, high=SIDE)
    elastic: float = setting("standard deviation of the displacement, pixels, for each axis", 0.0, low=0, high=SIDE)
    smoothness: float = setting(
        "standard deviation of the Gaussian that smooths the displacement, pixels", 5.0, low=2, high=SIDE
    )
    thickness: float = setting("1: strokes grow or shrink by a pixel on every side", 0.0, low=0, high=1)

    def __post_init__(self) -> None:
        """Raise TrainingError for a strength out of its range."""
        check_settings(self)

    def __bool__(self) -> bool:
        """Return whether images are changed at all."""
        return self != Augmentation(smoothness=self.smoothness)

    def as_metadata(self) -> dict[str, float]:
        """Return the strengths for a model file's metadata, without those that are 0."""
        return {name: _plain(value) for name, value in asdict(self).items() if value}


NO_AUGMENTATION = Augmentation()


@dataclass(frozen=True)
class Recipe:
    """All settings of a training run; equal recipes and data give equal networks, byte for byte."""

    name: str
    hidden: tuple[int, ...] = setting(
        "Sizes of the hidden layers, as in 300,100.", low=1, high=100_000, metavar="SIZES"
    )
    epochs: int = setting("Passes over the training set.", low=1)
    batch_size: int = setting("Images per step.", low=1, high=65_536)
    learning_rate: float = setting("Learning rate (the peak, with a schedule).", above=0)
    momentum: float = setting("SGD momentum.", low=0, below=1)
    weight_decay: float = setting("L2 penalty on the weights.", low=0)
    shuffle: bool = setting("Shuffle the images every epoch.")
    initial_scale: float | str = setting(
        "Standard deviation of the initial weights, or he for sqrt(2 / inputs).", above=0, words=(HE,), metavar="SCALE"
    )
    seed: int = setting("Random seed.", low=0, high=2**32 - 1)
    # Everything from here on is off, unless a recipe turns it on.
    nesterov: bool = setting("Nesterov momentum.", False)
    schedule: str = setting("Learning-rate schedule after the warm-up; cosine falls to 0.", "constant", words=SCHEDULES)
    warmup: float = setting("Linear warm-up of the learning rate over this many epochs.", 0.0, low=0, metavar="EPOCHS")
    label_smoothing: float = setting("Share of each label that is spread over all classes.", 0.0, low=0, below=1)
    average: float = setting(
        "Exponential moving average of the weights, over this many epochs.", 0.0, low=0, metavar="EPOCHS"
    )
    keep: float = setting(
        "Weight of the --from model in the result, a weighted mean of both models.", 0.0, low=0, below=1
    )
    augment: Augmentation = NO_AUGMENTATION
    validation: int = setting(
        "Hold out the last N training images, report the accuracy on them, and calibrate the confidences on them.",
        0,
        low=0,
        metavar="N",
    )

    def __post_init__(self) -> None:
        """Raise TrainingError for an unusable setting."""
        check_settings(self)
        if not isinstance(self.augment, Augmentation):
            raise TrainingError(f"augment {self.augment!r}: expected an Augmentation, or a mapping of strengths")
        if not self.hidden:
            raise TrainingError("no hidden layers, expected the sizes of one or more")
        if self.nesterov and not self.momentum:
            raise TrainingError("nesterov without momentum: expected a `momentum` above 0")

    def with_settings(self, **settings: Any) -> "Recipe":
        """Return this recipe with those of `settings` that are not None in place of its own."""
        return replace(self, **{name: value for name, value in settings.items() if value is not None})

    def rate_at(self, epochs_done: float) -> float:
        """Return the learning rate after `epochs_done` epochs: a linear rise, then constant or half a cosine wave.

        Cosine annealing without restarts: Loshchilov and Hutter 2017; the warm-up: Goyal et al. 2017, sec. 2.2.
        """
        if epochs_done < self.warmup:
            return self.learning_rate * epochs_done / self.warmup
        if self.schedule == "constant":
            return self.learning_rate
        share = (epochs_done - self.warmup) / (self.epochs - self.warmup)
        return self.learning_rate * (1 + math.cos(math.pi * share)) / 2

    def as_metadata(self) -> dict[str, Any]:
        """Return the settings for a model file's metadata, without those that are off."""
        used = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        for field in fields(self):
            if field.default is not MISSING and used[field.name] == field.default:
                del used[field.name]
        used["hidden"] = [_plain(size) for size in self.hidden]
        if self.augment:
            used["augment"] = self.augment.as_metadata()
        return used


# The teaching notebook's recipe: weights 0.01 * N(0, 1), biases 0, plain SGD in file order. Of the seeds 0 to 9,
# trained on the first 50,000 training images, 2 was the best on the last 10,000: 97.37 %, the others 97.03 to 97.35 %.
SEED = Recipe(
    name="seed",
    hidden=(100,),
    epochs=10,
    batch_size=32,
    learning_rate=0.1,
    momentum=0.0,
    weight_decay=0.001,
    shuffle=False,
    initial_scale=0.01,
    seed=2,
)

# The most accurate recipe that trains in about ten seconds on two cores; see docs/accuracy.md.
DEFAULT = Recipe(
    name="default",
    hidden=(320, 160),
    epochs=20,
    batch_size=128,
    learning_rate=0.2,
    momentum=0.9,
    weight_decay=1e-5,
    shuffle=True,
    initial_scale=HE,
    seed=0,
    nesterov=True,
    schedule="cosine",
    warmup=0.5,
    label_smoothing=0.02,
    augment=Augmentation(rotation=8, scale=0.08, shear=0.08, translation=0.7, elastic=0.6, thickness=0.2),
)

# The most accurate recipe that trains within a quarter of an hour on two cores; see docs/accuracy.md.
BEST = DEFAULT.with_settings(
    name="best",
    hidden=(1024, 512),
    epochs=300,
    augment=Augmentation(rotation=12, scale=0.12, shear=0.12, translation=1, elastic=1.2, thickness=0.4),
)

# For fine-tuning a model on a few pictures of one person's handwriting; the hidden layers are that model's. The mean of
# the weights before and after (Wortsman et al., Robust fine-tuning of zero-shot models, 2022) forgets next to nothing,
# and needs none of the old training images; see docs/accuracy.md.
TUNE = DEFAULT.with_settings(
    name="tune",
    epochs=60,
    batch_size=16,
    learning_rate=0.005,
    warmup=0.0,
    keep=0.15,
    augment=Augmentation(rotation=8, scale=0.08, shear=0.08, translation=0.5, elastic=0.6, thickness=0.2),
)

RECIPES = {recipe.name: recipe for recipe in (SEED, DEFAULT, BEST, TUNE)}

Settings = TypeVar("Settings", Recipe, Augmentation)


def recipe_with(
    recipe: str | Recipe | None,
    *,
    goes_on: bool = False,
    augment: Mapping[str, float] | Augmentation | None = None,
    **settings: Any,
) -> Recipe:
    """Return a named recipe, or your own, with the settings that are not None applied. Raises TrainingError.

    `goes_on`: a model is fine-tuned, which has its own hidden layers. Without a `recipe`, it is then "tune", and
    otherwise "default".
    """
    if goes_on and settings.get("hidden") is not None:
        raise TrainingError("`hidden` for a model that has its own hidden layers", hint="leave out `hidden` or `start`")
    recipe = recipe or ("tune" if goes_on else "default")
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            raise TrainingError(f"recipe {recipe!r}, expected one of {', '.join(RECIPES)}")
        recipe = RECIPES[recipe]
    if not isinstance(recipe, Recipe):
        raise TrainingError(f"recipe {recipe!r}, expected one of {', '.join(RECIPES)}, or a Recipe")
    if isinstance(augment, Mapping):
        augment = _replaced(recipe.augment, augment)
    given = {name: value for name, value in {**settings, "augment": augment}.items() if value is not None}
    return _replaced(recipe, given)


def _plain(value: Any) -> Any:
    """Return NumPy's numbers and arrays as Python's numbers and lists."""
    return value.tolist() if hasattr(value, "tolist") else value


def _replaced(declared: Settings, given: Mapping[str, Any]) -> Settings:
    known = [field.name for field in fields(declared)]
    for name in given:
        if name not in known:
            raise TrainingError(f"unknown setting {name!r}, expected one of {', '.join(known)}")
    plain = {name: _plain(value) for name, value in given.items()}
    if isinstance(sizes := plain.get("hidden"), list | int):
        plain["hidden"] = tuple(sizes) if isinstance(sizes, list) else (sizes,)
    return replace(declared, **plain)
