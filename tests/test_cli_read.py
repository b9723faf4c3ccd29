"""`fastmnist read`, as a real process."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import zipfile

import cv2
import numpy as np
import pytest
from conftest import cli_command, cli_environment, contents
from drawn_numbers import boxed, row
from test_images_pages import heic, pdf

from fastmnist.inputs.idx import write_images

HEADER = "path,page,line,text,confidence,left,top,width,height"


@pytest.fixture
def pictures(tmp_path, some):
    """A folder p: a.png says 314, b.tiff 27, nothing, 5; bad.png is damaged; c.png is a row of boxes, "4 2"."""
    folder = tmp_path / "p"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), row(some, "314"))
    pages = [row(some, "27"), np.full((90, 90), 255, np.uint8), row(some, "5")]
    cv2.imwritemulti(str(folder / "b.tiff"), pages)
    (folder / "bad.png").write_bytes(b"no picture")
    cv2.imwrite(str(folder / "c.png"), boxed(some, "4 2"))
    return folder


def cells(run):
    return list(csv.DictReader(io.StringIO(run.stdout.decode())))


def test_each_number_is_a_row_and_what_has_none_keeps_one(run_cli, pictures):
    run = run_cli("read", "p", "--model", "shipped")
    assert run.code == 1
    assert run.lines[0] == HEADER
    found = [(cell["path"], cell["page"], cell["line"], cell["text"]) for cell in cells(run)]
    assert found == [
        ("p/a.png", "", "0", "314"),
        ("p/b.tiff", "0", "0", "27"),
        ("p/b.tiff", "1", "", ""),
        ("p/b.tiff", "2", "0", "5"),
        ("p/bad.png", "", "", ""),
        ("p/c.png", "", "0", "4 2"),
    ]
    assert run.lines[3] == "p/b.tiff,1,,,,,,,"
    assert [error.split(": ")[2] for error in run.errors] == ["p/b.tiff", "p/bad.png"]
    assert "no number found, expected digits darker or lighter than their background" in run.errors[0]
    assert "4 pictures, 4 numbers, 2 errors" in run.stderr
    for cell in cells(run):
        if cell["text"]:
            assert 0 < float(cell["confidence"]) <= 1
            assert int(cell["width"]) > 0
            assert int(cell["height"]) > 0


def test_all_well_exits_with_0(run_cli, pictures):
    run = run_cli("read", "p/a.png", "p/c.png", "--model", "shipped")
    assert (run.code, run.errors) == (0, [])


def test_digits_are_rows_of_their_own(run_cli, pictures):
    run = run_cli("read", "p/a.png", "p/bad.png", "--digits", "--model", "shipped")
    assert run.lines[0] == "path,page,line,digit,label,confidence,left,top,width,height"
    found = [(cell["line"], cell["digit"], cell["label"]) for cell in cells(run)]
    assert found == [("0", "0", "3"), ("0", "1", "1"), ("0", "2", "4"), ("", "", "")]
    assert run.lines[-1] == "p/bad.png,,,,,,,,,"
    lefts = [int(cell["left"]) for cell in cells(run)[:3]]
    assert lefts == sorted(lefts)


def test_json_lines_have_the_digits_in_their_number(run_cli, pictures):
    run = run_cli("read", "p", "--format", "jsonl", "--min-confidence", "0.5", "--model", "shipped")
    facts = [json.loads(line) for line in run.lines]
    assert [fact["text"] for fact in facts] == ["314", "27", None, "5", None, "4 2"]
    assert [digit["label"] for digit in facts[0]["digits"]] == ["3", "1", "4"]
    assert list(facts[0]) == ["path", "page", "line", "text", "confidence", "box", "digits", "review"]
    assert facts[0]["review"] is (facts[0]["confidence"] < 0.5)
    assert "no number found" in facts[2]["error"]
    assert facts[2]["digits"] is None
    table = run_cli("read", "p", "--model", "shipped")
    for fact, cell in zip(facts, cells(table), strict=True):
        if fact["text"] is not None:
            assert fact["box"] == [int(cell[edge]) for edge in ("left", "top", "width", "height")]
            assert f"{fact['confidence']:.6f}" == cell["confidence"]


def test_review_is_a_column(run_cli, pictures):
    run = run_cli("read", "p/a.png", "p/bad.png", "--min-confidence", "1", "--model", "shipped")
    assert run.lines[0] == HEADER + ",review"
    assert float(cells(run)[0]["confidence"]) < 1
    assert run.lines[1].endswith(",yes")
    assert run.lines[2] == "p/bad.png,,,,,,,,,"
    for options in ([], ["--digits"]):
        run = run_cli("read", "p/a.png", "--min-confidence", "0", *options, "--model", "shipped")
        assert all(line.endswith(",no") for line in run.lines[1:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'PICTURE...'"),
        (["x", "--length", "0"], "expected N or N-M"),
        (["x", "--length", "4-2"], "expected N or N-M"),
        (["x", "--min-confidence", "nan"], "nan is not in the range 0<=x<=1"),
        (["x", "--length", "six"], "expected N or N-M"),
        (["x", "--length", "1001"], "as in 6 or 1-4, of 1 to 1,000 digits"),
        (["-", "--draw", "out"], "--draw reads each picture a second time, which stdin does not allow"),
        ([".", "--draw", "out"], "--draw out lies in ., and what is in there is read: name a folder elsewhere"),
        (["x", "--digits", "--format", "jsonl"], "leave out --digits"),
        (["x", "--resume"], "--resume needs -o FILE"),
    ],
)
def test_options_that_cannot_be_are_a_usage_error(arguments, message, run_cli):
    run = run_cli("read", *arguments)
    assert run.code == 2
    assert message in run.stderr
    assert run.stdout == b""


def test_the_length_is_obeyed(run_cli, pictures):
    for length in ("3", "1-4"):
        assert cells(run_cli("read", "p/a.png", "--length", length, "--model", "shipped"))[0]["text"] == "314"
    for length in ("2", "900"):
        (impossible,) = cells(run_cli("read", "p/a.png", "--length", length, "--model", "shipped"))
        assert (impossible["text"], impossible["confidence"]) == ("314", "0.000000")


def test_digits_by_themselves_are_for_predict(run_cli, tmp_path, digits):
    write_images(tmp_path / "idx", digits[0][:3])
    (tmp_path / "table.csv").write_text("0," * 784 + "0\n")
    run = run_cli("read", "idx", "table.csv", "--model", "shipped")
    assert run.code == 1
    assert [error.rpartition("expected ")[2] for error in run.errors] == [
        "pictures of numbers; use fastmnist predict"
    ] * 2


def test_a_picture_comes_from_stdin(pictures, tmp_path):
    with (pictures / "a.png").open("rb") as picture:
        done = subprocess.run(
            cli_command("read", "-", "--model", "shipped"), stdin=picture, capture_output=True, cwd=tmp_path,
            env=cli_environment(), check=True,
        )  # fmt: skip
    assert done.stdout.decode().splitlines()[1].startswith("<stdin>,,0,314,")


def test_a_list_names_pictures(run_cli, pictures, tmp_path):
    (tmp_path / "list").write_text("p/a.png\np/c.png\n")
    run = run_cli("read", "--files-from", "list", "--model", "shipped")
    assert [cell["text"] for cell in cells(run)] == ["314", "4 2"]


def test_a_page_upside_down_by_exif_is_read_upright(run_cli, pictures, tmp_path):
    picture = cv2.imread(str(pictures / "a.png"), cv2.IMREAD_GRAYSCALE)
    data = cv2.imencode(".jpg", np.rot90(picture, 2))[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0"
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (tmp_path / "turned.jpg").write_bytes(data[:2] + segment + data[2:])
    upright, turned = cells(run_cli("read", "p/a.png", "turned.jpg", "--model", "shipped"))
    assert turned["text"] == upright["text"] == "314"
    for edge in ("left", "top", "width", "height"):
        assert abs(int(upright[edge]) - int(turned[edge])) <= 2


def test_drawings_show_what_was_read(run_cli, pictures, tmp_path):
    run = run_cli("read", "p", "--draw", "drawn", "--model", "shipped")
    assert run.code == 1
    names = sorted(os.listdir(tmp_path / "drawn"))
    assert names == ["0000001-a.png.png", "0000002-b.tiff-0.png", "0000002-b.tiff-2.png", "0000004-c.png.png"]
    drawn, given = cv2.imread(str(tmp_path / "drawn" / names[0])), cv2.imread(str(pictures / "a.png"))
    assert drawn.shape == given.shape
    assert (np.ptp(drawn.astype(int), axis=2) > 50).any()  # boxes in colour
    again = run_cli("read", "p", "--draw", "drawn", "--model", "shipped")
    assert (again.code, again.stdout) == (1, b"")
    assert "not empty" in again.errors[0]


def test_pages_of_files_that_have_one_are_drawn(run_cli, pictures, tmp_path):
    picture = cv2.imread(str(pictures / "a.png"), cv2.IMREAD_GRAYSCALE)
    (tmp_path / "one.heic").write_bytes(heic([picture]))
    (tmp_path / "one.pdf").write_bytes(pdf([picture]))
    run = run_cli("read", "one.heic", "one.pdf", "--draw", "drawn", "--model", "shipped")
    assert [row["page"] for row in cells(run)] == ["", ""]
    assert sorted(os.listdir(tmp_path / "drawn")) == ["0000001-one.heic.png", "0000002-one.pdf.png"]


def test_the_last_line_counts_the_errors_of_an_earlier_run(run_cli, pictures, tmp_path):
    command = ["read", "p", "-o", "out", "--model", "shipped"]
    job = _job_of(tmp_path, command)
    run = run_cli(*command)
    (n_errors,) = re.findall(r"(\d+) errors?, ", run.stderr)
    lines = (tmp_path / "out").read_bytes().splitlines(keepends=True)
    (tmp_path / "out.part").write_bytes(b"".join(lines[:-1]))
    (tmp_path / "out.part.json").write_bytes(job)
    assert re.findall(r"(\d+) errors?, ", run_cli(*command, "--resume").stderr) == [n_errors]


def test_shards_draw_into_one_folder(run_cli, pictures, tmp_path):
    run_cli("read", "p", "--draw", "whole", "--model", "shipped")
    for n in (1, 2, 3):
        run = run_cli("read", "p", "--draw", "drawn", "--shard", f"{n}/3", "--model", "shipped")
        assert "not empty" not in run.stderr
    assert contents(tmp_path / "drawn") == contents(tmp_path / "whole")


@pytest.mark.parametrize("form", [[], ["--digits"], ["--format", "jsonl"]])
def test_shards_are_the_whole_and_a_picture_goes_to_one(form, run_cli, pictures):
    whole = run_cli("read", "p", *form, "--model", "shipped").lines
    parts = [run_cli("read", "p", *form, "--shard", f"{n}/3", "--model", "shipped").lines for n in (1, 2, 3)]
    n_header = 0 if "jsonl" in form else 1
    rows = [line for part in parts for line in part[n_header:]]
    assert sorted(rows) == sorted(whole[n_header:])
    assert [sum("b.tiff" in line for line in part) > 0 for part in parts] == [False, True, False]


@pytest.mark.parametrize("form", [[], ["--digits"], ["--format", "jsonl"]])
def test_an_interrupted_run_is_resumed_between_pictures(form, run_cli, pictures, tmp_path):
    command = ["read", "p", *form, "-o", "out", "--model", "shipped"]
    job = _job_of(tmp_path, command)
    assert run_cli(*command).code == 1
    whole = (tmp_path / "out").read_bytes()
    lines = whole.splitlines(keepends=True)
    for n_bytes in [*np.cumsum([len(line) for line in lines]).tolist(), len(lines[0]) + 5, len(whole) - 3]:
        (tmp_path / "out").unlink()
        (tmp_path / "out.part").write_bytes(whole[:n_bytes])
        (tmp_path / "out.part.json").write_bytes(job)
        assert run_cli(*command, "--resume").code == 1  # also where what failed was known already
        assert (tmp_path / "out").read_bytes() == whole
        assert sorted(os.listdir(tmp_path)) == ["out", "p"]


def test_a_resumed_run_goes_on_drawing_into_its_folder(run_cli, pictures, tmp_path):
    command = ["read", "p", "-o", "out", "--draw", "drawn", "--model", "shipped"]
    job = _job_of(tmp_path, ["read", "p", "-o", "out", "--model", "shipped"])
    assert run_cli(*command).code == 1
    rows, whole = (tmp_path / "out").read_bytes(), contents(tmp_path / "drawn")
    first, *_, cut, never = (tmp_path / "drawn" / name for name in sorted(whole))
    never.unlink()
    os.truncate(cut, 100)  # the run was killed while it wrote the last page of b.tiff
    (tmp_path / "drawn" / "other.png").write_bytes(b"stays")
    (tmp_path / "out.part").write_bytes(b"".join(rows.splitlines(keepends=True)[:4]))
    (tmp_path / "out.part.json").write_bytes(job)
    drawn_at = first.stat().st_mtime_ns
    run = run_cli(*command, "--resume")
    assert run.code == 1
    assert "resuming after 1 row of an earlier run" in run.stderr.splitlines()
    assert contents(tmp_path / "drawn") == {**whole, "other.png": b"stays"}
    assert (tmp_path / "out").read_bytes() == rows
    assert first.stat().st_mtime_ns == drawn_at  # what was done is not done again


def _job_of(folder, command):
    """What a run writes of its job: it is stopped while it waits for a list of pictures that never comes."""
    process = subprocess.Popen(
        cli_command("read", "--files-from", "-", *command[2:]), cwd=folder, env=cli_environment(),
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    job = b""
    while not job.endswith(b"\n"):
        assert process.poll() is None, process.stderr.read()
        job = (folder / "out.part.json").read_bytes() if (folder / "out.part.json").exists() else b""
    process.send_signal(signal.SIGTERM)
    process.communicate()
    return job


def test_a_part_of_another_job_is_refused(run_cli, pictures, tmp_path):
    command = ["read", "p", "-o", "out", "--model", "shipped"]
    job = _job_of(tmp_path, command)
    (tmp_path / "out.part").write_bytes(HEADER.encode() + b"\np/other.png,,0,1,0.5,1,1,1,1\n")
    (tmp_path / "out.part.json").write_bytes(job)
    run = run_cli(*command, "--resume")
    assert run.code == 1
    assert "the inputs have changed" in run.errors[-1]
    (tmp_path / "out.part.json").write_text(json.dumps({**json.loads(job), "--length": [3, 3]}))
    run = run_cli(*command, "--resume")
    assert "begun with --length [3, 3], expected null" in run.errors[-1]


def test_a_zip_file_is_to_be_unpacked(run_cli, pictures, tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.write(pictures / "a.png", "a.png")
    run = run_cli("read", "p.zip", "--model", "shipped")
    assert run.code == 1
    (error,) = run.errors
    assert "p.zip: a zip file, expected pictures of numbers or a folder of them; unpack it first" in error
