"""One image file -> grey pixels, through OpenCV, which nothing else imports."""

import functools
import os
import struct
import threading
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmnist.errors import DataError, printable
from fastmnist.images import apng
from fastmnist.kernels.opaque import is_opaque

MAX_PIXELS = 50_000_000
MOST_INK, ONE_GREY = 0.8, 8  # of a picture cut to a bold digit: the digit's share, and less than so many levels apart
DIVISORS = (1, 2, 4, 8)  # of the sides of a JPEG picture, by which it can be reduced while it is decoded
_ORIENTATION_TAG = 0x0112

# Formats OpenCV decodes wrongly or unsafely. Sun raster: wrong greys, and through a file in the shared temporary
# folder. Radiance (.hdr): through such a file too. PFM: fractions of 1, which would all become black.
_UNFIT_FORMATS = {
    b"\x59\xa6\x6a\x95": "Sun raster",
    b"#?RADIANCE": "Radiance",
    b"#?RGBE": "Radiance",
    b"PF": "PFM",
    b"Pf": "PFM",
    b"<svg": "vector (SVG)",
    b"<?xml": "vector (SVG)",
}
_EXPECTED = "expected a whole PNG, JPEG, BMP, GIF, TIFF, WebP, AVIF or PNM picture"


_loading = threading.Lock()


@functools.cache
def opencv() -> ModuleType:
    """Return OpenCV, bounded and silent: it reads these settings once, when it is first loaded.

    The environment is then as it was; OpenCV's own loader adds to LD_LIBRARY_PATH.
    """
    settings = {"OPENCV_IO_MAX_IMAGE_PIXELS": str(MAX_PIXELS), "OPENCV_LOG_LEVEL": "SILENT"}
    with _loading:
        before = dict(os.environ)
        os.environ.update(settings)
        try:
            import cv2
        finally:
            for name in {name for name, value in os.environ.items() if before.get(name) != value}:
                if name in before:
                    os.environ[name] = before[name]
                else:
                    del os.environ[name]
    return cv2


def decode_picture(data: bytes, name: bytes, divisor: int = 1) -> npt.NDArray[np.uint8]:
    """Return the picture that `data` encodes, in grey: uint8 (height, width), upright by its EXIF orientation.

    16-bit pictures are scaled down; transparent ones are laid over the background that shows them. `name` is for
    the messages. `divisor`, one of DIVISORS, reduces the sides of a JPEG picture; for others it must be 1. Raises
    DataError where there is no whole picture, or one of more than MAX_PIXELS.
    """
    if apng.is_animated(data):
        data = apng.default_image(data)
    try:
        picture = decode_opaque(data, divisor) if is_opaque(data) else _decode_any(data, name)
    except opencv().error as error:
        if "CV_IO_MAX_IMAGE" not in str(error):
            picture = None
        else:
            raise DataError(
                f"{printable(name)}: too many pixels, expected at most "
                f"{MAX_PIXELS // 1_000_000} megapixels; make the picture smaller"
            ) from error
    if picture is None:
        raise DataError(
            f"{printable(name)}: no picture that can be read (damaged, cut short or another format), "
            f"{_EXPECTED}; convert or replace it"
        )
    return picture


def decode_colours(data: bytes) -> npt.NDArray[np.uint8] | None:
    """Return the picture in `data` in colours, uint8 (height, width, 3), or None where there is none."""
    return _decode_or_none(apng.default_image(data) if apng.is_animated(data) else data, opencv().IMREAD_COLOR)


def decode_transparent(data: bytes) -> npt.NDArray[np.uint8] | None:
    """Return the picture in `data` as blue, green, red and opacity, uint8 (height, width, 4), or None."""
    cv2 = opencv()
    picture = _decode_or_none(data, cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype not in (np.uint8, np.uint16):
        return None
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    channels = 1 if picture.ndim == 2 else picture.shape[2]
    convert = {1: cv2.COLOR_GRAY2BGRA, 3: cv2.COLOR_BGR2BGRA}.get(channels)
    return picture if convert is None else np.asarray(cv2.cvtColor(picture, convert), np.uint8)


def _decode_or_none(data: bytes, how: int) -> npt.NDArray[Any] | None:
    cv2 = opencv()
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), how)  # type: ignore[no-any-return]
    except cv2.error:
        return None


def to_grey(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the greys (height, width) of an RGB picture (height, width, 3), as those of a picture file."""
    cv2 = opencv()
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)  # type: ignore[no-any-return]


def decode_opaque(data: bytes, divisor: int = 1) -> npt.NDArray[np.uint8] | None:
    """Return the grey picture in a file that `is_opaque`, turned upright by OpenCV; None where there is none.

    `divisor` as above. From memory rather than with `imread`, which gives a truncated JPEG a grey lower half. Raises
    cv2.error for too many pixels.
    """
    cv2 = opencv()
    how = cv2.IMREAD_GRAYSCALE if divisor == 1 else getattr(cv2, f"IMREAD_REDUCED_GRAYSCALE_{divisor}")
    return cv2.imdecode(np.frombuffer(data, np.uint8), how)  # type: ignore[no-any-return]


def _decode_any(data: bytes, name: bytes) -> npt.NDArray[np.uint8] | None:
    """Return the grey picture in `data`, whatever its depth and channels, or None where there is none.

    Only IMREAD_UNCHANGED keeps transparency and 16 bits, but it ignores the EXIF orientation. Raises DataError for a
    format OpenCV decodes wrongly or unsafely, or an unfit type of pixels.
    """
    for magic, unfit in _UNFIT_FORMATS.items():
        if data.startswith(magic):
            raise DataError(f"{printable(name)}: a {unfit} picture, {_EXPECTED}; convert it")
    if apng.is_unfit(data):
        return None
    cv2 = opencv()
    decoded, kinds, blocks = cv2.imdecodeWithMetadata(np.frombuffer(data, np.uint8), flags=cv2.IMREAD_UNCHANGED)
    picture = grey_of(decoded, printable(name))
    if picture is None:
        return None
    for kind, block in zip(kinds, blocks, strict=True):
        if kind == cv2.IMAGE_METADATA_EXIF:
            picture = _upright(picture, _orientation(np.asarray(block).tobytes()))
    return picture


def grey_of(picture: npt.NDArray[Any] | None, where: str) -> npt.NDArray[np.uint8] | None:
    """Return the greys of a picture as OpenCV decodes it unchanged, or None where there is none.

    Raises DataError, about `where`, for signed, longer or fractional values: nothing tells which are black and white.
    """
    if picture is None:
        return None
    if picture.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{where}: {picture.dtype} pixels, expected uint8 or uint16; convert it")
    picture = _to_8_bits(picture)
    if picture.ndim == 2:
        return picture
    grey = opencv().cvtColor(picture[:, :, :3], opencv().COLOR_BGR2GRAY)
    return _over_background(grey, picture[:, :, 3]) if picture.shape[2] == 4 else grey


def _to_8_bits(picture: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    """Scale 16 bits down to 8: scanners store 10, 12 or 14 bits in 16, and the largest value tells how many."""
    if picture.dtype == np.uint8:
        return picture.astype(np.uint8, copy=False)
    bits = max(8, int(picture.max()).bit_length())
    return opencv().convertScaleAbs(picture, alpha=255 / (2**bits - 1))  # type: ignore[no-any-return]


def _over_background(grey: npt.NDArray[np.uint8], alpha: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Composite a picture over white if its ink is dark, otherwise over black.

    If most of it is transparent, the visible part is the ink, and so is a somewhat larger part of a single grey;
    otherwise it is mostly paper, and the rest is filled to match. A fully transparent picture has an unused alpha
    channel, as many bitmaps do.
    """
    visible = float(alpha.mean()) / 255
    if visible in (0, 1):
        return grey
    is_dark = np.average(grey, weights=alpha) < 127.5
    is_ink = visible < 0.5 or (visible < MOST_INK and np.ptp(grey[alpha > 127]) < ONE_GREY)
    background = 255 if is_dark == is_ink else 0
    weights = alpha.astype(np.float32) / 255
    return np.rint(background + (grey.astype(np.float32) - background) * weights).astype(np.uint8)


def _upright(picture: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Turn a picture by its EXIF orientation, 1 to 8 (EXIF 2.32, tag 0x0112); other values change nothing."""
    if 5 <= orientation <= 8:
        picture = picture.T
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    return np.ascontiguousarray(picture)


def _orientation(block: bytes) -> int:
    """Return the orientation that an EXIF block gives to the picture, 1 (upright) where it gives none.

    The block is a small TIFF file (TIFF 6.0, section 2): byte order, then a directory of 12-byte entries.
    """
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return 1
    (directory,) = struct.unpack_from(f"{order}I", block, 4)
    if directory + 2 > len(block):
        return 1
    (n_entries,) = struct.unpack_from(f"{order}H", block, directory)
    for entry in range(directory + 2, min(directory + 2 + 12 * n_entries, len(block) - 11), 12):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", block, entry)
        if tag == _ORIENTATION_TAG:
            return int(value)
    return 1
