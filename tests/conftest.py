"""Fixtures of several test files: the real MNIST, the real command line, models to run."""

import contextlib
import fcntl
import logging
import os
import pty
import re
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import fastmnist
from fastmnist.datasets.download import download
from fastmnist.inputs.idx import read_images, read_labels, write_images, write_labels
from fastmnist.model.model_file import Model, save_model
from fastmnist.model.network import Network
from fastmnist.shapes import DIGITS
from fastmnist.threads import set_up_program

pytest.register_assert_rewrite("browser")
set_up_program()  # the first kernel loads libgomp, which then reads this: the tests may have busy neighbours
# As the command line has it. For the oracle's batches of 32 two threads of OpenBLAS take twice the time of one, and 20
# times its CPU time beside busy neighbours: they spin while they wait.
threadpool_limits(1, user_api="blas")

ROOT = Path(__file__).parents[1]
HANGS_AFTER = 600  # seconds: no test is about time, but a hanging one must end


@dataclass(frozen=True)
class Run:
    """How a process ended and what it wrote."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def lines(self):
        return self.stdout.decode().splitlines()

    @property
    def errors(self):
        """The error lines; whatever a run says besides, it is never a traceback."""
        assert "Traceback" not in self.stderr
        return [line for line in self.stderr.splitlines() if line.startswith("fastmnist: error: ")]


@pytest.fixture(scope="session")
def mnist_dir():
    """The repository's `data/` with the four verified files of MNIST, fetched by the first test that asks.

    `pytest -n 2` has two processes that may ask: one at a time.
    """
    with open(__file__) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return download(ROOT / "data")[0].parent


@pytest.fixture(scope="session")
def digits(mnist_dir):
    """MNIST's 10,000 test images, uint8 (n, 28, 28), and labels, uint8 (n,)."""
    return read_images(mnist_dir / "t10k-images-idx3-ubyte"), read_labels(mnist_dir / "t10k-labels-idx1-ubyte")


@pytest.fixture(scope="session")
def some(digits):
    """Test digits that are read right by themselves, by class: uint8 (28, 28) each."""
    images, labels = digits
    return {str(label): images[np.flatnonzero(labels == label)[3]] for label in range(10)}


@pytest.fixture(scope="session")
def small_set(digits, tmp_path_factory):
    """A folder with a data set of 1,000 training and 200 test digits."""
    folder = tmp_path_factory.mktemp("small-set")
    images, labels = digits
    for name, part in (("train", slice(0, 1000)), ("t10k", slice(1000, 1200))):
        write_images(folder / f"{name}-images-idx3-ubyte", images[part])
        write_labels(folder / f"{name}-labels-idx1-ubyte", labels[part])
    return folder


def random_network(layer_sizes=(784, 8, 10), seed=0):
    """A network that knows nothing, but whose answers differ from image to image."""
    network = Network.random(layer_sizes, seed, scale=0.1)
    rng = np.random.default_rng(seed)
    for layer in range(network.n_layers):
        network.biases(layer)[:] = rng.normal(scale=0.1, size=layer_sizes[layer + 1])
    return network


@contextlib.contextmanager
def noted(*, with_compiling=False):
    """What the library logs for its user while the context lasts; that kernels are compiled depends on the cache."""

    class Notes(logging.Handler):
        def emit(self, record):
            if with_compiling or not record.getMessage().startswith("compiling kernels"):
                notes.append(record.getMessage())

    notes, handler, logger = [], Notes(), logging.getLogger("fastmnist")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield notes
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@pytest.fixture
def notes():
    """What the library logs during the test."""
    with noted() as found:
        yield found


@pytest.fixture
def no_notes(notes):
    """The library has nothing to tell."""
    yield
    assert notes == []


@pytest.fixture(scope="module")
def browser():
    """A real browser, for `browser.opened`. Not for the session: other tests run event loops of their own."""
    from browser import started_browser  # takes 70 ms to import, with Playwright

    with started_browser() as running:
        yield running


@pytest.fixture(scope="session")
def model():
    """The shipped model, from Python."""
    return fastmnist.load("shipped")


@pytest.fixture(scope="session")
def seven(digits):
    """The first test digit, uint8 (28, 28)."""
    return digits[0][0]


@pytest.fixture(scope="session")
def small_model(tmp_path_factory):
    """A sound model file: quick to make, and for tests of all but what it predicts."""
    path = tmp_path_factory.mktemp("small-model") / "small.safetensors"
    save_model(path, Model(random_network(), list(DIGITS), "auto"))
    return path


def cli_environment(**changes):
    """The environment of a command: nothing of fastmnist's from outside; None removes a variable."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FASTMNIST_", "NUMBA_"))}
    return {name: value for name, value in {**kept, **changes}.items() if value is not None}


def cli_command(*arguments, warnings="error"):
    """The command line of `fastmnist ARGUMENTS`, which fails on any warning unless told otherwise."""
    return [sys.executable, "-W", warnings, "-m", "fastmnist", *arguments]


TERMINAL = "terminal"


def shown_on_terminal(*arguments, cwd, stdout=subprocess.DEVNULL, columns=0, **environment):
    """Run `fastmnist ARGUMENTS` with stderr on a terminal; return its exit code and what the terminal got.

    `stdout` is TERMINAL where it is to be on the same one. A terminal of 0 columns does not tell how many it has.
    """
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24 if columns else 0, columns))
    environment = cli_environment(**{"TERM": "xterm", "NO_COLOR": None, **environment})
    process = subprocess.Popen(
        cli_command(*arguments), cwd=cwd, env=environment, stdin=subprocess.DEVNULL,
        stdout=follower if stdout == TERMINAL else stdout, stderr=follower,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(leader)
    return process.wait(), shown.decode()


def interrupted_on_terminal(*arguments, cwd, at):
    """Run `fastmnist ARGUMENTS` on a terminal of its own, and press Ctrl-C when it shows `at`; return as above."""
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 80))

    def take_terminal():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        cli_command(*arguments), cwd=cwd, env=cli_environment(TERM="xterm", NO_COLOR="1"), stdin=follower,
        stdout=follower, stderr=follower, start_new_session=True, preexec_fn=take_terminal,
    )  # fmt: skip
    os.close(follower)
    shown, is_pressed = b"", False
    with contextlib.suppress(OSError):  # Linux's way to say that the other end is closed
        while part := os.read(leader, 1024):
            shown += part
            if at in shown and not is_pressed:
                is_pressed = os.write(leader, b"\x03") == 1
    os.close(leader)
    return process.wait(), screen(shown.decode())


def contents(folder):
    """The files of a folder, name -> bytes."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def screen(shown):
    """The lines that a terminal of any width shows of what it got: a carriage return goes back, the rest overwrites."""
    lines = []
    for line in re.sub("\033\\[[0-9;]*m", "", shown).split("\n"):
        cells = ""
        for part in line.split("\r"):
            cells = part + cells[len(part) :]
        lines.append(cells.rstrip())
    assert "\033" not in "".join(lines)
    return lines[:-1] if lines[-1] == "" else lines


@pytest.fixture
def run_cli(tmp_path):
    """Run `fastmnist ARGUMENTS` to its end, in tmp_path unless told otherwise."""

    def run(*arguments, env=None, warnings="error", cwd=tmp_path, stdout=subprocess.PIPE):
        done = subprocess.run(
            cli_command(*arguments, warnings=warnings),
            cwd=cwd,
            env=cli_environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=HANGS_AFTER,
        )
        return Run(done.returncode, done.stdout or b"", done.stderr.decode())

    return run


@pytest.fixture
def start_cli(tmp_path):
    """Start `fastmnist ARGUMENTS` with pipes for stdout and stderr; what still runs at the end is killed."""
    started = []

    def start(*arguments, stdin=subprocess.DEVNULL, **settings):
        process = subprocess.Popen(
            cli_command(*arguments),
            cwd=tmp_path,
            env=cli_environment(),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **settings,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@dataclass(frozen=True)
class Trained:
    """A finished run of `fastmnist train`."""

    run: Run
    model: Path
    history: Path


@pytest.fixture(scope="session")
def seed_training(mnist_dir, tmp_path_factory):
    """The seed recipe, all ten epochs on MNIST."""
    folder = tmp_path_factory.mktemp("seed-training")
    done = subprocess.run(
        cli_command("train", mnist_dir, "--recipe", "seed", "-o", "model.safetensors", "--history", "history.csv"),
        cwd=folder,
        env=cli_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=HANGS_AFTER,
    )
    run = Run(done.returncode, done.stdout, done.stderr.decode())
    assert run.code == 0, run.stderr
    return Trained(run, folder / "model.safetensors", folder / "history.csv")
