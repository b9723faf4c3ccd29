"""Closing with windows, at a cost that grows with the logarithm of their size; changing strokes by an ellipse."""

import math

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.picture.work import SLACK, whole_vectors
from fastmnist.kernels.simd import item


@inlined
def close(picture, height, width, down, across, out, padded):
    """Fill `out` with `picture` closed by a window of 2 * down + 1 by 2 * across + 1 pixels, cut at the border.

    Whatever is darker than its surroundings and narrower than the window becomes as light as they are. A dark part
    that reaches the border goes only where it is narrower than half a window. `picture` and `out` have SLACK more
    elements; padded (2 * MARGINS times the pixels + SLACK, at least 2 * SLACK) is scratch.
    """
    for i in range(height * width):
        out[i] = picture[i]
    for _ in range(2):  # eroding is dilating the negative, and both dilations leave negatives
        _dilated_negative(out, height, width, down, across, padded)


@inlined
def _dilated_negative(picture, height, width, down, across, padded):
    """Replace `picture` by the negative of its dilation."""
    half, stride = len(padded) // (2 * SLACK) * SLACK, width + across  # a half begins on a cache line, as `padded` does
    # Two rows share the margin between them. Windows that begin in a row end in its margin, so all rows are done in one
    # loop. Copies go over whole vectors, over the end of a row: what comes after it is written after it.
    vectors, margin = whole_vectors(width), whole_vectors(across)
    for x in range(margin):
        padded[x] = 0
    for y in range(height):
        first = across + y * stride
        row, line, after = picture[y * width :], padded[first:], padded[first + width :]
        for x in range(vectors):
            line[x] = row[x]
        for x in range(margin):
            after[x] = 0
    start = _largest_in_windows(padded, across + height * stride, 0, half, 2 * across + 1, 1)
    # And columns have theirs, in the other half.
    other = half - start
    first, n = other + down * width, (height + 2 * down) * width
    above, below = padded[other:], padded[first + height * width :]
    for i in range(down * width):
        above[i] = 0
    for y in range(height):
        row, line = padded[start + y * stride :], padded[first + y * width :]
        for x in range(vectors):
            line[x] = row[x]
    for i in range(down * width):
        below[i] = 0
    start = _largest_in_windows(padded, n, other, start, 2 * down + 1, width)
    dilated = padded[start:]
    for i in range(height * width):
        picture[i] = 255 - dilated[i]


@inlined
def _largest_in_windows(padded, n, start, other, n_values, step):
    """Replace each of n values by the largest of the n_values that start with it, `step` apart; return where they lie.

    They lie at `start`; at `other` there is room for as many. Windows that would go beyond the last value are left out.
    """
    size = 1  # of the windows whose largest value is known: they double, twice in a pass, until they are large enough
    while size < n_values:
        shift = min(size, n_values - size)
        size += shift
        more = min(size, n_values - size)
        size += more
        n -= (shift + more) * step
        _largest_of_four(padded[start:], shift * step, more * step, n, padded[other : other + n])
        start, other = other, start
    return start


@inlined
def _largest_of_four(values, shift, more, n, out):
    """Fill `out` with the largest of each four of n values. A loop of its own is vectorised."""
    second, third, fourth = values[shift:], values[more:], values[shift + more :]
    for i in range(n):
        one, other = values[i], third[i]
        one = one if one > second[i] else second[i]
        other = other if other > fourth[i] else fourth[i]
        out[i] = one if one > other else other


@inlined
def change_strokes(digit, height, width, change, thicken, out, scratch):
    """Dilate, or erode, a digit by an ellipse of change + 1 pixels; return the height and width of `out`, with margins.

    digit (height, width) float32 with nothing around it; out float32 with change + 1 more pixels on each side; scratch
    float32 with room for two rows of `out` and four margins. The ellipse's rows, those of OpenCV's MORPH_ELLIPSE, are
    windows that contain each other: a row of the digit goes through all of them, from the narrowest on.
    """
    margin = change + 1
    radius, last = margin // 2, margin - 1 - margin // 2  # the ellipse reaches from -radius to `last`
    new_height, new_width = height + 2 * margin, width + 2 * margin
    room = new_width + 2 * margin
    for i in range(new_height * new_width):
        out[i] = 0 if thicken else np.inf
    for i in range(2 * room):
        scratch[i] = 0
    row, spare = 0, room  # where these begin in `scratch`
    for y in range(height):
        for x in range(2 * margin):
            scratch[row + x] = scratch[row + 2 * margin + width + x] = 0
        for x in range(width):
            scratch[row + 2 * margin + x] = digit[y * width + x]
        left = right = 0
        for down in range(radius, -1, -1):
            reach = int(np.rint(math.sqrt(radius * radius - down * down)))
            while left < reach or right < min(reach, last):
                more = min(reach - left, left + right + 1)
                more_right = min(min(reach, last) - right, left + right + 1 - more)
                first, place = row + margin, spare + margin
                _combine(scratch, first - more, scratch, first + more_right, new_width, thicken, scratch, place)
                row, spare, left, right = spare, row, left + more, right + more_right
            above, below = (y + margin - down) * new_width, (y + margin + down) * new_width
            if down <= last:
                _combine(scratch, row + margin, out, above, new_width, thicken, out, above)
            if down > 0:
                _combine(scratch, row + margin, out, below, new_width, thicken, out, below)
    if not thicken:  # what has paper within the ellipse
        for i in range((margin + radius) * new_width):
            out[i] = 0
        for i in range(max(0, margin + height - last) * new_width, new_height * new_width):
            out[i] = 0
    return new_height, new_width


@inlined
def _combine(one, first, other, second, n, largest, out, place):
    """Fill n pixels of `out` with the larger, or smaller, of one's and the other's; each begins at its own offset."""
    for x in range(n):
        left, right = item(one, first + x), item(other, second + x)
        is_left = left > right if largest else left < right
        out[np.uint64(place + x)] = left if is_left else right
