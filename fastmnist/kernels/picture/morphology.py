"""Dilation, erosion and closing by windows, whose cost grows with the logarithm of the window's size."""

import math

import numpy as np

from fastmnist.kernels.jit import inlined


@inlined
def close(picture, height, width, down, across, out, padded):
    """Fill `out` with `picture` closed by a window of 2 * down + 1 by 2 * across + 1 pixels, cut at the border.

    Whatever is darker than its surroundings and narrower than the window becomes as light as they are. A dark part
    that reaches the border goes only where it is narrower than half a window. padded (2 * MARGINS times the pixels) is
    scratch.
    """
    for i in range(height * width):
        out[i] = picture[i]
    for _ in range(2):  # eroding is dilating the negative, and both dilations leave negatives
        _dilated_negative(out, height, width, down, across, padded)


@inlined
def _dilated_negative(picture, height, width, down, across, padded):
    """Replace `picture` by the negative of its dilation."""
    half, stride = len(padded) // 2, width + 2 * across
    # Rows get margins, so windows that begin in a row end in it, and all rows are done in one loop.
    for i in range(height * stride):
        padded[i] = 0
    for y in range(height):
        row, line = picture[y * width : (y + 1) * width], padded[y * stride + across :]
        for x in range(width):
            line[x] = row[x]
    start = largest_in_windows(padded, height * stride, 0, half, 2 * across + 1, 1)
    # And columns theirs, in the other half.
    other = half - start
    first, n = other + down * width, (height + 2 * down) * width
    above, below = padded[other:first], padded[other + n - down * width :]
    for i in range(down * width):
        above[i] = below[i] = 0
    for y in range(height):
        row, line = padded[start + y * stride :], padded[first + y * width :]
        for x in range(width):
            line[x] = row[x]
    start = largest_in_windows(padded, n, other, start, 2 * down + 1, width)
    dilated = padded[start:]
    for i in range(height * width):
        picture[i] = 255 - dilated[i]


@inlined
def largest_in_windows(padded, n, start, other, n_values, step):
    """Replace n values by the largest of those that follow, n_values of them, `step` apart; return where they lie.

    They lie at `start`; `other` is where there is room for as many. What would go beyond the last is left out.
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
def change_strokes(digit, height, width, change, thicken, out):
    """Dilate, or erode, a digit by an ellipse of change + 1 pixels; return the height and width of `out`, with margins.

    digit (height, width) float32 with nothing around it; out float32 with change + 1 more pixels on each side.
    """
    size, margin = change + 1, change + 1
    first = -(size // 2)
    new_height, new_width = height + 2 * margin, width + 2 * margin
    for i in range(new_height * new_width):
        out[i] = 0 if thicken else np.inf
    radius = size // 2
    for down in range(first, first + size):
        # The rows of OpenCV's MORPH_ELLIPSE.
        reach = int(np.rint(math.sqrt(radius * radius - down * down))) if abs(down) <= radius else 0
        for across in range(max(first, -reach), min(first + size - 1, reach) + 1):
            _combine(digit, height, width, down, across, margin, thicken, out)
    return new_height, new_width


@inlined
def _combine(digit, height, width, down, across, margin, thicken, out):
    new_width = width + 2 * margin
    for y in range(height + 2 * margin):
        line = out[y * new_width : (y + 1) * new_width]
        source, start = y - margin + down, margin - across
        is_inside = 0 <= source < height
        if is_inside:
            pixels, part = digit[source * width : (source + 1) * width], line[start : start + width]
            for x in range(width):
                if thicken:
                    part[x] = max(part[x], pixels[x])
                else:
                    part[x] = min(part[x], pixels[x])
        if not thicken:
            for x in range(start if is_inside else new_width):
                line[x] = 0
            for x in range(start + width if is_inside else new_width, new_width):
                line[x] = 0
