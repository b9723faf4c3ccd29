"""What is printed around a digit: a comb's cell, a dashed or dotted box. Their components become FOREIGN.

(Closed boxes are found in images/paper.py, lines across the picture in lines.py.)
"""

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.picture.components import AREA, BOTTOM, FOREIGN, LEFT, PIECE, RIGHT, STATE, TOP

IN_CORNER = 0.3  # of the size of a frame's corner, or of a comb: something this large within it may be the digit

COMB = 0.5  # of the picture's width: a comb's cell is wider. It is a line with a tick at each end,
TICK = 0.2  # of its width: how high these are, at least
ALONG_COMB, CORNER_OF_COMB = 0.15, 0.06  # of its box's size: its ink is that near to three sides, and to the corners

DASH, N_DASHES, N_PER_SIDE = 0.5, 12, 3  # of the digit's size: so many pieces that short are a dashed box around it,
LEAST_DASH, LIKE_DASHES = 3, 4  # pixels: less is noise; none has more than that many times their mean area
ON_SIDES, OFF_SIDE = 0.9, 0.12  # if this share of them is at its sides, at most so far off, of its size


@inlined
def leave_combs(components, n, runs, n_runs, width):
    """Make what is a comb's cell around a digit FOREIGN."""
    for c in range(n):
        box = components[c]
        across = box[RIGHT] - box[LEFT]
        has_ticks = box[BOTTOM] - box[TOP] >= TICK * across
        if box[STATE] == PIECE and has_ticks and across >= COMB * width and _is_comb(runs, n_runs, c, box):
            for d in range(n):
                other = components[d]
                is_between = box[LEFT] < other[LEFT] and other[RIGHT] < box[RIGHT] and other[BOTTOM] < box[BOTTOM]
                size = max(other[RIGHT] - other[LEFT], other[BOTTOM] - other[TOP])
                if is_between and other[STATE] == PIECE and size >= IN_CORNER * across:
                    box[STATE] = FOREIGN


@inlined
def _is_comb(runs, n_runs, component, box):
    """Return whether a component, which has that box, lies along its left, lower and right side and in all corners."""
    along = ALONG_COMB * (box[RIGHT] - box[LEFT])
    near = max(2.0, CORNER_OF_COMB * (box[RIGHT] - box[LEFT]))
    is_at_left, is_at_right, is_above_left, is_above_right = False, False, False, False
    for run in range(n_runs):
        if runs[run, 3] == component:
            row, start, end = runs[run, 0], runs[run, 1], runs[run, 2]
            if row < box[BOTTOM] - along and start < box[RIGHT] - along and end > box[LEFT] + along:
                return False
            if row >= box[BOTTOM] - near:
                is_at_left |= start < box[LEFT] + near
                is_at_right |= end > box[RIGHT] - near
            elif 2 * row < box[TOP] + box[BOTTOM]:
                is_above_left |= start < box[LEFT] + along
                is_above_right |= end > box[RIGHT] - along
    return is_at_left and is_at_right and is_above_left and is_above_right


@inlined
def leave_dashes(components, n, digit):
    """Make a dashed or dotted box around the digit FOREIGN: many short pieces along the sides of a box around it."""
    inner = components[digit]
    longest = DASH * max(inner[RIGHT] - inner[LEFT], inner[BOTTOM] - inner[TOP])
    top, left, bottom, right, n_short = inner[TOP], inner[LEFT], inner[BOTTOM], inner[RIGHT], 0
    total, largest = 0, 0
    for c in range(n):
        box = components[c]
        if _is_short(box, longest):
            top, left = min(top, box[TOP]), min(left, box[LEFT])
            bottom, right = max(bottom, box[BOTTOM]), max(right, box[RIGHT])
            n_short += 1
            total += box[AREA]
            largest = max(largest, box[AREA])
    if n_short < N_DASHES or largest * n_short > LIKE_DASHES * total:
        return
    off = OFF_SIDE * max(bottom - top, right - left)
    if _is_at_side(inner, top, left, bottom, right, off):
        return
    n_above, n_below, n_left, n_right, n_at_sides = 0, 0, 0, 0, 0
    for c in range(n):
        box = components[c]
        if _is_short(box, longest):
            n_above += box[TOP] + box[BOTTOM] < 2 * (top + off)
            n_below += box[TOP] + box[BOTTOM] > 2 * (bottom - off)
            n_left += box[LEFT] + box[RIGHT] < 2 * (left + off)
            n_right += box[LEFT] + box[RIGHT] > 2 * (right - off)
            n_at_sides += _is_at_side(box, top, left, bottom, right, off)
    if n_at_sides < ON_SIDES * n_short or min(n_above, n_below, n_left, n_right) < N_PER_SIDE:
        return
    for c in range(n):
        if c != digit and _is_at_side(components[c], top, left, bottom, right, off):
            components[c, STATE] = FOREIGN


@inlined
def _is_short(box, longest):
    is_short = max(box[RIGHT] - box[LEFT], box[BOTTOM] - box[TOP]) <= longest
    return box[STATE] == PIECE and is_short and box[AREA] >= LEAST_DASH


@inlined
def _is_at_side(piece, top, left, bottom, right, off):
    """Return whether the middle of a piece is at most `off` pixels from a side of the box."""
    middle, centre = (piece[TOP] + piece[BOTTOM]) / 2, (piece[LEFT] + piece[RIGHT]) / 2
    return min(middle - top, bottom - middle, centre - left, right - centre) < off
