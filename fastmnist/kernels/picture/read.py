"""A grey picture -> the digit in it, in MNIST's form: the steps that every picture goes through."""

from typing import NamedTuple

import numpy as np

from fastmnist.kernels.jit import inlined, serial_kernel
from fastmnist.kernels.picture.components import (
    BOTTOM,
    LEFT,
    RIGHT,
    STATE,
    STROKE,
    TOP,
    find_components,
    find_runs,
    paint,
)
from fastmnist.kernels.picture.frame import without_frame
from fastmnist.kernels.picture.ink import core, find_ink, judge, share_at_border
from fastmnist.kernels.picture.light import MIXED, compare_with_light, fit_light, under_even_light
from fastmnist.kernels.picture.lines import faintest, may_have_underline, thickest_line
from fastmnist.kernels.picture.parts import choose_digit, place_digit, take_lines_out
from fastmnist.kernels.picture.place import BOX
from fastmnist.kernels.picture.shrink import block_size, shrink_by_blocks
from fastmnist.kernels.picture.strokes import FULL_BOX, SHEET_SIDE, SMALL_SHEET, looks_like_paper
from fastmnist.kernels.picture.work import whole_registers

READ, NO_INK, ONLY_LINES, SEVERAL, UNFINISHED = range(5)  # what came of reading a picture

LEAST_SIDE = 64  # pixels: in smaller pictures a digit fills most, and strokes are as thin as ruled lines
SOFT_EDGE = 2  # pixels of a stroke around its core
FAINT = 0.75  # of the ink's depth: a piece that is nowhere this deep may be part of a box, the rest being too faint
WIDE = 0.35  # of the picture: what is wider may stand on an underline


# What asks for a second look at the picture:
UNLIKE_PAPER = 0.3  # of it far from the light at its border, or
AT_BORDER = 0.08  # of the border ink: the digit's paper may lie within the picture, or be taken for its ink


class Reading(NamedTuple):
    """What was decided on the way; lengths are in pixels of the picture as it was read."""

    code: int  # one of those above
    is_plain: bool  # none of the next three holds: nothing calls for a second look
    may_stand_on_paper: bool  # the digit's paper may be only a part of the picture
    may_be_turned: bool  # ink and paper may have been mistaken for each other
    is_small: bool  # the picture has more pixels of the digit than were read
    down: int  # pixels of the picture per pixel as read
    across: int
    height: int  # without its frame
    width: int
    frame_top: int  # what was cut off above
    frame_left: int
    is_dark: bool  # dark ink on light paper
    at_border: float  # share of the border's pixels that are ink
    n_lines: int  # ruled lines and underlines that were taken away
    n_digits: int  # side by side
    top: int  # box of the digit, with its soft edge
    left: int
    bottom: int
    right: int
    n_pieces: int  # of the digit
    stroke: float  # width of the digit's strokes in the 20x20 box, before it was changed


class Strokes(NamedTuple):
    """The digit's strokes: how many digits they are, and their box."""

    n_digits: int  # 0 where there is no ink
    n_pieces: int
    may_be_on_paper: bool  # ink within the box of other ink, a large area full of ink, or a faint piece beside deeper
    top: int
    left: int
    bottom: int
    right: int


class Parts(NamedTuple):
    """The addresses of the separately compiled parts of reading, 0 if not known yet."""

    choose_digit: int
    place_digit: int
    take_lines_out: int  # not needed by most


_choose_digit, _place_digit, _take_lines_out = choose_digit.call, place_digit.call, take_lines_out.call
_known = Parts(0, 0, 0)  # the parts that pictures have needed so far


def read(*args):
    """Do what `read_with` does, with the parts that these pictures need."""
    global _known
    while True:
        known = _known  # another thread may find out more meanwhile
        reading = read_with(*known, *args)
        if reading.code != UNFINISHED:
            return reading
        if known.choose_digit == 0:
            _known = _known._replace(choose_digit=choose_digit.address(), place_digit=place_digit.address())
        else:
            _known = _known._replace(take_lines_out=take_lines_out.address())


@serial_kernel
def read_with(
    choose_at, place_at, lines_at, pictures, area, least_size, least_stroke, is_turned, work, images, is_plain
):
    """Fill images (n, 784) uint8 with the digits in pictures (n, height, width) uint8, in MNIST's form.

    They are read at `area` pixels at most, which is no more than work.AREA. A digit of less than `least_size` pixels,
    or with strokes narrower than `least_stroke`, is small if the picture has more pixels of it. `is_turned`: assume
    that the ink is on the opposite side of the paper's grey from where it seems to be. is_plain (n,) bool gets which
    pictures need no second look. Returns the Reading of the last picture, or of the first whose code is UNFINISHED for
    lack of one of the parts. An image is meaningful only if the code is READ. (One kernel serves for one picture and
    for many: each kernel takes 8 s to compile, and its parts as long again.)
    """
    parts = Parts(choose_at, place_at, lines_at)
    reading = Reading(NO_INK, False, True, False, False, 1, 1, 0, 0, 0, 0, False, 0.0, 0, 0, 0, 0, 0, 0, 0, 0.0)
    for i in range(len(pictures)):
        reading = _read(parts, pictures[i], area, least_size, least_stroke, is_turned, work, images[i])
        if reading.code == UNFINISHED:
            return reading
        is_plain[i] = reading.is_plain
    return reading


@inlined
def _read(parts, picture, area, least_size, least_stroke, is_turned, work, image):
    """Fill image (784,) with the digit in picture (height, width); return its Reading."""
    down, across = block_size(picture.shape[0], picture.shape[1], area)
    height, width = shrink_by_blocks(picture, down, across, work.grey, work.sums)
    height, width, frame_top, frame_left = without_frame(work.grey, height, width, work.spare)
    is_dark, unlike_paper = _even_light(work, height, width, is_turned)
    shortest = min(picture.shape[0], picture.shape[1])
    is_small, least_sheet = shortest < LEAST_SIDE, SMALL_SHEET if shortest >= SHEET_SIDE else FULL_BOX
    ink, at_border = find_ink(work, height, width, is_dark, is_small)
    strokes, n_lines, stroke = Strokes(0, 0, False, 0, 0, 0, 0), 0, 0.0
    code = READ if ink.is_found else NO_INK
    if parts.choose_digit == 0:
        code = UNFINISHED
    is_lined = not is_small and share_at_border(work.ink, height, width, faintest(ink)) > 0
    for is_second in range(2 if code == READ else 0):
        if is_second or is_lined:
            thickest = thickest_line(max(height, width))
            if is_second and not may_have_underline(work.ink, height, width, ink, thickest):
                break  # the strokes are those that were found
            if parts.take_lines_out == 0:
                code = UNFINISHED
                break
            n_lines = _take_lines_out(parts.take_lines_out, (work, height, width, ink, thickest, not is_second))
            if is_second and n_lines == 0:
                break
            if n_lines > 0:
                ink = judge(work.ink, height * width, work.counts)
                if not ink.is_found:
                    code = ONLY_LINES
                    break
        strokes = _find_strokes(parts, work, height, width, ink, least_sheet)
        may_be_underlined = strokes.n_digits == 1 and strokes.right - strokes.left > WIDE * width
        if n_lines > 0 or is_small or not may_be_underlined:
            break
    if code == READ and strokes.n_digits > 1:
        code = SEVERAL
    if code == READ:
        stroke = _write(parts, work, width, ink, strokes, image) if strokes.n_digits == 1 else 0.0
        code = READ if stroke > 0 else NO_INK
    size = max(strokes.bottom - strokes.top, strokes.right - strokes.left)
    may_be_turned = at_border > AT_BORDER
    may_stand_on_paper = code != READ or strokes.may_be_on_paper or may_be_turned or unlike_paper > UNLIKE_PAPER
    has_little = size < least_size or stroke * size < least_stroke * BOX
    is_small = code == READ and has_little and max(down, across) > 1
    is_plain = not (may_stand_on_paper or may_be_turned or is_small)
    return Reading(
        code, is_plain, may_stand_on_paper, may_be_turned, is_small, down, across, height, width, frame_top, frame_left,
        is_dark, at_border, n_lines, strokes.n_digits, strokes.top, strokes.left, strokes.bottom, strokes.right,
        strokes.n_pieces, stroke,
    )  # fmt: skip


@inlined
def _even_light(work, height, width, is_turned):
    """Fill work.even with the picture under even light; return whether its ink is dark, and the share unlike paper."""
    far = fit_light(work.grey, height, width, work.sides, work.light)
    cubes, unlike_paper = compare_with_light(work.grey, height, width, work.light, work.row, work.lengths)
    is_dark = (cubes < 0) != is_turned
    if far > MIXED:  # no light of one paper: the picture stays as it is
        for i in range(1, 4):
            work.light[i] = 0
        work.light[0] = 255 if is_dark else 0
    under_even_light(work.grey, height, width, work.light, is_dark, work.even)
    return is_dark, unlike_paper


@inlined
def _find_strokes(parts, work, height, width, ink, least_sheet):
    """Find the digit's strokes in work.ink, and fill work.mask with 1 where they are and beside them."""
    components = work.components
    n_runs = find_runs(work.ink, height, width, core(ink), work.runs, work.parents)
    n = find_components(work.runs, n_runs, work.parents, height, width, components)
    if n == 0:
        return Strokes(0, 0, False, 0, 0, 0, 0)
    n_digits = _choose_digit(parts.choose_digit, (components, n, work.runs, n_runs, height, width))
    paint(work.runs, n_runs, components, STROKE, height, width, SOFT_EDGE, work.mask, work.bits)
    top, left, bottom, right, n_pieces = height, width, 0, 0, 0
    for c in range(n):
        box = components[c]
        if box[STATE] == STROKE:
            top, left = min(top, box[TOP] - SOFT_EDGE), min(left, box[LEFT] - SOFT_EDGE)
            bottom, right = max(bottom, box[BOTTOM] + SOFT_EDGE), max(right, box[RIGHT] + SOFT_EDGE)
            n_pieces += 1
    may_be_on_paper = looks_like_paper(components, n, height, width, least_sheet)
    if n_pieces > 1 and not may_be_on_paper:
        may_be_on_paper = _has_faint_piece(work, width, n_runs, n, int(ink.level + FAINT * ink.depth))
    return Strokes(
        n_digits, n_pieces, may_be_on_paper,
        max(0, top), max(0, left), min(height, bottom), min(width, right),
    )  # fmt: skip


@inlined
def _has_faint_piece(work, width, n_runs, n, faint):
    """Return whether one of the digit's pieces, of n components, has no pixel above `faint`. work.lengths: scratch."""
    deepest = work.lengths
    for c in range(n):
        deepest[c] = 0
    for run in range(n_runs):
        row, start, end, c = work.runs[run, 0], work.runs[run, 1], work.runs[run, 2], work.runs[run, 3]
        for pixel in range(row * width + start, row * width + end):
            deepest[c] = max(deepest[c], work.ink[pixel])
    has_faint = False
    for c in range(n):
        has_faint |= work.components[c, STATE] == STROKE and deepest[c] <= faint
    return has_faint


@inlined
def _write(parts, work, width, ink, strokes, image):
    """Fill `image` with the strokes in MNIST's form; return their width, 0 where nothing is left."""
    new_width = strokes.right - strokes.left
    share, level, least = np.float32(1.0 / ink.depth), np.float32(ink.level), np.float32(3 * ink.noise)
    n = whole_registers(new_width)  # what is written past the end of a row is overwritten by the next row
    for y in range(strokes.top, strokes.bottom):
        first = y * width + strokes.left
        pixels, is_stroke = work.ink[first : first + n], work.mask[first : first + n]
        line = work.digit[(y - strokes.top) * new_width :]
        for x in range(n):
            above = np.float32(pixels[x]) - level
            line[x] = above * share if (above > least) & (is_stroke[x] > 0) else np.float32(0)
    height = strokes.bottom - strokes.top
    return _place_digit(parts.place_digit, (work.digit, height, new_width, work.changed, work.distances, image))
