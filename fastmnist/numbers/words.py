"""Words on a page: if much of the page is not digits, what looks like a digit is less likely to be one.

The network expects NO_DIGIT_SHARE of what it sees to be no digit. A first reading estimates the share on this page
(Saerens, Latinne and Decaestecker 2002, Adjusting the Outputs of a Classifier to New a Priori Probabilities).
"""

from collections.abc import Sequence

from fastmnist.shapes import NO_DIGIT_SHARE

MUCH = 1 / 3  # of a page's glyphs are no digits: above that it has words. A number with one letter is not words
EXPECTED = 2.0  # glyphs, with the network's share of no digits, added to the page's own, as a few glyphs say little


def rarer_digits(are_none: Sequence[bool]) -> float:
    """Return the odds that a glyph on a page is no digit, over those that the network expects: at least 1.

    `are_none` tells of each glyph whether it was read as none.
    """
    if sum(are_none) <= MUCH * len(are_none):
        return 1.0
    share = (sum(are_none) + EXPECTED * NO_DIGIT_SHARE) / (len(are_none) + EXPECTED)
    return _odds(share) / _odds(NO_DIGIT_SHARE)


def _odds(share: float) -> float:
    return share / (1 - share)
