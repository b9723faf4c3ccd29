"""One SGD step, in registers: fused into the end of a gradient, so that parameters are read and written once.

With the gradient g of the loss without its L2 term, G = g + weight_decay * w, v = momentum * v + G, then
w = w - learning_rate * v (Sutskever et al. 2013, in PyTorch's form), or, with Nesterov's momentum,
w = w - learning_rate * (G + momentum * v).
"""

from typing import NamedTuple

import numpy as np

from fastmnist.kernels.jit import inlined, specialised
from fastmnist.kernels.simd import LANES, broadcast, fma, load, load_panels, prefetch, store, store_panels, zeros

TRACE = np.float32(1e-25)


class StepScalars(NamedTuple):
    """The numbers of an SGD step."""

    learning_rate: np.float32
    momentum: np.float32
    weight_decay: np.float32
    nesterov: bool = False
    label_smoothing: np.float32 = np.float32(0)


@inlined
def step_vector(weight, gradient, velocity, scalars, lanes):
    """Return the vectors of weights and of velocities after a step. Without momentum, velocities are ignored."""
    step = fma(broadcast(scalars.weight_decay, lanes), weight, gradient)
    if scalars.momentum != 0:
        momentum = broadcast(scalars.momentum, lanes)
        velocity = _without_traces(fma(momentum, velocity, step), lanes)
        step = fma(momentum, velocity, step) if scalars.nesterov else velocity
    return fma(broadcast(-scalars.learning_rate, lanes), step, weight), velocity


@inlined
def _without_traces(velocity, lanes):
    """Return velocities with those below the last bit of TRACE set to 0 and the others unchanged.

    The velocities of pixels that stay black only shrink, and as subnormal numbers they never reach 0: 0.9 times the
    smallest one is rounded to itself. Some processors take a slow path for each of them.
    """
    one = broadcast(np.float32(1), lanes)
    return fma(fma(velocity, one, broadcast(TRACE, lanes)), one, broadcast(-TRACE, lanes))


@specialised
def step_panels(n_registers, panels, velocities, place, step, gradient, scalars, lanes):
    """Step `n_registers` of one row by their gradient (`lanes`); they and their velocities lie in panels, see simd."""
    velocity = zeros(lanes)
    if scalars.momentum != 0:
        velocity = load_panels(velocities, place, step, n_registers, lanes)
    weight = load_panels(panels, place, step, n_registers, lanes)
    weight, velocity = step_vector(weight, gradient, velocity, scalars, lanes)
    if scalars.momentum != 0:
        store_panels(velocities, place, step, n_registers, velocity)
    store_panels(panels, place, step, n_registers, weight)


@specialised
def prefetch_panels(n_registers, panels, velocities, place, step):
    """Begin to fetch what `step_panels` will step, where there is momentum."""
    for register in range(n_registers):
        prefetch(panels, place + register * step)
        prefetch(velocities, place + register * step)


@inlined
def step_rows(n_registers, parameters, velocities, offset, stride, n_rows, gradient, gradient_stride, scalars):
    """Step `n_rows` rows of `n_registers` registers of parameters by a gradient that lies in memory."""
    for row in range(n_rows):
        for column in range(0, n_registers * LANES, LANES):
            place = offset + row * stride + column
            slope = load(gradient, row * gradient_stride + column, LANES)
            velocity = load(velocities, place, LANES) if scalars.momentum != 0 else zeros(LANES)
            weight, velocity = step_vector(load(parameters, place, LANES), slope, velocity, scalars, LANES)
            if scalars.momentum != 0:
                store(velocities, place, velocity)
            store(parameters, place, weight)


@inlined
def without_decay(scalars):
    """Return the scalars for biases, which have no weight decay."""
    return StepScalars(
        scalars.learning_rate, scalars.momentum, np.float32(0), scalars.nesterov, scalars.label_smoothing
    )
