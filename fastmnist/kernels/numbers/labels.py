"""Maps of which piece each pixel of ink is of: made by seams, measured, and spread over the soft edges of strokes."""

from fastmnist.kernels.jit import serial_kernel

TOP, LEFT, BOTTOM, RIGHT, AREA = range(5)


@serial_kernel
def split(own, seams, labels):
    """Fill labels int32 (height, width) with how many seams lie to the left of a pixel, or on it; -1 where not `own`.

    own: bool (height, width). seams: int32 (n, height), the column of each in every row.
    """
    height, width = own.shape
    for y in range(height):
        for x in range(width):
            labels[y, x] = -1
            if own[y, x]:
                n = 0
                for seam in range(len(seams)):
                    n += seams[seam, y] <= x
                labels[y, x] = n


@serial_kernel
def measure(labels, boxes):
    """Fill boxes int32 (n, 5) with the top, left, bottom, right (exclusive) and area of labels 0 to n - 1.

    labels: int32 (height, width), -1 for none. A label that is nowhere has the area 0.
    """
    height, width = labels.shape
    for label in range(len(boxes)):
        boxes[label, TOP], boxes[label, LEFT] = height, width
        boxes[label, BOTTOM] = boxes[label, RIGHT] = boxes[label, AREA] = 0
    for y in range(height):
        for x in range(width):
            label = labels[y, x]
            if label >= 0:
                boxes[label, TOP], boxes[label, BOTTOM] = min(boxes[label, TOP], y), y + 1
                boxes[label, LEFT] = min(boxes[label, LEFT], x)
                boxes[label, RIGHT] = max(boxes[label, RIGHT], x + 1)
                boxes[label, AREA] += 1


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
