"""Figures drawn with a pen: a table of strokes becomes a picture, each time written a little differently.

A figure is a line of text, in a box that is 100 wide and 140 high with y downwards: strokes parted by `|`, each a row
of points `x,y` that a smooth curve goes through; `!` after a point makes it a corner. (Catmull and Rom 1974; a point
that is there twice is a corner.)
"""

import math

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

HEIGHT = 140  # of the box
SLANT, TURN, STRETCH = 0.4, 10.0, 1.6  # at most: columns per row, degrees, width to height
JITTER = 4.5  # standard deviation of a point's place
PENS = 5, 26  # width
_STEPS = 8  # of the curve, between two points


def drawn(figure: str, rng: np.random.Generator) -> Picture:
    """Return a figure, light on dark, cut to its ink: uint8 (height, width)."""
    return inked(curves(figure, rng), rng.uniform(*PENS))


def curves(figure: str, rng: np.random.Generator) -> list[Points]:
    """Return the strokes of a figure as polylines (n, 2)."""
    strokes = [_points(stroke) for stroke in figure.split("|")]
    slant, turn = rng.uniform(-SLANT, SLANT), math.radians(rng.uniform(-TURN, TURN))
    stretch = STRETCH ** (rng.uniform(-1, 1) / 2)
    turned = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    matrix = turned @ np.array([[stretch, -slant], [0, 1 / stretch]])
    return [_curve(_shaken(points, rng)) @ matrix.T for points in strokes]


def scribble(rng: np.random.Generator) -> Picture:
    """Return a curve through points anywhere, as `drawn` returns figures."""
    n_points = int(rng.integers(6, 14))
    return inked([_curve(rng.uniform(0, 1, (n_points, 2)) * (100, HEIGHT))], rng.uniform(*PENS))


def inked(curves: list[Points], pen: float) -> Picture:
    """Return curves (n, 2) as a pen so wide draws them, cut to their ink."""
    low = np.vstack(curves).min(axis=0) - pen
    width, height = (np.ptp(np.vstack(curves), axis=0) + 2 * pen + 1).astype(int)
    canvas = np.zeros((height, width), np.uint8)
    for curve in curves:
        sixteenths = np.rint((curve - low) * 16).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(canvas, [sixteenths], False, 255, max(1, round(pen)), cv2.LINE_AA, 4)
    return cut(canvas)


def cut(picture: Picture) -> Picture:
    """Return a picture, light on dark, without the empty rows and columns around its ink; all of it without ink."""
    left, top, width, height = cv2.boundingRect((picture > 100).astype(np.uint8))
    return picture[top : top + height, left : left + width] if width else picture


def _points(stroke: str) -> Points:
    points = []
    for word in stroke.split():
        x, y = map(float, word.rstrip("!").split(","))
        points += [(x, y)] * (2 if word.endswith("!") else 1)
    return np.array(points)


def _shaken(points: Points, rng: np.random.Generator) -> Points:
    """Return points somewhere near; those that are there twice stay so."""
    is_twice = np.append(False, (points[1:] == points[:-1]).all(axis=1))
    moved = points + rng.normal(0, JITTER, points.shape)
    moved[is_twice] = moved[np.flatnonzero(is_twice) - 1]
    return moved


def _curve(points: Points) -> Points:
    """Return the curve through points (n, 2), n at least 2, as a polyline."""
    padded = np.vstack([points[:1], points, points[-1:]])
    t = np.linspace(0, 1, _STEPS, endpoint=False)[:, None]
    parts = []
    for before, start, end, after in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        if (start == end).all():
            continue  # a corner
        leave, arrive = (end - before) / 2, (after - start) / 2
        parts.append(
            start + leave * t + (3 * (end - start) - 2 * leave - arrive) * t**2
            + (2 * (start - end) + leave + arrive) * t**3
        )  # fmt: skip
    return np.vstack([*parts, points[-1:]])
