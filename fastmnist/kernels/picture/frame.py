"""The dark or light edges that a scanner or a screenshot leaves at a picture's sides: cut away first, by grey alone."""

from fastmnist.kernels.jit import inlined

WIDEST = 12  # a frame is at most 1/12 of the picture wide,
STEP = 30  # and differs from what it surrounds by at least this many grey levels,
SHARE = 0.95  # in the same direction in this share of its line


@inlined
def without_frame(picture, height, width, spare):
    """Cut frames away, in place; return the new height and width, and how much was cut above and to the left."""
    above = _frame_at(picture, height, width, 0, width, 1)
    below = _frame_at(picture, height, width, (height - 1) * width, -width, 1)
    new_height = height - above - below
    start = above * width
    left = _frame_at(picture, width, new_height, start, 1, width)
    right = _frame_at(picture, width, new_height, start + width - 1, -1, width)
    new_width = width - left - right
    if new_height < height or new_width < width:
        for i in range(height * width):
            spare[i] = picture[i]
        for y in range(new_height):
            for x in range(new_width):
                picture[y * new_width + x] = spare[(above + y) * width + left + x]
    return new_height, new_width, above, left


@inlined
def _frame_at(picture, n_lines, length, start, inwards, along):
    """Return how many lines to cut at a side.

    Line i begins at `start + i * inwards`, and its pixels are `along` apart. A frame's line differs from the line
    further in, in the same direction, nearly everywhere.
    """
    depth = n_lines // WIDEST
    most_alike = length - int(SHARE * length) - 1
    last = -1
    for i in range(depth):
        n_lighter, n_darker, j = 0, 0, 0
        while j < length and j - max(n_lighter, n_darker) <= most_alike:
            further = start + depth * inwards + j * along
            step = int(picture[start + i * inwards + j * along]) - int(picture[further])
            n_lighter += step > STEP
            n_darker += step < -STEP
            j += 1
        if max(n_lighter, n_darker) > SHARE * length:
            last = i
    return last + 1 + depth // 4 if last >= 0 else 0
