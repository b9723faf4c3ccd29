"""One SGD step, in registers: fused into the end of a gradient, so that parameters are read and written once.

With the gradient g of the loss without its L2 term, G = g + weight_decay * w, v = momentum * v + G, then
w = w - learning_rate * v (Sutskever et al. 2013, in PyTorch's form), or, with Nesterov's momentum,
w = w - learning_rate * (G + momentum * v). sparse.py has the same lines in its own loop.
"""

from typing import NamedTuple

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.simd import LANES, broadcast, fma, load, store


class StepScalars(NamedTuple):
    """The numbers of an SGD step."""

    learning_rate: np.float32
    momentum: np.float32
    weight_decay: np.float32
    nesterov: bool = False
    label_smoothing: np.float32 = np.float32(0)


@inlined
def step_rows(width, parameters, velocities, offset, stride, n_rows, gradient, gradient_stride, scalars):
    """Step `n_rows` rows of `width` vectors of parameters by a gradient that lies in memory."""
    for row in range(n_rows):
        for column in range(0, width * LANES, LANES):
            place = offset + row * stride + column
            weight = load(parameters, place, LANES)
            step = load(gradient, row * gradient_stride + column, LANES)
            step = fma(broadcast(scalars.weight_decay, LANES), weight, step)
            if scalars.momentum != 0:
                momentum = broadcast(scalars.momentum, LANES)
                velocity = fma(momentum, load(velocities, place, LANES), step)
                store(velocities, place, velocity)
                step = fma(momentum, velocity, step) if scalars.nesterov else velocity
            store(parameters, place, fma(broadcast(-scalars.learning_rate, LANES), step, weight))


@inlined
def without_decay(scalars):
    """Return the step of biases, which weight decay does not pull."""
    return StepScalars(
        scalars.learning_rate, scalars.momentum, np.float32(0), scalars.nesterov, scalars.label_smoothing
    )
