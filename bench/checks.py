"""Checks of the results, without which no figure means anything."""

import numpy as np

from bench.peers.common import Bytes, Floats
from bench.settings import WrongResultError

DIFFERENT_LABELS = 1e-4  # share: if two classes are equally probable, rounding decides


def check(name: str, result: Floats, expected: Floats, tolerance: float = 1e-4) -> None:
    """Raise WrongResultError unless result is expected, but for float32's rounding."""
    error = np.abs(result - expected).max() / np.abs(expected).max()
    if not error <= tolerance:  # not >, which is false for NaN
        raise WrongResultError(f"{name}: off by {error:.1e} of the largest element, expected {tolerance:.0e} at most")


def check_labels(name: str, labels: Bytes, expected: Bytes, different: float = DIFFERENT_LABELS) -> None:
    """Raise WrongResultError unless labels are expected, but for ties, or for the share that may be `different`."""
    if labels.shape != expected.shape:
        raise WrongResultError(f"{name}: {len(labels):,} labels, expected {len(expected):,}")
    share = float((labels != expected).mean())
    if share > different:
        raise WrongResultError(f"{name}: {share:.2%} of the labels differ")
