"""The kernel tests again, in the checked build, on more threads and for other processors, each in its own process."""

import subprocess
import sys

import llvmlite.binding
import pytest
from conftest import HANGS_AFTER, ROOT, cli_environment

ABOUT_NUMBA = {"test_kernels_jit.py", "test_kernels_cache.py"}  # not about what kernels compute
KERNEL_TESTS = sorted(path for path in ROOT.glob("tests/test_kernels_*.py") if path.name not in ABOUT_NUMBA)
CHECKED = {"FASTMNIST_CHECKED": "1"}
HASWELL = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"}
GENERIC = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
# Four parts on fewer threads run one after the other in places, where one may use what it must not have seen yet.
FOUR_THREADS = {"NUMBA_NUM_THREADS": "4"}
SERIAL = {"test_kernels_picture.py", "test_kernels_picture_lines.py"}  # kernels that are serial in all builds

# Compiled again: the assembly of a kernel from the cache cannot be looked at.
ASSEMBLY = """
import numpy as np
from vector_functions import compiled
import standalone_kernels
softmax = compiled(standalone_kernels.softmax.serial.py_func)
logits = np.zeros((2, 16), np.float32)
softmax(logits, 3, logits.copy(), 1)
print(*softmax.inspect_asm().values())
"""

# The second `out` has a row less than the logits, in a buffer where the overrun harms nothing: only a check sees it.
OVERRUN = """
import sys
import numpy as np
from standalone_kernels import softmax
from fastmnist.kernels.jit import CHECKED
assert CHECKED and softmax.parallel is softmax.serial
logits, buffer = np.ones((3, 16), np.float32), np.zeros((9, 16), np.float32)
softmax(logits, 10, buffer[:3])
try:
    softmax(logits, 10, buffer[:2])
except IndexError as error:
    print(error)
"""


def run_python(*arguments, environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=cli_environment(**environment),
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER,
    )


def is_x86():
    return llvmlite.binding.get_process_triple().startswith("x86_64")


needs_x86 = pytest.mark.skipif(not is_x86(), reason="a build for x86 processors")


@pytest.mark.parametrize(
    "environment",
    [CHECKED, FOUR_THREADS, pytest.param(HASWELL, marks=needs_x86), pytest.param(GENERIC, marks=needs_x86)],
    ids=["checked", "four-threads", "haswell", "generic"],
)
def test_the_kernel_tests_pass_in_another_build(environment):
    tests = [path for path in KERNEL_TESTS if environment is not FOUR_THREADS or path.name not in SERIAL]
    done = run_python("-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, environment=environment)
    assert done.returncode == 0, done.stdout
    n_passed = int(done.stdout.splitlines()[-1].split(" passed")[0].split()[-1])
    assert n_passed > 200


def test_the_checked_build_catches_an_overrun():
    done = run_python("-c", OVERRUN, environment={**CHECKED, "PYTHONPATH": str(ROOT / "tests")})
    assert (done.stdout, done.stderr) == ("a kernel reaches outside of an array\n", "")


def assembly(environment):
    done = run_python("-c", ASSEMBLY, environment={**environment, "PYTHONPATH": str(ROOT / "tests")})
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_x86
def test_a_build_for_avx2_has_no_wider_vectors():
    haswell = assembly(HASWELL)
    assert "ymm" in haswell
    assert "vfmadd" in haswell
    assert "zmm" not in haswell


@needs_x86
def test_a_build_for_any_processor_has_no_avx():
    generic = assembly(GENERIC)
    assert "xmm" in generic
    assert "ymm" not in generic
    assert "zmm" not in generic


# Intel's tuning prefers half of its vectors.
prefers_512_bits = llvmlite.binding.get_host_cpu_features().get("avx512f") and llvmlite.binding.get_host_cpu_name() in (
    "znver4", "znver5",
)  # fmt: skip


@pytest.mark.skipif(not prefers_512_bits, reason="a processor with AVX-512 that is used in full")
def test_a_build_for_avx512_uses_its_vectors():
    assert "zmm" in assembly({})
