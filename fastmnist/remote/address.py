"""What an address is: a path that begins with a protocol, s3://bucket/a.png."""

import os
import re

from fastmnist.errors import AnyPath, DataError, RemoteError, printable

# What fsspec would read from this machine: the file's path says the same, and is checked as a path.
_LOCAL = ("file", "local")
_ADDRESS = re.compile(rb"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_WEB = re.compile(rb"https?://", re.IGNORECASE)
_CREDENTIALS = re.compile(rb"[a-z0-9+.-]+://[^/?#]*@", re.IGNORECASE)


def is_address(path: AnyPath) -> bool:
    """Tell whether `path` begins with a protocol, as in s3://."""
    return _ADDRESS.match(os.fsencode(path)) is not None


def protocol_of(address: AnyPath) -> str:
    """Return the protocol of an address, in small letters: s3.

    Raises DataError for an unsupported protocol, and RemoteError if the address holds credentials: they would end up in
    the rows.
    """
    name = os.fsencode(address)
    match = _ADDRESS.match(name)
    protocol = match[1].decode().lower() if match else ""
    if not protocol or protocol in _LOCAL:
        raise DataError(f"{printable(address)}: {protocol}://, expected a plain path for a local file; use that")
    if _CREDENTIALS.match(name):
        raise RemoteError(
            f"{printable(address)}: a user name or password in the address, expected credentials where the store's "
            "library looks for them; see docs/remote.md"
        )
    return protocol


def is_web(address: AnyPath) -> bool:
    """Tell whether an address is a web server's."""
    return protocol_of(address) in ("http", "https")


def name_in(address: bytes) -> bytes:
    """Return what an address calls its file, without a query: a.png of https://host/a.png?key=1."""
    protocol_of(address)  # raises
    return os.fsencode(file_name(address))


def file_name(path: AnyPath) -> str:
    """Return what a path or an address, which may be impossible, calls its file."""
    name = os.fsencode(path)
    if _WEB.match(name):
        name = name.partition(b"?")[0]
    return os.fsdecode(name.rpartition(b"/")[2])
