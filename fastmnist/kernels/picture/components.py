"""Connected components of ink, by runs: rows of ink pixels side by side (8-connected, union-find)."""

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.lanes import MASK_BITS, bits_above, low_bits, lowest_bit, store_bits

INSET = 12  # the inner part of a picture begins 1/12 from its border


# Columns of `components`: bounding box (right and bottom exclusive), area, area in the inner part, and a state that
# other modules set.
LEFT, TOP, RIGHT, BOTTOM, AREA, INNER, STATE = range(7)
FOREIGN, PIECE, STROKE, NEW_STROKE = -1, 0, 1, 2  # states, the last while strokes are gathered


@inlined
def find_runs(picture, height, width, threshold, runs, parents):
    """Fill `runs` (n, 4) with the row, start and end of each run of pixels above `threshold`; return how many.

    Runs that touch, also at a corner, have the same root in `parents` (n,). `picture` has SLACK more elements. 64
    pixels are compared at a time, and only where a run begins or ends is there more to do.
    """
    n, above, end_above = 0, 0, 0
    for y in range(height):
        end = add_runs(picture, y, width, np.uint8(threshold), runs, n)
        for run in range(n, end):
            parents[run] = run
            while above < end_above and runs[above, 2] < runs[run, 1]:
                above += 1
            other = above
            while other < end_above and runs[other, 1] <= runs[run, 2]:
                _join(parents, other, run)
                other += 1
        above, end_above, n = n, end, end
    return n


@inlined
def add_runs(picture, y, width, threshold, runs, n):
    """Add the row, start and end of each run of row y, of pixels above `threshold`, to the n `runs`; return how many.

    `picture` and the threshold are uint8 or float32; `picture` has SLACK more elements.
    """
    start, before, one = -1, np.uint64(0), np.uint64(1)
    for first in range(0, width, MASK_BITS):
        is_ink = bits_above(picture, y * width + first, threshold) & low_bits(width - first)
        edges = is_ink ^ (is_ink << one | before)
        before = is_ink >> np.uint64(MASK_BITS - 1)
        while edges:
            x = first + lowest_bit(edges)
            edges &= edges - one
            if start < 0:
                start = x
            else:
                runs[n, 0], runs[n, 1], runs[n, 2] = y, start, x
                n, start = n + 1, -1
    if start >= 0:
        runs[n, 0], runs[n, 1], runs[n, 2] = y, start, width
        n += 1
    return n


@inlined
def _root(parents, run):
    while parents[run] != run:
        parents[run] = parents[parents[run]]  # path halving
        run = parents[run]
    return run


@inlined
def _join(parents, one, other):
    one, other = _root(parents, one), _root(parents, other)
    if one < other:
        parents[other] = one
    else:
        parents[one] = other


@inlined
def find_components(runs, n_runs, parents, height, width, components):
    """Fill `components` (m, 7), and runs[:, 3] with each run's component; return how many."""
    inset = max(1, min(height, width) // INSET)
    n = 0
    for run in range(n_runs):
        root = _root(parents, run)
        if root == run:
            runs[run, 3] = n
            components[n, LEFT], components[n, TOP] = width, height
            for column in range(RIGHT, STATE + 1):
                components[n, column] = 0
            n += 1
        runs[run, 3] = runs[root, 3]
        box, y, start, end = components[runs[run, 3]], runs[run, 0], runs[run, 1], runs[run, 2]
        box[LEFT], box[RIGHT] = min(box[LEFT], start), max(box[RIGHT], end)
        box[TOP], box[BOTTOM] = min(box[TOP], y), max(box[BOTTOM], y + 1)
        box[AREA] += end - start
        if inset <= y < height - inset:
            box[INNER] += max(0, min(end, width - inset) - max(start, inset))
    return n


@inlined
def paint(runs, n_runs, components, state, height, width, margin, mask, bits):
    """Fill `mask` with 1 where a component with that state is, or `margin` pixels beside it, and 0 elsewhere.

    `mask` has SLACK more elements. bits (height * width,) uint64 is scratch: runs are drawn there, with their margins,
    64 pixels in a word.
    """
    n_words = (width + MASK_BITS - 1) // MASK_BITS
    for i in range(height * n_words):
        bits[i] = 0
    for run in range(n_runs):
        if components[runs[run, 3], STATE] == state:
            start, end = max(0, runs[run, 1] - margin), min(width, runs[run, 2] + margin)
            first, last = max(0, runs[run, 0] - margin), min(height, runs[run, 0] + margin + 1)
            for word in range(start // MASK_BITS, (end - 1) // MASK_BITS + 1):
                is_near = low_bits(end - word * MASK_BITS) & ~low_bits(max(0, start - word * MASK_BITS))
                for row in range(first, last):
                    bits[row * n_words + word] |= is_near
    for y in range(height):
        for word in range(n_words):
            store_bits(mask, y * width + word * MASK_BITS, bits[y * n_words + word])
