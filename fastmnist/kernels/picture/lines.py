"""Ruled lines, squared paper and underlines: found by following thin runs of ink.

A line is followed in both directions from a place where it is alone, even under strokes that hide it, along the
least-squares line through what was found of it so far. Lines from top to bottom are found in the same way, along the
other axis. All lines are found before any is removed; otherwise each would have gaps where others crossed it.
"""

import math
from typing import NamedTuple

import numpy as np

from fastmnist.kernels.jit import inlined
from fastmnist.kernels.lanes import MASK_BITS, bits_above, low_bits
from fastmnist.kernels.picture.axis import Axis, deepest
from fastmnist.kernels.picture.erase import KEPT, erase_lines
from fastmnist.kernels.picture.ink import core
from fastmnist.kernels.picture.work import whole_vectors

THICKNESS = 0.035  # of the longer side: lines are at most this thick,
SOFT_EDGES = 2  # and this many pixels for their edges
FAINT = 0.2  # of the ink's depth, and 3 standard deviations of the noise: lines are deeper
STEEPEST = 0.1  # rows per column
MEMORY = 80.0  # columns that the least squares line remembers, so that it follows a curve
N_SEEDS = 11  # columns in which lines are looked for; a few would fall on lines that run the other way
GOLDEN = 0.618034  # spreads them evenly, and never at the distance of such lines

SETTLED, JOINED = 4, 1.5  # after so many columns found, a run thicker by so many rows is joined with a stroke
REGAINED = 16  # columns out of sight: for each such stretch, a line may be one more row away from where it should be
BLANK_GAP = 0.15  # of the length: a line that is blank for longer has ended
RULED_LENGTH = 0.6  # of the picture: ruled lines are longer, as they end at the border,
AT_END = 0.04  # or this near to it
RULED_FOUND, RULED_BLANK = 0.3, 0.2  # of its length: what must be seen of a ruled line, and what may be missing
UNDERLINE = 0.35  # of the picture: underlines are longer
UNDERLINE_FOUND, UNDERLINE_BLANK = 0.6, 0.05
BEYOND = 0.08  # of its length: an underline goes on to both sides of the digit; the foot of a 2 does not
HIGHEST, LOWEST = 1.1, 0.2  # of its length: how high what stands on it is; the stem over the foot of a 1 is higher
AT_FOOT = 0.12  # of that height: the digit's lowest part, which an underline may touch


@inlined
def thickest_line(size):
    """Return how thick a line may be, in pixels, where `size` is the picture's longer side."""
    return int(np.rint(THICKNESS * size)) + SOFT_EDGES


@inlined
def faintest(ink):
    """Return what the ink of a line is above."""
    return ink.level + max(FAINT * ink.depth, 3 * ink.noise)


class Track(NamedTuple):
    """A line that was followed from its seed to one side."""

    n_found: int
    n_blank: int  # columns without ink, between found ones
    n_missing: int  # columns without ink, after the last found one
    last: int  # the last column in which it was found
    thickness: float  # sum over the columns found
    depth: float  # likewise
    slope: float  # rows per column
    leaves: bool  # whether it left the picture at the top or the bottom


class Line(NamedTuple):
    """A line from column `first` to `last`."""

    first: int
    last: int
    thickness: float  # mean over its columns
    depth: float  # of its deepest row, mean over its columns


@inlined
def may_have_underline(picture, height, width, ink, thickest):
    """Return whether there is a thin run where an underline may begin: in half of the pictures there is none."""
    axis, faint, stroke = Axis(width, height, 1, width), min(255, int(faintest(ink))), core(ink)
    first_row = _highest_underline(picture, axis, stroke, thickest)
    for seed in range(1, N_SEEDS + 1):
        column, length = _seed_column(axis, seed), 0
        for row in range(max(0, first_row - thickest), axis.n_rows + 1):
            if row < axis.n_rows and picture[row * axis.across + column * axis.along] > faint:
                length += 1
            elif 0 < length <= thickest and row > first_row:
                return True
            else:
                length = 0
    return False


@inlined
def remove_lines(work, height, width, ink, thickest, with_rules):
    """Remove lines of at most `thickest` pixels from work.ink, uint8 (height, width); return how many.

    Without `with_rules`, only underlines, of a picture that `may_have_underline`. work.before, spare, padded, paper
    and row are scratch; work.ink and work.padded have SLACK more elements.
    """
    faint, stroke = min(255, int(faintest(ink))), core(ink)
    across, down = Axis(width, height, 1, width), Axis(height, width, width, 1)
    for i in range(height * width):
        work.before[i] = work.spare[i] = 0
    n = _find_along(work, across, faint, stroke, thickest, with_rules, True, work.before)
    if with_rules:
        n += _find_along(work, down, faint, stroke, thickest, with_rules, False, work.spare)
    if n:
        erase_lines(work.ink, across, down, faint, stroke, work.before, work.spare)
    return n


@inlined
def _find_along(work, axis, faint, stroke, thickest, with_rules, with_underlines, lines):
    """Fill `lines` with the depth of each line along the axis, where it is; return how many there are."""
    picture, thin, path = work.ink, work.padded, work.row
    find_thin_runs(picture, axis, faint, thickest, thin, work.paper)
    first_row = 0 if with_rules else _highest_underline(picture, axis, stroke, thickest)
    n = 0
    for seed in range(1, N_SEEDS + 1):
        column, row = _seed_column(axis, seed), first_row
        while row < axis.n_rows:
            first = row
            while row < axis.n_rows and thin[row * axis.across + column * axis.along]:
                row += 1
            if row == first:
                row += 1
                continue
            start = 0.5 * (first + row - 1)
            right = left = Track(0, 0, 0, column, 0.0, 0.0, 0.0, False)
            for direction in (1, -1):
                track = _follow(picture, thin, axis, faint, column, start, right.slope, right.n_found, direction, path)
                if direction == 1:
                    right = track
                else:
                    left = track
            n_found = right.n_found + left.n_found + 1
            thickness = (right.thickness + left.thickness + row - first) / n_found
            line = Line(left.last, right.last, thickness, (right.depth + left.depth) / max(1, n_found - 1))
            is_ruled = with_rules and _is_ruled(axis, left, right)
            if is_ruled or (with_underlines and _is_underline(work, axis, left, right, line, stroke, start)):
                _draw(thin, axis, line, path, lines)
                n += 1
    return n


@inlined
def _seed_column(axis, seed):
    return int(axis.n_columns * (0.1 + 0.8 * (seed * GOLDEN - math.floor(seed * GOLDEN))))


@inlined
def find_thin_runs(picture, axis, faint, thickest, thin, beside):
    """Fill `thin` with 1 where ink, above `faint`, is at most `thickest` pixels thick across the lines, else with 0.

    (Along rows of the picture; across them, at most 254 pixels.) beside (n_columns + SLACK,) uint8 is scratch.
    """
    if axis.along != 1:
        for column in range(axis.n_columns):
            pixels = picture[column * axis.along : (column + 1) * axis.along]
            _find_thin_in_row(pixels, axis.n_rows, faint, thickest, thin[column * axis.along :])
        return
    # Each pixel gets how much ink is above it, then the value of its run's last pixel, row by row, in whole vectors.
    # What these do to pixels of the next row is redone later, or was done before: 1 us instead of 5.
    width, n, end = axis.n_columns, whole_vectors(axis.n_columns), axis.n_rows * axis.n_columns
    grey, most = np.uint8(faint), np.uint8(min(thickest, 254))
    for i in range(n):
        beside[i] = 0
    for first in range(0, end, width):
        _extend_runs(picture[first:], grey, most, beside, thin[first:], n)
    for i in range(n):
        beside[i] = thin[end + i] = 0
    for first in range(end - width, -1, -width):
        _end_runs(thin[first:], beside, n)
    _keep_thin(thin, end, most)


@inlined
def _highest_underline(picture, axis, stroke, thickest):
    """Return the topmost row where an underline may begin: one higher up would have ink too far below it."""
    bits = np.uint64(0)
    for row in range(axis.n_rows - 1, -1, -1):
        for first in range(0, axis.n_columns, MASK_BITS):
            bits |= bits_above(picture, row * axis.across + first, np.uint8(stroke)) & low_bits(axis.n_columns - first)
        if bits:
            return max(0, row - int(max(STEEPEST * axis.n_columns, AT_FOOT * axis.n_rows)) - thickest - 2)
    return 0


@inlined
def _find_thin_in_row(pixels, n, faint, thickest, thin):
    """Do what `find_thin_runs` does for a single row of pixels, along the row."""
    length = 0
    for i in range(n):
        thin[i] = 0
    for i in range(n + 1):
        if i < n and pixels[i] > faint:
            length += 1
        elif length:
            if length <= thickest:
                for before in range(i - length, i):
                    thin[before] = 1
            length = 0


@inlined
def _extend_runs(pixels, faint, most, above, lengths, n):
    """Fill `lengths` with the lengths of the runs of ink that end in this row, n pixels; most + 1 for longer ones.

    `above` has the lengths of the row above, and gets these. (It is memory of its own, as vectors of one array would
    overlap.)
    """
    for i in range(n):
        length = np.uint8(above[i] + np.uint8(above[i] <= most))
        above[i] = length if pixels[i] > faint else np.uint8(0)
        lengths[i] = above[i]


@inlined
def _end_runs(lengths, below, n):
    """Give a row the lengths of runs that go on below it; `below` has the lengths of the row below, and gets these."""
    for i in range(n):
        longest = max(lengths[i], below[i])
        below[i] = longest if lengths[i] > 0 else np.uint8(0)
        lengths[i] = below[i]


@inlined
def _keep_thin(lengths, n, most):
    for i in range(n):
        lengths[i] = np.uint8(0 < lengths[i] <= most)


@inlined
def _follow(picture, thin, axis, faint, column, row, slope, n_seen, direction, path):
    """Follow the line through (row, column) to one side; path[column] gets its row. Returns its Track.

    Row and slope are those of the least squares line through what was found, `n_seen` columns of it before, updated
    column by column (the expanding-memory filter of first degree: Morrison, Introduction to sequential smoothing and
    prediction, 1969, section 10).
    """
    n_found, n_blank, n_missing, last, leaves = 0, 0, 0, column, False
    thickness, depth, longest_gap = 0.0, 0.0, int(BLANK_GAP * axis.n_columns) + 1
    path[column] = row
    column += direction
    while 0 <= column < axis.n_columns and n_missing <= longest_gap:
        row += slope * direction
        nearest = int(np.rint(row))
        leaves = nearest < 0 or nearest >= axis.n_rows
        if leaves:
            break
        path[column] = row
        gap = abs(column - last)
        hit = _hit(thin, axis, nearest, column, 1 + gap // REGAINED)
        first, end = _run_around(thin, axis, hit, column) if hit >= 0 else (0, 0)
        is_joined = n_found >= SETTLED and end - first > thickness / n_found + JOINED
        if hit >= 0 and not is_joined:
            middle = 0.5 * (first + end - 1)
            n = min(n_found + n_seen, MEMORY) + 2
            far = middle - row
            if gap >= REGAINED and abs(far) > 1:  # under a stroke it went another way
                row, slope = middle, slope + far / gap * direction
                _lay_straight(path, last, column, row, direction)
            else:
                row += 2 * (2 * n + 1) / ((n + 1) * (n + 2)) * far
                slope += 6 / ((n + 1) * (n + 2)) * far * direction
                path[column] = row
            slope = min(max(slope, -STEEPEST), STEEPEST)
            n_found, n_blank, n_missing, last = n_found + 1, n_blank + n_missing, 0, column
            thickness += end - first
            depth += deepest(picture, axis, first, end, column)
        elif picture[nearest * axis.across + column * axis.along] <= faint:
            n_missing += 1
        column += direction
    return Track(n_found, n_blank, n_missing, last, thickness, depth, slope, leaves)


@inlined
def _hit(thin, axis, row, column, reach):
    """Return the row of the nearest thin pixel, at most `reach` from the given row, or -1 if there is none."""
    for far in range(reach + 1):
        for nearby in (row - far, row + far):
            if 0 <= nearby < axis.n_rows and thin[nearby * axis.across + column * axis.along]:
                return nearby
    return -1


@inlined
def _run_around(thin, axis, row, column):
    """Return the rows of the thin run that a pixel is in, the last exclusive."""
    first, end = row, row + 1
    while first > 0 and thin[(first - 1) * axis.across + column * axis.along]:
        first -= 1
    while end < axis.n_rows and thin[end * axis.across + column * axis.along]:
        end += 1
    return first, end


@inlined
def _lay_straight(path, last, column, row, direction):
    """Lay the path straight from the last column where the line was found to (row, column)."""
    start, n = path[last], abs(column - last)
    for i in range(1, n + 1):
        path[last + i * direction] = start + (row - start) * i / n


@inlined
def _is_ruled(axis, left, right):
    """Return whether a line goes from border to border; strokes may hide parts of it."""
    length, at_end = right.last - left.last + 1, AT_END * axis.n_columns
    n_found, n_blank = right.n_found + left.n_found + 1, right.n_blank + left.n_blank
    if length < RULED_LENGTH * axis.n_columns or n_found < RULED_FOUND * length or n_blank > RULED_BLANK * length:
        return False
    return (right.leaves or right.n_missing <= at_end) and (left.leaves or left.n_missing <= at_end)


@inlined
def _is_underline(work, axis, left, right, line, stroke, start):
    """Return whether a line lies under all other ink, and goes on beyond it to both sides."""
    picture, lines, path, half = work.ink, work.before, work.row, int(np.ceil(line.thickness / 2))
    length = line.last - line.first + 1
    n_found, n_blank = right.n_found + left.n_found + 1, right.n_blank + left.n_blank
    if length < UNDERLINE * axis.n_columns or n_found < UNDERLINE_FOUND * length or n_blank > UNDERLINE_BLANK * length:
        return False
    top, bottom, first, last = axis.n_rows, -1, axis.n_columns, -1
    for row in range(axis.n_rows - 1, -1, -1):
        for column in range(axis.n_columns):
            pixel = row * axis.across + column * axis.along
            if picture[pixel] > stroke and not lines[pixel]:
                on_line = line.first <= column <= line.last and abs(row - path[column]) <= half + 0.5
                if not on_line:
                    top, bottom, first, last = row, max(bottom, row), min(first, column), max(last, column)
        if start < bottom - AT_FOOT * HIGHEST * length - half - 1:
            return False  # whatever is above: 30 lines of a form took 0.4 s
    height = bottom - top + 1
    if bottom < 0 or not LOWEST * length <= height <= HIGHEST * length:
        return False
    is_below = start >= bottom - AT_FOOT * height - half - 1
    return is_below and min(first - line.first, line.last - last) >= BEYOND * length


@inlined
def _draw(thin, axis, line, path, lines):
    """Fill `lines` with a line's depth where it is, and take it out of the thin runs, so that it is followed once.

    Where it is thin, this is its run and the soft edges beside it; elsewhere, under a stroke, its thickness decides.
    """
    half, depth = int(np.ceil(line.thickness / 2)), min(max(1, int(line.depth)), KEPT - 1)
    for column in range(line.first, line.last + 1):
        nearest = min(max(0, int(np.rint(path[column]))), axis.n_rows - 1)
        first, end = nearest - half, nearest + half + 1
        hit = _hit(thin, axis, nearest, column, 1)
        if hit >= 0:
            start, stop = _run_around(thin, axis, hit, column)
            if stop - start <= line.thickness + JOINED:
                first, end = start - 1, stop + 1
        for row in range(max(0, first), min(end, axis.n_rows)):
            pixel = row * axis.across + column * axis.along
            lines[pixel], thin[pixel] = depth, 0
