"""Maps of which part of a line's ink each pixel is of, spread over the soft edges of strokes."""

from fastmnist.kernels.jit import serial_kernel


@serial_kernel
def spread(ink, labels, before, steps):
    """Give pixels of ink without a label that of a neighbour, the largest, in place, so many times.

    ink: uint8 (height, width), 0 for paper. labels: int32 (height, width), -1 for none; before likewise, scratch.
    """
    height, width = ink.shape
    for _ in range(steps):
        for y in range(height):
            for x in range(width):
                before[y, x] = labels[y, x]
        for y in range(height):
            for x in range(width):
                if before[y, x] < 0 and ink[y, x] > 0:
                    for row in range(max(0, y - 1), min(height, y + 2)):
                        for column in range(max(0, x - 1), min(width, x + 2)):
                            labels[y, x] = max(labels[y, x], before[row, column])
