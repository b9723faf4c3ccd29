"""A digit's ink -> MNIST's form: its longest side 20 pixels, its centre of mass in the middle of 28x28.

MNIST's digits were cut out of black-and-white scans, scaled to fit 20x20 pixels with their aspect ratio kept, which
gave them grey edges, and put into 28x28 pixels with their centre of mass in the middle (LeCun et al., Gradient-based
learning applied to document recognition, 1998, section III.A), moved by whole pixels only (Yadav and Bottou, Cold
case: the lost MNIST digits, 2019, section 2).
"""

import math

import numpy as np
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.lanes import MASK_BITS, bits_above, highest_bit, low_bits, lowest_bit
from fastmnist.kernels.picture.components import add_runs
from fastmnist.kernels.picture.morphology import change_strokes
from fastmnist.kernels.picture.shrink import scale_by_area, scale_linearly
from fastmnist.kernels.picture.work import SLACK
from fastmnist.kernels.simd import item
from fastmnist.shapes import SIDE

BOX = 20  # the longest side of a digit within the 28x28 pixels
CENTRE = 14  # where the centre of mass goes, rounded: [13.5, 14.5) in pixel indices
CORE = np.float32(0.5)  # of the ink's depth: the core of a stroke
EDGE = 0.5  # of the ink's depth: where a digit ends in a large picture
THIN, THICK = 1.7, 5.0  # stroke widths in the 20x20 box beyond which strokes are changed,
THICKENED, THINNED = 2.5, 3.8  # and to which widths
STRAIGHT, DIAGONAL = np.float32(0.955), np.float32(1.3693)  # Borgefors' steps (1986), for a window of 3x3


@intrinsic
def _as_runs(_typing, array):
    """Return float32 memory as rows of four int32.

    (NumPy's view and reshape take half a second to compile.)
    """
    runs = types.Array(types.int32, 2, "C")

    def generate(context, builder, _signature, args):
        memory = context.make_array(array)(context, builder, args[0])
        rows = context.make_array(runs)(context, builder)
        n = builder.udiv(memory.nitems, memory.nitems.type(4))
        size = context.get_abi_sizeof(context.get_data_type(types.int32))
        data = builder.bitcast(memory.data, rows.data.type)
        populate_array(rows, data, [n, n.type(4)], [n.type(4 * size), n.type(size)], n.type(size), None)
        return rows._getvalue()

    return runs(array), generate


@inlined
def place(digit, height, width, changed, distances, image):
    """Fill image (784,) with a digit in MNIST's form; return its stroke width in the 20x20 box, 0 where none is left.

    digit (height, width) float32, with SLACK more elements: 0 for paper, about 1 for full ink. It is overwritten, as
    are `changed` and `distances`, which have room for MARGINS times its pixels, and `distances` also for BOX rows of
    its width in whole registers.
    """
    height, width = _cut(digit, height, width, changed)
    if height == 0:
        return 0.0
    size = max(height, width)
    stroke = stroke_width(digit, height, width, _as_runs(changed), distances) * BOX / size
    wanted = THICKENED if stroke < THIN else THINNED
    change = int(np.rint(abs(wanted - stroke) * size / BOX))
    margins = 2 * change + 2
    has_room = (  # not in a picture of few rows
        (height + margins) * (width + margins) <= len(changed) - SLACK and 2 * (width + 2 * margins) <= len(distances)
    )
    if size >= 2 * BOX and has_room and not THIN <= stroke <= THICK:
        height, width = change_strokes(digit, height, width, change, stroke < THIN, changed, distances)
        for i in range(height * width):
            digit[i] = changed[i]
        height, width = _cut(digit, height, width, changed)
        if height == 0:
            return 0.0
    scale = BOX / max(height, width)
    new_height, new_width = max(1, int(np.rint(height * scale))), max(1, int(np.rint(width * scale)))
    if scale < 1:
        scale_by_area(digit, height, width, new_height, new_width, changed, distances)
    elif scale > 1:
        scale_linearly(digit, height, width, new_height, new_width, changed)
    else:
        for i in range(height * width):
            changed[i] = digit[i]
    _centre(changed, new_height, new_width, image)
    return max(stroke, 0.01)


@inlined
def _cut(digit, height, width, spare):
    """Cut the empty rows and columns around a digit off, in place; return its height and width, 0 where it is empty.

    In a small picture pixels are as large as MNIST's, and a digit ends with its last grey pixel; in a large one the
    lens blurs the edge, and the digit ends at EDGE of the ink's depth.
    """
    top, left, bottom, right = bounds(digit, height, width, CORE)
    if bottom <= top:
        return 0, 0
    edge = np.float32(EDGE * max(0.0, 1 - BOX / max(bottom - top, right - left)))
    top, left, bottom, right = bounds(digit, height, width, edge)
    new_width = right - left
    for y in range(top, bottom):
        row, line = digit[y * width + left : y * width + right], spare[(y - top) * new_width :]
        for x in range(new_width):
            line[x] = row[x]
    for i in range((bottom - top) * new_width):
        digit[i] = spare[i]
    return bottom - top, new_width


@inlined
def bounds(picture, height, width, edge):
    """Return top, left, bottom and right (exclusive) of what is above `edge`; bottom is 0 where nothing is.

    picture (height, width) float32 has SLACK more elements.
    """
    top, left, bottom, right = height, width, 0, 0
    for y in range(height):
        for first in range(0, width, MASK_BITS):
            is_ink = bits_above(picture, y * width + first, edge) & low_bits(width - first)
            if is_ink:
                top, left, bottom = min(top, y), min(left, first + lowest_bit(is_ink)), y + 1
                right = max(right, first + highest_bit(is_ink) + 1)
    return top, left, bottom, right


@inlined
def stroke_width(digit, height, width, runs, distances):
    """Return the mean width of a digit's strokes, in pixels: in a stroke of width w, pixels are w / 4 from its edge.

    Distances are those of a chamfer of 3x3 (Borgefors, Distance transformations in digital images, 1986). Only the
    runs of ink are gone through. `digit` has SLACK more elements; runs (n, 4) int32 and distances
    ((height + 2) * (width + 2),) float32 are scratch.
    """
    stride, n_runs, total, n = width + 2, 0, 0.0, 0
    for i in range((height + 2) * stride):
        distances[i] = 0
    for y in range(height):
        n_runs = add_runs(digit, y, width, CORE, runs, n_runs)
    for run in range(n_runs):
        row, last = (runs[run, 0] + 1) * stride + 1, np.float32(0)
        for i in range(row + runs[run, 1], row + runs[run, 2]):
            last = _smaller(last + STRAIGHT, _beyond(distances, i - stride))
            distances[np.uint64(i)] = last
    for run in range(n_runs - 1, -1, -1):
        row, last = (runs[run, 0] + 1) * stride + 1, np.float32(0)
        for i in range(row + runs[run, 2] - 1, row + runs[run, 1] - 1, -1):
            last = _smaller(last + STRAIGHT, _smaller(item(distances, i), _beyond(distances, i + stride)))
            distances[np.uint64(i)] = last
            total += last
        n += runs[run, 2] - runs[run, 1]
    return 4 * total / max(1, n) - 1


@inlined
def _beyond(distances, i):
    """Return the distance of a pixel by way of those around i in the next row."""
    beside = _smaller(item(distances, i - 1), item(distances, i + 1))
    return _smaller(item(distances, i) + STRAIGHT, beside + DIAGONAL)


@inlined
def _smaller(one, other):
    """Return the smaller float, in one instruction. `min` is a branch, mispredicted, and takes twice as long."""
    return one if one < other else other


@inlined
def _centre(digit, height, width, image):
    """Fill image (784,) with the digit's ink at full range and its centre of mass in [13.5, 14.5) on both axes.

    The digit is shifted by whole pixels, and never past the edge.
    """
    total, down, across, deepest = 0.0, 0.0, 0.0, np.float32(0)
    for y in range(height):
        for x in range(width):
            ink = digit[y * width + x]
            total += ink
            down += ink * y
            across += ink * x
            deepest = max(deepest, ink)
    top = min(max(0, math.ceil(CENTRE - 0.5 - down / total)), SIDE - height)
    left = min(max(0, math.ceil(CENTRE - 0.5 - across / total)), SIDE - width)
    for i in range(SIDE * SIDE):
        image[i] = 0
    for y in range(height):
        for x in range(width):
            image[(top + y) * SIDE + left + x] = np.uint8(np.rint(digit[y * width + x] * (255.0 / deepest)))
