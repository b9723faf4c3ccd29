"""The training code for dense batches, compiled separately when one comes up: most data sets have none.

As part of the training loop, it made a first `train` compile for a seventh longer.
"""

from typing import NamedTuple

import numba
import numpy as np
from numba import types

from fastmnist.kernels.dense import DENSE_REGISTERS, DENSE_ROWS, make_tiles, step_tile_gradient
from fastmnist.kernels.forward import Columns, Parameters, forward_tiles
from fastmnist.kernels.jit import inlined
from fastmnist.kernels.layout import layer_at, part_bounds
from fastmnist.kernels.matmul import Matrix, block_of, n_chunks
from fastmnist.kernels.parts import part
from fastmnist.kernels.sgd import StepScalars
from fastmnist.kernels.simd import LANES


class DenseParts(NamedTuple):
    """The addresses of the code for dense batches, 0 if no batch is dense."""

    forward: int
    step: int


def parts_for(tiles):
    """Return the code that some batches need; compile or load it first."""
    if not tiles.is_dense.any():
        return DenseParts(0, 0)
    return DenseParts(forward_dense.address(), step_dense.address())


def _floats():
    return np.zeros(1, np.float32)


def _of_forward():
    parameters = numba.typeof(Parameters(np.zeros((1, 7), np.int64), _floats(), _floats()))
    return types.void(parameters, numba.typeof(_floats()), *_of_batch(), types.int64[::1], _of_columns())


def _of_batch():
    samples = np.zeros(1, np.int64)
    tiles = numba.typeof(make_tiles(np.zeros(1, np.bool_), samples, samples, 1, 1, 1))
    return tiles, types.intp, types.intp, types.intp


def _of_columns():
    return numba.typeof(Columns(Matrix(_floats(), 0, 0, 1), 0, 0))


@part(_of_forward)
def forward_dense(parameters, panels, tiles, batch, sample, n_samples, cursors, out):
    """Do what `forward_tiles` does."""
    forward_tiles(parameters, panels, tiles, batch, sample, n_samples, cursors, out)


def _of_step():
    scalars = numba.typeof(StepScalars(*np.zeros(3, np.float32)))
    floats = numba.typeof(_floats())
    return types.void(types.int64[:, ::1], *_of_batch(), floats, floats, _of_columns(), scalars)


@part(_of_step)
def step_dense(layout, tiles, batch, sample, n_samples, panels, velocities, deltas, scalars):
    """Do what `step_tiles` does."""
    step_tiles(layout, tiles, batch, sample, n_samples, panels, velocities, deltas, scalars)


@inlined
def step_tiles(layout, tiles, batch, sample, n_samples, panels, velocities, deltas, scalars):
    """Step the columns of the first layer's weights that `deltas` are of, for a batch in tiles.

    `panels` are the weights in panels of 16 columns, `sample` is the batch's first.
    """
    layer = layer_at(layout, 0)
    start, flags = tiles.starts[sample], tiles.samples[batch]
    chunks = n_chunks(deltas.last - deltas.first, DENSE_REGISTERS)
    for chunk in range(chunks):
        begin, end = part_bounds(deltas.last - deltas.first, chunk, chunks)
        column = (deltas.first + begin) * LANES
        delta = block_of(deltas.matrix, 0, begin * LANES)
        for row in range(0, layer.n_in, DENSE_ROWS):
            step_tile_gradient(
                end - begin,
                flags,
                row // DENSE_ROWS * flags.shape[1],
                n_samples,
                Matrix(tiles.data, start + row, 1, layer.n_in + 1),
                delta,
                panels,
                velocities,
                column * layer.n_in + row * LANES,
                layer.n_in * LANES,
                scalars,
            )
