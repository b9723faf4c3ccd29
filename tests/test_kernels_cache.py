"""The cache of compiled kernels is never needed: whatever is wrong with it costs a compilation and a warning."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, cli_environment

from fastmnist.inputs.idx import write_images
from fastmnist.kernels import cache as module

ANNOUNCED = "compiling kernels (first run only, about 10 s)"


@pytest.fixture(scope="module")
def filled_cache(tmp_path_factory):
    """A folder for the cache of one test after the other, which only the first of them fills."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def predict(run_cli, small_model, digits, tmp_path):
    """Run a small `predict` with its kernel cache below a folder; return its rows and its lines about kernels."""
    write_images(tmp_path / "idx", digits[0][:3])

    def run(cache):
        done = run_cli(
            "predict", "--model", small_model, "--threads", "2", "idx",
            env={"XDG_CACHE_HOME": str(cache)}, warnings="default",
        )  # fmt: skip
        assert done.code == 0, done.stderr
        assert done.errors == []
        told = [line for line in done.stderr.splitlines() if not line.startswith(("model: ", "3 images, 0 errors, "))]
        return done.lines, told

    return run


@pytest.fixture
def expected(run_cli, small_model, digits, tmp_path):
    """The rows that the usual cache gives."""
    write_images(tmp_path / "idx", digits[0][:3])
    return run_cli("predict", "--model", small_model, "--threads", "2", "idx").lines


@pytest.fixture
def cache(filled_cache, predict, tmp_path):
    """A copy of a filled cache."""
    if not os.listdir(filled_cache):
        predict(filled_cache)
    shutil.copytree(filled_cache, tmp_path / "cache")
    return tmp_path / "cache"


def files(cache, suffix):
    found = list(cache.rglob(f"*{suffix}"))
    assert found
    return found


def test_an_empty_cache_is_filled_privately_and_used(predict, expected, tmp_path):
    rows, told = predict(tmp_path / "cache")
    assert (rows, told) == (expected, [ANNOUNCED])
    folders = list((tmp_path / "cache" / "fastmnist").glob("kernels-*"))
    assert len(folders) == 1
    assert folders[0].stat().st_mode & 0o077 == 0
    assert predict(tmp_path / "cache") == (expected, [])


def empty_index(cache):
    for path in files(cache, ".nbi"):
        path.write_bytes(b"")


def garbage_in_the_index(cache):
    for path in files(cache, ".nbi"):
        path.write_bytes(os.urandom(200))


def cut_data(cache):
    for path in files(cache, ".nbc"):
        os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [empty_index, garbage_in_the_index, cut_data])
def test_a_damaged_cache_is_repaired_with_one_warning(damage, cache, predict, expected):
    damage(cache)
    rows, told = predict(cache)
    assert rows == expected
    assert len(told) == 1
    assert told[0].startswith("fastmnist: warning: kernel cache ")
    assert "recompiling" in told[0]
    assert predict(cache) == (expected, [])


def no_folder(cache):
    shutil.rmtree(cache)
    cache.touch()


def read_only(cache):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    for folder in [cache, *cache.rglob("*/")]:
        folder.chmod(0o500)


@pytest.mark.parametrize("fault", [no_folder, read_only])
def test_a_cache_that_cannot_be_written_costs_one_warning(fault, cache, predict, expected):
    fault(cache)
    rows, told = predict(cache)
    assert rows == expected
    assert len(told) == 2
    assert told[0].startswith("fastmnist: warning: kernel cache ")
    assert told[0].endswith("; kernels are recompiled in every process")
    assert told[1] == ANNOUNCED


def test_compiling_is_announced_once_for_a_version_and_not_by_each_command(run_cli, small_model, tmp_path):
    shutil.copy(ROOT / "tests" / "seven.png", tmp_path)
    told = [
        run_cli(*command, "--threads", "1", env={"XDG_CACHE_HOME": str(tmp_path / "cache")}).stderr.count("compiling")
        for command in (["predict", "--model", small_model, "seven.png"], ["warmup"])
    ]
    assert told == [1, 0]


LOAD = """
import sys
import numpy as np
from fastmnist.model.network import Network
Network.random((784, 100, 10), 0).predict(np.zeros((3, 784), np.uint8))
print("numba.np.linalg" in sys.modules)
"""


def test_a_cached_kernel_is_loaded_without_all_that_numba_can_compile(tmp_path):
    """Registering that is a third of the start of a command."""
    told = []
    for _ in range(2):
        environment = cli_environment(XDG_CACHE_HOME=str(tmp_path))
        run = subprocess.run([sys.executable, "-c", LOAD], env=environment, capture_output=True, text=True)
        told.append((run.stdout, run.stderr))
    assert told == [("True\n", ""), ("False\n", "")]


def test_the_cache_folder_is_the_same_for_the_same_kernels():
    assert module.cache_folder() == module.cache_folder()


@pytest.mark.parametrize(("where", "value"), [("__version__", "0.0.1"), ("numba.__version__", "1")])
def test_another_version_has_another_cache_folder(where, value, monkeypatch):
    before = module.cache_folder()
    monkeypatch.setattr(f"fastmnist.kernels.cache.{where}", value)
    assert module.cache_folder() != before
    assert module.cache_folder().parent == before.parent


@pytest.mark.parametrize("change", ["edited", "added", "renamed"])
def test_changed_sources_have_another_cache_folder(change, monkeypatch, tmp_path):
    sources = tmp_path / "kernels"
    shutil.copytree(Path(module.__file__).parent, sources, ignore=shutil.ignore_patterns("__pycache__"))
    before = module.cache_folder()
    monkeypatch.setattr(module, "__file__", str(sources / "cache.py"))
    assert module.cache_folder() == before
    if change == "edited":
        with (sources / "simd.py").open("a") as file:
            file.write("\n")
    elif change == "added":
        (sources / "more.py").touch()
    else:
        (sources / "simd.py").rename(sources / "vectors.py")
    assert module.cache_folder() != before
