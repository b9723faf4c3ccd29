"""Small compiled functions around single vector operations, and numbers to run them on."""

import numba
import numpy as np

from fastmnist.kernels.jit import CHECKED, FASTMATH
from fastmnist.kernels.simd import LANES, load, store


def compiled(function):
    """A function that Python can call, compiled as kernels are but not cached."""
    return numba.njit(function, fastmath=FASTMATH, boundscheck=CHECKED)


def floats(values, size=LANES):
    """An array of `size` float32 that begins with the values; the rest is 0."""
    array = np.zeros(size, np.float32)
    array[: len(values)] = values
    return array


def apply(operation, n_operands):
    """A function that fills its last array with `operation` of the 16 lanes of each of the others."""
    if n_operands == 1:

        @compiled
        def run(a, out):
            store(out, 0, operation(load(a, 0, LANES)))

    elif n_operands == 2:

        @compiled
        def run(a, b, out):
            store(out, 0, operation(load(a, 0, LANES), load(b, 0, LANES)))

    else:

        @compiled
        def run(a, b, c, out):
            store(out, 0, operation(load(a, 0, LANES), load(b, 0, LANES), load(c, 0, LANES)))

    def call(*arrays):
        out = np.full(LANES, np.nan, np.float32)
        run(*[floats(array) for array in arrays], out)
        return out

    return call


def random_floats(n=LANES, seed=0):
    return np.random.default_rng(seed).standard_normal(n, dtype=np.float32)
