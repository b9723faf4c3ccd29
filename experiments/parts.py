"""Images drawn by several processes, a part each, or pictures by several threads.

Most of the work for images of MNIST's size holds the interpreter lock; OpenCV's with large pictures does not.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

import cv2
from tqdm import tqdm

from bench.machine import available_cores

AT_A_TIME = 2_500  # numbers for a process
AHEAD = 128  # pictures that threads draw before the first of them is taken

Drawn = TypeVar("Drawn")


def in_parts(draw: Callable[[range], Drawn], count: int) -> list[Drawn]:
    """Return what `draw` makes of the numbers below `count`, part by part, in order."""
    parts = [range(count)[first : first + AT_A_TIME] for first in range(0, count, AT_A_TIME)]
    fresh = get_context("spawn")  # a fork would copy the locks that this process's threads hold
    with ProcessPoolExecutor(available_cores(), fresh, cv2.setNumThreads, (1,)) as pool:
        # disable=None: the bar is drawn on a terminal only
        return list(tqdm(pool.map(draw, parts), "drawing", len(parts), unit=" parts", disable=None))


def in_threads(draw: Callable[[int], Drawn], count: int, threads: int) -> Iterator[Drawn]:
    """Yield what `draw` makes of each number below `count`, in order; memory stays bounded."""
    cv2.setNumThreads(1)
    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, count, AHEAD):
            yield from pool.map(draw, range(first, min(first + AHEAD, count)))
