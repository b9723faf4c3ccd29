"""Peer: scikit-learn's MLPClassifier."""

import time
import warnings

import numpy as np

from bench.peers.common import Bytes, FitResult, Floats, Parameters, Result


def train(
    pixels: Bytes,
    labels: Bytes,
    *,
    hidden: tuple[int, ...],
    batch_size: int,
    epochs: int,
    learning_rate: float,
    weight_decay: float,
    momentum: float = 0.0,
    shuffle: bool = False,
    seed: int = 0,
    threads: int = 2,
    initial: Parameters | None = None,
) -> Result:
    """Train an MLPClassifier in float32. `initial` is not used: it draws its own start (Glorot's)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    classifier = MLPClassifier(
        hidden,
        solver="sgd",
        alpha=weight_decay * batch_size,  # it divides alpha by the number of samples in the batch
        batch_size=batch_size,
        learning_rate="constant",
        learning_rate_init=learning_rate,
        momentum=momentum,
        nesterovs_momentum=False,
        shuffle=shuffle,
        random_state=seed,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,  # never stop early
    )
    with threadpool_limits(threads, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is ours to choose
        start = time.perf_counter()
        classifier.fit(np.multiply(pixels, np.float32(1 / 255), dtype=np.float32), labels)
        seconds = time.perf_counter() - start
    return Result(seconds / epochs, classifier.coefs_, classifier.intercepts_)


def fit_defaults(
    features: Floats,
    labels: Bytes,
    test_features: Floats,
    test_labels: Bytes,
    *,
    hidden: tuple[int, ...],
    epochs: int,
    threads: int = 2,
) -> FitResult:
    """Fit an MLPClassifier as it is by default (Adam), for up to `epochs`, or until it says that it has converged."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    classifier = MLPClassifier(hidden, max_iter=epochs, random_state=0)
    with threadpool_limits(threads, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is ours to choose
        start = time.perf_counter()
        classifier.fit(features, labels)
        seconds = time.perf_counter() - start
    return FitResult(seconds, float(classifier.score(test_features, test_labels)), classifier.n_iter_)
