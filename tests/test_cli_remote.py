"""Commands on files at addresses: real processes, and a small server that refuses requests."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, cli_command, cli_environment
from stores import BUCKET, KEY, SECRET, WEB, serving
from test_cli_predict import write_pngs

PAGE = (ROOT / "docs" / "remote.md").read_text(encoding="utf-8")
N_PICTURES = 300
WRONG = "AKIDWRONG"
OUT = f"{BUCKET}/rows.csv"


@pytest.fixture(scope="module")
def pictures(digits, tmp_path_factory):
    """A folder of digits, as PNG files."""
    folder = tmp_path_factory.mktemp("remote") / "pictures"
    write_pngs(folder, digits[0][:N_PICTURES])
    return folder


@pytest.fixture
def server(pictures):
    """A store that holds the digits."""
    with serving() as started:
        for path in pictures.iterdir():
            started.objects[f"{BUCKET}/pictures/{path.name}"] = path.read_bytes()
        yield started


@pytest.fixture
def run_there(run_cli, server):
    """Run a command that finds the server."""

    def run(*arguments, keys=(KEY, SECRET)):
        return run_cli(*arguments, env=server.environment(*keys))

    return run


@pytest.fixture(scope="module")
def expected(pictures):
    """The rows that a run on this machine writes, with the addresses in place of the paths."""
    rows = subprocess.run(cli_command("predict", pictures), env=cli_environment(), check=True, capture_output=True)
    return rows.stdout.replace(bytes(pictures.parent), f"s3://{BUCKET}".encode())


def test_refused_requests_change_nothing(server, run_there, expected, tmp_path):
    server.refuse_every = 10
    run = run_there("predict", f"s3://{BUCKET}/pictures", "-o", f"s3://{OUT}", "--part", tmp_path / "part")
    assert (run.code, run.stdout) == (0, b""), run.stderr
    assert server.objects[OUT] == expected
    assert f"{N_PICTURES} images, 0 errors" in run.stderr
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("keys", [(WRONG, "hush-hush"), (None, None)])
def test_wrong_credentials_are_one_line_without_them(server, run_there, keys):
    run = run_there("predict", f"s3://{BUCKET}/pictures", "-q", "-o", "rows.csv", keys=keys)
    assert (run.code, run.stdout) == (1, b"")
    found = (
        "the credentials were refused (InvalidAccessKeyId)" if keys[0] else "no usable credentials (NoCredentialsError)"
    )
    assert run.stderr == (
        f"fastmnist: error: s3://{BUCKET}/pictures: {found}, expected credentials that are valid for it; "
        "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE\n"
    )


def test_wrong_credentials_for_the_output_are_told_before_the_work(server, run_there, pictures):
    run = run_there("predict", pictures, "-q", "-o", f"s3://{OUT}", keys=(WRONG, "hush-hush"))
    assert run.code == 1
    assert run.stderr.startswith(f"fastmnist: error: s3://{OUT}: the credentials were refused (InvalidAccessKeyId), ")
    assert run.stderr.count("\n") == 1
    assert server.requests == [("GET", OUT)]
    assert not {WRONG, "hush-hush", KEY, SECRET} & set(re.split(r"\W+", run.stderr))


def test_a_run_that_was_stopped_is_resumed(server, run_there, expected, tmp_path):
    """The server falls silent, the run is stopped, and what was fetched before is not fetched again."""
    job = ["predict", f"s3://{BUCKET}/pictures", "-o", f"s3://{OUT}", "--part", "part"]
    server.hold_after(250)
    process = subprocess.Popen(
        cli_command(*job), cwd=tmp_path, env=cli_environment(**server.environment()), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    server.held.wait()
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert b"part keeps the rows so far; to continue, run the same command with --resume" in told
    assert OUT not in server.objects
    n_known = (tmp_path / "part").read_bytes().count(b"\n") - 1
    assert n_known >= 64
    server.release()
    server.requests.clear()
    run = run_there(*job, "--resume")
    assert run.code == 0, run.stderr
    assert server.objects[OUT] == expected
    assert sum(name.endswith(".png") for _, name in server.requests) == N_PICTURES - n_known
    assert not list(tmp_path.glob("part*"))


def test_an_upload_that_failed_is_made_again_without_the_work(server, run_there, expected, tmp_path):
    job = ["predict", f"s3://{BUCKET}/pictures", "-o", f"s3://{OUT}", "--part", "part"]
    server.always_put = 403
    run = run_there(*job)
    assert run.code == 1
    assert (
        f"fastmnist: error: s3://{OUT}: access denied (AccessDenied), expected a place that can be written; "
        in run.stderr
    )
    assert (tmp_path / "part").read_bytes() == expected
    server.always_put = None
    server.requests.clear()
    assert run_there(*job, "--resume").code == 0
    assert server.objects[OUT] == expected
    assert [name for _, name in server.requests if name.endswith(".png")] == []


def test_read_takes_and_gives_addresses(server, run_cli, run_there, pictures, tmp_path):
    for name in list(server.objects):
        if not name.endswith(("0.png", "there")):
            del server.objects[name]
    here = tmp_path / "pictures"
    here.mkdir()
    for path in pictures.glob("*0.png"):
        (here / path.name).write_bytes(path.read_bytes())
    local = run_cli("read", "pictures")
    server.refuse_every = 5
    run = run_there("read", f"s3://{BUCKET}/pictures", "-o", f"s3://{OUT}", "--draw", "drawn", "--part", "part")
    assert run.code == local.code, run.stderr
    assert server.objects[OUT] == local.stdout.replace(b"pictures/", f"s3://{BUCKET}/pictures/".encode())
    assert len(list((tmp_path / "drawn").iterdir())) > 20


def test_evaluate_takes_a_table_or_arrays_at_an_address(server, run_cli, run_there, digits, tmp_path):
    images, labels = digits[0][:200], digits[1][:200]
    np.savez_compressed(tmp_path / "set.npz", x_test=images, y_test=labels)
    server.objects[f"{WEB}/set.npz"] = (tmp_path / "set.npz").read_bytes()
    local, there = (
        run_cli("evaluate", "set.npz", "--json"),
        run_there("evaluate", f"{server.url}/{WEB}/set.npz", "--json"),
    )
    assert json.loads(there.stdout) == json.loads(local.stdout)
    folder = run_there("evaluate", f"s3://{BUCKET}/pictures", "-q")
    assert folder.code == 1
    assert folder.stderr == (
        f"fastmnist: error: s3://{BUCKET}/pictures: an address, expected the address of a table (.csv) or an .npz "
        "file; copy any other data set to this machine first\n"
    )


@pytest.mark.parametrize("command", ["predict", "read"])
@pytest.mark.parametrize("output", [[], ["-o", "rows.csv"]])
def test_a_part_without_an_address_is_wrong_usage(run_cli, command, output):
    run = run_cli(command, "a.png", "--part", "part", *output)
    assert run.code == 2
    assert run.stderr.endswith(
        "Error: --part needs -o with an address, as in s3://bucket/out.csv; a local file's part is kept next to it\n"
    )


def test_the_commands_of_the_page_work_as_they_stand(server, digits, tmp_path):
    environment = cli_environment(**server.environment(), PATH=f"{Path(sys.executable).parent}:/usr/bin:/bin")
    for name in list(server.objects):
        if not re.search(r"/000\d\d\.png", name):
            del server.objects[name]
    (block,) = re.findall(r"^```sh\n(fastmnist .*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for command in block.replace("\\\n", "").splitlines():
        run = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert run.returncode == 0, f"{command}\n{run.stderr}"
    assert server.objects[f"{BUCKET}/rows.csv"].count(b"\n") == 101
    assert server.objects[f"{BUCKET}/numbers.csv"].count(b"\n") > 90


def test_the_python_of_the_page_works_as_it_stands(server, tmp_path):
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    server.objects = {name: content for name, content in server.objects.items() if "/0000" in name}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, env=cli_environment(**server.environment()),
        capture_output=True, text=True,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    assert len(run.stdout.splitlines()) == 10
