"""Words on a page: where much of it is no digit, what looks like a digit is one less often.

The network expects NO_DIGIT_SHARE of what it sees to be no digit. How much of a page is none is told by a first reading
(Saerens, Latinne and Decaestecker 2002, Adjusting the Outputs of a Classifier to New a Priori Probabilities).
"""

from collections.abc import Sequence

from fastmnist.shapes import NO_DIGIT_SHARE

MUCH = 1 / 3  # of a page's glyphs: with more that are none, there are words; a number with a letter is none
EXPECTED = 2.0  # glyphs, of which as many are none as the network expects, beside those of a page: few tell little


def rarer_digits(are_none: Sequence[bool]) -> float:
    """Return how many times rarer digits are on a page, for each that is none, than the network takes them for.

    `are_none` tells of each glyph whether it was read as none. At least 1.
    """
    if sum(are_none) <= MUCH * len(are_none):
        return 1.0
    share = (sum(are_none) + EXPECTED * NO_DIGIT_SHARE) / (len(are_none) + EXPECTED)
    return _odds(share) / _odds(NO_DIGIT_SHARE)


def _odds(share: float) -> float:
    return share / (1 - share)
