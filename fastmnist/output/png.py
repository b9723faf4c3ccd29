"""Grey pictures -> PNG files, and many small ones -> one sheet."""

import os
import re
import struct
import zlib

import numpy as np
import numpy.typing as npt

from fastmnist.errors import AnyPath, OutputError, printable, reason
from fastmnist.images.apng import png_file
from fastmnist.output.atomic import atomic_file

Uint8 = npt.NDArray[np.uint8]

MOST_BYTES = 100  # of a picture's name in that of what is drawn of it: file systems allow 255 in all
FRAME = 64  # grey of the lines between the pictures of a sheet


def make_folder(folder: AnyPath, *, may_have_files: bool = False) -> None:
    """Make a folder for pictures. Raises OutputError if that fails.

    So it does if the folder has files, which would be mixed up, unless it `may_have_files`: those of the same job.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        used = bool(os.listdir(folder))
    except OSError as error:
        raise OutputError(f"{printable(folder)}: {reason(error)}, expected a folder for pictures") from None
    if used and not may_have_files:
        raise OutputError(f"{printable(folder)}: not empty, expected a new folder for pictures; name another one")


def picture_path(folder: str, number: int, path: bytes, page: int | None) -> str:
    """Return where in `folder` a picture goes, without its suffix: by its number from 1, its name and its page."""
    return os.path.join(
        folder,
        f"{number + 1:07d}-{safe_name(os.path.basename(printable(path)))}" + ("" if page is None else f"-{page}"),
    )


def safe_name(name: str) -> str:
    """Return a name as a part of a file's name: at most its end, and what file systems may not like becomes `_`."""
    return re.sub(r"[^\w.-]", "_", name).encode()[-MOST_BYTES:].decode(errors="ignore")


def write_into_folder(path: str, content: bytes, option: str) -> None:
    """Write a picture's file into the folder that an option names. Raises OutputError."""
    try:
        with open(path, "wb") as file:
            file.write(content)
    except OSError as error:
        raise OutputError(f"{printable(path)}: {reason(error)}, expected a folder to write {option} to") from None


def write_png(path: AnyPath, picture: Uint8) -> None:
    """Write a grey picture (height, width) as a PNG file. Raises OutputError when the file can't be written."""
    with atomic_file(path) as file:
        file.write(encode_png(picture))


def encode_png(picture: Uint8, bits: int = 8) -> bytes:
    """Return a grey picture (height, width) as PNG (ISO/IEC 15948): 8 or 4 bits per pixel, rows without filters.

    With 4 bits it has 16 greys, and a digit half the bytes.
    """
    height, width = picture.shape
    content = picture if bits == 8 else _packed(picture)
    rows = np.column_stack([np.zeros(height, np.uint8), content])
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return png_file(chunks)


def _packed(picture: Uint8) -> Uint8:
    """Return a picture in 16 greys, two pixels in a byte, the left one above."""
    greys = (picture.astype(np.uint16) + 8) // 17  # to the nearest of 0, 17, ..., 255
    even = np.pad(greys, ((0, 0), (0, picture.shape[1] % 2)))
    return (even[:, ::2] << 4 | even[:, 1::2]).astype(np.uint8)


def sheet(pictures: Uint8) -> Uint8:
    """Return pictures (rows, columns, height, width) as one, with lines between them."""
    framed = np.pad(pictures, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=FRAME)
    rows, columns, height, width = framed.shape
    return framed.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)[:-1, :-1]
