"""Pictures at addresses -> their bytes, many at a time, in order and in bounded memory."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from fastmnist.errors import DataError
from fastmnist.images.files import MAX_FILE_BYTES, File, file_of, unreadable, wrong_size
from fastmnist.remote.store import CONNECTIONS, read_start
from fastmnist.threads import startable

AHEAD = 64  # pictures asked for before their turn
START_BYTES = 4 << 20  # of each picture is fetched before its turn; of the few that are larger the whole in its turn
TOGETHER, TOGETHER_BYTES = 64, 64 << 20  # pictures that are read together
_EXPECTED = "a picture"


class Wanted(NamedTuple):
    """A picture to fetch, and its number among all of the job."""

    address: bytes
    number: int


class Fetched(NamedTuple):
    """A picture that was fetched."""

    address: bytes
    number: int
    file: File


class Fetching(NamedTuple):
    """A picture on its way."""

    address: bytes
    start: Future[bytes]

    def content(self) -> bytes:
        """Wait for the picture, and return what is in it. Raises DataError where it can't be read, RemoteError."""
        data = self.start.result()
        if len(data) == START_BYTES:
            data = read_start(self.address, MAX_FILE_BYTES + 1, _EXPECTED)
        if not 0 < len(data) <= MAX_FILE_BYTES:
            raise wrong_size(self.address, f"more than {MAX_FILE_BYTES} bytes" if data else "0 bytes")
        return data


class Fetcher:
    """Threads that fetch, started as they are needed and ended with the context."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None  # begun when it is first needed

    def __enter__(self) -> "Fetcher":
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)  # not to wait for a server that does not answer

    def begin(self, address: bytes) -> Fetching:
        """Begin to fetch a picture."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max(1, startable(CONNECTIONS + 1) - 1), thread_name_prefix="fetch")
        return Fetching(address, self._pool.submit(read_start, address, START_BYTES, _EXPECTED))

    def batches(self, pictures: Iterator[Wanted], most: int) -> Iterator[list[Fetched]]:
        """Yield up to `most` of the pictures at a time, in order; while they are used, the next are fetched.

        Raises RemoteError.
        """
        batch: list[Fetched] = []
        n_bytes = 0
        for picture in self._in_order(pictures):
            batch.append(picture)
            n_bytes += len(picture.file.data)
            if len(batch) == min(most, TOGETHER) or n_bytes >= TOGETHER_BYTES:
                yield batch
                batch, n_bytes = [], 0
        if batch:
            yield batch

    def _in_order(self, pictures: Iterator[Wanted]) -> Iterator[Fetched]:
        ahead: deque[tuple[Wanted, Fetching]] = deque()
        for picture in pictures:
            ahead.append((picture, self.begin(picture.address)))
            if len(ahead) > AHEAD:
                yield _fetched(*ahead.popleft())
        while ahead:
            yield _fetched(*ahead.popleft())


def _fetched(picture: Wanted, fetching: Fetching) -> Fetched:
    try:
        return Fetched(*picture, file_of(fetching.content()))
    except DataError as error:
        return Fetched(*picture, unreadable(error))
