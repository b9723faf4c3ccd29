"""One image file -> grey pixels, through OpenCV, which nothing else imports."""

import contextlib
import functools
import io
import os
import stat
import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import numpy.typing as npt

from fastmnist.errors import DataError, printable, reason

SIDE = 28
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 50_000_000

# Formats that OpenCV reads to no good end. Sun raster: wrong greys, and through a file in the shared temporary
# folder. Radiance (.hdr): through such a file too. PFM: fractions of 1, which would all become black.
_UNFIT_FORMATS = {
    b"\x59\xa6\x6a\x95": "Sun raster",
    b"#?RADIANCE": "Radiance",
    b"#?RGBE": "Radiance",
    b"PF": "PFM",
    b"Pf": "PFM",
}
_EXPECTED = "expected a whole PNG, JPEG, BMP, GIF, TIFF, WebP, AVIF or PNM picture"


@functools.cache
def _opencv() -> ModuleType:
    """Return OpenCV, bounded and silent: it reads these settings once, when it is loaded."""
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MAX_PIXELS)
    os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
    import cv2

    cv2.setNumThreads(1)  # our own threads decode one file each: no pool inside the pool
    return cv2


def decode_image(path: bytes) -> npt.NDArray[np.uint8]:
    """Return the picture in the file `path`, of any format that OpenCV knows by content, as uint8 (28, 28).

    Raises DataError for whatever is not a whole 28x28 image in a regular file; never blocks on a FIFO.
    """
    return decode_picture(_read(path), path)


def decode_picture(data: bytes, path: bytes) -> npt.NDArray[np.uint8]:
    """Return the picture in `data`, the content of `path`, as uint8 (28, 28).

    Raises DataError for whatever is not a whole 28x28 image.
    """
    for magic, unfit in _UNFIT_FORMATS.items():
        if data.startswith(magic):
            raise DataError(f"{printable(path)}: a {unfit} picture, {_EXPECTED}; convert it")
    pixels = _decode(path, data)
    if pixels is None:
        raise DataError(
            f"{printable(path)}: no picture that can be read (damaged, cut short or another format), "
            f"{_EXPECTED}; replace it"
        )
    if pixels.shape != (SIDE, SIDE):
        height, width = pixels.shape[:2]
        raise DataError(f"{printable(path)}: is {width}x{height} pixels, expected {SIDE}x{SIDE}; resize the picture")
    return pixels


def _decode(path: bytes, data: bytes) -> npt.NDArray[np.uint8] | None:
    """Return the grey picture in `data`, the content of `path`, or None where OpenCV finds none.

    From memory and not `imread`: that gives a grey lower half for a JPEG cut short, and is slower
    (58k against 80k files a second in one thread, 107k against 130k in two).
    """
    cv2 = _opencv()
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)  # type: ignore[no-any-return]
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" not in str(error):
            return None
        raise DataError(
            f"{printable(path)}: too many pixels, expected at most "
            f"{MAX_PIXELS // 1_000_000} megapixels; make the picture smaller"
        ) from error


def _read(path: bytes) -> bytes:
    """Return the content of the regular file `path`, not empty and at most MAX_FILE_BYTES long.

    Every system call costs a hand-over of the interpreter lock, so these are the fewest: 12% more files a second
    than with `open_regular`. A file exchanged or changed in between is safe: opening doesn't wait for a FIFO, and
    no more is read than the size that was checked.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a FIFO, socket or device"
            raise DataError(f"{printable(path)}: {kind}, expected an image file; name a regular file")
        size = status.st_size
        if not 0 < size <= MAX_FILE_BYTES:
            raise DataError(
                f"{printable(path)}: {size} bytes, expected an image of 1 to {MAX_FILE_BYTES} bytes "
                f"({MAX_FILE_BYTES >> 20} MB); replace it"
            )
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            data = os.read(file, size)
        finally:
            os.close(file)
    except OSError as error:
        raise DataError(
            f"{printable(path)}: {reason(error)}, expected an image file; check its name and permissions"
        ) from error
    if len(data) != size:
        raise DataError(f"{printable(path)}: {len(data)} bytes, expected {size}; it changed meanwhile, try again")
    return data


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep what libpng and libjpeg write to file descriptor 2 out of stderr while the context lasts.

    Descriptor 2 leads to /dev/null meanwhile; a `sys.stderr` that wrote there writes to a duplicate of the
    old one, so Python's messages still get through, in order. It holds for the whole process: enter it once.
    """
    kept = _duplicate(2)
    python_stderr = sys.stderr
    try:
        if kept is not None and _writes_to_2(python_stderr):
            python_stderr.flush()
            sys.stderr = _stream_on(kept)
        # A closed stderr too: the next file opened would get its number, and collect those words.
        _lead_to_null(2)
        yield
    finally:
        sys.stderr = python_stderr
        if kept is not None:
            os.dup2(kept, 2)
            os.close(kept)


def _duplicate(descriptor: int) -> int | None:
    """Return a duplicate of `descriptor`, or None where it is closed."""
    try:
        return os.dup(descriptor)
    except OSError:
        return None


def _lead_to_null(descriptor: int) -> None:
    """Make `descriptor` lead to /dev/null."""
    null = os.open(os.devnull, os.O_WRONLY)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)


def _writes_to_2(stream: object) -> bool:
    """Tell whether `stream` is a text file on descriptor 2 (not None, nor a test's capture)."""
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == 2
    except (OSError, ValueError):  # no descriptor, or a closed stream
        return False


def _stream_on(descriptor: int) -> io.TextIOWrapper:
    """Return an unbuffered text stream on `descriptor`, which stays open after it."""
    raw = io.FileIO(descriptor, "wb", closefd=False)
    return io.TextIOWrapper(raw, sys.stderr.encoding, "backslashreplace", write_through=True)
