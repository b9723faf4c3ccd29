"""Animated PNG files (PNG 3rd edition, section 4.9) as plain ones: OpenCV's reader of damaged animations crashes."""

import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from fastmnist.kernels.opaque import MAX_CHUNKS

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_OF_ANIMATIONS = (b"acTL", b"fcTL", b"fdAT")
_OF_COLOURS = (b"PLTE", b"tRNS", b"gAMA")  # what frames share of the chunks before them
_MAX_COLOURS = 768  # bytes, of a palette
_CONTROL = ">IIIIIHHBB"  # sequence, width, height, left, top, delay (2), dispose, blend
BACKGROUND, PREVIOUS = 1, 2  # dispose: what the frame's place shows before the next one
OVER = 1  # blend: by the frame's transparency


class Frame(NamedTuple):
    """One frame as a PNG file of its own, and where it goes."""

    file: bytes
    top: int
    left: int
    dispose: int
    blend: int


def is_animated(data: bytes) -> bool:
    """Tell whether a PNG file may be an animation, sound or damaged: OpenCV is given none."""
    return data.startswith(SIGNATURE) and b"acTL" in data


def is_unfit(data: bytes) -> bool:
    """Tell whether a file is a PNG file that OpenCV is not given.

    A chunk says that it goes on beyond the file: up to 2 GB would be filled for it. Or there are more than MAX_CHUNKS,
    which cost 2 to 13 us each.
    """
    if not data.startswith(SIGNATURE):
        return False
    place = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if place + 8 > len(data) or data[place + 4 : place + 8] == b"IEND":
            return place > len(data)
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return True


def n_frames(data: bytes) -> int:
    """Return how many frames an animated PNG file says it has, or how many there are, whichever is more."""
    said, found = 0, 0
    for kind, content in _chunks(data):
        said = said or (int.from_bytes(content[:4], "big") if kind == b"acTL" else 0)
        found += kind == b"fcTL"
    return max(said, found if said else 0)


def default_image(data: bytes) -> bytes:
    """Return, as a file, the picture that programs without animations show for an animated PNG file."""
    return png_file((kind, content) for kind, content in _chunks(data) if kind not in _OF_ANIMATIONS)


def frames(data: bytes) -> Iterator[Frame]:
    """Yield the frames of an animated PNG file; the default image is one where a frame's control precedes it."""
    header = b""
    shared: dict[bytes, bytes] = {}
    control: tuple[int, ...] | None = None
    pixels: list[bytes] = []
    for kind, content in [*_chunks(data), (b"IEND", b"")]:
        if kind in (b"fcTL", b"IEND") and control is not None and pixels:
            yield _frame(header, shared, control, pixels)
            control, pixels = None, []
        if kind == b"IHDR":
            header = content
        elif kind == b"fcTL" and len(content) == struct.calcsize(_CONTROL):
            control = struct.unpack(_CONTROL, content)
        elif kind == b"IDAT":
            pixels += [content] if control is not None else []
        elif kind == b"fdAT":
            pixels.append(content[4:])
        elif kind in _OF_COLOURS and len(content) <= _MAX_COLOURS and not pixels:
            shared.setdefault(kind, content)


def _frame(header: bytes, shared: dict[bytes, bytes], control: tuple[int, ...], pixels: list[bytes]) -> Frame:
    _, width, height, left, top, _, _, dispose, blend = control
    own = struct.pack(">II", width, height) + header[8:]
    file = png_file([(b"IHDR", own), *shared.items(), (b"IDAT", b"".join(pixels)), (b"IEND", b"")])
    return Frame(file, top, left, dispose, blend)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of the first MAX_CHUNKS chunks, up to one that is not whole or not sound."""
    return islice(_all_chunks(data), MAX_CHUNKS)


def _all_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of the chunks (section 5.3: length, kind, content, CRC), up to one that is not sound."""
    place = len(SIGNATURE)
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, content = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        if len(content) < length or data[place + 8 + length : place + 12 + length] != _checksum(kind, content):
            return
        yield kind, content
        place += 12 + length


def png_file(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a PNG file of these chunks, each its kind and content."""
    parts = [SIGNATURE]
    for kind, content in chunks:
        parts += [struct.pack(">I", len(content)), kind, content, _checksum(kind, content)]
    return b"".join(parts)


def _checksum(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))
