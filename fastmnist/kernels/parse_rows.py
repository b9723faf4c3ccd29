"""Lines of small numbers with commas between them, as bytes -> uint8: the rows of a table of pixels."""

import numpy as np
from numba import prange

from fastmnist.kernels.jit import inlined, kernel
from fastmnist.kernels.layout import part_bounds

COMMA, ZERO, NINE = 44, 48, 57  # the bytes of ",", "0" and "9"
TOO_LARGE = 256  # for every number above 255, and for anything that is not a number


@kernel
def parse_rows(text, starts, ends, values, n_found, first_bad, n_parts):
    """Fill a row of values (n_lines, n_columns) uint8 with the numbers of each line, text[starts[k] : ends[k]].

    n_found (n_lines,) int64 gets the number of columns of each line; first_bad (n_lines,) int64 the first of the
    n_columns that holds anything but digits or a number above 255, -1 where there is none. Only lines with all
    columns and none of them bad have their numbers in `values`. `text` is uint8, `starts` and `ends` are int64.
    """
    for part in prange(n_parts):
        _parse_part(text, starts, ends, values, n_found, first_bad, np.intp(part), n_parts)


@inlined
def _parse_part(text, starts, ends, values, n_found, first_bad, part, n_parts):
    first, last = part_bounds(len(starts), part, n_parts)
    for line in range(first, last):
        n_found[line], first_bad[line] = _parse_line(text, starts[line], ends[line], values[line])


@inlined
def _parse_line(text, start, end, values):
    column, number, n_bytes, bad = 0, 0, 0, -1
    for place in range(start, end + 1):
        byte = text[np.uint64(place)] if place < end else COMMA
        if byte == COMMA:
            if column < len(values):
                if bad < 0 and (number >= TOO_LARGE or n_bytes == 0):
                    bad = column
                values[np.uint64(column)] = np.uint8(number & 255)
            column, number, n_bytes = column + 1, 0, 0
        else:
            is_digit = ZERO <= byte <= NINE
            number = min(10 * number + byte - ZERO, TOO_LARGE) if is_digit else TOO_LARGE
            n_bytes += 1
    return column, bad
