"""Pictures of numbers -> the numbers in them, page by page, in input order."""

import operator
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby

import numpy as np
import numpy.typing as npt

from fastmnist.errors import DataError
from fastmnist.images.colour import strongest_contrast
from fastmnist.images.decode import to_grey
from fastmnist.inputs.arrays import ARRAY, BYTES, Image, as_file, as_list, as_picture
from fastmnist.inputs.pictures import Item, Read, read_found, read_page, read_pages, read_pictures
from fastmnist.inputs.runs import Run
from fastmnist.inputs.selection import Selection
from fastmnist.inputs.workers import in_order, open_pool
from fastmnist.model.model_file import Model
from fastmnist.numbers.number import Number, PageRead
from fastmnist.numbers.reading import Readers, read_numbers

Grey = npt.NDArray[np.uint8]
Length = int | tuple[int, int] | None
_Reader = Read[list[Number]]

NOTHING_FOUND = "no number found, expected digits darker or lighter than their background"


def read_files(
    model: Model, inputs: Iterable[bytes | str], length: Length, threads: int, selection: Selection | None = None
) -> Iterator[PageRead]:
    """Yield the pages of picture files, of which `threads` are read at a time; `-` is stdin.

    Raises DataError for an impossible length.
    """
    return _pages(read_pictures(inputs, _reader(model, length), threads=threads, selection=selection))


def read_run(model: Model, run: Run, length: Length, threads: int) -> Iterator[PageRead]:
    """Yield the pages of the picture files of a run, as `read_files` does."""
    for page in _pages(read_found(run.inputs, _reader(model, length), threads, Selection())):
        yield replace(page, number=run.numbers[page.number])


def _pages(items: Iterable[Item[list[Number]]]) -> Iterator[PageRead]:
    for item in items:
        yield from _pages_of(item.path, item.number, item.pages)


def read(model: Model, pictures: Image | Sequence[Image], length: Length, threads: int) -> Iterator[PageRead]:
    """Yield the pages of pictures as the library takes them; see api.py."""
    reader = _reader(model, length)
    given = [as_picture(picture) if isinstance(picture, np.ndarray) else picture for picture in as_list(pictures)]
    n_before = 0
    for is_path, group in groupby(given, _is_path):
        if is_path:
            items = read_pictures(map(as_file, group), reader, threads=threads)
        else:
            items = _read_given(list(group), reader, threads)
        first = n_before
        for page in _pages(items):
            yield replace(page, number=first + page.number)
            n_before = first + page.number + 1


def _is_path(picture: Image) -> bool:
    return not isinstance(picture, bytes | np.ndarray)


def _read_given(pictures: list[Image], reader: _Reader, threads: int) -> Generator[Item[list[Number]]]:
    """Yield what is read in picture files' bytes and in pictures as `as_picture` returns them."""
    tasks = [partial(_item, picture, number, reader) for number, picture in enumerate(pictures)]
    if len(tasks) == 1:  # not worth starting threads
        yield tasks[0]()
        return
    with open_pool(threads) as pool:
        yield from in_order(pool, tasks, threads)


def _item(picture: Image, number: int, reader: _Reader) -> Item[list[Number]]:
    if isinstance(picture, bytes):
        return Item(BYTES, number, _of_bytes(picture, reader))
    assert isinstance(picture, np.ndarray)  # noqa: S101  # see `read`
    if picture.ndim == 2:
        return Item(ARRAY, number, [read_page(picture, lambda: None, ARRAY, reader)])
    return Item(ARRAY, number, [read_page(to_grey(picture), lambda: strongest_contrast(picture), ARRAY, reader)])


def _of_bytes(picture: bytes, reader: _Reader) -> list[list[Number] | str]:
    try:
        return list(read_pages(picture, BYTES, reader))
    except DataError as error:
        return [str(error)]


def as_range(length: Length) -> tuple[int, int] | None:
    """Return the smallest and largest number of digits, None where they are not told.

    Raises DataError for an impossible length.
    """
    if length is None:
        return None
    try:
        least, most = map(operator.index, length if isinstance(length, tuple) else (length, length))
    except (TypeError, ValueError):
        least = most = 0
    if not 1 <= least <= most:
        raise DataError(
            f"length {length!r}, expected a number of digits, at least 1, or the smallest and largest number"
        )
    return least, most


def _reader(model: Model, length: Length) -> _Reader:
    return partial(_read, model, as_range(length))


def readers_of(model: Model) -> Readers:
    """Return the readers of glyphs for a model: itself and, for pieces, the package's network if the classes match."""
    of_pieces = model.for_pieces
    return Readers(model.probabilities, of_pieces.probabilities if of_pieces else None)


def _read(
    model: Model, length: tuple[int, int] | None, grey: Grey, in_colour: Callable[[], Grey | None]
) -> list[Number]:
    """Return the numbers on a page; if it shows none in grey, those it shows in colour. Raises DataError."""
    readers = readers_of(model)
    numbers = read_numbers(grey, readers, model.class_names, length)
    if not numbers and (contrast := in_colour()) is not None:
        numbers = read_numbers(contrast, readers, model.class_names, length)
    if not numbers:
        raise DataError(NOTHING_FOUND)
    return numbers


def _pages_of(path: bytes, number: int, pages: list[list[Number] | str]) -> Iterator[PageRead]:
    for index, page in enumerate(pages):
        place = index if len(pages) > 1 else None
        if isinstance(page, str):
            yield PageRead(path, number, place, error=page)
        else:
            yield PageRead(path, number, place, page)
