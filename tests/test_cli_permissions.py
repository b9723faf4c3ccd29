"""What may not be read or written costs a row, a warning or one error line; also where root runs the tests."""

import os
import shutil
import subprocess

import pytest
from conftest import HANGS_AFTER, ROOT, Run, cli_command, cli_environment
from test_cli_download import NOWHERE
from test_cli_predict import HEADER, png, write_pngs

from fastmnist.inputs.idx import write_images

# Root may read and write everything, unless it gives that up.
AS_OTHERS = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@pytest.fixture
def run(tmp_path, small_model):
    """Run `fastmnist ARGUMENTS` as somebody whom permissions bind."""
    if AS_OTHERS and not shutil.which(AS_OTHERS[0]):
        pytest.skip("setpriv, or a user other than root")

    def run_it(*arguments, warnings="error", **environment):
        done = subprocess.run(
            [*AS_OTHERS, *cli_command(*arguments, warnings=warnings)],
            cwd=tmp_path,
            env=cli_environment(FASTMNIST_MODEL=str(small_model), **environment),
            capture_output=True,
            timeout=HANGS_AFTER,
        )
        return Run(done.returncode, done.stdout, done.stderr.decode())

    yield run_it
    for folder, folders, files in os.walk(tmp_path):  # pytest's own clean-up is bound too
        for name in folders + files:
            os.chmod(os.path.join(folder, name), 0o700)


def test_what_may_not_be_read_keeps_its_row(run, digits, tmp_path):
    write_pngs(tmp_path / "in", digits[0][:3])
    write_pngs(tmp_path / "in" / "a", digits[0][:1])
    write_images(tmp_path / "idx", digits[0][:2])
    (tmp_path / "table.csv").write_bytes(b"1,2\n")
    for name in ("in/00001.png", "in/a", "idx", "table.csv"):
        (tmp_path / name).chmod(0)
    done = run("predict", "in", "idx", "table.csv")
    assert done.code == 1
    assert [line.split(",")[0] for line in done.lines[1:] if line.endswith(",,,")] == [
        "in/00001.png", "in/a", "idx", "table.csv",
    ]  # fmt: skip
    assert len(done.lines) == 7
    assert len(done.errors) == 4
    assert all("Permission denied" in line for line in done.errors)


@pytest.mark.parametrize(
    "arguments", [["info", "x"], ["predict", "--files-from", "x"], ["train", "x"], ["evaluate", "x"]]
)
def test_what_a_command_needs_and_may_not_read_is_one_error_line(arguments, run, tmp_path):
    (tmp_path / "x").write_bytes(b"")
    (tmp_path / "x").chmod(0)
    done = run(*arguments)
    assert (done.code, len(done.errors)) == (1, 1)
    assert done.errors[0].startswith("fastmnist: error: x: ")


def test_a_folder_that_may_not_be_written_is_reported_before_and_keeps_what_it_holds(run, digits, small_set, tmp_path):
    (tmp_path / "0.png").write_bytes(png(digits[0][0]))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_bytes(b"old")
    (tmp_path / "out").chmod(0o555)
    for arguments in (["predict", "0.png", "-o"], ["train", small_set, "-o"]):
        done = run(*arguments, "out/old")
        assert (done.code, done.stdout, len(done.errors)) == (1, b"", 1)
        assert "out/old: " in done.errors[0]
        assert "epoch" not in done.stderr
    assert os.listdir(tmp_path / "out") == ["old"]
    assert (tmp_path / "out" / "old").read_bytes() == b"old"


def test_a_data_set_is_not_fetched_for_a_folder_that_may_not_be_written(run, tmp_path):
    (tmp_path / "data").mkdir(mode=0o555)
    done = run("download", "data", **NOWHERE)
    assert (done.code, len(done.stderr.splitlines())) == (1, 1)
    assert done.errors == [
        "fastmnist: error: data: Permission denied, expected a folder with room to write; choose another"
    ]


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_home_that_cannot_be_used_costs_one_warning(run, digits, tmp_path, mode):
    (tmp_path / "0.png").write_bytes(png(digits[0][0]))
    (tmp_path / "home").mkdir(mode=mode)
    done = run("predict", "0.png", warnings="default", HOME=str(tmp_path / "home"), XDG_CACHE_HOME=None)
    assert done.code == 0
    assert done.lines[0] == HEADER
    assert len(done.lines) == 2
    warnings = [line for line in done.stderr.splitlines() if line.startswith("fastmnist: warning: ")]
    assert len(warnings) == 1
    assert warnings[0].endswith("; kernels are recompiled in every process")
    (tmp_path / "home").chmod(0o755)
    assert os.listdir(tmp_path / "home") == []


def test_click_checks_no_path_by_itself():
    """It would make an input that may not be read wrong usage, and end the whole job."""
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "fastmnist" / "cli").glob("*.py"))
    assert sources.count("click.Path(") == sources.count("click.Path(readable=False)") > 0
