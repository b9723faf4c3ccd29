"""Whole pictures: files, folders and stdin -> what a function makes of each of their pages, in order.

Digits by themselves come as batches of images; see stream.py.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from fastmnist.errors import DataError, as_data_error, printable
from fastmnist.images.decode import decode_picture
from fastmnist.images.files import read_file
from fastmnist.images.pages import contrast_in, decode_pages, may_have_pages
from fastmnist.inputs.paths import Ignored, Input, Kind, find_inputs
from fastmnist.inputs.selection import Selection
from fastmnist.inputs.stdin import open_stdin
from fastmnist.inputs.workers import in_order, open_pool
from fastmnist.remote.fetch import Fetcher, Fetching

Grey = npt.NDArray[np.uint8]
Made = TypeVar("Made")
# Makes something of a page, given its greys (height, width), and a function that returns those in which the colours of
# its picture differ most, or None. Raises DataError, without a file's name, where it can't.
Read = Callable[[Grey, Callable[[], Grey | None]], Made]


class Item(NamedTuple, Generic[Made]):
    """A picture file, its position among all of the job, and what was made of its pages, or why nothing was."""

    path: bytes
    number: int
    pages: list[Made | str]


def read_pictures(
    inputs: Iterable[bytes | str], read: Read[Made], *, threads: int = 1, selection: Selection | None = None
) -> Generator[Item[Made]]:
    """Yield what `read` makes of the picture files of `inputs`, in order; up to `threads` threads call it.

    Folders are walked as stream.py walks them. What can't be read is an item with a message. Only items of the
    `selection` are read. Logged as warnings: empty folders, and at the end the kinds of files that were ignored. Raises
    RemoteError.
    """
    selection, ignored = selection or Selection(), Ignored()
    yield from read_found(find_inputs(inputs, ignored), read, threads, selection)
    selection.n_ignored = ignored.n_files
    ignored.tell()


def read_found(inputs: Iterable[Input], read: Read[Made], threads: int, selection: Selection) -> Iterator[Item[Made]]:
    """Yield what `read_pictures` does, of files that were found."""
    with open_pool(threads) as pool, Fetcher() as fetcher:
        yield from in_order(pool, _selected(inputs, read, selection, fetcher), threads)


def _selected(
    inputs: Iterable[Input], read: Read[Made], selection: Selection, fetcher: Fetcher
) -> Iterator[Callable[[], Item[Made]]]:
    """Yield what is to be done for each selected input; a file at an address is already being fetched."""
    for found in inputs:
        taken = selection.take([found.path], [None])
        if taken.positions:
            fetching = fetcher.begin(found.path) if found.kind is Kind.REMOTE else None
            yield partial(_item, found, taken.numbers[0], read, fetching)


def _item(found: Input, number: int, read: Read[Made], fetching: Fetching | None) -> Item[Made]:
    name = printable(found.path)
    try:
        if found.error is not None:
            raise DataError(found.error)
        if found.kind is Kind.ZIP:
            raise DataError(f"{name}: a zip file, expected pictures of numbers or a folder of them; unpack it first")
        if found.kind not in (Kind.IMAGE, Kind.REMOTE, Kind.STDIN):
            raise DataError(f"{name}: a file of many images, expected pictures of numbers; use fastmnist predict")
        return Item(found.path, number, list(read_pages(_content(found, fetching), found.path, read)))
    except DataError as error:
        return Item(found.path, number, [str(error)])


def _content(found: Input, fetching: Fetching | None) -> bytes:
    if fetching is not None:
        return fetching.content()
    if found.kind is not Kind.STDIN:
        return read_file(found.path)
    content = open_stdin()
    if not isinstance(content, bytes):
        raise DataError(f"{printable(found.path)}: IDX images, expected a picture of numbers; use fastmnist predict")
    return content


def read_pages(data: bytes, name: bytes, read: Read[Made]) -> Iterator[Made | str]:
    """Yield what is made of each page of a picture file, `data`, or a message that begins with `name`.

    Raises DataError where there is no page at all.
    """
    if not may_have_pages(data):
        yield read_page(decode_picture(data, name), partial(contrast_in, data, 0), name, read)
        return
    number = -1
    for number, page in enumerate(decode_pages(data, name)):
        contrast = partial(contrast_in, data, number)
        yield str(page) if isinstance(page, DataError) else read_page(page, contrast, name, read)
    if number < 0:
        raise DataError(f"{printable(name)}: no page that can be read (damaged or cut short); replace the file")


def read_page(page: Grey, in_colour: Callable[[], Grey | None], name: bytes, read: Read[Made]) -> Made | str:
    """Return what is made of a page, or a message that begins with `name`.

    An exception that nobody expected is a message too: the other pictures are read.
    """
    try:
        return read(page, in_colour)
    except Exception as error:  # noqa: BLE001, RUF100
        return str(as_data_error(error, name))
