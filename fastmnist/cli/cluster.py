"""The option of `predict` and `read` that hands the work to a cluster."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from fastmnist.cli import options

if TYPE_CHECKING:
    from fastmnist.cluster.engine import Cluster


def _address(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Return the address. Raises a usage error unless it is HOST:PORT, without --threads, or local:N."""
    if value is not None and not re.fullmatch(r"local:[1-9]\d{0,3}|(?!local:).+:\d+", value, re.ASCII):
        message = f"{value!r}: expected the address of a scheduler, as in tcp://host:8786, or local:N for N processes"
        raise click.BadParameter(message, context, option)
    if value is not None and options.threads_given and not value.startswith("local:"):
        raise click.UsageError(
            "--threads applies only to this machine: leave it out, and set the workers' threads with Dask's --nthreads",
            context,
        )
    return value


def dask_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --dask."""
    return click.option(
        "--dask", metavar="ADDRESS", callback=_address,
        help="Hand the work to this Dask scheduler's workers or, with local:N, to N processes on this machine, which "
        "share its threads. The rows are the same either way. Needs fastmnist[dask].",
    )(command)  # fmt: skip


@contextmanager
def opened_cluster(address: str | None) -> Iterator["Cluster | None"]:
    """Yield the cluster at `address` while the context lasts, None without one. Raises ClusterError."""
    if address is None:
        yield None
        return
    from fastmnist.cluster.engine import open_cluster

    _silence_dask()
    threads = int(os.environ["NUMBA_NUM_THREADS"]) if options.threads_given else None
    with open_cluster(address, threads=threads) as cluster:
        yield cluster


def _silence_dask() -> None:
    """Keep Dask's logs about lost workers and connections off stderr: we raise our own error for what matters."""
    try:
        import dask.config
    except ImportError:
        return
    loggers = ("distributed", "distributed.client", "tornado.application", "asyncio")
    dask.config.set(logging=dict.fromkeys(loggers, "critical"))
