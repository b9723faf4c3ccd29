"""The named sets of training settings."""

import math
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from fastmnist.errors import TrainingError
from fastmnist.training.augmentation import Augmentation

NO_AUGMENTATION = Augmentation()
SCHEDULES = ("constant", "cosine")
HE = "he"  # initial weights of the scale sqrt(2 / n_in) of each layer (He et al. 2015)


@dataclass(frozen=True)
class Recipe:
    """All settings of a training run; equal recipes and data give equal networks, byte for byte."""

    name: str
    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float  # the highest one
    momentum: float
    weight_decay: float
    shuffle: bool
    initial_scale: float | str  # of the random weights, or HE
    seed: int
    # From here on: off, unless a recipe asks for it.
    nesterov: bool = False
    schedule: str = "constant"  # of the learning rate after the warm-up; "cosine" goes down to 0
    warmup: float = 0.0  # epochs in which the learning rate rises from 0
    label_smoothing: float = 0.0  # share of the labels that is spread over all classes
    average: float = 0.0  # epochs that the network's weights are averaged over
    augment: Augmentation = NO_AUGMENTATION
    validation: int = 0  # samples at the end of the training set that are held out

    def __post_init__(self) -> None:
        """Raise TrainingError for a setting that no training can work with."""
        if any(size < 1 for size in self.hidden):
            raise TrainingError(f"hidden layers of {self.hidden} units: expected 1 or more in each")
        if self.epochs < 1 or self.batch_size < 1:
            raise TrainingError(f"{self.epochs} epochs, batches of {self.batch_size}: expected 1 or more of both")
        if not (0 < self.learning_rate < math.inf and 0 <= self.weight_decay < math.inf):
            raise TrainingError(
                f"learning rate {self.learning_rate}, weight decay {self.weight_decay}: "
                "expected finite numbers, above 0 and not below 0"
            )
        for name in ("momentum", "label_smoothing"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise TrainingError(f"{name.replace('_', ' ')} {value}: expected a number from 0 to below 1")
        if self.initial_scale != HE and not 0 < float(self.initial_scale) < math.inf:
            raise TrainingError(f"initial scale {self.initial_scale}: expected a number above 0, or {HE}")
        if self.schedule not in SCHEDULES:
            raise TrainingError(f"schedule {self.schedule}: expected one of {', '.join(SCHEDULES)}")
        for name in ("warmup", "average", "validation"):
            if not 0 <= getattr(self, name) < math.inf:
                raise TrainingError(f"{name} {getattr(self, name)}: expected a number, not below 0")
        if self.nesterov and not self.momentum:
            raise TrainingError("nesterov without momentum: expected a --momentum above 0")

    def with_settings(self, **settings: Any) -> "Recipe":
        """Return this recipe with each setting that is not None put in the place of its own."""
        return replace(self, **{name: value for name, value in settings.items() if value is not None})

    def rate_at(self, epochs_done: float) -> float:
        """Return the learning rate after so many epochs: a linear rise, then constant or half a cosine wave.

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
        used = {field.name: getattr(self, field.name) for field in fields(self)}
        for field in fields(self):
            if field.default is not MISSING and used[field.name] == field.default:
                del used[field.name]
        used["hidden"] = list(self.hidden)
        if self.augment:
            used["augment"] = self.augment.as_metadata()
        return used


# The teaching notebook's: weights 0.01 * N(0, 1), biases 0, plain SGD in file order. Of the seeds 0 to 9, trained on
# the first 50,000 training images, 2 was the best on the last 10,000: 97.37 %, the others 97.03 to 97.35 %.
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

# The most accurate in about ten seconds on two cores; see docs/accuracy.md.
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

# The most accurate within a quarter of an hour on two cores; see docs/accuracy.md.
BEST = DEFAULT.with_settings(
    name="best",
    hidden=(1024, 512),
    epochs=300,
    augment=Augmentation(rotation=12, scale=0.12, shear=0.12, translation=1, elastic=1.2, thickness=0.4),
)

RECIPES = {recipe.name: recipe for recipe in (SEED, DEFAULT, BEST)}
