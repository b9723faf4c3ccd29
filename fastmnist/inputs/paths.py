"""Which files INPUT names, and how each is read: folders are walked, other files are taken as they are."""

import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from fastmnist.errors import DataError, counted, printable, reason
from fastmnist.inputs import npz, parquet
from fastmnist.inputs.archive import MAGICS as ZIP_MAGICS
from fastmnist.inputs.archive import Archive, split_path
from fastmnist.inputs.files import folders_within, is_folder
from fastmnist.inputs.idx import is_idx_magic, looks_like_idx, peek_magic, peek_n_images
from fastmnist.inputs.pickles import is_pickle, refusal
from fastmnist.inputs.stdin import NAME as STDIN
from fastmnist.inputs.table import estimate_rows, is_table
from fastmnist.remote.address import is_address, name_in
from fastmnist.remote.store import is_folder as is_remote_folder
from fastmnist.remote.store import list_folder

_log = logging.getLogger(__name__)

# In folders a file with another suffix is ignored.
IMAGE_SUFFIXES = frozenset(
    b"apng avif bmp dib gif hdr heic heif jfif jp2 jpe jpeg jpg pam pbm pdf pfm pgm png pnm ppm pxm ras sr svg "
    b"tif tiff webp".split()
)


class Kind(Enum):
    """How an input is read."""

    IMAGE = auto()
    REMOTE = auto()  # a picture at an address
    IDX = auto()
    TABLE = auto()
    NUMPY = auto()
    PARQUET = auto()
    ZIP = auto()
    STDIN = auto()


class Input(NamedTuple):
    """One file to read, or what could not be opened, with the reason.

    inner: which members of a zip file are read, by the name of one or of a folder; b"" for all.
    """

    path: bytes
    kind: Kind = Kind.IMAGE
    error: str | None = None
    inner: bytes = b""


@dataclass
class Ignored:
    """What the folders hold that is not read."""

    other_files: int = 0
    folder_links: int = 0
    idx_files: int = 0
    first_idx: bytes = b""

    def add_idx(self, path: bytes) -> None:
        """Count an IDX file."""
        self.first_idx = self.first_idx or path
        self.idx_files += 1

    @property
    def n_files(self) -> int:
        """How many files, and folders behind links, were ignored."""
        return self.other_files + self.folder_links + self.idx_files

    def notes(self) -> Iterator[str]:
        """Yield a line for each kind that was met."""
        if self.other_files:
            yield f"ignored {counted(self.other_files, 'file')} without an image suffix"
        if self.folder_links:
            yield f"ignored {counted(self.folder_links, 'symbolic link')} to a folder"
        if self.idx_files:
            yield (
                f"ignored {counted(self.idx_files, 'IDX file')} inside folders, first "
                f"{printable(self.first_idx)}; name an IDX file directly to read it"
            )

    def tell(self) -> None:
        """Log the notes as warnings."""
        for note in self.notes():
            _log.warning(note)


def find_inputs(inputs: Iterable[bytes | str], ignored: Ignored | None = None) -> Iterator[Input]:
    """Yield every file of `inputs`, in order, with folders walked; `-` is stdin.

    What is ignored is counted in `ignored`, and a folder without images is logged; without `ignored`, neither is.
    """
    for given in inputs:
        path = os.fsencode(given)
        if path == b"-":
            yield Input(STDIN.encode(), Kind.STDIN)
            continue
        try:
            mode = _mode(path)
        except DataError as error:  # an address that is none
            yield Input(path, error=str(error))
            continue
        if not stat.S_ISDIR(mode):
            yield _named(path, mode)
            continue
        is_empty, n_before = True, 0 if ignored is None else ignored.other_files
        for found in _walk(path, ignored or Ignored()):
            is_empty = False
            yield found
        if is_empty and ignored is not None:
            others = "; IDX files, arrays, tables, zip and Parquet files must be named directly"
            _log.warning("%s: holds no images%s", printable(path), others * (ignored.other_files > n_before))


def count_rows(inputs: Iterable[bytes | str]) -> int:
    """Return about how many rows `inputs` will give, for a progress bar: images are not looked at."""
    n_rows = 0
    for found in find_inputs(inputs):
        count = _COUNTS.get(found.kind)
        n_rows += 1 if count is None else count(found)
    return n_rows


def _count_pictures(found: Input) -> int:
    try:
        with Archive(found.path) as archive:
            return len(pictures_in(archive, found.inner, Ignored()))
    except DataError:
        return 1


_COUNTS: dict[Kind, Callable[[Input], int]] = {
    Kind.IDX: lambda found: peek_n_images(found.path),
    Kind.TABLE: lambda found: estimate_rows(found.path),
    Kind.NUMPY: lambda found: npz.peek_n_images(found.path),
    Kind.PARQUET: lambda found: parquet.peek_n_images(found.path),
    Kind.ZIP: _count_pictures,
}


def is_one_picture(inputs: Sequence[str]) -> bool:
    """Return whether `inputs` is one file that would be read as a picture, whether it exists or not; stdin is not."""
    if len(inputs) != 1 or inputs[0] == "-":
        return False
    path = os.fsencode(inputs[0])
    try:
        mode = _mode(path)
    except DataError:  # an address that is none
        return False
    return not stat.S_ISDIR(mode) and _named(path, mode).kind in (Kind.IMAGE, Kind.REMOTE)


def _named(path: bytes, mode: int) -> Input:
    """Return a file that was named itself, whose `st_mode` is `mode`, as an input."""
    if is_table(path):
        return Input(path, Kind.TABLE)
    if npz.is_numpy_file(path):
        return Input(path, Kind.NUMPY)
    if is_address(path):
        return _at_address(path)
    if not stat.S_ISREG(mode):
        archive, inner = split_path(path) or (b"", b"")
        if peek_magic(archive) in ZIP_MAGICS:
            return Input(archive, Kind.ZIP, inner=inner)
        return Input(path)  # missing and special files are treated as images; the decoder reports what is wrong
    magic = peek_magic(path)
    if is_pickle(path, magic):
        return Input(path, error=str(refusal(path)))
    if looks_like_idx(path, magic):
        return Input(path, Kind.IDX)
    if parquet.is_parquet(path, magic):
        return Input(path, Kind.PARQUET)
    return Input(path, Kind.ZIP if magic in ZIP_MAGICS else Kind.IMAGE)


def _at_address(path: bytes) -> Input:
    """Return a file at an address as an input: if its name is a picture's, its content is not checked, to save time."""
    magic = b"" if is_called_picture(name_in(path)) else peek_magic(path)
    if is_pickle(path, magic):
        return Input(path, error=str(refusal(path)))
    if is_idx_magic(magic):
        return Input(path, Kind.IDX)
    if parquet.is_parquet(path, magic):
        return Input(path, Kind.PARQUET)
    return Input(path, Kind.ZIP if magic in ZIP_MAGICS else Kind.REMOTE)


def is_called_picture(name: bytes) -> bool:
    """Return whether a file has the name of a picture."""
    return name.lower().rpartition(b".")[2] in IMAGE_SUFFIXES


def pictures_in(archive: Archive, inner: bytes, ignored: Ignored) -> list[bytes]:
    """Return the names of the pictures that are `inner`, or in that folder, chosen as those of a folder are.

    One that is named itself counts whatever its name.
    """
    names = archive.below(inner)
    if names == [inner]:
        return names
    chosen = []
    for name in names:
        *folders, base = name.lower().split(b"/")
        _, dot, suffix = base.rpartition(b".")
        if any(part.startswith(b".") for part in (*folders, base)):
            continue
        if suffix in IMAGE_SUFFIXES or not dot:
            chosen.append(name)
        else:
            ignored.other_files += 1
    return chosen


def folders_in(path: bytes) -> list[bytes]:
    """Return the names of the folders in a folder, or of those in a zip file that hold pictures, in byte order.

    Hidden ones are left out. Raises DataError for what is neither, or can't be listed.
    """
    file, inner = (path, b"") if os.path.isfile(path) else split_path(path) or (b"", b"")
    if file:
        with Archive(file) as archive:
            names = [name[len(inner) :].lstrip(b"/") for name in pictures_in(archive, inner, Ignored())]
        return sorted({name.partition(b"/")[0] for name in names if b"/" in name})
    try:
        return folders_within(path)
    except OSError as error:
        raise DataError(
            f"{printable(path)}: {reason(error)}, expected a folder that can be listed; check its permissions"
        ) from error


def _mode(path: bytes) -> int:
    """Return the `st_mode` of `path`, links followed, or 0 where there is none; of an address the kind alone."""
    if is_address(path):
        is_folder_there = not is_called_picture(name_in(path)) and is_remote_folder(path)
        return stat.S_IFDIR if is_folder_there else stat.S_IFREG
    try:
        return os.stat(path).st_mode
    except (OSError, ValueError):  # a path with a NUL is none
        return 0


def _walk(folder: bytes, ignored: Ignored) -> Iterator[Input]:
    """Yield the inputs below `folder`, depth-first in byte order of full paths, without recursion."""
    pending = [os.path.join(folder, b"")]  # a stack of paths; those of folders end with a slash
    kind = Kind.REMOTE if is_address(folder) else Kind.IMAGE
    while pending:
        path = pending.pop()
        if path.endswith(b"/"):
            try:
                pending += sorted(_listing(path, ignored), reverse=True)
            except OSError as error:
                yield _unlisted(path.rstrip(b"/") or b"/", error)
            except DataError as error:
                yield Input(path, error=str(error))
        elif kind is Kind.IMAGE and b"." not in _name(path) and stat.S_ISREG(_mode(path)) and looks_like_idx(path):
            ignored.add_idx(path)
        else:
            yield Input(path, kind)


def _name(path: bytes) -> bytes:
    """Return what `os.path.basename` does, five times as fast: all files of a folder wait for this."""
    return path[path.rfind(b"/") + 1 :]


def _listing(folder: bytes, ignored: Ignored) -> Iterator[bytes]:
    """Yield the paths in `folder` to visit, in any order: folders with a slash appended.

    Raises OSError, and of an address DataError and RemoteError.
    """
    for path, is_a_folder in list_folder(folder) if is_address(folder) else _entries(folder, ignored):
        name = _name(path).lower()
        _, dot, suffix = name.rpartition(b".")
        if name.startswith(b"."):
            continue
        if is_a_folder:
            yield path + b"/"
        elif suffix in IMAGE_SUFFIXES:
            yield path
        elif name.removesuffix(b".gz").endswith(b"ubyte"):
            ignored.add_idx(path)
        elif dot:
            ignored.other_files += 1
        else:
            yield path


def _entries(folder: bytes, ignored: Ignored) -> Iterator[tuple[bytes, bool]]:
    """Yield the path of everything in `folder`, and whether it is a folder; not links to folders. Raises OSError."""
    with os.scandir(folder) as found:
        for entry in found:
            is_a_folder = is_folder(entry)
            if is_a_folder and entry.is_symlink():
                ignored.folder_links += not entry.name.startswith(b".")
            else:
                yield entry.path, is_a_folder


def _unlisted(folder: bytes, error: OSError) -> Input:
    message = "expected a folder that can be listed; check its permissions"
    return Input(folder, error=f"{printable(folder)}: {reason(error)}, {message}")
