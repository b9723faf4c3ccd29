"""Rows on their way to an address: their part lies on this machine, and is uploaded once, at the end.

A store has no rename and no append; an object appears there whole or not at all.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from fastmnist.errors import AnyPath, OutputError, printable
from fastmnist.folders import user_cache
from fastmnist.output.atomic import writing_errors
from fastmnist.output.part_file import PartFile, kept_part
from fastmnist.output.rows import RowFormat
from fastmnist.remote.store import check_place, upload


@contextlib.contextmanager
def remote_part_file(
    address: AnyPath, part: AnyPath | None, job: dict[str, Any], row_format: RowFormat, *, resume: bool
) -> Iterator[PartFile]:
    """Open the part of a file at an address, which is uploaded at the end of the context.

    The part is `part`, else a file in the user's cache folder, one for each address. On any exception it stays if it
    has rows, as `part_file` has it. Raises OutputError, RemoteError.
    """
    check_place(address)
    path = os.fsencode(_default_part(address) if part is None else part)

    def place(file: BinaryIO) -> None:
        file.flush()
        upload(path, address)
        os.unlink(path)

    job = {**job, "-o": printable(address)}
    with writing_errors(path), kept_part(path, job, row_format, place, resume=resume) as kept:
        yield kept


def _default_part(address: AnyPath) -> Path:
    """Return where the part of an address lies, in a folder of the user's own that is made. Raises OutputError."""
    cache = user_cache()
    if cache is None:
        raise OutputError(
            f"{printable(address)}: no cache folder for the partial file, expected one; name a file with --part"
        )
    folder = cache / "parts"
    with writing_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(os.fsencode(address)).hexdigest()[:16]}.part"
