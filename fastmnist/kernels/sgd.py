"""One SGD step of some parameters, fused into the end of their gradient."""

from typing import NamedTuple

import numpy as np

from fastmnist.kernels.simd import broadcast, fma, load, store


class StepScalars(NamedTuple):
    """The numbers of an SGD step, all float32."""

    learning_rate: np.float32
    momentum: np.float32
    weight_decay: np.float32


def make_step(lanes):
    """Return a function that steps `lanes` parameters downhill, given their gradient in registers."""

    def step(parameters, velocities, offset, gradient, scalars, weight_decay):
        """V = momentum * v + gradient + weight_decay * w; w -= learning_rate * v (Sutskever et al. 2013)."""
        weight = load(parameters, offset, lanes)
        velocity = fma(broadcast(weight_decay, lanes), weight, gradient)
        if scalars.momentum != 0:
            velocity = fma(broadcast(scalars.momentum, lanes), load(velocities, offset, lanes), velocity)
            store(velocities, offset, velocity)
        store(parameters, offset, fma(broadcast(-scalars.learning_rate, lanes), velocity, weight))

    return step
