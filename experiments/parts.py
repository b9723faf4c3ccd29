"""Images drawn by several processes, a part each: most of the work holds the interpreter lock."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

import cv2
from tqdm import tqdm

from bench.machine import available_cores

AT_A_TIME = 2_500  # numbers for a process

Drawn = TypeVar("Drawn")


def in_parts(draw: Callable[[range], Drawn], count: int) -> list[Drawn]:
    """Return what `draw` makes of the numbers below `count`, part by part, in order."""
    parts = [range(count)[first : first + AT_A_TIME] for first in range(0, count, AT_A_TIME)]
    fresh = get_context("spawn")  # a fork would copy the locks that this process's threads hold
    with ProcessPoolExecutor(available_cores(), fresh, cv2.setNumThreads, (1,)) as pool:
        # disable=None: the bar is drawn on a terminal only
        return list(tqdm(pool.map(draw, parts), "drawing", len(parts), unit=" parts", disable=None))
