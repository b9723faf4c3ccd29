"""One SGD step, in registers: fused into the end of a gradient, so that parameters are read and written once.

With the gradient g of the loss without its L2 term, v = momentum * v + g + weight_decay * w, then
w = w - learning_rate * v (Sutskever et al. 2013, in PyTorch's form). sparse.py has the same four lines in its own
loop: calling a function with arrays there makes Numba count references for each row, three times slower.
"""

from typing import NamedTuple

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.simd import LANES, broadcast, fma, load, store


class StepScalars(NamedTuple):
    """The numbers of an SGD step, all float32."""

    learning_rate: np.float32
    momentum: np.float32
    weight_decay: np.float32


@inlined
def step_rows(width, parameters, velocities, offset, stride, n_rows, gradient, gradient_stride, scalars):
    """Step `n_rows` rows of `width` vectors of parameters by a gradient that lies in memory."""
    for row in range(n_rows):
        for column in range(0, width * LANES, LANES):
            place = offset + row * stride + column
            weight = load(parameters, place, LANES)
            velocity = load(gradient, row * gradient_stride + column, LANES)
            velocity = fma(broadcast(scalars.weight_decay, LANES), weight, velocity)
            if scalars.momentum != 0:
                velocity = fma(broadcast(scalars.momentum, LANES), load(velocities, place, LANES), velocity)
                store(velocities, place, velocity)
            store(parameters, place, fma(broadcast(-scalars.learning_rate, LANES), velocity, weight))
