"""Removes lines from the ink, except where a stroke lies on them or is joined to them."""

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.picture.axis import deepest

DEEPER = 1.5  # times the line's depth: anything this deep is a stroke on the line
KEPT = 255  # a line's depth where it stays, as it is part of a stroke


@inlined
def erase_lines(picture, across, down, faint, stroke, lines_across, lines_down):
    """Take lines out of the picture of ink.

    `lines_across` and `lines_down` have the lines' depths where they are, 1 to 254, and 0 elsewhere; `across` and
    `down` are their axes. Ink is above `faint`, the core of strokes above `stroke`.
    """
    _keep_strokes(picture, across, faint, stroke, lines_across, lines_down)
    _keep_strokes(picture, down, faint, stroke, lines_down, lines_across)
    for i in range(across.n_columns * across.n_rows):
        if lines_across[i] and lines_down[i]:
            is_kept = _is_between_kept(lines_across, lines_down, across, i % across.n_columns, i // across.n_columns)
            is_kept |= _is_between_kept(lines_down, lines_across, down, i // across.n_columns, i % across.n_columns)
        else:
            line = max(lines_across[i], lines_down[i])
            is_kept = line == 0 or line == KEPT
        if not is_kept:
            picture[i] = 0


@inlined
def _keep_strokes(picture, axis, faint, stroke, lines, others):
    """Mark as KEPT, column by column, what strokes hide of the lines along an axis, except at crossings with others."""
    for column in range(axis.n_columns):
        place, row = column * axis.along, 0
        while row < axis.n_rows:
            first = row
            while row < axis.n_rows and lines[row * axis.across + place]:
                row += 1
            if row == first:
                row += 1
                continue
            is_crossing = others[(first + row) // 2 * axis.across + place] > 0
            if not is_crossing and _is_stroke(picture, axis, faint, stroke, lines, others, first, row, column):
                for kept in range(first, row):
                    lines[kept * axis.across + place] = KEPT


@inlined
def _is_stroke(picture, axis, faint, stroke, lines, others, first, end, column):
    """Return whether a stroke is joined with a line, which has the rows from `first` to `end`, or is drawn along it."""
    step, place = axis.across, column * axis.along
    top, bottom = first * step + place, (end - 1) * step + place
    if first > 0 and picture[top] > faint and picture[top - step] > stroke and not others[top - step]:
        return True
    if end < axis.n_rows and picture[bottom] > faint and picture[bottom + step] > stroke and not others[bottom + step]:
        return True
    deep = deepest(picture, axis, first, end, column)
    return deep > stroke and deep > DEEPER * lines[top]


@inlined
def _is_between_kept(lines, others, axis, column, row):
    """Return whether a line is kept on both sides of a crossing with another, which the pixel is in."""
    for direction in (1, -1):
        near = column
        while 0 <= near < axis.n_columns and lines[row * axis.across + near * axis.along]:
            if not others[row * axis.across + near * axis.along]:
                break
            near += direction
        is_inside = 0 <= near < axis.n_columns
        if not is_inside or lines[row * axis.across + near * axis.along] != KEPT:
            return False
    return True
