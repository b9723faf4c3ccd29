"""What a container may lack (a home, threads, a threading layer) and Numba's settings: none of it costs an answer."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import HANGS_AFTER, Run, cli_command, cli_environment, noted
from test_cli_predict import write_pngs

from fastmnist import threads
from fastmnist.inputs.idx import write_images
from fastmnist.kernels.cache import cache_folder

# A user id without an entry in /etc/passwd, and whose processes, which a limit counts, are those of these tests alone.
NOBODYS = 1_000_000 + os.getpid()
LIMIT = "the limit on threads is reached (ulimit -u, or the container's): using fewer threads"
needs_root = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="setpriv, and root to use it")


@pytest.fixture
def predict(digits, small_model, tmp_path):
    """Run `predict` on pictures and an IDX file, behind another command if need be."""
    write_pngs(tmp_path / "in", digits[0][:40])
    write_images(tmp_path / "idx", digits[0][:300])

    def run(*before, preexec_fn=None, **environment):
        arguments = ["predict", "--model", small_model, "--threads", "2", "in", "idx"]
        done = subprocess.run(
            [*before, *cli_command(*arguments, warnings="default")],
            cwd=tmp_path,
            env=cli_environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=HANGS_AFTER,
            preexec_fn=preexec_fn,
        )
        return Run(done.returncode, done.stdout, done.stderr.decode())

    return run


@pytest.fixture
def expected(predict):
    """The rows where nothing is missing."""
    return predict().lines


def told(run):
    """What a run says besides its model, its count, and that it compiles."""
    assert run.errors == []
    usual = ("model: ", "340 images, 0 errors, ", "compiling kernels (")
    return [line for line in run.stderr.splitlines() if not line.startswith(usual)]


def as_nobody(*command):
    """The command line of somebody without a home, who may read the tests' files."""
    rights = "+dac_override,+dac_read_search"
    user = ["--reuid", str(NOBODYS), "--regid", str(NOBODYS), "--clear-groups"]
    return ["setpriv", *user, "--inh-caps", rights, "--ambient-caps", rights, *command]


@needs_root
def test_a_user_without_a_home_gets_every_answer_and_one_warning(predict, expected):
    run = predict(*as_nobody(), HOME=None, XDG_CACHE_HOME=None)
    assert (run.code, run.lines) == (0, expected)
    assert told(run) == [
        "fastmnist: warning: kernel cache has no folder: set HOME, XDG_CACHE_HOME or NUMBA_CACHE_DIR; "
        "kernels are recompiled in every process"
    ]


@needs_root
def test_the_doctor_of_a_user_without_a_home_says_what_is_missing(small_model, tmp_path):
    command = as_nobody(*cli_command("doctor", "--model", small_model))
    environment = cli_environment(HOME=None, XDG_CACHE_HOME=None)
    told = subprocess.check_output(command, cwd=tmp_path, env=environment, text=True)
    assert "kernel cache:    NONE (HOME is not set): kernels are recompiled in every process\n" in told


# pthread_create takes as much room for a thread as RLIMIT_STACK allows the first one: more than there is.
def no_thread():
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 47, resource.RLIM_INFINITY))


needs_large_stacks = pytest.mark.skipif(
    sys.platform != "linux" or resource.getrlimit(resource.RLIMIT_STACK)[1] != resource.RLIM_INFINITY,
    reason="glibc, and no hard limit on the stack",
)


@needs_large_stacks
def test_where_no_thread_can_be_started_the_rows_are_the_same(predict, expected):
    run = predict(preexec_fn=no_thread)
    assert (run.code, run.lines) == (0, expected)
    assert told(run) == [LIMIT]


@pytest.fixture(scope="module")
def nobodys_folder():
    """A folder of the user without a home, who may not enter pytest's; kernels are compiled into it once."""
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, NOBODYS, NOBODYS)
        yield folder


@needs_root
@pytest.mark.parametrize("allowed", [1, 2, 3, 5])
def test_where_few_threads_may_be_started_the_rows_are_the_same(allowed, predict, expected, nobodys_folder):
    run = predict(*as_nobody("prlimit", f"--nproc={allowed}"), XDG_CACHE_HOME=nobodys_folder)
    assert (run.code, run.lines) == (0, expected)
    assert told(run) == ([LIMIT] if allowed < 5 else [])


@needs_large_stacks
def test_where_no_thread_can_be_started_numbers_are_read(run_cli, seven, tmp_path):
    write_pngs(tmp_path / "in", [seven] * 3)
    expected = run_cli("read", "in")
    done = subprocess.run(
        cli_command("read", "in"), cwd=tmp_path, env=cli_environment(), capture_output=True, preexec_fn=no_thread
    )
    assert done.returncode == expected.code == 0
    assert done.stdout == expected.stdout
    assert LIMIT in done.stderr.decode()


@needs_root
def test_training_where_one_thread_is_allowed_ends_in_the_same_model(small_set, run_cli, nobodys_folder, tmp_path):
    arguments = ["train", small_set, "--recipe", "seed", "--epochs", "1", "--threads", "2", "-o"]
    assert run_cli(*arguments, "usual.safetensors").code == 0
    few = as_nobody("prlimit", "--nproc=1", *cli_command(*arguments, "few.safetensors"))
    environment = cli_environment(XDG_CACHE_HOME=nobodys_folder)
    done = subprocess.run(few, cwd=nobodys_folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(LIMIT) == 1
    expected, actual = (tmp_path / "usual.safetensors", Path(nobodys_folder, "few.safetensors"))
    assert actual.read_bytes() == expected.read_bytes()


def test_so_many_threads_as_can_be_started(monkeypatch):
    begun = []

    class Thread(threads.threading.Thread):
        def start(self):
            if len(begun) == 3:
                raise RuntimeError("can't start new thread")
            begun.append(self)
            super().start()

    monkeypatch.setattr(threads, "_told_too_few", False)
    monkeypatch.setattr(threads.threading, "Thread", Thread)
    with noted() as notes:
        assert threads.startable(1) == 1
        assert begun == []
        assert threads.startable(4) == 4
        assert notes == []
        begun.clear()
        assert threads.startable(9) == 4
        assert threads.startable(9) == 1
        assert not any(thread.is_alive() for thread in begun)
    assert notes == [LIMIT]


@pytest.mark.parametrize("layer", ["tbb", "safe", "nonsense"])
def test_a_threading_layer_that_is_missing_costs_one_warning(layer, predict, expected):
    run = predict(NUMBA_THREADING_LAYER=layer)
    assert (run.code, run.lines) == (0, expected)
    (line,) = told(run)
    assert line.startswith(f"fastmnist: warning: NUMBA_THREADING_LAYER={layer}: ")
    assert line.endswith("Install it (tbb: pip install tbb) or unset the variable; kernels use one thread")


def test_the_doctor_names_a_threading_layer_that_is_missing(run_cli, small_model):
    run = run_cli("doctor", "--model", small_model, env={"NUMBA_THREADING_LAYER": "nonsense"}, warnings="default")
    assert run.code == 0
    assert "threading layer: none" in run.lines
    assert run.stderr.startswith("fastmnist: warning: NUMBA_THREADING_LAYER=nonsense: ")


def test_kernels_are_compiled_though_numba_is_told_not_to(predict, expected, tmp_path):
    run = predict(NUMBA_DISABLE_JIT="1", XDG_CACHE_HOME=str(tmp_path / "empty"))
    assert (run.code, run.lines, told(run)) == (0, expected, [])
    assert list((tmp_path / "empty").rglob("*.nbc"))


def test_functions_of_others_are_not_compiled_where_numba_is_told_not_to():
    code = "import numba, fastmnist.kernels.jit; print(numba.njit(lambda: 7).__class__.__name__)"
    environment = cli_environment(NUMBA_DISABLE_JIT="1")
    assert subprocess.check_output([sys.executable, "-c", code], env=environment, text=True) == "function\n"


def test_numbas_cache_folder_is_used_where_it_is_named(predict, expected, tmp_path):
    run = predict(NUMBA_CACHE_DIR="cache", XDG_CACHE_HOME=str(tmp_path / "unused"))
    assert (run.code, run.lines, told(run)) == (0, expected, [])
    (folder,) = (tmp_path / "cache" / "fastmnist").iterdir()
    assert folder.name == cache_folder().name
    assert folder.stat().st_mode & 0o077 == 0
    assert list(folder.rglob("*.nbc"))
    assert not (tmp_path / "unused").exists()
