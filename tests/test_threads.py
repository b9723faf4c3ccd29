import os
import subprocess
import sys

import pytest
from conftest import cli_environment

from fastmnist import threads
from fastmnist.threads import cgroup_cpus, usable_cpus, usable_cpus_and_reason

NO_QUOTA = 2**31


def place(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "max 100000\n"}, NO_QUOTA),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),  # part of a CPU counts as one
        ("0::/\n", {"cpu.max": "1000 100000\n"}, 1),
        ("0::/a/b\n", {"cpu.max": "max 100000", "a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "100000 100000"}, 1),
        ("0::/not/there\n", {"cpu.max": "400000 100000"}, 4),
        ("4:cpu,cpuacct:/x\n", {"cpu/x/cpu.cfs_quota_us": "250000", "cpu/x/cpu.cfs_period_us": "100000"}, 3),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, NO_QUOTA),
        ("4:memory:/x\n", {"x/cpu.max": "100000 100000"}, NO_QUOTA),
        ("0::/\n", {"cpu.max": "garbage\n"}, NO_QUOTA),
        ("0::/\n", {"cpu.max": "100 0\n"}, NO_QUOTA),
        ("0::/\n", {}, NO_QUOTA),
        ("", {"cpu.max": "200000 100000"}, 2),
    ],
)
def test_the_tightest_quota_counts(membership, files, expected, tmp_path):
    place(tmp_path, files)
    (tmp_path / "membership").write_text(membership)
    assert cgroup_cpus(tmp_path, tmp_path / "membership") == expected


def test_without_cgroups_there_is_no_quota(tmp_path):
    assert cgroup_cpus(tmp_path / "none", tmp_path / "none") == NO_QUOTA


def test_at_least_one_cpu_and_at_most_those_of_the_machine():
    assert 1 <= usable_cpus() <= os.cpu_count()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity mask here (macOS)")
def test_the_affinity_mask_counts():
    script = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); "
    script += "from fastmnist.threads import usable_cpus; print(usable_cpus())"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "1\n"


def test_counting_cpus_does_not_load_numba():
    script = "import sys, fastmnist.threads; print('numba' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "False\n"


def test_a_number_of_threads_in_the_environment_is_kept():
    script = "from fastmnist.kernels.jit import n_threads; print(n_threads())"
    for number in ("1", "3"):
        environment = cli_environment(NUMBA_NUM_THREADS=number)
        assert subprocess.check_output([sys.executable, "-c", script], env=environment, text=True) == f"{number}\n"


@pytest.mark.parametrize(
    ("machine", "affinity", "quota", "expected"),
    [
        (8, 8, NO_QUOTA, (8, "all CPUs")),
        (8, 3, NO_QUOTA, (3, "affinity mask, of 8 CPUs")),
        (8, 3, 3, (3, "affinity mask, of 8 CPUs")),
        (8, 3, 2, (2, "cgroup quota, of 3 CPUs")),
        (8, 8, 1, (1, "cgroup quota, of 8 CPUs")),
    ],
)
def test_what_sets_the_number_is_reported(machine, affinity, quota, expected, monkeypatch):
    monkeypatch.setattr(threads.os, "cpu_count", lambda: machine)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _pid: range(affinity), raising=False)
    monkeypatch.setattr(threads, "cgroup_cpus", lambda: quota)
    assert usable_cpus_and_reason() == expected
    assert usable_cpus() == expected[0]


def test_a_program_sets_what_the_user_has_not(monkeypatch):
    monkeypatch.setattr(os, "environ", {"GOMP_SPINCOUNT": "7"})
    threads.set_up_program()
    assert os.environ == {**threads.PROGRAM_ENVIRONMENT, "GOMP_SPINCOUNT": "7"}
