"""The stores behind addresses, by fsspec: every request is retried, and fails in one line."""

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from fastmnist.errors import AnyPath, DataError, FastmnistError, OutputError, RemoteError, printable, reason
from fastmnist.remote.address import is_web, protocol_of
from fastmnist.remote.faults import Fault, Scope, fault_of

Answer = TypeVar("Answer")

CONNECTIONS = 32  # requests at a time: each waits for the network for tens of milliseconds
DELAYS = (0.1, 0.4, 1.6, 6.4)  # seconds before each further try
CONNECT_SECONDS, READ_SECONDS = 10, 60  # aiohttp's own bound is five minutes
_PLACE = "a place that can be written"
_OF_THE_EXTRA = ("s3", "s3a", "gs", "gcs", "http", "https")
_CREDENTIALS = {
    "s3": "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "check GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login",
}


def attempt(
    address: AnyPath,
    ask: Callable[[Any, str], Answer],
    expected: str,
    refused: type[FastmnistError] = DataError,
) -> Answer:
    """Return what `ask` gets from the store of `address`, given its file system and the address as text.

    Faults that may be temporary are retried. Raises `refused`, which says what was `expected`, for a fault of this
    file, and RemoteError for one of the whole store.
    """
    store = _file_system(protocol_of(address), address, os.getpid())
    for delay in (*DELAYS, None):
        try:
            return ask(store, os.fsdecode(address))
        except Exception as error:  # fsspec's stores raise those of whatever they are made of
            fault = fault_of(error)
        if delay is None or fault.scope is not Scope.PASSING:
            break
        time.sleep(delay)
    raise _as_error(fault, address, expected, refused)


def _as_error(fault: Fault, address: AnyPath, expected: str, refused: type[FastmnistError]) -> FastmnistError:
    found = f"{printable(address)}: {fault.words}"
    if fault.scope is Scope.CREDENTIALS:
        advice = _CREDENTIALS.get(protocol_of(address)[:2], "check them")
        return RemoteError(f"{found}, expected credentials that are valid for it; {advice}")
    if fault.scope is Scope.PASSING:
        return RemoteError(f"{found}, {1 + len(DELAYS)} times, expected {expected}; check the network and try again")
    kind = RemoteError if fault.scope is Scope.STORE else refused
    return kind(f"{found}, expected {expected}; check the address and your permissions")


def _file_system(protocol: str, address: AnyPath, process: int) -> Any:
    """Return fsspec's file system. Raises RemoteError where the extra is missing, DataError for other protocols."""
    try:
        return _cached_file_system(protocol, process)
    except (ImportError, ValueError):
        name = printable(address)
        if protocol in _OF_THE_EXTRA or not _has_fsspec():
            raise RemoteError(
                f"{name}: an address, which needs the extra 'remote': pip install 'fastmnist[remote]'"
            ) from None
        raise DataError(
            f"{name}: {protocol}://, expected s3://, gs://, https://, or another protocol of fsspec whose package is "
            "installed"
        ) from None
    except Exception as error:  # whatever a store's constructor raises that wants more than a protocol
        raise DataError(
            f"{printable(address)}: {protocol}:// can't be opened ({reason(error)}), expected s3://, gs://, https:// "
            "or another protocol of fsspec that needs nothing but the address"
        ) from None


def _has_fsspec() -> bool:
    from importlib.util import find_spec

    return find_spec("fsspec") is not None


@functools.cache
def _cached_file_system(protocol: str, _process: int) -> Any:
    """Return a file system for all threads of a process: fsspec's are not to be used in a child of it.

    Folders are listed once, so that a cache of them would only grow.
    """
    import fsspec

    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if protocol in ("s3", "s3a"):  # botocore's own five tries, within each of ours, would make minutes of seconds
        options["config_kwargs"] = {"max_pool_connections": CONNECTIONS, "retries": {"total_max_attempts": 1}}
    if protocol in ("http", "https"):
        import aiohttp

        bounds = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
        options["client_kwargs"] = {"timeout": bounds, "trust_env": True}
    return fsspec.filesystem(protocol, **options)


def is_folder(address: bytes) -> bool:
    """Tell whether an address is a folder's: by the slash at its end, or by what the store says.

    A web server's only by the slash. False where the store does not say. Raises RemoteError.
    """
    if address.endswith(b"/") or is_web(address):
        return address.endswith(b"/")
    try:
        return bool(attempt(address, lambda store, name: store.info(name)["type"], "a file or folder") == "directory")
    except DataError:
        return False


def list_folder(address: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield the address of everything in a folder, whose address ends with a slash, and whether it is a folder.

    Raises DataError where it can't be listed, RemoteError.
    """

    def ask(store: Any, name: str) -> list[tuple[str, bool]]:
        place = store._strip_protocol(name).rstrip("/") + "/"
        return [
            (entry["name"].rstrip("/").removeprefix(place), entry["type"] == "directory")
            for entry in store.ls(name, detail=True)
            if entry["name"].startswith(place)
        ]

    for name, is_a_folder in attempt(address, ask, "a folder that can be listed"):
        # A store without folders may have an object called like one; a web page has links to itself and elsewhere.
        if name and "/" not in name and name[0] not in "?#":
            yield address + os.fsencode(name), is_a_folder


def read_start(address: bytes, most: int, expected: str) -> bytes:
    """Return the first `most` bytes of a file, or all where there are fewer. Raises DataError, RemoteError."""

    def ask(store: Any, name: str) -> bytes:
        if is_web(address):
            return _read_web(store, name, most)
        try:
            return bytes(store.cat_file(name, start=0, end=most))
        except Exception as error:
            if fault_of(error).scope is Scope.EMPTY:
                return b""
            raise

    return attempt(address, ask, expected)


def _read_web(store: Any, name: str, most: int) -> bytes:
    """Return the first `most` bytes of a web server's file, and ask for no more, whatever the server sends."""
    content = bytearray()
    with store.open(name, "rb", block_size=0, size=1) as stream:  # a size, whatever it is, saves a request for it
        while len(content) < most and (more := stream.read(most - len(content))):
            content += more
    return bytes(content)


def check_place(address: AnyPath) -> None:
    """Raise OutputError or RemoteError where it is known now that `upload` can't work: better before hours of work."""
    place = os.fsencode(address).partition(b"://")[2]
    if is_web(address):
        raise OutputError(
            f"{printable(address)}: a web server, expected a store that can be written to, such as s3:// or gs://"
        )
    if not place or place.endswith(b"/") or (protocol_of(address) in _OF_THE_EXTRA and b"/" not in place):
        raise OutputError(f"{printable(address)}: a folder, expected a file's address; add a file name to it")
    with contextlib.suppress(DataError):  # it need not be there, nor be readable
        read_start(os.fsencode(address), 1, _PLACE)


def upload(path: bytes, address: AnyPath) -> None:
    """Write a file of this machine to an address, whole or not at all. Raises OutputError, RemoteError."""
    attempt(address, lambda store, name: store.put_file(os.fsdecode(path), name), _PLACE, OutputError)
