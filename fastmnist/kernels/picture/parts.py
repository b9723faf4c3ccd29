"""The parts of reading a picture that are compiled separately."""

import numba
from numba import types

from fastmnist.kernels.parts import part
from fastmnist.kernels.picture.ink import Ink
from fastmnist.kernels.picture.lines import remove_lines
from fastmnist.kernels.picture.place import place
from fastmnist.kernels.picture.strokes import choose_strokes
from fastmnist.kernels.picture.work import make_work


def _of_choice():
    rows = types.int32[:, ::1]
    return types.intp(rows, types.intp, rows, types.intp, types.intp, types.intp)


@part(_of_choice)
def choose_digit(components, n, runs, n_runs, height, width):
    """Do what `choose_strokes` does."""
    return choose_strokes(components, n, runs, n_runs, height, width)


def _of_place():
    pixels = types.float32[::1]
    return types.float64(pixels, types.intp, types.intp, pixels, pixels, types.uint8[::1])


@part(_of_place)
def place_digit(digit, height, width, changed, distances, image):
    """Do what `place` does."""
    return place(digit, height, width, changed, distances, image)


def _of_lines():
    work, ink = numba.typeof(make_work(1)), numba.typeof(Ink(False, 0, 0, 0.0))
    return types.intp(work, types.intp, types.intp, ink, types.intp, types.boolean)


@part(_of_lines)
def take_lines_out(work, height, width, ink, thickest, with_rules):
    """Do what `remove_lines` does."""
    return remove_lines(work, height, width, ink, thickest, with_rules)
