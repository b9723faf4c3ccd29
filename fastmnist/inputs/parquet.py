"""Parquet files as Hugging Face writes data sets of images: a column `image` of {bytes, path}, and `label`.

Each row holds a picture file. Pictures of 28x28 pixels are treated like images in an IDX file, all others like picture
files. The Parquet file is decoded by arro3-io, the extra `parquet`, after parquet_pages.py has checked its bounds.
"""

import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmnist.errors import AnyPath, DataError, FastmnistError, printable
from fastmnist.extras import import_extra
from fastmnist.images.decode import decode_colours, decode_picture
from fastmnist.images.files import MAX_FILE_BYTES, file_of
from fastmnist.images.normalize import Ask
from fastmnist.images.pages import may_have_pages
from fastmnist.images.preprocess import file_to_digit, in_colour_to_digit, to_digits
from fastmnist.inputs import parquet_pages
from fastmnist.inputs.files import open_regular
from fastmnist.inputs.levels import SAMPLE, levels_of
from fastmnist.inputs.workers import Workers
from fastmnist.remote.address import file_name
from fastmnist.shapes import IMAGE_SHAPE, N_PIXELS

_log = logging.getLogger(__name__)

Uint8 = npt.NDArray[np.uint8]

MAGIC = parquet_pages.MAGIC
_EXPECTED = "expected image (the bytes and the path of a picture) and label, as Hugging Face's data sets have them"


@dataclass(frozen=True)
class ParquetImages:
    """A checked file; holds no open file. Its methods raise DataError where it is damaged, or lacks their column."""

    path: AnyPath
    n_images: int
    batch_rows: int

    def batches(self) -> Iterator[list[bytes | None]]:
        """Yield the picture file in each row, None where there is none, some rows at a time."""
        for values in self._column("image"):
            pictures = [value.get("bytes") if isinstance(value, dict) else value for value in values]
            if not all(picture is None or isinstance(picture, bytes) for picture in pictures):
                raise DataError(f"{printable(self.path)}: its column image does not hold pictures, {_EXPECTED}")
            yield pictures

    def labels(self) -> Uint8:
        """Return the labels, uint8 (n,), whatever their range."""
        labels = list(chain.from_iterable(self._column("label")))
        for row, label in enumerate(labels):
            if type(label) is not int or not 0 <= label <= 255:
                raise DataError(
                    f"{printable(self.path)}: label {printable(repr(label)[:40])} at index {row}, expected a whole "
                    "number from 0 to 255; use the labels that belong to the images"
                )
        return np.array(labels, np.uint8)

    def sample(self) -> Uint8:
        """Return those of the first images that are 28x28 pixels, uint8 (n, 784)."""
        pictures = islice(chain.from_iterable(self.batches()), SAMPLE)
        images = [image for image in map(_small, pictures) if image is not None]
        return np.array(images, np.uint8).reshape(-1, N_PIXELS)

    def _column(self, column: str) -> Iterator[list[Any]]:
        """Yield the values of a column, some at a time, as Python has them."""
        name, n_read = printable(self.path), 0
        with _File(open_regular(self.path)) as file:
            for batch in _record_batches(file, self.batch_rows, name):
                n_read += batch.num_rows
                if column not in batch.schema.names:
                    found = ", ".join(map(printable, batch.schema.names))
                    raise DataError(f"{name}: columns {found}, {_EXPECTED}")
                yield [value.as_py() for value in batch[column]]
        if n_read != self.n_images:
            raise DataError(
                f"{name}: {n_read} of its {self.n_images} rows can be read, expected all; get the file again"
            )


class _File(io.BufferedReader):
    """An open file, which gives as many bytes as it is asked for.

    It keeps the fault of one at an address: the decoder, which is Rust, passes on its words only.
    """

    fault: FastmnistError | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next `size` bytes, fewer only at the end. Raises DataError, RemoteError."""
        try:
            return super().read(size)
        except FastmnistError as error:
            self.fault = error
            raise


def is_parquet(path: AnyPath, magic: bytes) -> bool:
    """Tell whether a file that begins with `magic` is a Parquet file, or is named like one."""
    return magic == MAGIC or file_name(path).lower().endswith(".parquet")


def open_parquet(path: AnyPath) -> ParquetImages:
    """Check a Parquet file and return it. Raises DataError where it is damaged, or the extra is not installed."""
    with _File(open_regular(path)) as file:
        layout = parquet_pages.check(file, path)
    _arro3(printable(path))
    return ParquetImages(path, *layout)


def peek_n_images(path: AnyPath) -> int:
    """Return how many rows a file's footer names; 1 where it can't be read. Never raises."""
    try:
        with _File(open_regular(path)) as file:
            return parquet_pages.count_rows(file, path)
    except DataError:
        return 1


class Reader:
    """Turns the pictures of a file into digits.

    levels: how those of 28x28 pixels differ from MNIST's.
    """

    def __init__(self, source: ParquetImages, preprocess: str | None, workers: Workers, ask: Ask | None = None) -> None:
        """Look at the first pictures; that their scale or polarity is another is logged as a warning.

        Pictures are read as `preprocess` says, one of PREPROCESS_MODES, None for "auto" that leaves scale and polarity
        as they are. Raises DataError where the file is damaged.
        """
        self._name, self._workers, self._ask = printable(source.path), workers, ask
        self._preprocess = preprocess or "auto"
        self.levels = levels_of(source.sample(), preprocess)
        for note in self.levels.notes(source.path):
            _log.warning(note)

    def read(self, pictures: Sequence[bytes | None], indices: range) -> tuple[Uint8, dict[int, str]]:
        """Return the digits of the pictures at `indices`, uint8 (m, 784), and row -> message where there is none."""
        pixels = np.zeros((len(pictures), N_PIXELS), np.uint8)

        def read_rows(rows: slice) -> dict[int, str]:
            errors = {}
            for row in range(rows.start, rows.stop):
                try:
                    where = f"{self._name}: image {indices[row]}"
                    pixels[row] = self._digit(pictures[row], where).reshape(N_PIXELS)
                except DataError as error:
                    errors[row - rows.start] = str(error)
            return errors

        return pixels, self._workers.share(len(pictures), read_rows)

    def _digit(self, picture: bytes | None, where: str) -> Uint8:
        data, name = _checked(picture, where), where.encode()
        if may_have_pages(data):
            pages = to_digits(data, self._preprocess, name, self._ask)
            if len(pages) > 1:
                raise DataError(f"{where}: {len(pages)} pages, expected one picture; save each page by itself")
            if isinstance(pages[0], str):
                raise DataError(pages[0])
            return pages[0]
        file = file_of(data)
        if self._preprocess == "mnist" or file.jpeg_shape not in ((0, 0), IMAGE_SHAPE):
            return file_to_digit(file, self._preprocess, name, self._ask)
        grey = decode_picture(data, name)
        if grey.shape == IMAGE_SHAPE:
            return self.levels.applied(grey)
        return in_colour_to_digit(grey, lambda: decode_colours(data), self._preprocess, name, self._ask)


def _checked(picture: bytes | None, where: str) -> bytes:
    """Return the picture file in a row. Raises DataError, which begins with `where`, where there is none."""
    if not picture or len(picture) > MAX_FILE_BYTES:
        raise DataError(
            f"{where}: {len(picture or b'')} bytes, expected an image of 1 to {MAX_FILE_BYTES} bytes "
            f"({MAX_FILE_BYTES >> 20} MB) in the file itself; save it with its pictures embedded"
        )
    return picture


def _small(picture: bytes | None) -> Uint8 | None:
    """Return a picture of 28x28 pixels, None for any other and what can't be read."""
    try:
        grey = decode_picture(_checked(picture, ""), b"")
    except DataError:
        return None
    return grey if grey.shape == IMAGE_SHAPE else None


def _arro3(name: str) -> Any:
    return import_extra("arro3.io", "parquet", f"{name}: a Parquet file", DataError)


def _record_batches(file: _File, batch_rows: int, name: str) -> Iterator[Any]:
    """Yield the record batches of a file. Raises DataError where its decoder gives up, RemoteError."""
    try:
        yield from _arro3(name).read_parquet(file, batch_size=batch_rows)
    except BaseException as error:
        # Its decoder is Rust, which panics at some damage: an exception of no other kind. A stop passes through.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if isinstance(error, DataError):
            raise
        if file.fault is not None:
            raise file.fault from None
        raise DataError(f"{name}: pages can't be decoded, expected an intact Parquet file; get it again") from None
