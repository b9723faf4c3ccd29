"""Which components of ink are the digit: not what lies at the border, not specks, and near each other."""

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.picture.components import (
    AREA,
    BOTTOM,
    FOREIGN,
    INNER,
    LEFT,
    NEW_STROKE,
    PIECE,
    RIGHT,
    STATE,
    STROKE,
    TOP,
)
from fastmnist.kernels.picture.surroundings import IN_CORNER, leave_combs, leave_dashes

LINE = 8  # a component at the border that is longer than 8 times its breadth is a line
INNER_SHARE = 0.4  # of its area: what lies at the border with less in the inner part is not a digit
SPECK = 0.03  # of the largest component's area: anything smaller is a speck
REACH = 0.4  # of the digit's size: strokes further away don't belong to it
AS_HIGH = 0.6  # of the highest piece: pieces as high as a digit,
ROW = 1.2  # and the row that they form is wider than that times the height, where they are several digits

LEAST_BOX = 0.12  # of the picture: what lies within the box of a component that large may be a digit in a frame
FULL, FULL_BOX, FULL_OF_BOX = 0.35, 0.3, 0.6  # of the picture, of the picture, of its box: a sheet rather than a stroke
# A sheet may also be this small a part of the picture if it is this broad, as few digits are that fill their box: 0.3 %
# more of plain pictures get a second look. In pictures with a side of fewer pixels, little could be read on it. (Scans
# that training is drawn from are smaller, and none of them has a sheet.)
SMALL_SHEET, BROAD, SHEET_SIDE = 0.03, 0.35, 200

BAR, LONGER = 6, 1.15  # times as long as broad, and as the digit: a frame's side; a 1 beside another digit is not
HOLLOW = 0.2  # of its box: a frame, or a thin pen's 0
LONG = 0.6  # of the picture's side: what is that long and touches the border may be a frame's side


@inlined
def choose_strokes(components, n, runs, n_runs, height, width):
    """Give the n components (n, 7) of ink their states; return how many digits there are side by side.

    If it is 1, the components that make up the digit become STROKEs. `runs` (n_runs, 4) are those of the components.
    """
    _leave_margin(components, n, height, width)
    leave_combs(components, n, runs, n_runs, width)
    largest = _largest(components, n)
    if _is_corner(components, n, largest):
        components[largest, STATE] = FOREIGN
        largest = _largest(components, n)
    leave_dashes(components, n, largest)
    tallest = 0
    for c in range(n):
        box = components[c]
        if box[STATE] == PIECE and box[AREA] < SPECK * components[largest, AREA]:
            box[STATE] = FOREIGN
        if box[STATE] == PIECE:
            tallest = max(tallest, box[BOTTOM] - box[TOP])
    n_digits = _count_digits(components, n, tallest)
    if n_digits == 1:
        _gather(components, n, largest)
    return n_digits


@inlined
def _is_inside(box, height, width):
    return box[LEFT] > 0 and box[TOP] > 0 and box[RIGHT] < width and box[BOTTOM] < height


@inlined
def _is_within(inner, outer):
    """Return whether the bounding box of one piece lies inside that of another."""
    is_across = outer[LEFT] <= inner[LEFT] and inner[RIGHT] <= outer[RIGHT]
    return is_across and outer[TOP] <= inner[TOP] and inner[BOTTOM] <= outer[BOTTOM]


@inlined
def _leave_margin(components, n, height, width):
    """Make PIECEs of all but what touches the border and isn't a digit: frames, lines and neighbours."""
    largest, n_pieces = 0, 0
    for c in range(n):
        if _is_inside(components[c], height, width):
            largest = max(largest, components[c, AREA])
    for c in range(n):
        box = components[c]
        across, down = box[RIGHT] - box[LEFT], box[BOTTOM] - box[TOP]
        is_line = max(across, down) > LINE * min(across, down)
        is_foreign = box[AREA] < largest or is_line or box[INNER] < INNER_SHARE * box[AREA]
        box[STATE] = FOREIGN if is_foreign and not _is_inside(box, height, width) else PIECE
        n_pieces += box[STATE] == PIECE
    if n_pieces == 0:
        for c in range(n):
            components[c, STATE] = PIECE


@inlined
def _largest(components, n):
    largest = -1
    for c in range(n):
        is_larger = largest < 0 or components[c, AREA] > components[largest, AREA]
        if components[c, STATE] == PIECE and is_larger:
            largest = c
    return largest


@inlined
def _is_corner(components, n, largest):
    """Return whether the largest piece is the corner of a frame, with a digit within its box."""
    box = components[largest]
    across, down = box[RIGHT] - box[LEFT], box[BOTTOM] - box[TOP]
    if box[AREA] >= HOLLOW * across * down:
        return False
    for c in range(n):
        other = components[c]
        size = max(other[RIGHT] - other[LEFT], other[BOTTOM] - other[TOP])
        if c != largest and other[STATE] == PIECE and _is_within(other, box) and size >= IN_CORNER * max(across, down):
            return True
    return False


@inlined
def _count_digits(components, n, tallest):
    """Return how many digits the pieces are: several if pieces as high as a digit form a row wider than it is high."""
    n_apart, start, end, last = 0, -1, -1, -1
    while True:
        piece = _next_in_row(components, n, tallest, last)
        if piece < 0:
            break
        box = components[piece]
        if start < 0:
            start = box[LEFT]
        elif end <= box[LEFT]:
            n_apart += 1
        end, last = box[RIGHT], piece
    return n_apart + 1 if n_apart and end - start > ROW * tallest else 1


@inlined
def _next_in_row(components, n, tallest, last):
    """Return the next high piece from left to right after piece `last`, -1 after the last."""
    following = -1
    for c in range(n):
        box = components[c]
        if box[STATE] != PIECE or box[BOTTOM] - box[TOP] < AS_HIGH * tallest:
            continue
        is_after = last < 0 or _is_before(components, last, c)
        if is_after and (following < 0 or _is_before(components, c, following)):
            following = c
    return following


@inlined
def _is_before(components, one, other):
    left, further = components[one, LEFT], components[other, LEFT]
    return left < further or (left == further and one < other)


@inlined
def _gather(components, n, largest):
    """Make STROKEs of the largest component and of all pieces near it; a stroke may be connected through another."""
    box = components[largest]
    for c in range(n):
        if components[c, STATE] == PIECE and c != largest and _is_frame_part(components[c], box):
            components[c, STATE] = FOREIGN
    reach = REACH * max(box[RIGHT] - box[LEFT], box[BOTTOM] - box[TOP])
    box[STATE] = NEW_STROKE
    found = largest
    while found >= 0:
        stroke, found = components[found], -1
        stroke[STATE] = STROKE
        for c in range(n):
            if components[c, STATE] == PIECE and _is_near(components[c], stroke, reach):
                components[c, STATE] = NEW_STROKE
            if components[c, STATE] == NEW_STROKE:
                found = c


@inlined
def _is_frame_part(piece, digit):
    """Return whether a piece is what remains of a frame: a bar beside the digit and longer, or a corner around it."""
    across, down = piece[RIGHT] - piece[LEFT], piece[BOTTOM] - piece[TOP]
    spans_across = piece[LEFT] <= digit[LEFT] and digit[RIGHT] <= piece[RIGHT]
    spans_down = piece[TOP] <= digit[TOP] and digit[BOTTOM] <= piece[BOTTOM]
    size = max(digit[RIGHT] - digit[LEFT], digit[BOTTOM] - digit[TOP])
    if spans_across and spans_down:
        return piece[AREA] < HOLLOW * across * down
    is_beside_down = piece[BOTTOM] <= digit[TOP] or digit[BOTTOM] <= piece[TOP]
    is_beside_across = piece[RIGHT] <= digit[LEFT] or digit[RIGHT] <= piece[LEFT]
    if spans_across and is_beside_down:
        return across >= LONGER * size and across >= BAR * down
    return spans_down and is_beside_across and down >= LONGER * size and down >= BAR * across


@inlined
def _is_near(box, other, reach):
    across = max(0, max(box[LEFT], other[LEFT]) - min(box[RIGHT], other[RIGHT]))
    down = max(0, max(box[TOP], other[TOP]) - min(box[BOTTOM], other[BOTTOM]))
    return across * across + down * down <= reach * reach


@inlined
def looks_like_paper(components, n, height, width, least_sheet):
    """Return whether there is ink within the box of other ink, an area too large for a stroke, or what may be a frame.

    Then the digit may stand in a printed box, or on a sheet that is taken for ink.
    """
    area = height * width
    for c in range(n):
        box = components[c]
        across, down = box[RIGHT] - box[LEFT], box[BOTTOM] - box[TOP]
        box_area = across * down
        is_long = across >= LONG * width or down >= LONG * height
        if is_long and not _is_inside(box, height, width):
            return True
        if box_area > FULL_BOX * area and box[AREA] < HOLLOW * box_area:
            return True
        is_broad = min(across, down) > BROAD * max(across, down)
        least_full = (least_sheet if is_broad else FULL_BOX) * area
        if box[AREA] > FULL * area or (box_area > least_full and box[AREA] > FULL_OF_BOX * box_area):
            return True
        if box_area >= LEAST_BOX * area and _encloses(components, n, c):
            return True
    return False


@inlined
def _encloses(components, n, outer):
    box = components[outer]
    for c in range(n):
        other = components[c]
        if c != outer and other[AREA] >= max(4, SPECK * box[AREA]) and _is_within(other, box):
            return True
    return False
