"""Tells from headers which files in memory hold one opaque picture, as most do, and the size of a JPEG picture."""

from fastmnist.kernels.jit import inlined, serial_kernel

MAX_CHUNKS = 1 << 16  # of a PNG file: 64 MB in pieces of 1 KB, where encoders write 8 KB and more
_FIRST_CHUNK, _DEPTH, _COLOUR_TYPE = 8, 24, 25  # where a PNG file has them
_PNG, _IHDR = (0x89, 0x50, 0x4E, 0x47), (0x49, 0x48, 0x44, 0x52)  # four bytes each
_TRNS, _ACTL, _IDAT, _IEND = 0x74524E53, 0x6163544C, 0x49444154, 0x49454E44  # such four, as a number
_GREY_ALPHA = 4  # this colour type and those above have an alpha channel
MAX_SEGMENTS = 1 << 12  # before a JPEG picture's frame: 64 KB each at most
_FIRST_FRAME, _LAST_FRAME, _NO_FRAMES = 0xC0, 0xCF, (0xC4, 0xC8, 0xCC)  # what marks one, and what does not
_FILL = 0xFF  # any number of these may stand before a marker


def is_opaque(data):
    """Return whether `data`, bytes, is a file of one opaque picture of up to 8 bits that a grey decoder reads well.

    True for a JPEG file and for a PNG file of up to 8 bits, without transparency, that is no animation and has an end
    within MAX_CHUNKS: these are followed (PNG 3rd edition, section 5.3: length, type, data, checksum). Plain Python,
    which kernels can be built from as well.
    """
    if len(data) > 2 and data[0] == 0xFF and data[1] == 0xD8:
        return True
    if len(data) <= _COLOUR_TYPE or data[_DEPTH] > 8 or data[_COLOUR_TYPE] >= _GREY_ALPHA:
        return False
    for i in range(4):
        if data[i] != _PNG[i] or data[_FIRST_CHUNK + 4 + i] != _IHDR[i]:
            return False
    chunk, has_pixels = _FIRST_CHUNK, False
    for _ in range(MAX_CHUNKS):
        if chunk + 8 > len(data):
            return False
        length, kind = 0, 0
        for i in range(chunk, chunk + 4):
            length, kind = length * 256 + data[i], kind * 256 + data[i + 4]
        if kind == _IEND:
            return has_pixels
        if kind in (_TRNS, _ACTL):
            return False
        has_pixels = has_pixels or kind == _IDAT
        chunk += 12 + length
    return False


def jpeg_shape(data):
    """Return the height and width of the picture in `data`, bytes, if that is a JPEG file that says so; else 0, 0.

    Its segments are followed to the frame header (ITU-T T.81, section B.2.2: marker, length, precision, height,
    width). Plain Python, as above. For a picture with an EXIF orientation, this is its size before it is turned.
    """
    if len(data) < 2 or data[0] != 0xFF or data[1] != 0xD8:
        return 0, 0
    segment = 2
    for _ in range(MAX_SEGMENTS):
        if segment + 9 > len(data) or data[segment] != 0xFF:
            return 0, 0
        kind = data[segment + 1]
        if kind == _FILL:
            segment += 1
            continue
        if _FIRST_FRAME <= kind <= _LAST_FRAME and kind not in _NO_FRAMES:
            return data[segment + 5] * 256 + data[segment + 6], data[segment + 7] * 256 + data[segment + 8]
        segment += 2 + data[segment + 2] * 256 + data[segment + 3]
    return 0, 0


_is_opaque, _jpeg_shape = inlined(is_opaque), inlined(jpeg_shape)


@serial_kernel
def find_opaque(contents, starts, sizes, is_opaque, shapes):
    """Fill is_opaque (n,) bool and shapes (n, 2) int64, as `jpeg_shape` returns them, for many files.

    They are contents[start : start + size], uint8; starts and sizes are int64 (n,). A size below 0 stands for no file.
    """
    for i in range(len(sizes)):
        file = contents[starts[i] : starts[i] + max(0, sizes[i])]
        is_opaque[i] = _is_opaque(file)
        shapes[i, 0], shapes[i, 1] = _jpeg_shape(file)
