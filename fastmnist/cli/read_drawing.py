"""The option of `read` that lets you see what was read: the pictures, with boxes and text drawn in."""

from typing import TYPE_CHECKING

from fastmnist.cli.terminal import complain
from fastmnist.errors import DataError

if TYPE_CHECKING:
    from fastmnist.numbers.number import PageRead


class Drawing:
    """A folder of pictures with what was read in them."""

    def __init__(self, folder: str, *, may_have_files: bool) -> None:
        """Make the folder, which must be new or empty unless it `may_have_files`. Raises OutputError."""
        from fastmnist.inputs.reopen import Reopener
        from fastmnist.output.png import make_folder

        self._folder, self._reopener = folder, Reopener()
        make_folder(folder, may_have_files=may_have_files)

    def add(self, page: "PageRead") -> None:
        """Draw a page, if there is a number on it. Raises OutputError."""
        from fastmnist.images.decode import opencv
        from fastmnist.numbers.drawing import drawn
        from fastmnist.output.png import picture_path, write_into_folder

        if not page.numbers:
            return
        try:
            grey = self._reopener.picture(page.path, page.page)[1]
        except DataError as error:
            complain(f"not drawn: {error}")
            return
        content = opencv().imencode(".png", drawn(grey, page.numbers))[1].tobytes()
        path = picture_path(self._folder, page.number, page.path, page.page)
        write_into_folder(f"{path}.png", content, "--draw")
