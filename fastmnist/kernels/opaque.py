"""Which files in memory hold one opaque picture, told by their first bytes, as most do."""

from fastmnist.kernels.jit import inlined, serial_kernel

_PNG, _IHDR, _TRNS, _ACTL = 0x89504E47, 0x49484452, 0x74524E53, 0x6163544C  # four bytes each
_IDAT, _IEND = 0x49444154, 0x49454E44
_FIRST_CHUNK, _DEPTH, _COLOUR_TYPE = 8, 24, 25  # where a PNG file has them
_GREY_ALPHA = 4  # this colour type and those above have an alpha channel


@serial_kernel
def find_opaque(contents, starts, sizes, is_opaque):
    """Fill is_opaque (n,) bool for the files contents[start : start + size], uint8; starts and sizes are int64 (n,).

    True for a JPEG file and for a PNG file of up to 8 bits, without transparency, that is no animation and has an end:
    a grey decoder reads these correctly. A size below 0 stands for no file.
    """
    for i in range(len(sizes)):
        is_opaque[i] = _is_opaque(contents[starts[i] : starts[i] + max(0, sizes[i])])


@inlined
def _is_opaque(data):
    """Follow a PNG's chunks (PNG 3rd edition, section 5.3: length, type, data, checksum) up to its end."""
    if len(data) > 2 and data[0] == 0xFF and data[1] == 0xD8:
        return True
    if len(data) <= _COLOUR_TYPE or _number(data, 0) != _PNG or _number(data, _FIRST_CHUNK + 4) != _IHDR:
        return False
    if data[_DEPTH] > 8 or data[_COLOUR_TYPE] >= _GREY_ALPHA:
        return False
    chunk, has_pixels = _FIRST_CHUNK, False
    while chunk + 8 <= len(data):
        kind = _number(data, chunk + 4)
        if kind == _IEND:
            return has_pixels
        if kind in (_TRNS, _ACTL):
            return False
        has_pixels = has_pixels or kind == _IDAT
        chunk += 12 + _number(data, chunk)
    return False


@inlined
def _number(data, first):
    """Return the big-endian number in four bytes."""
    number = 0
    for i in range(4):
        number = number * 256 + data[first + i]
    return number
