"""`fastmnist download`: its sources are tested in test_download.py, its messages and exit codes here."""

import os
import shutil

NOWHERE = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "no_proxy": None, "NO_PROXY": None}
OFFLINE = {**NOWHERE, "PATH": "/nonexistent"}  # no request gets out, and there is no npm


def test_a_second_run_makes_no_request(run_cli, mnist_dir):
    names = sorted(os.listdir(mnist_dir))
    run = run_cli("download", mnist_dir, env=OFFLINE)
    assert (run.code, run.stdout) == (0, b"")
    assert [line.rpartition(": ")[2] for line in run.stderr.splitlines()] == ["verified"] * 4
    assert sorted(os.listdir(mnist_dir)) == names


def test_a_damaged_file_is_named_and_not_believed(run_cli, mnist_dir, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(mnist_dir, data)
    with open(data / "t10k-labels-idx1-ubyte", "r+b") as file:
        file.seek(1000)
        file.write(b"\xff")
    run = run_cli("download", "data", env=OFFLINE)
    assert run.code == 1
    assert run.stderr.splitlines()[0] == "data/t10k-labels-idx1-ubyte: damaged (wrong SHA-256): replacing it"
    assert len(run.errors) == 1
    assert len(os.listdir(data)) == 4


def test_when_every_source_fails_one_line_lists_them_and_the_way_by_hand(run_cli, tmp_path):
    run = run_cli("download", "data", "--mirror", "https://example.invalid/mnist/", env=OFFLINE)
    assert (run.code, run.stdout) == (1, b"")
    assert len(run.errors) == 1
    *_, error, hint = run.stderr.splitlines()
    assert error == run.errors[0]
    for part in ("example.invalid", "ossci-datasets", "cvdf-datasets", "npm is not on the PATH"):
        assert part in error
    assert hint.startswith("hint: to do it by hand, put ")
    assert os.listdir(tmp_path / "data") == []


def test_a_mirror_without_encryption_is_refused(run_cli, tmp_path):
    run = run_cli("download", "data", "--mirror", "http://example.invalid/", env=OFFLINE)
    assert (run.code, len(run.errors)) == (1, 1)
    assert "not an https URL" in run.errors[0]
    assert os.listdir(tmp_path) == []


def test_another_data_set_is_not_written_over_this_one(run_cli, mnist_dir):
    run = run_cli("download", mnist_dir, "--dataset", "fashion-mnist", env=OFFLINE)
    assert (run.code, len(run.errors)) == (1, 1)
    assert "a file of mnist, which is left alone" in run.errors[0]
