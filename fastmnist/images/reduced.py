"""How far a JPEG picture can be scaled down while it is decoded and still be read at the same resolution.

The decoder then leaves out the higher frequencies of each block of 8x8 pixels (libjpeg's scaled DCT), so that a pixel
is about the mean of those it replaces. At half its size, a picture of 200x200 pixels takes 38 us to decode instead of
42; one of 320x320 at a quarter takes 73 us instead of 86, and one of 24 megapixels at an eighth 7 ms instead of 29, in
a sixty-fourth of the memory.
"""

import functools

from fastmnist.images.decode import DIVISORS, MAX_PIXELS
from fastmnist.images.normalize import LARGEST, PLAIN
from fastmnist.shapes import SIDE


@functools.lru_cache(1024)
def divisors(jpeg_shape: tuple[int, int]) -> tuple[int, int]:
    """Return by what the sides (height, width) of a JPEG picture are divided for a first look, and for what follows.

    A first look (PLAIN) is no coarser than without; later the longer side has still LARGEST pixels, if it ever had.
    1, 1 where the size is not known (0, 0), or more than can be decoded.
    """
    height, width = jpeg_shape
    if height * width > MAX_PIXELS:
        return 1, 1
    possible = [divisor for divisor in DIVISORS if divisor == 1 or min(jpeg_shape) >= divisor * SIDE]
    block = _block(height, width)
    first = max(
        divisor for divisor in possible if divisor * _block(-(-height // divisor), -(-width // divisor)) <= block
    )
    last = max(divisor for divisor in possible if divisor == 1 or max(jpeg_shape) >= divisor * LARGEST)
    return max(first, last), last


def _block(height: int, width: int) -> float:
    """Return the side of the blocks of pixels whose means are read at a first look."""
    shrinking = max(1.0, max(height, width) / LARGEST)
    side = 1
    while (height / shrinking // side) * (width / shrinking // side) > PLAIN.area:
        side += 1
    return side * shrinking
