"""Shards put together are the whole run, byte for byte, or nothing."""

import io
import itertools
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from conftest import noted
from rows import predictions_of, written
from test_cli_predict import write_pngs
from test_images_pages import pictures, tiff

from fastmnist.errors import DataError
from fastmnist.inputs.idx import write_images
from fastmnist.output import merge as module
from fastmnist.output.csv import CsvFormat
from fastmnist.output.jsonl import JsonlFormat
from fastmnist.output.kaggle import KaggleFormat
from fastmnist.output.merge import merge
from fastmnist.shapes import DIGITS


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def merged(*paths):
    out = io.BytesIO()
    n_rows = merge(paths, out)
    return n_rows, out.getvalue()


def files_of(row_format, shards):
    """Write the rows of each shard, (path, index, number) each, to a file of its own; return their names."""
    for name, rows in enumerate(shards):
        paths, indices, numbers = zip(*rows, strict=True) if rows else ((), (), ())
        predictions = predictions_of(paths, list(indices))
        predictions.batch.numbers = numbers
        with open(str(name), "wb") as file:
            file.write(written(row_format, predictions) if rows else row_format.header)
    return [str(name) for name in range(len(shards))]


def items(*counts):
    """The rows of a job: files of so many pages, 1 for one picture, 0 for an IDX file of seven images."""
    job = []
    for name, count in enumerate(counts):
        path = b'a "%d",\n' % name
        if count == 0:
            job += [[(path, index)] for index in range(7)]
        else:
            job.append([(path, page if count > 1 else None) for page in range(count)])
    return [[(*row, number) for row in item] for number, item in enumerate(job)]


FORMATS = {
    "csv": lambda: CsvFormat(DIGITS),
    "jsonl": lambda: JsonlFormat(DIGITS),
    "kaggle": lambda: KaggleFormat(DIGITS),
}
JOBS = [(), (1,), (1, 1, 1, 1, 1), (3,), (1, 3, 1, 1, 2, 2, 1), (0,), (0, 1, 0), (3, 0, 4, 0, 1)]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("counts", JOBS)
@pytest.mark.parametrize("n_shards", [1, 2, 3, 8])
def test_shards_together_are_the_whole_run(form, counts, n_shards, here):
    job = items(*counts)
    whole = [row for item in job for row in item]
    files_of(FORMATS[form](), [whole])
    expected = (here / "0").read_bytes()
    parts = files_of(FORMATS[form](), [list(itertools.chain(*job[shard::n_shards])) for shard in range(n_shards)])
    assert merged(*parts) == (len(whole), expected)


@pytest.mark.parametrize(
    "options", [[], ["--format", "jsonl"], ["--format", "kaggle"], ["--probabilities", "--min-confidence", "0.5"]]
)
def test_a_folder_with_a_file_of_three_pages_in_three_shards(options, run_cli, small_model, digits, tmp_path):
    write_pngs(tmp_path / "in", digits[0][:7])
    (tmp_path / "in" / "00002.tif").write_bytes(tiff(pictures(3)))
    (tmp_path / "in" / '5,"\n.png').write_bytes(b"no picture")
    write_images(tmp_path / "idx", digits[0][:10])

    def predict(*more):
        return run_cli("predict", "--model", small_model, *options, "in", "idx", *more)

    whole = predict().stdout
    for shard in (1, 2, 3):
        assert predict("--shard", f"{shard}/3", "-o", f"{shard}.out").code in (0, 1)
    run = run_cli("merge", "1.out", "2.out", "3.out", "-o", "all")
    assert (run.code, run.stdout, run.stderr) == (0, b"", "21 rows from 3 parts\n")
    assert (tmp_path / "all").read_bytes() == whole
    assert run_cli("merge", "1.out", "2.out", "3.out").stdout == whole
    run = run_cli("merge", "2.out", "1.out", "3.out", "-o", "all")
    assert (run.code, len(run.errors)) == (1, 1)
    assert (tmp_path / "all").read_bytes() == whole


@pytest.mark.parametrize("options", [[], ["--digits"], ["--format", "jsonl", "--min-confidence", "0.9"]])
def test_shards_of_numbers_together_are_the_whole_run(options, run_cli, seven, tmp_path):
    write_pngs(tmp_path / "in", [np.hstack([seven] * n) for n in (1, 2, 1)])
    (tmp_path / "in" / "9.png").write_bytes(b"no picture")
    whole = run_cli("read", "in", *options).stdout
    for shard in (1, 2):
        run_cli("read", "in", *options, "--shard", f"{shard}/2", "-o", f"{shard}.out")
    assert run_cli("merge", "1.out", "2.out").stdout == whole


def csv(*rows):
    return b"path,index,label,confidence\n" + b"".join(b"%b,7,0.5\n" % row for row in rows)


def jsonl(*rows, **more):
    return b"".join(json.dumps({"path": row, "index": None, "label": "7", **more}).encode() + b"\n" for row in rows)


REFUSED = {
    "too few in the first": ([csv(b"a,"), csv(b"b,", b"c,")], "1: has more rows than 0, which ends"),
    "too many in the first": ([csv(b"a,", b"c,", b"d,"), csv(b"b,")], "0: has more rows than 1, which ends"),
    "a shard is missing": ([csv(b"i,0", b"i,3"), csv(b"i,1", b"i,4")], "0: image 3 of i comes after image 1, expected"),
    "another order": ([csv(b"i,1", b"i,3"), csv(b"i,0", b"i,2")], "1: image 0 of i comes after image 1, expected"),
    "the same twice": ([csv(b"a,", b"b,"), csv(b"a,", b"b,")], "1: has the row 'a,,', which is also in 0, expected"),
    "a row in two": ([csv(b"a,", b"b,", b"c,"), csv(b"d,", b"c,")], "0: has the row 'c,,', which is also in 1"),
    "other columns": ([csv(b"a,"), b"path,index,label,confidence,review\nb,,1,0.1,no\n"], "1: has 'path,index,label,"),
    "other formats": ([csv(b"a,"), b"ImageId,Label\n2,7\n"], "1: has 'ImageId,Label', expected 'path,index,label,conf"),
    "other keys": ([jsonl("a"), jsonl("b", review=True)], "1: has 'path, index, label, review', expected 'path"),
    "no header": ([csv(b"a,"), b""], "1: has 'no header', expected 'path,index,label,confidence' as in 0"),
    "a header alone": ([csv(), csv(b"a,")], "1: has more rows than 0, which ends after 0 items; expected the shards"),
    "Kaggle's in another order": ([b"ImageId,Label\n2,7\n", b"ImageId,Label\n1,7\n"], "0: row 2 where row 1 belongs"),
    "Kaggle's twice": ([b"ImageId,Label\n1,7\n"] * 2, "1: row 1 where row 2 belongs; expected the shards 1/2 to 2/2"),
    "cut short": ([csv(b"a,"), csv(b"b,")[:-1]], "1: the row 'b,,7,0.5' is cut short; let this shard run to its end"),
    "cut within a name": ([csv(b"a,"), csv() + b'"b\n'], "1: the row '\"b\\\\n' is cut short; let this shard run"),
    "a long row": ([csv(b"a,"), csv(b"b" * (1 << 20) + b",")], "1: the row 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
    "a row of something else": ([csv(b"a,"), csv() + b"\0\n"], "1: a row begins with '\\\\x00\\\\n', expected one"),
    "something else": ([csv(b"a,"), b"PK\x03\x04\n"], "1: begins with 'PK\\\\x03\\\\x04\\\\n', expected rows"),
    "no JSON": ([jsonl("a"), b'{"path": "b", "index": null, ' + b"[" * 100_000 + b"\n"], "1: its first row is not a"),
}  # fmt: skip


def test_more_parts_than_files_may_be_open(here):
    names = [f"{number}.csv" for number in range(100)]
    for number, name in enumerate(names):
        Path(name).write_text(f"path,index,label,confidence\n{number:03}.png,,7,0.9\n")
    command = [sys.executable, "-m", "fastmnist", "merge", *names]
    at_once = subprocess.run(["sh", "-c", 'ulimit -Sn 60; exec "$@"', "-", *command], capture_output=True, text=True)
    assert at_once.returncode == 0, at_once.stderr
    assert len(at_once.stdout.splitlines()) == 101
    refused = subprocess.run(["sh", "-c", 'ulimit -n 60; exec "$@"', "-", *command], capture_output=True, text=True)
    assert refused.returncode == 1
    assert refused.stderr.startswith("fastmnist: error: 100 parts, but only 60 files may be open at once")


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_the_shards_of_a_job_is_refused_with_nothing_written(fault, here):
    parts, message = REFUSED[fault]
    for name, content in enumerate(parts):
        (here / str(name)).write_bytes(content)
    out = io.BytesIO()
    with pytest.raises(DataError) as error:
        merge([str(name) for name in range(len(parts))], out)
    assert str(error.value).startswith(message)
    assert str(error.value).isprintable()
    assert out.getvalue() == b""


def test_empty_json_lines_are_shards_of_a_small_job(here):
    for name, content in (("0", jsonl("a")), ("1", b""), ("2", b"")):
        (here / name).write_bytes(content)
    assert merged("0", "1", "2") == (1, jsonl("a"))
    assert merged("1", "2") == (0, b"")


def test_a_row_in_two_is_found_among_many(here, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 10)
    for twice in range(1, 99, 7):
        rows = [b"%d," % number for number in range(100)]
        rows[99] = rows[twice]
        (here / "0").write_bytes(csv(*rows[::2]))
        (here / "1").write_bytes(csv(*rows[1::2]))
        with pytest.raises(DataError, match=rf"1: has the row '{twice},,', which is also in [01]"):
            merged("0", "1")


def test_memory_does_not_grow_with_the_rows(here):
    peaks = []
    for n_rows in (2_000, 40_000):
        for part in range(2):
            (here / str(part)).write_bytes(csv(*(b"%d," % number for number in range(part, n_rows, 2))))
        with open(os.devnull, "wb") as out:
            tracemalloc.start()
            assert merge(["0", "1"], out) == n_rows
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000


@pytest.mark.parametrize("special", ["missing", "folder", "fifo"])
def test_what_is_not_a_regular_file_is_one_error_line_and_the_old_file_stays(special, run_cli, tmp_path):
    (tmp_path / "0").write_bytes(csv(b"a,"))
    (tmp_path / "all").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    run = run_cli("merge", "0", special, "-o", "all")
    assert (run.code, len(run.errors)) == (1, 1)
    assert run.errors[0].startswith(f"fastmnist: error: {special}: ")
    assert (tmp_path / "all").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["0", "all", "fifo", "folder"]


def test_a_part_may_become_the_whole(run_cli, tmp_path):
    (tmp_path / "0").write_bytes(csv(b"a,", b"c,"))
    (tmp_path / "1").write_bytes(csv(b"b,"))
    assert run_cli("merge", "0", "1", "-o", "0").code == 0
    assert (tmp_path / "0").read_bytes() == csv(b"a,", b"b,", b"c,")


def test_without_parts_it_is_wrong_usage(run_cli):
    run = run_cli("merge", "-o", "all")
    assert run.code == 2
    assert "Missing argument 'PART...'" in run.stderr


def test_a_full_disk_exits_with_1_and_the_reason(run_cli, tmp_path):
    (tmp_path / "0").write_bytes(csv(b"a,"))
    with open("/dev/full", "wb") as full:
        run = run_cli("merge", "0", stdout=full)
    assert (run.code, run.errors) == (1, ["fastmnist: error: writing output: No space left on device"])


@pytest.mark.parametrize("make", [CsvFormat, JsonlFormat])
def test_shards_in_the_order_of_a_glob_cost_a_warning(make, here):
    """As many rows in each, so that no count tells: 1, 10, 11, 12, 2, ... in place of 1, 2, 3, ..."""
    rows = [(b"a/%d, %03d.png" % (number // 9, number), None, number) for number in range(12 * 6)]
    files_of(make(DIGITS), [rows])
    expected = (here / "0").read_bytes()
    names = files_of(make(DIGITS), [rows[shard::12] for shard in range(12)])
    with noted() as notes:
        assert merged(*names) == (72, expected)
    assert notes == []
    globbed = [names[int(shard) - 1] for shard in sorted(map(str, range(1, 13)))]
    with noted() as notes:
        assert merged(*globbed)[0] == 72
    assert notes == [
        "the rows of each part are sorted by name, but all rows together are not: "
        "expected the shards 1/12 to 12/12 of one job, all complete and in this order"
    ]


def test_shards_of_a_list_in_any_order_or_of_few_rows_cost_none(here):
    mixed = [(b"%c.png" % name, None, number) for number, name in enumerate(b"qawzsxedcrfvtgbyhnuj")]
    with noted() as notes:
        merged(*files_of(CsvFormat(DIGITS), [mixed[::2], mixed[1::2]]))
        merged(*files_of(CsvFormat(DIGITS), [[mixed[0]], [mixed[1]]]))
    assert notes == []
