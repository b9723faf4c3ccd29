"""`fastmnist doctor`: what the other commands would use on this machine, for a question or a bug report."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from fastmnist.cli import options
from fastmnist.cli.terminal import complain, put, say
from fastmnist.errors import FastmnistError, printable, reason
from fastmnist.shapes import NO_DIGIT

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = ("numpy", "numba", "llvmlite", "opencv-python-headless", "click", "platformdirs", "safetensors", "tqdm")
# What the kernels gain from.
CPU_FEATURES = ("sse4.2", "avx2", "fma", "avx512f", "avx512bw", "avx512vnni", "amx-int8", "neon")


@click.command()
@options.model_option
@options.threads_option
@options.quiet_option
def doctor(model: str | None) -> int:
    """Print versions, threads, CPU, kernel cache and model, as the other commands would use them.

    Nothing is compiled or predicted. The last line, on stderr, is a verdict: what is wrong here and what to do about
    it. The exit code is 1 if the model can't be used.
    """
    is_set = "NUMBA_NUM_THREADS" in os.environ
    from fastmnist.kernels import cache, jit
    from fastmnist.threads import startable

    found, is_sound = _model(model)
    layer, folder = jit.threading_layer(), cache.cache_folder()
    for name, value in (
        *_versions(),
        ("threads", f"{startable(jit.n_threads())} ({_origin(is_set)})"),
        ("threading layer", layer),
        ("cpu", _cpu()),
        ("kernel cache", _cache(folder)),
        ("model", found),
    ):
        put(f"{name + ':':17}{value}")
    complaints = list(_complaints(is_sound, layer, folder))
    if complaints:
        complain(f"verdict: {'; '.join(complaints)}")
    else:
        say("verdict: all is well")
    return 0 if is_sound else 1


def _complaints(is_sound: bool, layer: str, folder: "Path | None") -> Iterator[str]:
    """Yield what is wrong and what to do about it, the worst first."""
    if not is_sound:
        yield "NOT usable with this model: train a new one, or use the one that comes with fastmnist: --model shipped"
    try:
        n_compiled = 0 if folder is None else _n_compiled(folder)
    except OSError:
        yield (
            "every command compiles its kernels again: make the kernel cache's folder writable, "
            "or set XDG_CACHE_HOME to one that is"
        )
    else:
        if folder is None:
            yield "every command compiles its kernels again: set HOME, XDG_CACHE_HOME or NUMBA_CACHE_DIR"
        elif not n_compiled:
            yield "the first command will compile its kernels: 'fastmnist warmup' does it now"
    if layer == "workqueue":
        yield "small batches use only one thread because OpenMP is missing: install libgomp, or the package tbb"


def _versions() -> list[tuple[str, str]]:
    """Return the versions of fastmnist, Python and the packages, without loading them."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from fastmnist import __file__ as here
    from fastmnist.version import __version__

    packages = []
    for name in PACKAGES:
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"{name} not installed as a package")
    return [
        ("fastmnist", f"{__version__} in {printable(os.path.dirname(here))}"),
        ("python", f"{platform.python_version()} on {platform.platform()}"),
        ("packages", ", ".join(packages)),
    ]


def _origin(is_set: bool) -> str:
    """Say where the number of threads comes from; `is_set`: from the environment, or from the option through it."""
    from fastmnist.threads import usable_cpus_and_reason

    if options.threads_given:
        return "--threads"
    return "$NUMBA_NUM_THREADS" if is_set else usable_cpus_and_reason()[1]


def _cpu() -> str:
    import llvmlite.binding as llvm

    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = llvm.get_host_cpu_features()
    present = [feature for feature in CPU_FEATURES if features.get(feature)]
    return f"{name} with {', '.join(present) or 'no known vector extensions'}"


def _cache(folder: "Path | None") -> str:
    """Say where the compiled kernels are, how many, and whether more can be written."""
    if folder is None:
        return "NONE (HOME is not set): kernels are recompiled in every process"
    try:
        n_compiled = _n_compiled(folder)
        n_bytes = sum(path.stat().st_size for path in folder.rglob("*.nbc"))
    except OSError as error:
        return f"{printable(folder)}: NOT usable ({reason(error)}): kernels are recompiled in every process"
    return f"{printable(folder)}: {n_compiled} compiled kernels, {n_bytes / 1e6:.1f} MB, writable"


def _n_compiled(folder: "Path") -> int:
    """Return how many kernels are in the cache. Raises OSError where it can't be used."""
    from fastmnist.kernels.cache import check_folder

    check_folder(folder)
    return sum(1 for _ in folder.rglob("*.nbc"))


def _model(option: str | None) -> tuple[str, bool]:
    """Return which model would be used, or why it can't be, and whether it can."""
    from fastmnist.model.model_file import find_model, load_model

    path, origin = find_model(option)
    try:
        loaded = load_model(path)
    except FastmnistError as error:
        return f"{error} ({origin})", False
    sizes = "-".join(map(str, loaded.trained.layer_sizes))
    names = ", ".join(loaded.class_names) + f" and {NO_DIGIT}" * loaded.can_refuse
    return f"{printable(path)} ({origin}): {sizes}, classes {names}", True
