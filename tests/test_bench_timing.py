import json
import subprocess
import sys
from pathlib import Path

from bench.machine import PACKAGES, describe
from bench.table import Table, write_json
from bench.timing import Comparison, Timing, compare, compare_clocks, measure, run_process


def test_measure_counts_calls_and_orders_its_figures() -> None:
    calls: list[int] = []
    timing = measure(lambda: calls.append(1), repeats=5, warmup=2)
    assert len(calls) == 7
    assert timing.repeats == 5
    assert 0 <= timing.min <= timing.median <= timing.max


def test_compare_alternates_after_one_untimed_call_of_each() -> None:
    calls: list[str] = []
    comparison = compare(lambda: calls.append("A"), lambda: calls.append("B"), repeats=2, settle=0)
    assert "".join(calls) == "AB" + "ABAB"
    assert comparison.ours.repeats == comparison.peer.repeats == 2


def test_compare_wakes_short_functions_before_every_round() -> None:
    calls: list[str] = []
    comparison = compare(lambda: calls.append("A"), lambda: calls.append("B"), repeats=2, calls=2, settle=0)
    assert "".join(calls) == "AB" + "AAABBB" * 2
    assert comparison.ours.repeats == 4


def test_ratio_says_how_many_times_faster_ours_is() -> None:
    ours, peer = iter([1.0, 2.0, 9.0]), iter([4.0, 6.0, 8.0])
    comparison = compare_clocks(lambda: next(ours), lambda: next(peer), repeats=3, settle=0)
    assert comparison.ratio == 3.0


def test_run_process_reports_exit_code_stderr_output_and_environment(tmp_path: Path) -> None:
    script = "import os, sys; print(os.environ['WORD']); sys.stderr.write('oops'); sys.exit(3)"
    with open(tmp_path / "out", "wb") as stdout:
        timing = run_process([sys.executable, "-c", script], env={"WORD": "hello"}, stdout=stdout)
    assert (timing.returncode, timing.stderr) == (3, "oops")
    assert (tmp_path / "out").read_text() == "hello\n"
    assert timing.seconds > 0


def test_run_process_counts_the_memory_of_the_command_only() -> None:
    held = bytearray(b"x") * 200_000_000
    small = run_process([sys.executable, "-c", ""])
    large = run_process([sys.executable, "-c", "b'x' * 200_000_000"])
    assert small.peak_bytes < len(held) / 2
    assert large.peak_bytes > len(held)


def test_table_prints_text_and_markdown_and_writes_json(tmp_path: Path) -> None:
    table = Table("Training")
    table.add_comparison("epoch", Comparison(Timing(0.1, 0.2, 0.3, 3), Timing(0.4, 0.5, 0.6, 3)), "ms")
    table.add("other", 1_234_567.0, unit="images/s", note="torch is not installed")
    assert table.text().splitlines()[2:] == [
        "what        ours  ours min  peer  peer min   ratio  unit      note",
        "epoch        200       100   500       400  2.50 x  ms",
        "other  1,234,567                                    images/s  torch is not installed",
    ]
    assert "| epoch | 200 | 100 | 500 | 400 | 2.50 x | ms |  |" in table.markdown()
    write_json(tmp_path / "bench.json", {"cpu": "a"}, [table])
    content = json.loads((tmp_path / "bench.json").read_text())
    assert content["machine"] == {"cpu": "a"}
    assert content["tables"][0]["rows"][0]["ratio"] == 2.5


def test_machine_names_every_package_even_a_missing_one() -> None:
    machine = describe()
    assert set(PACKAGES) < set(machine)
    assert all(machine.values())


def test_bench_lets_openblas_choose_its_own_kernels() -> None:
    script = "import bench, os; print('OPENBLAS_CORETYPE' in os.environ)"
    environment = {"OPENBLAS_CORETYPE": "Haswell", "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
    assert process.stdout == b"False\n"
