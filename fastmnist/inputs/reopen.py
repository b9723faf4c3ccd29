"""Pictures that were read are opened a second time, to be drawn."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt

from fastmnist.errors import DataError, printable
from fastmnist.images.decode import decode_picture
from fastmnist.images.files import read_file
from fastmnist.images.pages import decode_pages, may_have_pages
from fastmnist.remote.address import is_address
from fastmnist.remote.fetch import Fetcher

Grey = npt.NDArray[np.uint8]


class Reopener:
    """Opens files and addresses again. The pages of a file, asked for in order, are each decoded once."""

    def __init__(self) -> None:
        self._path: bytes | None = None  # of the file that is open
        self._data = b""
        self._pages: Iterator[Grey | DataError] = iter(())
        self._next = 0  # the page that comes next

    def picture(self, path: bytes, page: int | None) -> tuple[bytes, Grey]:
        """Return a file's content, and the greys (height, width) of a page: its index, None for a file of one.

        Raises DataError, RemoteError.
        """
        page = page or 0
        if path != self._path or page < self._next:
            self._path, self._data = None, _content(path)
            self._path, self._pages, self._next = path, _pages(self._data, path), 0
        found = next(islice(self._pages, page - self._next, None), None)
        self._next = page + 1
        if isinstance(found, np.ndarray):
            return self._data, found
        raise found or DataError(f"{printable(path)}: no page {page} any more; the file has changed")


def _content(path: bytes) -> bytes:
    if not is_address(path):
        return read_file(path)
    with Fetcher() as fetcher:
        return fetcher.begin(path).content()


def _pages(data: bytes, path: bytes) -> Iterator[Grey | DataError]:
    if may_have_pages(data):
        yield from decode_pages(data, path)
    else:
        yield decode_picture(data, path)
