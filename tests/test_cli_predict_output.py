"""`fastmnist predict`: what its rows go to and come from besides files and CSV on stdout."""

import contextlib
import csv
import gzip
import io
import json
import os
import pty
import re
import signal
import subprocess

import numpy as np
import pytest
from conftest import HANGS_AFTER, Run, cli_command, cli_environment, random_network
from faults import run_in_process
from test_cli_predict import HEADER, columns, endless_idx, png, predict, write_pngs  # noqa: F401 (a fixture)
from test_inputs_table import HEADER as TABLE_HEADER
from test_inputs_table import line

from fastmnist.inputs.idx import write_images
from fastmnist.model.model_file import Model, save_model


@pytest.fixture
def predict_stdin(small_model, tmp_path):
    """Run `fastmnist predict --model SMALL ARGUMENTS` with some bytes on stdin."""

    def run(*arguments, stdin):
        done = subprocess.run(
            cli_command("predict", "--model", small_model, *arguments),
            cwd=tmp_path,
            env=cli_environment(),
            input=stdin,
            capture_output=True,
            timeout=HANGS_AFTER,
        )
        return Run(done.returncode, done.stdout, done.stderr.decode())

    return run


@pytest.fixture
def predict_here(monkeypatch, capfd, small_model, tmp_path):
    """Run `fastmnist predict --model SMALL ARGUMENTS` in this process: for what needs no process of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code, rows, told = run_in_process(monkeypatch, capfd, "predict", "--model", small_model, *arguments)
        return Run(code, rows.encode(), "\n".join(told))

    return run


def write_table(path, images, labels=None):
    lines = [line(image.reshape(-1), None if labels is None else labels[row]) for row, image in enumerate(images)]
    path.write_bytes(b"\n".join([TABLE_HEADER] * (labels is not None) + lines))


def test_tables_idx_files_and_stdin_give_the_same_rows(predict, predict_stdin, digits, tmp_path):  # noqa: F811
    images, labels = digits[0][:300], digits[1][:300]
    write_images(tmp_path / "idx", images)
    write_table(tmp_path / "labelled.csv", images, labels)
    write_table(tmp_path / "plain.CSV", images)
    (tmp_path / "zipped.csv.gz").write_bytes(gzip.compress((tmp_path / "plain.CSV").read_bytes()))
    names = ["idx", "labelled.csv", "plain.CSV", "zipped.csv.gz"]
    run = predict(*names)
    assert run.code == 0
    rows = columns(run)
    assert [row[:2] for row in rows] == [(name, str(index)) for name in names for index in range(300)]
    assert [row[2:] for row in rows] == [row[2:] for row in rows[:300]] * 4
    content = (tmp_path / "idx").read_bytes()
    for stdin in (content, gzip.compress(content)):
        run = predict_stdin("-", stdin=stdin)
        assert run.code == 0
        assert columns(run) == [("<stdin>", *row[1:]) for row in rows[:300]]
    run = predict_stdin("-", stdin=png(images[0]))
    assert columns(run) == [("<stdin>", "", *rows[0][2:])]


@pytest.mark.parametrize(
    ("change", "n_rows", "found"),
    [
        (lambda content: b"", 1, "empty"),
        (lambda content: b"no image", 1, "no picture that can be read"),
        (lambda content: content[:-1], 1, "expected exactly"),
        (lambda content: content + b"x", 6, "more bytes, expected exactly"),
        (lambda content: gzip.compress(content)[:-1], 6, "ended before the end-of-stream marker"),
        (lambda content: bytes((0, 0, 8, 1, 0, 0, 0, 1, 5)), 1, "IDX labels"),
    ],
)
def test_what_is_wrong_on_stdin_is_one_row_and_rows_before_it_stand(
    change, n_rows, found, predict_stdin, digits, tmp_path
):
    write_images(tmp_path / "idx", digits[0][:5])
    run = predict_stdin("-", "idx", stdin=change((tmp_path / "idx").read_bytes()))
    assert run.code == 1
    assert len(run.errors) == 1
    assert run.errors[0].startswith("fastmnist: error: <stdin>: ")
    assert found in run.errors[0]
    rows = columns(run)
    assert [row[0] for row in rows] == ["<stdin>"] * n_rows + ["idx"] * 5
    assert rows[n_rows - 1] == ("<stdin>", "", "", "")
    assert all(row[2] for row in rows if row != rows[n_rows - 1])


@pytest.mark.parametrize("redirection", ["< /dev/zero", "< fifo", "<&-", "< /dev/full"])
def test_anything_may_be_on_stdin(redirection, small_model, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    command = (": > fifo & " if redirection == "< fifo" else "") + 'exec "$@" ' + redirection
    done = subprocess.run(
        ["sh", "-c", command, "sh", *cli_command("predict", "--model", small_model, "-")],
        cwd=tmp_path,
        env=cli_environment(),
        capture_output=True,
        timeout=HANGS_AFTER,
    )
    assert done.returncode == 1
    assert done.stdout.decode().splitlines() == [HEADER, "<stdin>,,,"]
    assert done.stderr.decode().count("fastmnist: error: <stdin>: ") == 1


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_waiting_for_stdin(sent, code, small_model, tmp_path):
    process = subprocess.Popen(
        cli_command("predict", "--model", small_model, "-"),
        cwd=tmp_path,
        env=cli_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdin.write(b"\0\0\x08")  # it waits for the fourth byte
    process.stdin.flush()
    assert process.stderr.readline().startswith(b"model: ")
    process.send_signal(sent)
    try:
        assert process.wait(HANGS_AFTER) == code
        assert process.stderr.read().decode().splitlines()[-1] == f"fastmnist: stopped by {sent.name}"
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("separator", "option"), [(b"\n", []), (b"\0", ["-0"])])
@pytest.mark.parametrize("on_stdin", [True, False])
def test_more_inputs_come_from_a_list(separator, option, on_stdin, predict_stdin, digits, tmp_path):
    write_pngs(tmp_path / "folder", digits[0][:3])
    write_images(tmp_path / "idx", digits[0][:2])
    names = [b"folder", b"\xff.png", b"idx"] + ([b"new\nline.png"] if option else [])
    for name in names:
        if name.endswith(b".png"):
            (tmp_path / os.fsdecode(name)).write_bytes(png(digits[0][4]))
    content = separator.join([*names, b"missing.png"]) + separator
    (tmp_path / "list").write_bytes(content)
    run = predict_stdin("idx", "--files-from", "-" if on_stdin else "list", *option, stdin=content)
    assert run.code == 1
    rows = list(csv.reader(io.StringIO(run.stdout.decode("utf-8", "surrogateescape"), newline="")))[1:]
    expected = ["idx", "idx", *(f"folder/{row:05d}.png" for row in range(3)), "\udcff.png", "idx", "idx"]
    assert [row[0] for row in rows] == [*expected, *(["new\nline.png"] if option else []), "missing.png"]
    assert [row[0] for row in rows if not row[2]] == ["missing.png"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-", "-"], "give - once"),
        (["-", "--files-from", "-"], "give - once"),
        (["--null", "x"], "--null needs --files-from"),
        (["x", "--resume"], "--resume needs -o FILE"),
        (["x", "--resume", "-o", "/dev/null"], "--resume needs -o FILE"),
        (["x", "--format", "kaggle", "--probabilities"], "leave them out, or use --format csv"),
        (["x", "--format", "kaggle", "--min-confidence", "0.5"], "no columns for"),
        (["x", "--min-confidence", "1.5"], "Invalid value for '--min-confidence'"),
        (["x", "--shard", "0/3"], "expected I/N"),
        (["x", "--shard", "4/3"], "expected I/N"),
        (["x", "--shard", "1/9999999"], "expected I/N"),
        (["x", "--shard", "1"], "expected I/N"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(arguments, told, predict_here, tmp_path):
    run = predict_here(*arguments)
    assert (run.code, run.stdout) == (2, b"")
    assert told in run.stderr
    assert os.listdir(tmp_path) == []


def test_a_list_that_cannot_be_read_is_one_error_line(predict_here, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name, found in (("none", "No such file"), ("fifo", "a FIFO"), ("/dev/zero", "a device")):
        run = predict_here("--files-from", name, "-o", "out.csv")
        assert run.code == 1
        assert len(run.errors) == 1
        assert f"{name}: {found}" in run.errors[0]
        assert os.listdir(tmp_path) == ["fifo"]


def test_the_formats_say_the_same(predict_here, digits, tmp_path):
    write_images(tmp_path / "idx", digits[0][:20])
    write_pngs(tmp_path / "images", digits[0][:3])
    inputs = ["idx", "images", "missing.png"]
    rows = columns(predict_here(*inputs))
    kaggle = predict_here(*inputs, "--format", "kaggle")
    assert kaggle.lines == ["ImageId,Label", *(f"{number},{row[2]}" for number, row in enumerate(rows, 1))]
    wide = list(csv.reader(predict_here(*inputs, "--probabilities", "--min-confidence", "0.5").lines))
    assert wide[0] == [*HEADER.split(","), *(f"probability_{label}" for label in range(10)), "review"]
    assert [tuple(row[:4]) for row in wide[1:]] == rows
    lines = predict_here(*inputs, "--probabilities", "--min-confidence", "0.5", "--format", "jsonl").lines
    for row, expected, line_ in zip(wide[1:], rows, lines, strict=True):
        actual = json.loads(line_)
        assert (actual["path"], str(actual["index"] or ""), actual["label"] or "") == (
            expected[0], expected[1] if expected[1] != "0" else "", expected[2],
        )  # fmt: skip
        if expected[2]:
            assert f"{actual['confidence']:.6f}" == expected[3]
            assert [f"{actual['probabilities'][str(label)]:.6f}" for label in range(10)] == row[4:14]
            assert row[4 + int(expected[2])] == expected[3]
            assert abs(sum(map(float, row[4:14])) - 1) < 1e-5
            assert actual["review"] == (row[14] == "yes") == (actual["confidence"] < 0.5)
        else:
            assert row[3:] == [""] * 12
            assert {actual["confidence"], actual["probabilities"], actual["review"]} == {None}


@pytest.mark.parametrize(("form", "n_shards"), [("csv", 7), ("kaggle", 3)])
def test_the_shards_together_are_all_rows_in_their_places(form, n_shards, predict_here, digits, tmp_path):
    write_images(tmp_path / "idx", digits[0][:100])
    write_table(tmp_path / "table.csv", digits[0][:30])
    write_pngs(tmp_path / "images", digits[0][:25])
    inputs = ["idx", "missing.png", "images", "table.csv", "idx", "--format", form]
    whole = predict_here(*inputs).lines[1:]
    assert len(whole) == 256
    for shard in range(1, n_shards + 1):
        run = predict_here(*inputs, "--shard", f"{shard}/{n_shards}")
        assert run.lines[1:] == whole[shard - 1 :: n_shards]
        assert run.code == (1 if shard == 100 % n_shards + 1 else 0)


def size_of(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def test_killed_again_and_again_it_ends_in_the_same_file(predict, small_model, start_cli, digits, tmp_path):  # noqa: F811
    endless_idx(tmp_path / "idx", 300_000)
    write_pngs(tmp_path / "images", digits[0][:200])
    write_table(tmp_path / "table.csv", digits[0][:50])
    inputs = ["table.csv", "images", "broken.png", "idx"]
    (tmp_path / "broken.png").write_bytes(b"broken")
    whole = predict(*inputs, "-o", "whole.csv")
    assert whole.code == 1
    size, part = (tmp_path / "whole.csv").stat().st_size, tmp_path / "out.csv.part"
    for share in (0, 0.1, 0.5, 0.9):
        process = start_cli("predict", "--model", small_model, *inputs, "-o", "out.csv", "--resume")
        while size_of(part) <= share * size and process.poll() is None:  # it may be faster than we are
            pass
        process.kill()
        process.communicate()
    run = predict(*inputs, "-o", "out.csv", "--resume")
    assert run.code == 1
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert re.match("300,251 images, 1 error, ", run.stderr.splitlines()[-1])
    assert not part.exists()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_the_old_output_and_a_part_and_says_so(sent, code, small_model, start_cli, tmp_path):
    (tmp_path / "out.csv").write_bytes(b"old")
    endless_idx(tmp_path / "idx", 20_000_000)
    process = start_cli("predict", "--model", small_model, "idx", "-o", "out.csv")
    part = tmp_path / "out.csv.part"
    while not part.exists() or part.stat().st_size < 1000:
        assert process.poll() is None
    process.send_signal(sent)
    _, stderr = process.communicate()
    assert process.returncode == code
    assert stderr.decode().splitlines()[-2:] == [
        f"{tmp_path}/out.csv.part keeps the rows so far; to continue, run the same command with --resume",
        f"fastmnist: stopped by {sent.name}",
    ]
    assert (tmp_path / "out.csv").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["idx", "out.csv", "out.csv.part", "out.csv.part.json"]


def test_resume_says_how_many_rows_were_there(predict, small_model, start_cli, digits, tmp_path):  # noqa: F811
    write_images(tmp_path / "idx", digits[0][:5])
    none = predict("idx", "-o", "out.csv", "--resume")
    assert f"{tmp_path}/out.csv.part: no rows from an earlier run, starting from the first" in none.stderr.splitlines()
    whole = (tmp_path / "out.csv").read_bytes()
    endless_idx(tmp_path / "long", 20_000_000)
    process = start_cli("predict", "--model", small_model, "idx", "long", "-o", "out.csv")
    while size_of(tmp_path / "out.csv.part") < 1000:
        assert process.poll() is None
    process.terminate()
    process.communicate()
    os.truncate(tmp_path / "out.csv.part", len(whole) - 3)
    job = tmp_path / "out.csv.part.json"
    assert job.exists()
    run = predict("idx", "-o", "out.csv", "--resume")
    assert "resuming after 4 rows of an earlier run" in run.stderr.splitlines()
    assert (tmp_path / "out.csv").read_bytes() == whole
    assert "resuming" not in predict("idx", "-o", "out.csv").stderr


def test_confidences_are_calibrated_where_the_model_has_a_temperature(run_cli, digits, tmp_path):
    network = random_network()
    save_model(tmp_path / "plain.safetensors", Model(network, list("0123456789"), "auto"))
    save_model(tmp_path / "warm.safetensors", Model(network, list("0123456789"), "auto", temperature=3.0))
    write_images(tmp_path / "idx", digits[0][:100])
    plain, warm = (
        list(
            csv.reader(
                run_cli("predict", "--model", model, "idx", "--probabilities", "--min-confidence", "0.108").lines
            )
        )
        for model in ("plain.safetensors", "warm.safetensors")
    )
    assert [row[:3] for row in plain] == [row[:3] for row in warm]
    probabilities = np.array([row[4:14] for row in plain[1:]], float) ** (1 / 3)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.array([row[4:14] for row in warm[1:]], float), probabilities, atol=2e-5)
    assert [row[14] for row in warm[1:]] == ["yes" if float(row[3]) < 0.108 else "no" for row in warm[1:]]
    assert {row[14] for row in warm[1:]} == {"yes", "no"}


def test_emnist_is_turned_upright_and_says_so(predict_here, digits, tmp_path):
    images = digits[0][:50]
    write_images(tmp_path / "idx", images)
    turned = np.ascontiguousarray(images.transpose(0, 2, 1))
    write_images(tmp_path / "EMNIST-images-idx3-ubyte", turned)
    write_table(tmp_path / "emnist.csv", turned)
    expected = [row[2:] for row in columns(predict_here("idx"))]
    for name in ("EMNIST-images-idx3-ubyte", "emnist.csv"):
        run = predict_here(name)
        assert [row[2:] for row in columns(run)] == expected
        assert f"{name}: named like EMNIST, whose images are stored transposed: turning them upright" in run.stderr
        assert columns(predict_here(name, "--shard", "2/3"))[0] == (name, "1", *expected[1])


@pytest.mark.parametrize("inputs", [["idx", "images", "table.csv"], ["--files-from", "list"]])
def test_a_bar_shows_position_rate_and_time_left_on_a_terminal_only(inputs, predict, small_model, digits, tmp_path):  # noqa: F811
    write_images(tmp_path / "idx", digits[0][:5000])
    write_pngs(tmp_path / "images", digits[0][:20])
    write_table(tmp_path / "table.csv", digits[0][:10])
    (tmp_path / "list").write_bytes(b"idx\nimages\ntable.csv\nmissing.png")
    reader, terminal = pty.openpty()
    process = subprocess.Popen(
        cli_command("predict", "--model", small_model, *inputs),
        cwd=tmp_path,
        env=cli_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    rows = process.stdout.read()
    shown = b""
    with contextlib.suppress(OSError):  # a terminal that nobody holds open any longer
        while chunk := os.read(reader, 65536):
            shown += chunk
    os.close(reader)
    process.communicate()
    piped = predict(*inputs)
    assert rows == piped.stdout
    assert process.returncode == piped.code
    if "list" in inputs:  # whose length nobody knows
        assert b"predicting" in shown
        assert b"5.03k images" in shown
    else:
        assert re.search(rb"predicting: +\d+%\|.*\| \S+/5.0\dk \[\d\d:\d\d<", shown)
    assert b" images/s" in shown
    assert "predicting" not in piped.stderr
