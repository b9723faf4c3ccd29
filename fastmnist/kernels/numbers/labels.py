"""Maps of which part of a line's ink each pixel belongs to: measured, and spread over the soft edges of strokes."""

from fastmnist.kernels.jit import serial_kernel

LEFT, TOP, RIGHT, BOTTOM, AREA = range(5)  # of a part: its box, right and bottom exclusive, and its pixels


@serial_kernel
def measure(labels, parts):
    """Fill parts (n, 5) int32 with the box and the area of each label from 1 to n; labels: int32 (height, width)."""
    height, width = labels.shape
    parts[:, LEFT], parts[:, TOP], parts[:, RIGHT:] = width, height, 0
    for y in range(height):
        x = 0
        while x < width:
            label = labels[y, x]
            if label == 0:
                x += 1
                continue
            first = x
            while x < width and labels[y, x] == label:
                x += 1
            part = parts[label - 1]
            part[LEFT], part[RIGHT] = min(part[LEFT], first), max(part[RIGHT], x)
            part[TOP], part[BOTTOM] = min(part[TOP], y), max(part[BOTTOM], y + 1)
            part[AREA] += x - first


@serial_kernel
def number_parts(labels, chosen, boxes, numbers):
    """Fill `numbers`, int32 (height, width), with the position in `chosen` of each pixel's label, where it is there.

    boxes: int32 (n, 4), where the pixels of each of chosen, int32 (n,), are: top, left, bottom, right.
    """
    for number in range(len(chosen)):
        top, left, bottom, right = boxes[number]
        for y in range(top, bottom):
            for x in range(left, right):
                if labels[y, x] == chosen[number]:
                    numbers[y, x] = number


@serial_kernel
def spread(ink, labels, largest, steps):
    """Give each pixel of ink without a label the largest label of its neighbours, in place, `steps` times.

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
