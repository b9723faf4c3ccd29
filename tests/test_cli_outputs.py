"""No command's output takes the place of what the same run reads, or of another output."""

import os
import zipfile

import cv2
import numpy as np
import pytest
from test_cli_train import sha256

from fastmnist.inputs.idx import write_images, write_labels
from fastmnist.model.model_file import load_model, save_model

REPLACES = [
    ("predict some.idx -o some.idx", "-o some.idx would replace an input"),
    ("predict other/../some.idx -o ./some.idx", "-o ./some.idx would replace an input"),
    ("predict a.png link.png -o b.png", "-o b.png would replace an input"),
    ("predict a.png --model m -o m", "-o m would replace an input"),
    ("predict --files-from list -o list", "-o list would replace an input"),
    ("predict some.idx --report some.idx", "--report some.idx would replace an input"),
    ("predict some.idx -o x --report other/../x", "--report and -o name the same file"),
    ("predict set.zip/in -o set.zip", "-o set.zip would replace an input"),
    ("predict set.npz:x_test -o set.npz", "-o set.npz would replace an input"),
    ("predict set.zip/in --report set.zip", "--report set.zip would replace an input"),
    ("predict some.part -o some", "the .part file of -o some.part would replace an input"),
    ("predict some.idx -o memory://x/out.csv --part some.idx", "--part some.idx would replace an input"),
    ("read a.png -o a.png", "-o a.png would replace an input"),
    ("read a.png -o m --model m", "-o m would replace an input"),
    ("train table.csv -o table.csv --from m", "-o table.csv would replace an input"),
    ("train table.csv --history table.csv", "--history table.csv would replace an input"),
    ("train table.csv --checkpoint table.csv", "--checkpoint table.csv would replace an input"),
    ("train table.csv --show-augmented table.csv", "--show-augmented table.csv would replace an input"),
    ("train table.csv --show-augmented s.png --history h", "--show-augmented trains nothing: leave out --history"),
    ("train table.csv --from m --history m", "--history m would replace an input"),
    ("train table.csv --no-digit some.idx -o some.idx", "-o some.idx would replace an input"),
    ("train table.csv -o x --history x", "--history and -o name the same file"),
    ("train table.csv -o x --checkpoint x", "--checkpoint and -o name the same file"),
    ("train table.csv --history x --checkpoint x", "--history and --checkpoint name the same file"),
    ("evaluate table.csv --report table.csv", "--report table.csv would replace an input"),
    ("evaluate table.csv --model m --report m", "--report m would replace an input"),
    ("predict folder -o folder/0.png", "-o folder/0.png would replace an input"),
    ("predict folder -o x --report folder/0.png", "--report folder/0.png would replace an input"),
    ("read folder -o folder/0.png", "-o folder/0.png would replace an input"),
    ("train folder --history folder/t10k-labels-idx1-ubyte", "folder/t10k-labels-idx1-ubyte would replace an input"),
    ("evaluate folder --report folder/t10k-labels-idx1-ubyte", "folder/t10k-labels-idx1-ubyte would replace an input"),
    ("train table.csv --no-digit folder -o folder/0.png", "-o folder/0.png would replace an input"),
    ("train table.csv -o -", "only rows can go to stdout; name a file"),
    ("evaluate table.csv --report -", "only rows can go to stdout; name a file"),
    ("export m.html -o m.html", "-o m.html would replace an input"),
    ("convert m --mean 0 --std 1 -o m", "-o m would replace an input"),
]


@pytest.fixture
def place(tmp_path, digits, small_model):
    """A folder with inputs of all kinds."""
    for name in ("a.png", "b.png"):
        cv2.imwrite(os.fspath(tmp_path / name), digits[0][0])
    os.symlink("b.png", tmp_path / "link.png")
    (tmp_path / "other").mkdir()
    (tmp_path / "list").write_text("a.png\n")
    (tmp_path / "folder").mkdir()
    cv2.imwrite(os.fspath(tmp_path / "folder" / "0.png"), digits[0][0])
    write_labels(tmp_path / "folder" / "t10k-labels-idx1-ubyte", digits[1][:3])
    write_images(tmp_path / "some.idx", digits[0][:3])
    write_images(tmp_path / "some.part", digits[0][:3])
    np.savez(tmp_path / "set.npz", x_test=digits[0][:3])
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "in/a.png")
    (tmp_path / "table.csv").write_text("path,index,label\na.png,,7\nb.png,,7\n")
    for name in ("m", "m.html"):
        save_model(tmp_path / name, load_model(small_model))
    return tmp_path


@pytest.mark.parametrize(("line", "told"), REPLACES)
def test_what_would_be_lost_is_wrong_usage_before_any_work(line, told, place, run_cli):
    files = {path: sha256(path) for path in place.rglob("*") if path.is_file()}
    run = run_cli(*line.split())
    assert (run.code, run.stdout) == (2, b"")
    assert told in run.stderr
    assert {path: sha256(path) for path in place.rglob("*") if path.is_file()} == files


@pytest.mark.parametrize("line", ["train table.csv --from m -o m --epochs 1", "predict a.png --model m -o /dev/null"])
def test_a_model_may_be_trained_in_place_and_devices_are_no_files(line, place, run_cli):
    assert run_cli(*line.split()).code == 0
    assert load_model(place / "m").class_names == [str(digit) for digit in range(10)]


@pytest.mark.parametrize("command", ["predict some.idx --model m", "read a.png", "merge part"])
def test_a_dash_is_stdout_and_a_folder_that_is_not_there_no_file(command, place, run_cli):
    (place / "part").write_bytes(run_cli("predict", "some.idx", "--model", "m").stdout)
    words = command.split()
    before = sorted(os.listdir(place))
    assert run_cli(*words, "-o", "-").stdout == run_cli(*words).stdout != b""
    run = run_cli(*words, "-o", "new/")
    assert (run.code, len(run.errors)) == (1, 1)
    assert "new/: it is a folder" in run.errors[0]
    assert sorted(os.listdir(place)) == before
