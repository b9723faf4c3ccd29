"""DigitClassifier against MLPClassifier: the time of a whole `fit`, and the accuracy that results.

Both get the same features and labels: MNIST's pixels as floats from 0 to 1, and load_digits as it comes, from 0 to 16.
Both have one hidden layer of 100 units and defaults otherwise; the peer runs once for as many epochs as ours, and once
until it reports that it has converged. It computes in the dtype of its features, so MNIST is measured as float32, which
suits it best, and as float64, which is what most people have after dividing by 255.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.load import undisturbed
from bench.machine import NOT_INSTALLED
from bench.peers import sklearn_mlp
from bench.peers.common import Bytes, FitResult, Floats
from bench.processes import PeerProcess
from bench.settings import Settings, mnist
from bench.table import Table
from bench.timing import compare_clocks

HIDDEN = (100,)
EPOCHS = 20  # those of the recipe "default"
MOST_EPOCHS = 1000  # for one that is to converge
GOAL = 5  # times faster, on MNIST
N_TEST = 450  # of the 1,797 digits of load_digits: a quarter

Split = tuple[Floats, Bytes, Floats, Bytes]  # to train on, and to test with


def run(settings: Settings) -> Iterator[Table]:
    """Yield the table of each data set; in a smoke run load_digits alone."""
    table = Table("DigitClassifier beside MLPClassifier: a whole fit, hidden (100,)")
    try:
        digits = _digits()
    except ImportError as error:
        table.add("MLPClassifier", None, note=f"{NOT_INSTALLED}: {error.name}")
        yield table
        return
    same, converged = f"{EPOCHS} epochs each", "the peer until it converges"
    cases = [(f"load_digits, {same}", digits, EPOCHS, 5), (f"load_digits, {converged}", digits, MOST_EPOCHS, 1)]
    if not settings.smoke:
        pixels = _mnist(settings, np.float32)
        cases += [(f"MNIST, {same}", pixels, EPOCHS, 3), (f"MNIST, {converged}", pixels, MOST_EPOCHS, 1)]
        cases.append((f"MNIST as float64, {same}", _mnist(settings, np.float64), EPOCHS, 3))
    for case in cases:
        for _ in undisturbed(table, settings):
            _compare(*case, table, settings)
    yield table


def _digits() -> Split:
    """Return load_digits, of which every fourth or so is to test with."""
    from sklearn.datasets import load_digits

    features, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(features))
    test, train = order[:N_TEST], order[N_TEST:]
    return features[train], labels[train], features[test], labels[test]


def _mnist(settings: Settings, dtype: type[np.floating[Any]]) -> Split:
    digits = mnist(settings)
    pixels, test_pixels = (
        np.multiply(images, dtype(1 / 255), dtype=dtype) for images in (digits.pixels, digits.test_pixels)
    )
    return pixels, digits.labels, test_pixels, digits.test_labels


def _compare(name: str, split: Split, peer_epochs: int, repeats: int, table: Table, settings: Settings) -> None:
    """Add the row of ours with EPOCHS and the peer with up to `peer_epochs`."""
    finished: dict[str, FitResult] = {}
    fit(*split, epochs=1)  # compile the kernels

    def ours() -> float:
        finished["ours"] = fit(*split, epochs=EPOCHS)
        return finished["ours"].seconds

    with PeerProcess() as process:

        def theirs() -> float:
            finished["theirs"] = process.call(
                sklearn_mlp.fit_defaults, *split, hidden=HIDDEN, epochs=peer_epochs, threads=settings.threads
            )
            return finished["theirs"].seconds

        comparison = compare_clocks(ours, theirs, repeats=settings.repeats(repeats))
    mine, its = finished["ours"], finished["theirs"]
    note = f"test accuracy {mine.accuracy:.2%} after {mine.epochs}, peer {its.accuracy:.2%} after {its.epochs}"
    table.add_comparison(name, comparison, note=f"{note}; goal {GOAL} x" if name.startswith("MNIST") else note)


def fit(features: Floats, labels: Bytes, test_features: Floats, test_labels: Bytes, *, epochs: int) -> FitResult:
    """Fit a DigitClassifier and test it."""
    from fastmnist.estimator import DigitClassifier

    classifier = DigitClassifier(HIDDEN, max_iter=epochs, random_state=0)
    start = time.perf_counter()
    classifier.fit(features, labels)
    seconds = time.perf_counter() - start
    return FitResult(seconds, float(classifier.score(test_features, test_labels)), classifier.n_iter_)
