"""fastmnist as a scikit-learn classifier, for any features and labels; needs the extra `sklearn`."""

from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmnist.errors import DataError, MissingExtraError, TrainingError
from fastmnist.model.network import Float32
from fastmnist.shapes import MAX_CLASSES
from fastmnist.training.features import Scaling
from fastmnist.training.loop import EpochDone, Training
from fastmnist.training.recipes import NO_AUGMENTATION, Recipe, recipe_with

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise MissingExtraError(
        f"fastmnist.estimator: {error}, expected scikit-learn 1.6 or newer, the extra 'sklearn': "
        "pip install 'fastmnist[sklearn]'"
    ) from None


class DigitClassifier(ClassifierMixin, BaseEstimator):
    """A fully connected network, trained the way fastmnist does it, with the interface of MLPClassifier.

    `fit` takes up to 65,535 real features on any scale, which it rescales based on the training data, and up to
    256 classes with any labels. It always trains for `max_iter` epochs: the recipes' learning rates fall to 0, so the
    last epoch is the best. Equal data, equal parameters and an int as `random_state` give equal networks, whatever the
    number of threads.

    A parameter that is None takes the recipe's value. Parameters that mean the same have MLPClassifier's names.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of ints, default=None
        Sizes of the hidden layers, one or more.
    recipe : {"default", "seed", "best"} or Recipe, default="default"
        The settings to start from. Its augmentation is not used, as that is only for images, and no samples are held
        out. "seed" trains on the samples in order; the other recipes shuffle them.
    batch_size : int, default=None
        Samples per step, or all samples if there are fewer.
    learning_rate_init : float, default=None
        The learning rate; with a schedule, its peak.
    max_iter : int, default=None
        The number of epochs.
    alpha : float, default=None
        L2 penalty: the recipe's weight decay times the batch size.
    momentum : float, default=None
        SGD momentum, from 0 to below 1.
    nesterovs_momentum : bool, default=None
        Whether to use Nesterov's momentum; has no effect without momentum.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights and the shuffling; None draws one from NumPy's global generator.
    verbose : bool, default=False
        Whether to print the loss of each epoch.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
        The labels, sorted: the columns of `predict_proba`.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray (n_features_in_,)
        The names of the features, if all of them are strings.
    n_iter_ : int
        The number of epochs trained.
    network_ : Network
        The network; its inputs are the features as scaled by `scaling_`.
    scaling_ : Scaling
        How the features are scaled.

    """

    def __init__(
        self,
        hidden_layer_sizes: Any = None,
        *,
        recipe: str | Recipe = "default",
        batch_size: int | None = None,
        learning_rate_init: float | None = None,
        max_iter: int | None = None,
        alpha: float | None = None,
        momentum: float | None = None,
        nesterovs_momentum: bool | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.recipe = recipe
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.alpha = alpha
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: ArrayLike) -> "DigitClassifier":
        """Train on features X (n_samples, n_features) and labels y (n_samples,), and return self.

        Raises ValueError for data or a `random_state` that no classifier can use, DataError for more than 256 classes,
        TrainingError for other unusable parameters or a loss that is not finite.
        """
        features, targets = validate_data(self, X, y)
        check_classification_targets(targets)
        classes, labels = np.unique(targets, return_inverse=True)
        if len(classes) > MAX_CLASSES:
            raise DataError(f"{len(classes):,} classes, expected at most {MAX_CLASSES}; merge some of them")
        recipe = self._recipe(len(features))
        scaling = Scaling.of(features)
        inputs = scaling.rows(features)  # MNIST's take 55 MB, an array of them 188 MB
        training = Training(
            scaling.apply(features) if inputs is None else inputs, labels.astype(np.uint8), recipe, len(classes)
        )
        for event in training.run():
            if self.verbose and isinstance(event, EpochDone):
                print(f"Iteration {event.epoch}, loss = {event.train_loss:.8f}")  # noqa: T201 (asked for by `verbose`)
        self.classes_, self.n_iter_ = classes, recipe.epochs
        self.network_, self.scaling_ = training.network, scaling
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable label (n_samples,) for features X (n_samples, n_features)."""
        inputs = self._inputs(X)
        labels: NDArray[Any] = self.classes_[self.network_.predict(inputs)[0]]
        return labels

    def predict_proba(self, X: ArrayLike) -> Float32:
        """Return the probabilities float32 (n_samples, n_classes) for features X (n_samples, n_features)."""
        inputs = self._inputs(X)
        return self.network_.predict_probabilities(inputs)[2]

    def _inputs(self, X: ArrayLike) -> Float32:
        """Return the network's inputs. Raises NotFittedError, and ValueError if the features differ from training."""
        check_is_fitted(self)
        return self.scaling_.apply(validate_data(self, X, reset=False))

    def _recipe(self, n_samples: int) -> Recipe:
        """Return the settings of the training. Raises TrainingError."""
        recipe, hidden = recipe_with(self.recipe), self.hidden_layer_sizes
        if recipe.keep:
            raise TrainingError(f"recipe {recipe.name}: it is for fine-tuning a model, expected default, seed or best")
        if isinstance(self.alpha, Real) and not self.alpha >= 0:
            raise TrainingError(f"alpha {self.alpha}: expected a number of 0 or more")
        momentum = recipe.momentum if self.momentum is None else self.momentum
        nesterov = recipe.nesterov if self.nesterovs_momentum is None else self.nesterovs_momentum
        recipe = recipe_with(
            recipe,
            hidden=tuple(hidden) if isinstance(hidden, Iterable) and not isinstance(hidden, str) else hidden,
            epochs=self.max_iter,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate_init,
            momentum=momentum,
            nesterov=nesterov if momentum else False,
            seed=check_random_state(self.random_state).randint(2**31 - 1),
            augment=NO_AUGMENTATION,
            validation=0,
        )
        batch_size = min(recipe.batch_size, n_samples)
        decay = self.alpha / batch_size if isinstance(self.alpha, Real) else self.alpha
        return recipe_with(recipe, batch_size=batch_size, weight_decay=decay)
