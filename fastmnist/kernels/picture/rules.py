"""Ruled lines across a page, taken out of its ink."""

from fastmnist.kernels.picture.ink import Ink
from fastmnist.kernels.picture.parts import take_lines_out


def remove_rules(work, height, width, thickest):
    """Take ruled lines, at most so thick, out of work.ink, (height * width + SLACK,) uint8; return how many.

    Scratch are work.padded (2 * height * width + SLACK,), work.before and work.spare (height * width,), work.paper
    (the longer side + SLACK,) and work.row (the longer side,).
    """
    return take_lines_out(work, height, width, Ink(True, 0, 255, 0.0), thickest, True)
