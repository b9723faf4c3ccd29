"""One image or one stream of IDX images on stdin."""

import io
import sys

from fastmnist.errors import DataError, reason
from fastmnist.images.files import MAX_FILE_BYTES
from fastmnist.inputs.files import GZIP_MAGIC, RawStream
from fastmnist.inputs.idx import IdxStream, is_idx_magic

NAME = "<stdin>"


def open_stdin() -> IdxStream | bytes:
    """Return the IDX images on stdin, plain or gzip, or else its whole content, which must be an image.

    Waits for data. Raises DataError where stdin is closed, empty, can't be read, holds IDX data other than square
    images of 8 to 64 pixels a side, or more bytes than an image may have.
    """
    if sys.stdin is None:
        raise DataError(f"{NAME}: closed, expected an image or IDX images; name files instead of -")
    stream = io.FileIO(0, closefd=False)
    try:
        head = _read(stream, 4)
        if head.startswith(GZIP_MAGIC) or is_idx_magic(head):
            return IdxStream(stream, head, NAME)
        content = head + _read(stream, MAX_FILE_BYTES + 1 - len(head))
    except OSError as error:
        raise DataError(f"{NAME}: {reason(error)}, expected an image or IDX images") from error
    if not content:
        raise DataError(f"{NAME}: empty, expected an image or IDX images; check what writes there")
    if len(content) > MAX_FILE_BYTES:
        raise DataError(f"{NAME}: more than {MAX_FILE_BYTES} bytes ({MAX_FILE_BYTES >> 20} MB), expected one image")
    return content


def _read(stream: RawStream, size: int) -> bytes:
    """Return the next `size` bytes, or fewer at the end. Raises OSError."""
    content = bytearray()
    while len(content) < size and (more := stream.read(min(size - len(content), 1 << 20))):
        content += more
    return bytes(content)
