"""A first training has another process compile its loop; whatever becomes of that process, training goes on."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import HANGS_AFTER, cli_environment

from fastmnist.training import compile_loop
from fastmnist.training.compile_loop import loop_compiled_aside

TRAIN = """
import atexit, sys
from fastmnist.cli.main import main
from fastmnist.kernels.training_loop import train_batches

stats = train_batches.parallel.stats
atexit.register(lambda: print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values())))
sys.argv = ["fastmnist", "train", sys.argv[1], "--recipe", "seed", "--epochs", "1", "--threads", "2"]
main()
"""


@pytest.mark.parametrize("is_possible", [True, False])
def test_a_first_training_loads_the_loop_from_the_cache_or_compiles_it(is_possible, small_set, tmp_path):
    script = TRAIN if is_possible else f"import sys; sys.frozen = True{TRAIN}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, small_set],
        env=cli_environment(XDG_CACHE_HOME=str(tmp_path / "cache"), NUMBA_NUM_THREADS="2"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ("1 0\n" if is_possible else "0 1\n")
    told = [line.split()[0] for line in done.stderr.splitlines()]
    assert told == ["training", "compiling", "epoch", "test", "saved"]


@pytest.fixture
def is_missing(monkeypatch):
    """No loop is in the cache."""

    class Loop:
        def is_missing(self):
            return True

    monkeypatch.setattr(compile_loop, "train_batches", Loop())


@pytest.fixture
def python(monkeypatch, tmp_path):
    """Let a shell script stand for Python; return the processes that are started."""
    started = []

    class Noted(subprocess.Popen):
        def __init__(self, *args, **settings):
            super().__init__(*args, **settings)
            started.append(self)

    def become(script):
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(path))
        return started

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return become


@pytest.mark.usefixtures("is_missing")
def test_the_other_process_is_waited_for(python, tmp_path):
    started = python(f"read end; echo done > {tmp_path}/out; exit 3")
    with loop_compiled_aside():
        started[0].stdin.write(b"\n")
        started[0].stdin.flush()
    assert (tmp_path / "out").exists()
    assert [process.returncode for process in started] == [3]


@pytest.mark.usefixtures("is_missing")
def test_the_other_process_that_does_not_end_is_killed(python, monkeypatch):
    monkeypatch.setattr(compile_loop, "PATIENCE", 0)
    started = python("exec sleep 600")
    with loop_compiled_aside():
        assert started[0].poll() is None
    assert started[0].returncode < 0


@pytest.mark.usefixtures("is_missing")
def test_an_error_ends_the_other_process_at_once(python):
    started = python("exec sleep 600")
    with pytest.raises(KeyboardInterrupt), loop_compiled_aside():
        raise KeyboardInterrupt
    assert started[0].returncode < 0


@pytest.mark.usefixtures("is_missing")
@pytest.mark.parametrize("executable", [None, "", "/missing/python", "/bin/false"])
def test_a_python_that_cannot_be_started_costs_nothing(executable, monkeypatch):
    monkeypatch.setattr(sys, "executable", executable)
    with loop_compiled_aside():
        pass


def test_nothing_is_started_for_a_loop_that_is_there(monkeypatch, python):
    monkeypatch.setattr(type(compile_loop.train_batches), "is_missing", lambda _: False)
    started = python("exit")
    with loop_compiled_aside():
        pass
    assert started == []


def test_the_other_process_compiles_and_says_nothing():
    command = [sys.executable, "-W", "error", "-P", "-m", "fastmnist.training.compile_loop"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env=cli_environment(), **pipes) as process:
        assert process.wait(HANGS_AFTER) == 0
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"")


def test_the_other_process_ends_with_the_one_that_started_it(tmp_path):
    command = [sys.executable, "-P", "-m", "fastmnist.training.compile_loop"]
    environment = cli_environment(XDG_CACHE_HOME=str(tmp_path / "cache"))
    done = subprocess.run(command, env=environment, input=b"", capture_output=True, timeout=HANGS_AFTER)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
    assert not list(Path(tmp_path).rglob("*.nbi"))


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="asks Linux for a process's children")
@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_signal_to_a_first_training_leaves_no_process(sent, small_set, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "fastmnist", "train", small_set, "--threads", "2"],
        env=cli_environment(XDG_CACHE_HOME=str(tmp_path / "cache")),
        cwd=tmp_path,
        stderr=subprocess.PIPE,
    )
    for line in process.stderr:
        if line.startswith(b"compiling kernels"):
            break
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    is_gone = os.pidfd_open(int(children[0]))
    process.send_signal(signal.Signals[sent])
    process.communicate()
    assert select.select([is_gone], [], [], HANGS_AFTER)[0]
    os.close(is_gone)
    assert not (tmp_path / "model.safetensors").exists()
