"""Running kernels in all ways this process can, and how far float32 may be from the oracle's float64."""

import numpy as np
from numba.core import config

from fastmnist.kernels.jit import CHECKED
from fastmnist.kernels.layout import aligned_zeros, row_stride

ROUNDING = float(np.finfo(np.float32).eps) / 2  # the relative error of one float32 operation

# The checked build, or one for another processor than this one's: test_kernel_builds.py starts these. They run serial
# only, so that each kernel is compiled once.
FOREIGN = CHECKED or bool(config.CPU_NAME)
WAYS = [("serial", 1), ("serial", 3)] + ([] if FOREIGN else [("parallel", n_parts) for n_parts in (1, 2, 3, 4)])


def padded(array, n_rows=None):
    """The array's rows filled up with zeros as layout.py has them, and rows of zeros below up to `n_rows`."""
    array = np.atleast_2d(array)
    stride, n_rows = row_stride(array.shape[1]), n_rows or array.shape[0]
    if array.dtype == np.float32:
        filled = aligned_zeros(n_rows * stride).reshape(n_rows, stride)
    else:
        filled = np.zeros((n_rows, stride), array.dtype)
    filled[: array.shape[0], : array.shape[1]] = array
    return filled


def garbage(*shape):
    """A float32 output array that no kernel has filled yet."""
    array = aligned_zeros(int(np.prod(shape))).reshape(shape)
    array[...] = 1e30
    return array


def run_in_all_ways(kernel, arguments, outputs):
    """Run a kernel in each build, on 1 to 4 parts, and return copies of the `outputs` (positions of arguments).

    All ways must give equal bytes. An argument that is a function is called with the number of parts.
    """
    results = {}
    for build, n_parts in WAYS:
        values = [argument(n_parts) if callable(argument) else argument for argument in arguments]
        for position in outputs:
            values[position] = values[position].copy()
        getattr(kernel, build)(*values, n_parts)
        results[build, n_parts] = [values[position] for position in outputs]
    expected = results[WAYS[0]]
    for way, actual in results.items():
        for position, one, other in zip(outputs, expected, actual, strict=True):
            assert one.tobytes() == other.tobytes(), f"{kernel.__name__}: argument {position} differs in {way}"
    return expected if len(expected) > 1 else expected[0]


def classified(kernel, arguments, n_samples, n_logits, n_probabilities):
    """Labels, confidences, logits and probabilities of all builds on 1 to 4 parts, which must give equal bytes.

    `arguments(n_parts)` are those of the kernel before its outputs.
    """
    filled = []
    for build, n_parts in WAYS:
        outputs = (
            np.full(n_samples, 77, np.uint8),
            garbage(n_samples),
            garbage(n_samples, n_logits),
            garbage(n_samples, n_probabilities),
        )
        getattr(kernel, build)(*arguments(n_parts), *outputs, n_parts)
        filled.append(outputs)
    assert all(copy.tobytes() == one.tobytes() for way in filled for copy, one in zip(way, filled[0], strict=True))
    return filled[0]


def assert_sums_close(actual, expected, magnitudes, n_terms):
    """Assert that sums of `n_terms` products in float32 are as near as they must be.

    `magnitudes` are the sums of the terms' absolute values. Each term is rounded when it is made (at most 3 times:
    a pixel's scale, its product with the scale, the weight's) and each partial sum once, so a sum in any order is off
    by at most (n_terms + 3) roundings of `magnitudes` (Higham 2002, section 3.1; second-order terms left out).
    """
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    excess = np.abs(actual - expected) - (n_terms + 3) * ROUNDING * magnitudes
    assert not (excess > 0).any(), f"off by {excess.max()} more than {n_terms} roundings"
    assert not np.isnan(actual).any()


def sparse_pixels(rng, n_samples, n_in, share=0.2):
    """uint8 pixels (n_samples, n_in) of which a share is not 0, as in MNIST, the last input of the last sample too."""
    pixels = rng.integers(1, 256, (n_samples, n_in), dtype=np.uint8)
    pixels[rng.random((n_samples, n_in)) >= share] = 0
    pixels[-1:, -1:] = 255
    return pixels


def normal(rng, *shape):
    """Standard normal float32 numbers."""
    return rng.standard_normal(shape, dtype=np.float32)
