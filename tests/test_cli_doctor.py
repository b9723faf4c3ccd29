"""`fastmnist doctor` says what the other commands would use."""

import subprocess
import sys

import numba
import numpy
from conftest import cli_environment

from fastmnist import __version__

QUOTA = """if True:
    import sys
    from pathlib import Path
    from fastmnist import threads
    threads.cgroup_cpus.__defaults__ = (Path("cgroup"), Path("membership"))
    from fastmnist.cli.main import main
    main()
"""


def told(run):
    """The values by name."""
    assert run.stderr.count("\n") == 1
    assert run.stderr.startswith("verdict: ")
    return dict(line.split(":", 1) for line in run.lines)


def test_versions_threads_cache_and_model_are_reported(run_cli, small_model, tmp_path):
    run = run_cli("doctor", "--model", small_model, "--threads", "2", env={"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert run.code == 0
    values = {name: value.strip() for name, value in told(run).items()}
    assert values["fastmnist"].startswith(__version__)
    assert f"numpy {numpy.__version__}, numba {numba.__version__}" in values["packages"]
    assert values["threads"] == "2 (--threads)"
    assert values["threading layer"] in {"omp", "tbb", "workqueue"}
    assert values["cpu"]
    assert values["kernel cache"].startswith(f"{tmp_path}/cache/fastmnist/kernels-")
    assert values["kernel cache"].endswith(": 0 compiled kernels, 0.0 MB, writable")
    assert values["model"] == f"{small_model} (--model): 784-8-10, classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"


def test_what_is_wrong_is_reported_and_exits_with_1(run_cli, tmp_path):
    (tmp_path / "cache").write_bytes(b"no folder")
    (tmp_path / "bad.safetensors").write_bytes(b"no model")
    run = run_cli(
        "doctor",
        env={"XDG_CACHE_HOME": str(tmp_path / "cache"), "FASTMNIST_MODEL": "bad.safetensors"},
        warnings="ignore",
    )
    assert run.code == 1
    values = told(run)
    assert values["kernel cache"].endswith(
        "NOT usable (not writable by this user): kernels are recompiled in every process"
    )
    assert "bad.safetensors: not a valid .safetensors file" in run.stdout.decode()
    assert run.lines[-1].endswith("($FASTMNIST_MODEL)")
    first, second = run.stderr.split("; ")
    assert first.startswith(
        "verdict: NOT usable with this model: train a new one, or use the one that comes with fastmnist: --model"
    )
    assert second.startswith("every command compiles its kernels again: make the kernel cache's folder writable")


def test_the_verdict_is_that_all_is_well_once_kernels_are_compiled(run_cli, small_model, tmp_path):
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    empty = run_cli("doctor", "--model", small_model, env=environment)
    assert empty.stderr == "verdict: the first command will compile its kernels: 'fastmnist warmup' does it now\n"
    assert run_cli("doctor", "-q", "--model", small_model, env=environment).stderr == empty.stderr
    (tmp_path / "table.csv").write_text(",".join(["0"] * 784) + "\n")
    assert run_cli("predict", "--model", small_model, "table.csv", env=environment).code == 0
    ready = run_cli("doctor", "--model", small_model, env=environment)
    assert (ready.code, ready.stderr) == (0, "verdict: all is well\n")


def test_the_environment_is_named_where_it_sets_the_threads(run_cli):
    run = run_cli("doctor", env={"NUMBA_NUM_THREADS": "1"})
    assert told(run)["threads"].strip() == "1 ($NUMBA_NUM_THREADS)"


def test_a_quota_of_one_cpu_means_one_thread(small_model, tmp_path):
    """With a cpu.max of our own making: a real one takes a privileged process."""
    (tmp_path / "cgroup" / "a").mkdir(parents=True)
    (tmp_path / "cgroup" / "a" / "cpu.max").write_text("100000 100000\n")
    (tmp_path / "membership").write_text("0::/a\n")
    run = subprocess.run(
        [sys.executable, "-c", QUOTA, "doctor", "--model", small_model],
        cwd=tmp_path,
        env=cli_environment(),
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    threads = next(line for line in run.stdout.splitlines() if line.startswith("threads:"))
    assert threads.split(maxsplit=1)[1].startswith("1 (")
