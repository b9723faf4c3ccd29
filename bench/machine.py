"""Where a run's figures come from: the machine and the versions of everything that was timed on it."""

import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

NOT_INSTALLED = "not installed"

PACKAGES = (
    "numpy",
    "numba",
    "llvmlite",
    "opencv-python-headless",
    "torch",
    "jax",
    "jaxlib",
    "scikit-learn",
    "onnx",
    "onnxruntime",
    "openvino",
    "pillow",
)


def describe() -> dict[str, str]:
    """Return the machine and all versions as name -> text, in the order to print them."""
    machine = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _cpu_model(),
        "cores": str(available_cores()),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB",
        "os": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "blas": _blas(),
    }
    return machine | {package: version(package) for package in PACKAGES}


def available_cores() -> int:
    """Count the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def version(package: str) -> str:
    """Return a package's version, or say that it is missing."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return NOT_INSTALLED


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return platform.processor() or platform.machine()


def _blas() -> str:
    """Name NumPy's BLAS, and the kernels it chose where threadpoolctl can tell (SkylakeX, Haswell, ...)."""
    import numpy as np

    config: Any = np.show_config(mode="dicts")
    blas = config["Build Dependencies"]["blas"]
    name = f"{blas['name']} {blas['version']}"
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return name
    kernels = [pool["architecture"] for pool in threadpool_info() if "architecture" in pool]
    return f"{name}, {kernels[0]} kernels" if kernels else name
