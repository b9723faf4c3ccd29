"""Pictures made smaller by blocks of pixels, or scaled to any size."""

import math

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.picture.work import TILE, whole_registers
from fastmnist.kernels.simd import LANES, broadcast, fma, item, load, store


@inlined
def block_size(height, width, area):
    """Return the height and width of the blocks whose means are at most `area` pixels; as near to square as can be."""
    side = 1
    while (height // min(side, height)) * (width // min(side, width)) > area:
        side += 1
    return min(side, height), min(side, width)


@inlined
def shrink_by_blocks(picture, down, across, out, sums):
    """Fill `out` with the means of blocks of picture (height, width) uint8; return its height and width.

    Leftover pixels at the sides, less than a block, are left out. Blocks have at most 257 rows. sums (TILE,) uint16 is
    scratch.
    """
    height, width = picture.shape[0] // down, picture.shape[1] // across
    top, left = (picture.shape[0] - height * down) // 2, (picture.shape[1] - width * across) // 2
    if down == 1 and across == 1:
        for y in range(height):
            row, line = picture[y], out[y * width :]
            for x in range(width):
                line[x] = row[x]
        return height, width
    if down == 2 and across == 2:  # the commonest, in a loop of its own
        for y in range(height):
            upper, lower = picture[top + 2 * y][left:], picture[top + 2 * y + 1][left:]
            _means_of_four(upper, lower, width, out[y * width :])
        return height, width
    per_tile = max(1, TILE // across)
    for y in range(height):
        for first in range(0, width, per_tile):
            n = min(per_tile, width - first)
            _add_rows(picture, top + y * down, down, left + first * across, n * across, sums)
            _means(sums, n, across, down * across, out[y * width + first : y * width + first + n])
    return height, width


@inlined
def _means_of_four(upper, lower, n, out):
    two = np.uint32(2)
    for x in range(n):
        above = np.uint32(upper[2 * x]) + np.uint32(upper[2 * x + 1])
        below = np.uint32(lower[2 * x]) + np.uint32(lower[2 * x + 1])
        out[x] = np.uint8((above + below + two) >> two)


@inlined
def _add_rows(picture, top, n_rows, left, n, sums):
    row = picture[top][left : left + n]
    for x in range(n):
        sums[x] = row[x]
    for y in range(1, n_rows):
        row = picture[top + y][left : left + n]
        for x in range(n):
            sums[x] += row[x]


@inlined
def _means(sums, n, across, n_pixels, out):
    if n_pixels == 1:
        for x in range(n):
            out[x] = sums[x]
        return
    # Multiplying by the inverse is vectorised, dividing is not. The quarter keeps it from rounding below the quotient.
    half, inverse = np.float32(n_pixels // 2 + 0.25), np.float32(1.0 / n_pixels)
    if across == 3:  # commoner ones as constants, which are vectorised
        for x in range(n):
            outer = np.int32(sums[3 * x]) + np.int32(sums[3 * x + 2])
            out[x] = np.uint8(np.int32((np.float32(np.int32(outer + sums[3 * x + 1])) + half) * inverse))
    elif across == 4:
        for x in range(n):
            left = np.int32(sums[4 * x]) + np.int32(sums[4 * x + 1])
            right = np.int32(sums[4 * x + 2]) + np.int32(sums[4 * x + 3])
            out[x] = np.uint8(np.int32((np.float32(np.int32(left + right)) + half) * inverse))
    else:
        for x in range(n):
            total = np.uint32(0)
            for i in range(across):
                total += sums[x * across + i]
            out[x] = np.uint8(np.int32((np.float32(np.int32(total)) + half) * inverse))


@inlined
def scale_by_area(picture, height, width, new_height, new_width, out, rows):
    """Fill `out` with picture (height, width) float32 at a smaller size: each pixel is the mean of what it covers.

    It may be larger along neither side. `picture` has SLACK more elements; rows (new_height * (width + LANES),) float32
    is scratch.
    """
    down, stride = height / new_height, whole_registers(width)
    for i in range(new_height * stride):
        rows[i] = 0
    for y in range(height):
        first = y / down
        last = (y + 1) / down
        above = min(int(first), new_height - 1)
        _add_share(picture, y * width, min(last, above + 1.0) - first, rows, above * stride, width)
        if last > above + 1 and above + 1 < new_height:
            _add_share(picture, y * width, last - (above + 1), rows, (above + 1) * stride, width)
    _columns_by_area(rows, stride, width, new_height, new_width, out)


@inlined
def _add_share(picture, row, share, rows, out_row, n):
    """Add a share of n pixels of `picture` to `rows`, in whole registers; each row begins at its own offset."""
    shares = broadcast(np.float32(share), LANES)
    for x in range(0, n, LANES):
        store(rows, out_row + x, fma(shares, load(picture, row + x, LANES), load(rows, out_row + x, LANES)))


@inlined
def _columns_by_area(rows, stride, width, height, new_width, out):
    """Fill `out` column by column: which columns of `rows` each is the mean of is the same in every row."""
    across = width / new_width
    share = np.float32(1 / across)
    for i in range(height * new_width):
        out[i] = 0
    for x in range(new_width):
        first = x * across
        last = min(first + across, float(width))
        start, stop = int(first), int(last)
        _add_column(rows, start, stride, start + 1 - first, out, x, new_width, height)
        for column in range(start + 1, stop):
            _add_column(rows, column, stride, 1.0, out, x, new_width, height)
        if stop < width:
            _add_column(rows, stop, stride, last - stop, out, x, new_width, height)
    for i in range(height * new_width):
        out[i] *= share


@inlined
def _add_column(rows, column, stride, share, out, x, new_width, height):
    share = np.float32(share)
    for y in range(height):
        out[np.uint64(y * new_width + x)] += share * item(rows, y * stride + column)


@inlined
def scale_linearly(picture, height, width, new_height, new_width, out):
    """Fill `out` with picture (height, width) float32 at a larger size, by linear interpolation."""
    for y in range(new_height):
        above, below, low = _neighbours(y, height, new_height)
        for x in range(new_width):
            left, right, far = _neighbours(x, width, new_width)
            upper = (1 - far) * picture[above * width + left] + far * picture[above * width + right]
            lower = (1 - far) * picture[below * width + left] + far * picture[below * width + right]
            out[y * new_width + x] = (1 - low) * upper + low * lower


@inlined
def _neighbours(position, size, new_size):
    """Return the two pixels that a pixel of the larger picture lies between, and how far from the first."""
    place = (position + 0.5) * size / new_size - 0.5
    first = math.floor(place)
    far = place - first
    if first < 0:
        first, far = 0, 0.0
    return min(first, size - 1), min(first + 1, size - 1), far
