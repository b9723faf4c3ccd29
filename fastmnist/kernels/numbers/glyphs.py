"""Glyphs: the ink between two cuts of a line, found, measured, and brought to MNIST's form.

A line is a sequence of parts of ink. A cut is in one of them: to its left lie the parts before that one, and those of
its pixels that are no further right than the cut's column in their row. `parts`, int32 (n_cuts,), says which part each
cut is in, and `seams`, int32 (n_cuts, height), in which columns.
"""

import numpy as np

from fastmnist.kernels.jit import inlined, serial_kernel
from fastmnist.kernels.picture.parts import place_digit
from fastmnist.kernels.picture.place import BOX
from fastmnist.shapes import SIDE

_place_digit = place_digit.call

START, END, TOP, LEFT, BOTTOM, RIGHT = range(6)  # a glyph: its cuts, and its box, right and bottom exclusive


@serial_kernel
def find_arcs(
    part_of, boxes, parts, seams, lefts, crossed, height, most_cuts, widest, highest, most_lost, low, broad,
    gaps, glyphs, counts, shapes, is_cut,
):  # fmt: skip
    """Fill the arcs of a search (search.py) with what may be a glyph, in the order of their ends; return how many.

    part_of: int32 (height, width), the part that each pixel is of, -1 for paper. boxes: int32 (n_parts, 4), top, left,
    bottom and right of each. lefts: int64 (n_cuts,), the pixels to the left of each cut, which ascend. crossed:
    float64 (n_cuts,), see numbers/cuts.py. height: float, of digits; `widest`, `highest` and `low` in parts of it, and
    `most_lost` and `broad` of its square. A glyph ends at most `most_cuts` after it starts. If it does not end at the
    next cut, it is no wider than `widest`, no higher than `highest`, and its cuts cross each other on at most
    `most_lost` pixels.
    Before one between neighbouring cuts that is lower than `low`, in a box smaller than `broad`, comes an arc that
    leaves it out, as a mark.

    Of each arc, and there is room for most_cuts + 1 to each cut: glyphs (m, 6) int32; counts (m,) int64, how many
    glyphs it reads, 0 or 1; shapes (m, 4) float64, see numbers/ways.py; is_cut (m,) bool, whether ink is cut at its
    start or its end. gaps: float64 (n_parts + 1,), scratch.
    """
    _add_gaps(boxes, gaps)
    n = 0
    for end in range(1, len(parts)):
        for start in range(end - 1, max(-1, end - 1 - most_cuts), -1):
            glyph = glyphs[n]
            area = _measure(part_of, boxes, parts, seams, start, end, glyph)
            is_next, width, high = start == end - 1, glyph[RIGHT] - glyph[LEFT], glyph[BOTTOM] - glyph[TOP]
            if not is_next and (width > widest * height or high > highest * height):
                break
            is_whole = area - (lefts[end] - lefts[start]) <= most_lost * height * height
            if area == 0 or not (is_whole or is_next):
                continue
            is_seam = seams[end, 0] >= 0
            gap = gaps[max(0, parts[end] - (0 if is_seam else 1))] - gaps[parts[start]]
            is_mark = is_next and high < low * height and high * width < broad * height * height
            for count in range(0 if is_mark else 1, 2):
                for column in range(6):
                    glyphs[n, column] = glyph[column]
                counts[n], is_cut[n] = count, is_seam or seams[start, 0] >= 0
                shapes[n, 0], shapes[n, 1] = crossed[end], count * gap / height
                shapes[n, 2], shapes[n, 3] = high / height, width / height
                n += 1
    return n


@inlined
def _measure(part_of, boxes, parts, seams, start, end, glyph):
    """Fill `glyph` with the ink between two cuts; return how many pixels it has."""
    height, width = part_of.shape
    first, last = parts[start], min(parts[end], len(boxes) - 1)
    left, right, area = width, 0, 0
    top, bottom = height, 0
    for part in range(first, last + 1):
        box_top, box_left, box_bottom, box_right = boxes[part]
        for y in range(box_top, box_bottom):
            begin = max(box_left, seams[start, y] + 1) if part == first else box_left
            stop = min(box_right, seams[end, y] + 1) if part == parts[end] else box_right
            for x in range(begin, stop):
                if part_of[y, x] == part:
                    area += 1
                    top, bottom = min(top, y), max(bottom, y + 1)
                    left, right = min(left, x), max(right, x + 1)
    glyph[START], glyph[END] = start, end
    glyph[TOP], glyph[LEFT], glyph[BOTTOM], glyph[RIGHT] = top, left, bottom, right
    return area


@inlined
def _add_gaps(boxes, gaps):
    """Fill `gaps` with the total width of the gaps between parts up to each part, from the first; 0 after the last."""
    behind, total = 0, 0
    for part in range(len(boxes)):
        if part > 0:
            total += max(0, boxes[part, 1] - behind)
        behind = max(behind, boxes[part, 3])
        gaps[part] = total
    gaps[len(boxes)] = 0.0


@serial_kernel
def place_glyphs(place_at, ink, part_of, parts, seams, glyphs, work, images):
    """Fill images (n, 784) uint8 with glyphs (n, 6) int32 in MNIST's form; one without ink stays as it is.

    place_at: the address of `place_digit`. ink: uint8 (height, width), 0 for paper, 255 for full ink. part_of: int32
    (height, width), -1 for paper. work: float32 (3, m + SLACK), m at least 784, which rows in whole registers
    may need, and 9 times the pixels of the largest box.
    """
    share = np.float32(1 / 255)
    for i in range(len(glyphs)):
        start, end, top, left, bottom, right = glyphs[i]
        width = right - left
        for y in range(top, bottom):
            line = work[0, (y - top) * width : (y - top + 1) * width]
            for x in range(width):
                own = _is_between(
                    part_of[y, left + x], left + x, parts[start], parts[end], seams[start, y], seams[end, y]
                )
                line[x] = ink[y, left + x] * share if own else np.float32(0)
        _place_digit(place_at, (work[0], bottom - top, width, work[1], work[2], images[i]))


@inlined
def _is_between(part, x, first_part, last_part, after, up_to):
    """Return whether a pixel of a part lies between two cuts, in these parts and, in its row, these columns."""
    is_behind = (part > first_part) | ((part == first_part) & (x > after))
    return is_behind & ((part < last_part) | ((part == last_part) & (x <= up_to)))


@serial_kernel
def place_in_context(ink, part_of, parts, seams, glyphs, others, line, totals, images):
    """Fill images (n, 784) uint8 with glyphs (n, 6) int32 and, paler, with the ink around them.

    A glyph's bounding box is in the middle, its longer side 20 pixels. Other ink is drawn at the share `others` of its
    depth. line: float64 (width,) and totals: float64 (28,) are scratch. The rest as in `place_glyphs`.
    """
    height, width = ink.shape
    for i in range(len(glyphs)):
        start, end, top, left, bottom, right = glyphs[i]
        step = max(bottom - top, right - left) / BOX  # pixels of the line in one of the image
        first_y, first_x = (top + bottom - SIDE * step) / 2, (left + right - SIDE * step) / 2
        first, stop = max(0, int(first_x)), min(width, int(np.ceil(first_x + SIDE * step)))
        seen_y = -1
        for row in range(SIDE):
            for column in range(SIDE):
                totals[column] = 0.0
            from_y, to_y = max(0.0, first_y + row * step), min(float(height), first_y + (row + 1) * step)
            for y in range(int(from_y), int(np.ceil(to_y))):
                if y != seen_y:
                    _see(
                        ink[y],
                        part_of[y],
                        parts[start],
                        parts[end],
                        seams[start, y],
                        seams[end, y],
                        others,
                        first,
                        stop,
                        line,
                    )
                    seen_y = y
                covered = min(to_y, y + 1.0) - max(from_y, float(y))
                _add_columns(line, covered, first_x, step, width, totals)
            for column in range(SIDE):
                images[i, row * SIDE + column] = np.uint8(np.rint(totals[column] / (step * step)))


@inlined
def _see(ink, part_of, first_part, last_part, after, up_to, others, first, stop, line):
    """Fill `line` from `first` to `stop` with the ink of a row; of ink that is not the glyph's, the share `others`."""
    for x in range(first, stop):
        own = _is_between(part_of[x], x, first_part, last_part, after, up_to)
        line[x] = (1.0 if own else others) * ink[x]


@inlined
def _add_columns(line, covered, first_x, step, width, totals):
    """Add to `totals` what each column of an image sees of a row of pixels, of whose height it covers `covered`."""
    for column in range(SIDE):
        from_x, to_x = max(0.0, first_x + column * step), min(float(width), first_x + (column + 1) * step)
        total = totals[column]
        for x in range(int(from_x), int(np.ceil(to_x))):
            total += line[x] * covered * (min(to_x, x + 1.0) - max(from_x, float(x)))
        totals[column] = total
