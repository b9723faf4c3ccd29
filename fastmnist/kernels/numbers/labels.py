"""Maps of which part of a line's ink each pixel is of, spread over the soft edges of strokes."""

from fastmnist.kernels.jit import serial_kernel


@serial_kernel
def spread(ink, labels, largest, steps):
    """Give pixels of ink without a label that of a neighbour, the largest, in place, so many times.

    ink: uint8 (height, width), 0 for paper. labels: int32 (height, width), -1 for none; largest likewise, scratch.
    """
    height, width = ink.shape
    for _ in range(steps):
        for y in range(height):  # the largest of three in a row, then of three rows: both loops are vectors
            row, of_three = labels[y], largest[y]
            for x in range(1, width - 1):
                of_three[x] = max(row[x - 1], row[x], row[x + 1])
            of_three[0] = max(row[0], row[min(1, width - 1)])
            of_three[width - 1] = max(row[width - 1], row[max(0, width - 2)])
        for y in range(height):
            row, above, here, below = labels[y], largest[max(0, y - 1)], largest[y], largest[min(height - 1, y + 1)]
            for x in range(width):
                found = max(above[x], here[x], below[x])
                row[x] = found if row[x] < 0 and ink[y, x] > 0 else row[x]
