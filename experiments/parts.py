"""Images drawn by several processes, a part each: most of the work holds the interpreter lock."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import cv2
import numpy as np
import numpy.typing as npt

from bench.machine import available_cores

AT_A_TIME = 2_500  # images that a process draws

Images = npt.NDArray[np.uint8]


def in_parts(draw: Callable[[range], Images], count: int) -> Images:
    """Return what `draw` makes of the numbers below `count`, part by part, in order."""
    parts = [range(count)[first : first + AT_A_TIME] for first in range(0, count, AT_A_TIME)]
    with ProcessPoolExecutor(available_cores(), initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        return np.concatenate(list(pool.map(draw, parts)))
