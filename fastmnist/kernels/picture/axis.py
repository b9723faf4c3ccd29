"""A picture seen along either axis, so that one way of doing it serves lines from left to right and top to bottom."""

from typing import NamedTuple

from fastmnist.kernels.jit import inlined


class Axis(NamedTuple):
    """A picture seen so that its lines run from left to right: its columns and rows, and the steps between them."""

    n_columns: int
    n_rows: int
    along: int  # from a pixel to that in the next column
    across: int  # to that in the next row


@inlined
def deepest(picture, axis, first, end, column):
    """Return the largest of a column's pixels from row `first` to `end`, exclusive."""
    largest = 0
    for row in range(first, end):
        largest = max(largest, picture[row * axis.across + column * axis.along])
    return largest
