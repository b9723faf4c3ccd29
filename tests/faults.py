"""Faults of the machine, made to order: the n-th write, fsync, rename or read of this process fails.

SQLite's way (sqlite.org/testing.html, section 3): for n = 1, 2, ... until the command gets through untouched.
"""

import builtins
import errno
import io
import os
import sys

from fastmnist.cli import main, train
from fastmnist.datasets import download
from fastmnist.inputs import idx
from fastmnist.output import atomic, part_file

KINDS = ("write", "fsync", "replace", "read")
MODULES_THAT_OPEN = (atomic, part_file, train, idx, download)


class Fault:
    """Makes the n-th call of one kind fail, or all from the n-th on: a full disk stays full."""

    def __init__(self, kind, n, *, stays=False):
        self.kind, self.n, self.stays = kind, n, stays
        self.n_calls = 0

    @property
    def came(self):
        return self.n_calls >= self.n

    def call(self, kind):
        if kind == self.kind:
            self.n_calls += 1
            if self.n_calls == self.n or (self.stays and self.came):
                number = errno.ENOSPC if kind == "write" else errno.EIO
                raise OSError(number, os.strerror(number))


def install(monkeypatch, fault):
    """Lead the writing, syncing, renaming and reading of fastmnist's own files past the fault."""

    class Raw(io.FileIO):
        def write(self, data):
            fault.call("write")
            return super().write(data)

        def read(self, size=-1):
            fault.call("read")
            return super().read(size)

        def readinto(self, buffer):
            fault.call("read")
            return super().readinto(buffer)

    def open_past_the_fault(file, mode="r", **settings):
        raw = Raw(file, mode.replace("b", ""))
        if "+" in mode:
            return io.BufferedRandom(raw)
        buffered = io.BufferedReader(raw) if mode.startswith("r") else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, **settings)

    def past_the_fault(name, kind):
        really = getattr(os, name)

        def call(*arguments, **settings):
            fault.call(kind)
            return really(*arguments, **settings)

        monkeypatch.setattr(os, name, call)

    for module in MODULES_THAT_OPEN:
        monkeypatch.setattr(module, "open", open_past_the_fault, raising=False)
    assert io.open is builtins.open  # what zipfile and Numba use is not touched
    monkeypatch.setattr(io, "FileIO", Raw)
    for name, kind in (("fsync", "fsync"), ("replace", "replace"), ("read", "read")):
        past_the_fault(name, kind)


def run_in_process(monkeypatch, capfd, *arguments, fault=None):
    """Run `fastmnist ARGUMENTS` in this process, with a fault; return exit code, stdout and the lines of stderr."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", ["fastmnist", *map(str, arguments)])
        patch.setattr(main, "_quiet_stdout", lambda code: code)  # descriptor 1 is pytest's here
        if fault is not None:
            install(patch, fault)
        try:
            code = main._run()
        except Exception as error:
            code = main._code_for(error, debug=False)
    told = capfd.readouterr()
    assert "Traceback" not in told.err
    assert "this is a bug in fastmnist" not in told.err
    return code, told.out, told.err.splitlines()


def each_fault(kinds=KINDS):
    """Yield (kind, stays) of all loops."""
    return [(kind, stays) for kind in kinds for stays in (False, True)]
