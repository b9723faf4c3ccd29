"""The option of `read` that lets you see what was read: the pictures, with boxes and text drawn in."""

from itertools import islice
from typing import TYPE_CHECKING

from fastmnist.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fastmnist.numbers.number import PageRead


class Drawing:
    """A folder of pictures with what was read in them."""

    def __init__(self, folder: str, *, may_have_files: bool) -> None:
        """Make the folder, which must be new or empty unless it `may_have_files`. Raises OutputError."""
        from fastmnist.output.png import make_folder

        self._folder = folder
        make_folder(folder, may_have_files=may_have_files)

    def add(self, page: "PageRead") -> None:
        """Draw a page, if there is a number on it. Raises OutputError."""
        from fastmnist.images.decode import opencv
        from fastmnist.numbers.drawing import drawn
        from fastmnist.output.png import picture_path, write_into_folder

        if not page.numbers:
            return
        grey = _picture(page)
        if grey is None:
            return
        content = opencv().imencode(".png", drawn(grey, page.numbers))[1].tobytes()
        path = picture_path(self._folder, page.number, page.path, page.page)
        write_into_folder(f"{path}.png", content, "--draw")


def _picture(page: "PageRead") -> "NDArray[np.uint8] | None":
    """Return the greys of a page, None where it can't be read a second time, as from stdin."""
    import numpy as np

    from fastmnist.images.decode import decode_picture
    from fastmnist.images.pages import decode_pages

    try:
        data = _content(page.path)
        if page.page is None:
            return decode_picture(data, page.path)
        picture = next(islice(decode_pages(data, page.path), page.page, None), None)
        return picture if isinstance(picture, np.ndarray) else None
    except DataError:
        return None


def _content(path: bytes) -> bytes:
    """Return a picture's file. Raises DataError, RemoteError."""
    from fastmnist.images.files import read_file
    from fastmnist.remote.address import is_address
    from fastmnist.remote.fetch import Fetcher

    if not is_address(path):
        return read_file(path)
    with Fetcher() as fetcher:
        return fetcher.begin(path).content()
