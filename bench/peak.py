"""The peak of this machine: multiplications in registers, and bytes from memory."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import prange

from bench.timing import measure
from fastmnist.kernels.jit import inlined, kernel, n_threads
from fastmnist.kernels.layout import aligned_zeros, part_bounds
from fastmnist.kernels.simd import (
    LANES,
    add,
    broadcast,
    by_n_registers,
    fma,
    load,
    load_panels,
    store,
    store_panels,
    zeros,
)

CHAIN = 10_000_000  # fma one after another
MEGABYTES = 256  # of each array that is streamed: far more than any cache holds
WIDTH = 8  # registers in a vector
BLOCK = WIDTH * LANES


@dataclass(frozen=True)
class Peak:
    """All threads together."""

    flops: float  # per second
    read: float  # bytes per second
    triad: float  # bytes per second, two arrays read and one written


def measure_peak(repeats: int) -> Peak:
    """Measure all three."""
    sums = aligned_zeros(n_threads() * BLOCK)
    # How many independent sums fill the units differs from processor to processor.
    flops = max(_flops(width, sums, repeats) for width in (4, 6, 8))
    n = MEGABYTES * 2**20 // 4
    a, b, c = aligned_zeros(n), aligned_zeros(n), aligned_zeros(n)
    read = measure(lambda: _read(a, sums), repeats=repeats).min
    triad = measure(lambda: _triad(a, b, c), repeats=repeats).min
    return Peak(flops, a.nbytes / read, 3 * a.nbytes / triad)


def _flops(width: int, sums: Any, repeats: int) -> float:
    timing = measure(lambda: _multiply(width, CHAIN, sums), repeats=repeats)
    return 2 * CHAIN * width * LANES * n_threads() / timing.min


@by_n_registers(WIDTH)
def _chain(n_registers: int, n: int, sums: Any, offset: int) -> None:
    """Do n multiply-adds with each of `n_registers`; nothing else is touched on the way."""
    total = load_panels(sums, offset, LANES, n_registers, BLOCK)
    factor = broadcast(np.float32(0.5), BLOCK)
    for _ in range(n):
        total = fma(total, factor, factor)
    store_panels(sums, offset, LANES, n_registers, total)


@kernel
def _multiply(width: int, n: int, sums: Any, n_parts: int) -> None:
    for part in prange(n_parts):
        _chain(width, n, sums, np.intp(part) * BLOCK)


@kernel
def _read(array: Any, sums: Any, n_parts: int) -> None:
    for part in prange(n_parts):
        _sum_part(array, sums, np.intp(part), n_parts)


@inlined
def _sum_part(array: Any, sums: Any, part: int, n_parts: int) -> None:
    first, last = part_bounds(array.size // BLOCK, part, n_parts)
    total = zeros(BLOCK)
    for block in range(first, last):
        total = add(total, load(array, block * BLOCK, BLOCK))
    store(sums, part * BLOCK, total)


@kernel
def _triad(a: Any, b: Any, c: Any, n_parts: int) -> None:
    """Fill a with b + 0.5 * c: McCalpin's triad."""
    for part in prange(n_parts):
        _triad_part(a, b, c, np.intp(part), n_parts)


@inlined
def _triad_part(a: Any, b: Any, c: Any, part: int, n_parts: int) -> None:
    first, last = part_bounds(a.size // LANES, part, n_parts)
    for block in range(first, last):
        place = block * LANES
        store(a, place, fma(broadcast(np.float32(0.5), LANES), load(c, place, LANES), load(b, place, LANES)))
