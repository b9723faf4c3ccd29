"""Kernels compiled by a second process while this one compiles others.

Within a process, LLVM and Numba compile one kernel at a time. `python -m fastmnist.compile_aside KERNEL...` compiles
kernels into the kernel cache, in the order given, and reports on stdout which one it has begun ("+") and stored ("-").
Before this process compiles one of them, it waits for it if the other process has begun it, and otherwise tells that
process on its stdin to skip it. If anything goes wrong there, it only costs time: a kernel that is not in the cache is
compiled where it is needed.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, cast

from fastmnist.kernels import cache, jit

if TYPE_CHECKING:
    from subprocess import Popen

PATIENCE = 60  # seconds, for what takes 10; then the kernel is compiled here


def _classify(*, are_many: bool, by_integers: bool = False) -> None:
    import numpy as np

    from fastmnist.model.integer_network import IntegerNetwork, Rounding
    from fastmnist.model.network import FEW, Network
    from fastmnist.shapes import N_PIXELS

    network = Network((N_PIXELS, 1, 1))
    if by_integers:
        network = IntegerNetwork(network, Rounding([[0]], [1.0]))
    network.predict(np.zeros((FEW + 1 if are_many else 1, N_PIXELS), np.uint8))


def _train() -> None:
    from fastmnist.model.network import Network
    from fastmnist.shapes import N_PIXELS
    from fastmnist.training.trainer import Trainer

    Trainer(Network((N_PIXELS, 1, 1)), batch_size=1, momentum=0, max_samples=1).compile()


def _part(name: str) -> None:
    from fastmnist.kernels.picture import parts

    getattr(parts, name).address()


# By their names in the cache; those that take longest first.
KERNELS: dict[str, Callable[[], None]] = {
    "train_batches parallel": _train,
    "take_lines_out serial": lambda: _part("take_lines_out"),
    "place_digit serial": lambda: _part("place_digit"),
    "classify parallel": lambda: _classify(are_many=True),
    "classify serial": lambda: _classify(are_many=False),
    "classify_integers parallel": lambda: _classify(are_many=True, by_integers=True),
    "classify_integers serial": lambda: _classify(are_many=False, by_integers=True),
    "choose_digit serial": lambda: _part("choose_digit"),
}


@contextlib.contextmanager
def compiled_aside(*kernels: str, beside: str | None = None) -> Iterator[None]:
    """Have `kernels` compiled, or some of them, by another process; it ends with the context.

    It begins when the kernel `beside` has to be compiled, or any that is none of them. Nothing is started where kernels
    have one thread, can't be stored, or where Python has no program of its own. For programs only: another's
    `sys.executable` may be anything.
    """
    other: _Other | None = None
    is_begun = False

    def is_compiled(kernel: str) -> bool:
        nonlocal other, is_begun
        if not is_begun and kernel not in kernels and beside in (None, kernel):
            other, is_begun = _started(kernels) if jit.n_threads() > 1 else None, True
        return other is not None and kernel in kernels and other.has_compiled(kernel)

    before, cache.is_compiled_elsewhere = cache.is_compiled_elsewhere, is_compiled
    try:
        yield
    finally:
        cache.is_compiled_elsewhere = before
        if other is not None:
            other.end()


class _Other:
    """The other process."""

    def __init__(self, process: "Popen[bytes]") -> None:
        self._process = process
        self._stdin, self._stdout = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        self._told = b""

    def has_compiled(self, kernel: str) -> bool:
        """Return whether it has; wait for it if it has begun to."""
        while self._listen(0):
            pass
        if b"+" + kernel.encode() not in self._told:
            with contextlib.suppress(OSError):  # it has ended
                os.write(self._stdin.fileno(), kernel.encode() + b"\n")
            return False
        while not (is_done := b"-" + kernel.encode() in self._told) and self._listen(PATIENCE):
            pass
        return is_done

    def _listen(self, seconds: float) -> bool:
        """Return whether it has told something within some seconds."""
        import select

        try:
            if not select.select([self._stdout], [], [], seconds)[0]:
                return False
            told = os.read(self._stdout.fileno(), 1024)
        except (OSError, ValueError):  # closed by a thread that has ended the context
            return False
        self._told += told
        return told != b""

    def end(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.communicate()


def _started(kernels: tuple[str, ...]) -> _Other | None:
    """Start the other process, None where that is impossible. It ends with this one, which holds its stdin."""
    from subprocess import DEVNULL, PIPE, Popen

    if not sys.executable or getattr(sys, "frozen", False):
        return None
    command = [sys.executable, "-P", "-m", "fastmnist.compile_aside", *kernels]  # -P: nothing of the folder we are in
    try:
        return _Other(Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL))  # noqa: S603 (no shell)
    except OSError:  # no such file, or the system's limit on processes
        return None


def _listen_to_parent(left_out: set[str]) -> None:
    while told := os.read(0, 1024):  # sys.stdin's lock, held in a thread, would abort Python at its end
        left_out.update(told.decode().splitlines())
    os._exit(1)


def main() -> None:
    """Compile kernels into the cache, unless the process that has started this one ends before."""
    left_out: set[str] = set()
    threading.Thread(target=_listen_to_parent, args=(left_out,), daemon=True).start()
    for kernel in sys.argv[1:]:
        if kernel not in left_out:
            os.write(1, f"+{kernel}\n".encode())
            KERNELS[kernel]()
            os.write(1, f"-{kernel}\n".encode())


if __name__ == "__main__":
    main()
