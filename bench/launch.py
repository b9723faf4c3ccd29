"""Start one command, wait for it, report its resource usage: `python launch.py REPORT COMMAND ARGUMENT...`.

A process of its own, because Linux counts the memory of the process that starts a command as the command's
own peak: started from a bench that holds PyTorch and MNIST, `true` would seem to need a gigabyte.
It runs with `-I -S` and imports next to nothing, so that it stays smaller than any command it starts.
"""

import os
import sys
import time


def main(report: str, argv: list[str]) -> None:
    """Run `argv` and write its wall seconds, peak memory in bytes and exit code, one a line, to `report`."""
    start = time.perf_counter()
    pid = os.posix_spawnp(argv[0], argv, os.environ)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: macOS counts bytes, Linux KiB
    with open(report, "w", encoding="ascii") as file:
        file.write(f"{seconds!r}\n{usage.ru_maxrss * unit}\n{os.waitstatus_to_exitcode(status)}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
