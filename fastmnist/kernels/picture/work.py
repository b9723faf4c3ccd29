"""A thread's working memory for reading pictures."""

from typing import NamedTuple

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.layout import aligned_zeros
from fastmnist.kernels.simd import LANES

# A picture is read at 128x128 pixels at most: a digit that fills a third of it is then still twice as large as MNIST's.
# At 160x160 scenes are read no better (experiments/scenes.py), and scans of 320x320 cost 1.6 times as much.
AREA = 128 * 128
MARGINS = 5  # times the pixels: room for the margins of morphology, in the worst of shapes, a single row
TILE = 8192  # columns of a picture that are shrunk at a time
SLACK = 64  # extra elements, so that passes can work in whole vectors, past the end of a row
MOST_ALONG = 256  # pairs of opposite pixels of the border that the light is fitted to


@inlined
def whole_vectors(n):
    """Return how many elements whole vectors of SLACK have, enough for n."""
    return (n + SLACK - 1) // SLACK * SLACK


@inlined
def whole_registers(n):
    """Return n rounded up to whole registers of float32: float32 rows need not fill vectors of SLACK elements."""
    return (n + LANES - 1) // LANES * LANES


class Work(NamedTuple):
    """Arrays for one thread; each step says which it uses."""

    grey: np.ndarray  # (AREA + SLACK,) uint8: the picture as it is read
    even: np.ndarray  # (AREA + SLACK,) uint8: under even light, ink dark
    paper: np.ndarray  # (AREA + SLACK,) uint8: without its ink
    ink: np.ndarray  # (AREA + SLACK,) uint8: how much ink there is
    before: np.ndarray  # (AREA + SLACK,) uint8
    mask: np.ndarray  # (AREA + SLACK,) uint8
    padded: np.ndarray  # (2 * MARGINS * AREA + SLACK,) uint8
    spare: np.ndarray  # (AREA + SLACK,) uint8
    counts: np.ndarray  # (1024,) int64: histograms
    sums: np.ndarray  # (TILE,) uint16
    runs: np.ndarray  # (AREA, 4) int32
    parents: np.ndarray  # (AREA,) int32
    components: np.ndarray  # (AREA, 7) int32
    bits: np.ndarray  # (AREA,) uint64
    row: np.ndarray  # (AREA + SLACK,) float32
    lengths: np.ndarray  # (AREA + SLACK,) int32
    digit: np.ndarray  # (MARGINS * AREA + SLACK,) float32
    changed: np.ndarray  # (MARGINS * AREA + SLACK,) float32
    distances: np.ndarray  # (MARGINS * AREA + SLACK,) float32
    sides: np.ndarray  # (7, MOST_ALONG) float64
    light: np.ndarray  # (48,) float64: four factors, then room for equations


def make_work(area=AREA):
    """Return working memory for one thread, for pictures of `area` pixels: 2 MB."""
    grey, even, paper, ink, before, mask, spare = (aligned_zeros(area + SLACK, np.uint8) for _ in range(7))
    digit, changed, distances = (aligned_zeros(MARGINS * area + SLACK) for _ in range(3))
    return Work(
        grey=grey,
        even=even,
        paper=paper,
        ink=ink,
        before=before,
        mask=mask,
        padded=aligned_zeros(2 * MARGINS * area + SLACK, np.uint8),
        spare=spare,
        counts=aligned_zeros(1024, np.int64),
        sums=aligned_zeros(TILE, np.uint16),
        runs=np.zeros((area, 4), np.int32),
        parents=aligned_zeros(area, np.int32),
        components=np.zeros((area, 7), np.int32),
        bits=aligned_zeros(area, np.uint64),
        row=aligned_zeros(area + SLACK),
        lengths=aligned_zeros(area + SLACK, np.int32),
        digit=digit,
        changed=changed,
        distances=distances,
        sides=np.zeros((7, MOST_ALONG), np.float64),
        light=np.zeros(48, np.float64),
    )
