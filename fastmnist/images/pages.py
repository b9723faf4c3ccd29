"""Files of several pages: TIFF, animations, PDF and HEIC. Each page is a picture of its own.

Pages come one after the other, so that memory holds one; an animation, whose frames build on each other, is decoded as
a whole, within the bound of one picture.
"""

import contextlib
import math
import struct
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastmnist.errors import DataError, printable
from fastmnist.extras import import_extra
from fastmnist.images import apng, gif
from fastmnist.images.colour import strongest_contrast
from fastmnist.images.decode import (
    MAX_PIXELS,
    decode_colours,
    decode_picture,
    decode_transparent,
    grey_of,
    opencv,
    to_grey,
)

Grey = npt.NDArray[np.uint8]

PDF_SCALE = 200 / 72  # 200 dots per inch
MOST_PIXELS = 20_000_000_000  # of all pages: some 2,000 scans at 300 dots per inch; a minute or two of decoding
MOST_PAGES = 65_535  # TIFF numbers pages with 16 bits; a chain of empty ones takes 6 bytes each, and a row each
ROWS = 64  # laid over others at a time: NumPy takes 120 bytes for a pixel, 6 GB for 50 megapixels
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_pdfium = threading.Lock()  # PDFium is not made for threads


def may_have_pages(data: bytes) -> bool:
    """Tell by the first bytes whether a file may hold several pages, or is of a kind that only this module reads."""
    return (
        data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
        or data[:4] == b"%PDF"
        or _is_heic(data)
        or _n_frames(data) > 1
    )


def decode_pages(data: bytes, name: bytes) -> Iterator[Grey | DataError]:
    """Yield the pictures that `data` encodes, in grey: uint8 (height, width), or why a page can't be read.

    `name` is for the messages. What comes after MOST_PIXELS is one error. Raises DataError where there is no whole
    picture at all.
    """
    n_pixels = 0
    for page, picture in enumerate(_pages(data, name)):
        if n_pixels > MOST_PIXELS:
            most = f"{MOST_PIXELS // 1_000_000:,} megapixels"
            yield DataError(f"{_of_page(name, page)} comes after {most}, the most that is read of a file; split it")
            return
        yield picture
        n_pixels += 0 if isinstance(picture, DataError) else picture.size


def contrast_in(data: bytes, page: int) -> Grey | None:
    """Return the greys, uint8 (height, width), in which the colours of a page differ most, None without any.

    The page can be read, and is 0 in a file of one picture.
    """
    return strongest_contrast(colours_of_page(data, page))


def colours_of_page(data: bytes, page: int) -> Grey | None:
    """Return the colours of such a page, uint8 (height, width, 3), None where it has none, and for a frame."""
    if data[:4] == b"%PDF":
        return _pdf_colours(data, page)
    if _is_heic(data):
        return _colours(np.asarray(_open_heic(data, b"")[page]))
    if _n_frames(data) > 1:
        return None
    return decode_colours(data if page == 0 else bytes(_alone(data, _directories(data)[page])))


def _colours(picture: Grey) -> Grey | None:
    return np.ascontiguousarray(picture[..., :3]) if picture.ndim == 3 else None


def _pages(data: bytes, name: bytes) -> Iterator[Grey | DataError]:
    """Return all the pages of a file."""
    if data[:4] == b"%PDF":
        return _pdf_pages(data, name)
    if _is_heic(data):
        return _heic_pages(data, name)
    return _frames(data, name) if _n_frames(data) > 1 else _tiff_pages(data, name)


def _is_heic(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS and b"avi" not in data[8:40]


def _n_frames(data: bytes) -> int:
    """Return how many frames an animation has, at most; 0 for what is none."""
    if data[:4] == b"GIF8":
        return gif.n_frames(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return data.count(b"ANMF")
    if apng.is_animated(data):
        return apng.n_frames(data)
    start = data.find(b"stsz", 0, 4096) + 12 if data[4:12] == b"ftypavis" else 0
    return int.from_bytes(data[start : start + 4], "big") if start > 11 else 0


class _Form(NamedTuple):
    """How a TIFF file is written, TIFF 6.0 (section 2) or BigTIFF: formats as those of `struct`."""

    n_entries: str
    place: str  # of a directory
    first: int  # where the place of the first one is
    entry: int  # bytes of an entry


def _form_of(data: bytes) -> _Form:
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    return _Form(order + "Q", order + "Q", 8, 20) if is_big else _Form(order + "H", order + "I", 4, 12)


def _tiff_pages(data: bytes, name: bytes) -> Iterator[Grey | DataError]:
    """Yield the pages of a TIFF file: the first as any picture, the others as long as there are any."""
    directories = _directories(data)
    _check_number(len(directories), name)
    later = directories[1:]
    try:
        yield decode_picture(data, name)
    except DataError as error:
        if not later:
            raise
        yield error
    alone = bytearray(data if later else b"")
    for page, directory in enumerate(later, 1):
        yield _tiff_page(np.frombuffer(_alone(data, directory, alone), np.uint8), name, page)


def _alone(data: bytes, directory: int, alone: bytearray | None = None) -> bytearray:
    """Return a TIFF file whose only page is that of a directory; `alone` is what this has returned before, or a copy.

    OpenCV follows the pages from the first one on, 0.1 s for each of 1,000.
    """
    form, alone = _form_of(data), alone or bytearray(data)
    struct.pack_into(form.place, alone, form.first, directory)
    if (link := _link(data, directory, form)) + struct.calcsize(form.place) <= len(data):
        struct.pack_into(form.place, alone, link, 0)
    return alone


def _tiff_page(encoded: Grey, name: bytes, page: int) -> Grey | DataError:
    """Return the picture that a TIFF file begins with, which `name` and `page` name in messages."""
    cv2 = opencv()
    try:
        picture = grey_of(cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED), _of_page(name, page))
    except cv2.error:
        picture = None
    except DataError as error:
        return error
    return _unreadable(name, page) if picture is None else picture


def _directories(data: bytes) -> list[int]:
    """Return where the directories of a TIFF file's pages are, each of which tells the next.

    Of more than MOST_PAGES, one too many.
    """
    form = _form_of(data)
    seen: dict[int, None] = {}  # for its order
    place = _place_at(data, form.first, form)
    last = len(data) - struct.calcsize(form.n_entries)
    while 0 < place <= last and place not in seen and len(seen) <= MOST_PAGES:
        seen[place] = None
        place = _place_at(data, _link(data, place, form), form)
    return list(seen)


def _place_at(data: bytes, where: int, form: _Form) -> int:
    """Return the place that is written somewhere in a TIFF file, 0 where the file ends before."""
    is_there = where + struct.calcsize(form.place) <= len(data)
    return int(struct.unpack_from(form.place, data, where)[0]) if is_there else 0


def _link(data: bytes, directory: int, form: _Form) -> int:
    """Return where a directory says where the next one is: after its number of entries, and these."""
    (n_entries,) = struct.unpack_from(form.n_entries, data, directory)
    return directory + struct.calcsize(form.n_entries) + form.entry * int(n_entries)


def _frames(data: bytes, name: bytes) -> Iterator[Grey | DataError]:
    """Yield the frames of an animation."""
    n = _n_frames(data)
    _check_number(n, name)
    first = decode_picture(data, name)
    if n * first.size > MAX_PIXELS:
        height, width = first.shape
        raise DataError(
            f"{printable(name)}: {n:,} frames of {width}x{height} pixels, expected at most "
            f"{MAX_PIXELS // 1_000_000} megapixels in all; make the pictures smaller, or save each to a file of its own"
        )
    if apng.is_animated(data):
        yield from _png_frames(data, name, first.shape)
        return
    cv2 = opencv()
    try:
        is_read, pictures = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED, range=(0, n))
    except cv2.error:
        is_read, pictures = False, []
    if not is_read:
        pictures = [first]
    for frame, picture in enumerate(pictures):
        grey = grey_of(picture, _of_page(name, frame))
        yield _unreadable(name, frame) if grey is None else grey
    for frame in range(len(pictures), n):
        yield _unreadable(name, frame)


def _png_frames(data: bytes, name: bytes, shape: tuple[int, ...]) -> Iterator[Grey | DataError]:
    """Yield the frames of an animated PNG file, each laid on a canvas of that shape, which is transparent at first."""
    canvas, number = np.zeros((*shape, 4), np.uint8), -1
    for number, frame in enumerate(apng.frames(data)):
        picture = decode_transparent(frame.file)
        if picture is None or frame.top + len(picture) > shape[0] or frame.left + picture.shape[1] > shape[1]:
            yield _unreadable(name, number)
            continue
        before = canvas.copy() if frame.dispose == apng.PREVIOUS else canvas
        part = canvas[frame.top : frame.top + len(picture), frame.left : frame.left + picture.shape[1]]
        for top in range(0, len(part), ROWS):
            rows = slice(top, top + ROWS)
            part[rows] = _over(picture[rows], part[rows]) if frame.blend == apng.OVER else picture[rows]
        grey = grey_of(canvas, _of_page(name, number))
        yield _unreadable(name, number) if grey is None else grey
        if frame.dispose == apng.BACKGROUND:
            part[:] = 0
        canvas = before
    if number + 1 < apng.n_frames(data):
        yield _unreadable(name, number + 1)


def _over(picture: Grey, below: Grey) -> Grey:
    """Return a picture laid over another, both uint8 (height, width, 4), the last their opacity."""
    opacity, opacity_below = picture[..., 3:] / 255, below[..., 3:] / 255
    together = opacity + opacity_below * (1 - opacity)
    colours = picture[..., :3] * opacity + below[..., :3] * opacity_below * (1 - opacity)
    colours = np.divide(colours, together, out=np.zeros_like(colours), where=together > 0)
    return np.asarray(np.rint(np.concatenate([colours, 255 * together], axis=2)), np.uint8)


def _pdf_pages(data: bytes, name: bytes) -> Iterator[Grey | DataError]:
    """Yield the pages of a PDF file at 200 dots per inch, or fewer where a page is too large for that."""
    pdfium = import_extra("pypdfium2", "pdf", f"{printable(name)}: a PDF file", DataError)
    with _pdfium:
        try:
            document = pdfium.PdfDocument(data)
            n_pages = len(document)
        except pdfium.PdfiumError:
            n_pages = 0
    if not n_pages:
        raise DataError(f"{printable(name)}: no page that can be read (damaged, or password-protected); replace it")
    try:
        _check_number(n_pages, name)
        for number in range(n_pages):
            yield _pdf_page(pdfium, document, number, name)
    finally:
        with _pdfium:
            document.close()


def _pdf_page(pdfium: Any, document: Any, number: int, name: bytes) -> Grey | DataError:
    with _pdfium:
        try:
            picture = _rendered(document, number, in_grey=True)
        except (pdfium.PdfiumError, ValueError, MemoryError):
            return _unreadable(name, number)
    return picture.reshape(picture.shape[:2])


def _rendered(document: Any, number: int, *, in_grey: bool) -> Grey:
    """Return a page of an open document, with nothing left open that would be closed later, in any thread."""
    with contextlib.ExitStack() as opened:
        page = document[number]
        opened.callback(page.close)
        width, height = page.get_size()
        scale = min(PDF_SCALE, math.sqrt(MAX_PIXELS / max(1.0, width * height)))
        bitmap = page.render(scale=scale, grayscale=in_grey)
        opened.callback(bitmap.close)
        return np.array(bitmap.to_numpy())


def _pdf_colours(data: bytes, page: int) -> Grey | None:
    pdfium = import_extra("pypdfium2", "pdf", "", DataError)
    with _pdfium:
        document = pdfium.PdfDocument(data)
        try:
            return _colours(_rendered(document, page, in_grey=False))
        finally:
            document.close()


def _open_heic(data: bytes, name: bytes) -> Any:
    heif = import_extra("pillow_heif", "heic", f"{printable(name)}: a HEIC picture", DataError)
    return heif.open_heif(data, convert_hdr_to_8bit=True)


def _heic_pages(data: bytes, name: bytes) -> Iterator[Grey | DataError]:
    """Yield the pictures of a HEIC file, upright."""
    try:
        file = _open_heic(data, name)
        sizes = [image.size for image in file]
    except DataError:  # no such extra
        raise
    except Exception:  # whatever libheif's binding raises for a damaged file
        raise DataError(
            f"{printable(name)}: no HEIC picture that can be read (damaged or cut short); replace the file"
        ) from None
    _check_number(len(sizes), name)
    for number, (image, (width, height)) in enumerate(zip(file, sizes, strict=True)):
        if width * height > MAX_PIXELS:
            yield _unreadable(name, number)
            continue
        try:
            pixels = np.asarray(image)
        except Exception:  # likewise
            yield _unreadable(name, number)
            continue
        yield to_grey(np.ascontiguousarray(pixels[..., :3])) if pixels.ndim == 3 else np.ascontiguousarray(pixels)


def _check_number(n_pages: int, name: bytes) -> None:
    """Raise DataError for too many pages."""
    if n_pages > MOST_PAGES:
        raise DataError(f"{printable(name)}: more than {MOST_PAGES:,} pages; split the file")


def _of_page(name: bytes, page: int) -> str:
    return f"{printable(name)}: page {page}"


def _unreadable(name: bytes, page: int) -> DataError:
    most = f"{MAX_PIXELS // 1_000_000} megapixels"
    return DataError(f"{_of_page(name, page)} can't be read (damaged, or of more than {most}); replace the file")
