"""The worker's side of a job: called by Dask, one task at a time, with the threads that the worker was given."""

import pickle
import threading
import time
from typing import Any, Generic, NamedTuple, TypeVar

Made = TypeVar("Made")

# A worker with n threads is given n tasks at once. They take turns, and each uses all of the threads.
_turn = threading.Lock()


class Done(NamedTuple, Generic[Made]):
    """What was made of a piece of work, and how many seconds that took."""

    made: Made
    seconds: float


def unpack(payload: bytes) -> Any:
    """Return what `pickle.dumps` made on the side of the client: Dask moves pickles anyway."""
    return pickle.loads(payload)  # noqa: S301


def work(payload: bytes, model: object, *, threads: int) -> Done[Any]:
    """Do what the client wants: call a function with the model, a piece of work and how many threads to use."""
    function, piece = unpack(payload)
    with _turn:
        start = time.perf_counter()
        made = function(model, piece, threads)
        return Done(made, time.perf_counter() - start)
