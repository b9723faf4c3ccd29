"""Random numbers as pure functions of a key and a counter (Salmon et al. 2011): no state, so no order to keep.

The n-th number of a key is the same whichever thread asks for it, and whenever. The mixing is SplitMix64's (Steele et
al. 2014).
"""

import numpy as np

from fastmnist.kernels.jit import inlined

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@inlined
def mix(word):
    """Return 64 bits, each of which depends on every bit of `word` (uint64)."""
    word = (word ^ (word >> np.uint64(30))) * FIRST
    word = (word ^ (word >> np.uint64(27))) * SECOND
    return word ^ (word >> np.uint64(31))


@inlined
def subkey(key, number):
    """Return the key (uint64) of item `number` (from 0) of those derived from `key`."""
    return mix(key + (np.uint64(number) + np.uint64(1)) * GOLDEN)


@inlined
def uniform(key, counter):
    """Return a key's float32 from [-1, 1) for a counter: a multiple of 2**-23, so exact everywhere."""
    return np.float32(np.int32(subkey(key, counter) >> np.uint64(40))) * np.float32(2**-23) - np.float32(1)
