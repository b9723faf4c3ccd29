"""A first command has another process compile some kernels; whatever becomes of that process, the command goes on."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import HANGS_AFTER, cli_environment
from test_images_paper import digit_of, written

from fastmnist import compile_aside
from fastmnist.compile_aside import KERNELS, compiled_aside
from fastmnist.kernels import cache, jit


@pytest.fixture
def photo(digits, tmp_path):
    """A picture that has to be normalised."""
    cv2.imwrite(str(tmp_path / "photo.png"), written(digit_of(digits, 5)).astype(np.uint8))
    return tmp_path / "photo.png"


TRAIN = """
import atexit, sys
from fastmnist.cli.main import main
from fastmnist.kernels.training_loop import train_batches

stats = train_batches.parallel.stats
atexit.register(lambda: print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values())))
sys.argv = ["fastmnist", "train", sys.argv[1], "--recipe", "seed", "--epochs", "1", "--threads", "2"]
main()
"""


def run_first(script, argument, folder, *, is_possible):
    """Run a script with an empty kernel cache, in a Python that can start another or in one that cannot."""
    script = script if is_possible else f"import sys; sys.frozen = True{script}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, argument],
        env=cli_environment(XDG_CACHE_HOME=str(folder / "cache"), NUMBA_NUM_THREADS="2"),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("is_possible", [True, False])
def test_a_first_training_loads_the_loop_from_the_cache_or_compiles_it(is_possible, small_set, tmp_path):
    done = run_first(TRAIN, small_set, tmp_path, is_possible=is_possible)
    assert done.stdout == ("1 0\n" if is_possible else "0 1\n")
    told = [line.split()[0] for line in done.stderr.splitlines()]
    assert told == ["training", "compiling", "epoch", "test", "saved"]


PREDICT = """
import atexit, sys
from fastmnist.cli.main import main
from fastmnist.kernels.picture.parts import choose_digit, place_digit

for part in choose_digit, place_digit:
    atexit.register(lambda part=part: print(sum(part.kernel.stats.cache_hits.values())))
sys.argv = ["fastmnist", "predict", sys.argv[1], "--threads", "2"]
main()
"""


@pytest.mark.parametrize("is_possible", [True, False])
def test_a_first_picture_loads_its_parts_from_the_cache_or_compiles_them(is_possible, photo, tmp_path):
    done = run_first(PREDICT, photo, tmp_path, is_possible=is_possible)
    assert done.stdout.splitlines()[-2:] == ["1" if is_possible else "0"] * 2
    assert done.stderr.count("compiling") == 1


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
    monkeypatch.setattr(jit, "n_threads", lambda: 2)
    return become


def is_compiled(kernel):
    """What a kernel's cache is told before it is compiled."""
    return cache.is_compiled_elsewhere(kernel)


def test_a_kernel_that_the_other_process_has_begun_is_waited_for(python):
    started = python("echo +first; read told; echo -first; read told; exit 3")
    with compiled_aside("first", "second"):
        assert not is_compiled("third")
        assert select.select([started[0].stdout], [], [], HANGS_AFTER)[0]
        assert not is_compiled("second")  # which it is told to leave out, and so goes on
        assert is_compiled("first")
    assert len(started) == 1
    assert started[0].returncode is not None
    assert not is_compiled("first")


def test_it_is_told_what_it_need_not_compile(python, tmp_path):
    started = python(f"read told; echo $told > {tmp_path}/told; read told")
    with compiled_aside("classify serial"):
        is_compiled("third")
        assert not is_compiled("classify serial")
        while not (tmp_path / "told").exists() or not (tmp_path / "told").read_text():
            assert started[0].poll() is None
    assert (tmp_path / "told").read_text() == "classify serial\n"


@pytest.mark.parametrize("script", ["echo +first; exec sleep 600", "echo +first; exit 1", "exit 1", "exec sleep 600"])
def test_a_kernel_that_it_does_not_finish_is_compiled_here(script, python, monkeypatch):
    monkeypatch.setattr(compile_aside, "PATIENCE", 0.2)
    started = python(script)
    with compiled_aside("first"):
        is_compiled("third")
        for _ in range(2):
            assert not is_compiled("first")
    assert started[0].returncode is not None


def test_an_error_ends_the_other_process_at_once(python):
    started = python("exec sleep 600")

    def interrupted():
        with compiled_aside("first"):
            is_compiled("third")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert started[0].returncode < 0


@pytest.mark.parametrize("executable", [None, "", "/missing/python", "/bin/false"])
def test_a_python_that_cannot_be_started_costs_nothing(executable, monkeypatch):
    monkeypatch.setattr(jit, "n_threads", lambda: 2)
    monkeypatch.setattr(sys, "executable", executable)
    with compiled_aside("first"):
        assert not is_compiled("third")
        assert not is_compiled("first")


@pytest.mark.parametrize(("beside", "n_threads", "compiled"), [
    (None, 2, []), (None, 2, ["first"]), ("second", 2, ["third"]), (None, 1, ["third"]),
])  # fmt: skip
def test_nothing_is_started_where_it_would_not_help(beside, n_threads, compiled, python, monkeypatch):
    started = python("exit")
    monkeypatch.setattr(jit, "n_threads", lambda: n_threads)
    with compiled_aside("first", beside=beside):
        assert not any(is_compiled(kernel) for kernel in compiled)
    assert started == []


def test_the_other_process_stores_the_kernels_and_tells_so_but_for_those_that_it_is_told(tmp_path):
    command = [sys.executable, "-W", "error", "-P", "-m", "fastmnist.compile_aside", *KERNELS]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment = cli_environment(XDG_CACHE_HOME=str(tmp_path), NUMBA_NUM_THREADS="2")
    with subprocess.Popen(command, env=environment, **pipes) as process:
        process.stdin.write(b"classify serial\n")  # while it compiles others
        process.stdin.flush()
        assert process.wait(HANGS_AFTER) == 0
        told = process.stdout.read().decode().splitlines()
        assert process.stderr.read() == b""
    expected = [kernel for kernel in KERNELS if kernel != "classify serial"]
    assert told == [f"{mark}{kernel}" for kernel in expected for mark in "+-"]
    stored = [f"{path.name.split('.')[1].split('-')[0]} {path.parent.name}" for path in tmp_path.rglob("*.nbi")]
    assert sorted(stored) == sorted(expected)


def test_the_other_process_ends_with_the_one_that_started_it(tmp_path):
    command = [sys.executable, "-P", "-m", "fastmnist.compile_aside", "train_batches parallel"]
    environment = cli_environment(XDG_CACHE_HOME=str(tmp_path / "cache"))
    done = subprocess.run(command, env=environment, input=b"", capture_output=True, timeout=HANGS_AFTER)
    assert (done.returncode, done.stderr) == (1, b"")
    assert not list(Path(tmp_path).rglob("*.nbi"))


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="asks Linux for a process's children")
@pytest.mark.parametrize("command", ["train", "predict"])
@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_signal_to_a_first_command_leaves_no_process(sent, command, small_set, photo, tmp_path):
    given = {"train": small_set, "predict": photo}[command]
    process = subprocess.Popen(
        [sys.executable, "-m", "fastmnist", command, given, "--threads", "2"],
        env=cli_environment(XDG_CACHE_HOME=str(tmp_path / "cache")),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    for line in process.stderr:
        if line.startswith(b"compiling kernels"):
            break
    children = []
    while not children:  # the first to be compiled, and announced, starts it
        assert process.poll() is None
        children = [child for path in Path(f"/proc/{process.pid}/task").glob("*/children") for child in _ids_in(path)]
    assert len(children) == 1
    is_gone = os.pidfd_open(int(children[0]))
    process.send_signal(signal.Signals[sent])
    process.communicate()
    assert select.select([is_gone], [], [], HANGS_AFTER)[0]
    os.close(is_gone)
    assert not (tmp_path / "model.safetensors").exists()


def _ids_in(path):
    try:
        return path.read_text().split()
    except OSError:  # a thread that has ended
        return []
