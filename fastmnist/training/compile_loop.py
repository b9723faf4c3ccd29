"""The training loop compiled by another process, while this one compiles the other kernels.

LLVM and Numba compile one kernel at a time in a process, and the loop takes as long as all others of a training
together. `python -m fastmnist.training.compile_loop` compiles it into the kernel cache, from which it is then loaded.
Whatever goes wrong there costs time alone: a loop that is not in the cache is compiled where it is needed.
"""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

from fastmnist.kernels.training_loop import train_batches
from fastmnist.model.network import Network
from fastmnist.shapes import N_PIXELS
from fastmnist.training.trainer import Trainer

PATIENCE = 60  # seconds, for what takes 10; then the loop is compiled here


@contextlib.contextmanager
def loop_compiled_aside() -> Iterator[None]:
    """Have the loop compiled while the context compiles other kernels; wait for it at the end.

    Nothing is started where the loop is compiled already or can't be stored, where kernels have one thread, or where
    Python has no program of its own. For programs only: another's `sys.executable` may be anything.
    """
    other = _started() if train_batches.is_missing() else None
    try:
        yield
        if other is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                other.wait(PATIENCE)
    finally:
        if other is not None:
            other.kill()
            other.communicate()


def _started() -> "subprocess.Popen[bytes] | None":
    """Start the other process, None where that is impossible. It ends with this one, which holds its stdin."""
    if not sys.executable or getattr(sys, "frozen", False):
        return None
    command = [sys.executable, "-P", "-m", "fastmnist.training.compile_loop"]  # -P: nothing of the folder we are in
    nowhere = subprocess.DEVNULL
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere)  # noqa: S603 (no shell)
    except OSError:  # no such file, or the system's limit on processes
        return None


def _end_with_parent() -> None:
    os.read(0, 1)  # sys.stdin's lock, held in a thread, would abort Python at its end
    os._exit(1)


def main() -> None:
    """Compile the loop into the cache, unless the process that has started this one ends before."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    Trainer(Network((N_PIXELS, 1, 1)), batch_size=1, momentum=0, max_samples=1).compile()


if __name__ == "__main__":
    main()
