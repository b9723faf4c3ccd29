"""How many frames a GIF file has (GIF89a): OpenCV decodes all of them at once, so this must be known before."""

_COLOUR_TABLE = 0x80  # of the flags of the screen and of a frame: one follows, of 2 << (flags & 7) colours
_EXTENSION, _FRAME = 0x21, 0x2C  # what a block begins with; the trailer ends the file
MAX_BLOCKS = 1 << 20  # four times those of 64 MB, of 255 bytes each as encoders write them


def n_frames(data: bytes) -> int:
    """Return how many frames a GIF file has, up to where it is cut or damaged; MAX_BLOCKS where it has more blocks."""
    place, found, n_blocks = 6, 0, 0
    try:
        place += 7 + _size_of_table(data[place + 4])
        while data[place] in (_EXTENSION, _FRAME):
            if data[place] == _FRAME:
                found += 1
                place += 10 + _size_of_table(data[place + 9]) + 1
            else:
                place += 2
            while data[place]:
                place += 1 + data[place]
                n_blocks += 1
            place, n_blocks = place + 1, n_blocks + 1
            if n_blocks > MAX_BLOCKS:
                return MAX_BLOCKS
    except IndexError:
        pass
    return found


def _size_of_table(flags: int) -> int:
    """Return the bytes of the colour table that follows, by these flags."""
    return 3 * (2 << (flags & 7)) if flags & _COLOUR_TABLE else 0
