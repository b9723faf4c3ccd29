"""`train` and `evaluate` on a table of pixels, and on EMNIST's files."""

import gzip
import json

import numpy as np
import pytest
from conftest import Run, noted
from test_cli_predict_output import write_table

from fastmnist.datasets.dataset import open_dataset
from fastmnist.inputs.idx import read_images, read_labels, write_images, write_labels
from fastmnist.model.model_file import load_model

SETTINGS = ["--hidden", "4", "--epochs", "1"]


def loaded(path):
    with noted() as notes:
        pixels, labels = open_dataset(path).load("train")[:2]
    return pixels, labels, notes


@pytest.fixture
def train_set(small_set):
    return read_images(small_set / "train-images-idx3-ubyte"), read_labels(small_set / "train-labels-idx1-ubyte")


def figures(run: Run):
    assert run.code == 0, run.stderr
    return json.loads(run.stdout)


def test_a_table_trains_the_same_network_as_the_idx_files(run_cli, small_set, train_set, tmp_path):
    write_table(tmp_path / "t.csv", *train_set)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes(), 1))
    assert run_cli("train", small_set, *SETTINGS, "--output", "idx.safetensors").code == 0
    for name in ("t.csv", "t.csv.gz"):
        run = run_cli("train", name, *SETTINGS, "--output", "table.safetensors")
        assert run.code == 0, run.stderr
        idx, table = (load_model(tmp_path / model) for model in ("idx.safetensors", "table.safetensors"))
        assert (table.network.parameters == idx.network.parameters).all()
        assert table.metadata["train_data_sha256"] == idx.metadata["train_data_sha256"]
        assert table.metadata["test_accuracy"] is None


def test_a_table_is_evaluated_as_the_idx_files_are(run_cli, small_set, small_model, tmp_path):
    images, labels = (
        read_images(small_set / "t10k-images-idx3-ubyte"),
        read_labels(small_set / "t10k-labels-idx1-ubyte"),
    )
    write_table(tmp_path / "test.csv", images, labels)
    idx, table = (
        figures(run_cli("evaluate", data, "--model", small_model, "--json")) for data in (small_set, "test.csv")
    )
    assert table == idx


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_table_with_a_bad_row_or_none_or_no_labels_is_one_error_line(
    command, run_cli, small_model, train_set, tmp_path
):
    images, labels = train_set[0][:3], train_set[1][:3]
    write_table(tmp_path / "bad.csv", images, [1, 2, 300])
    write_table(tmp_path / "plain.csv", images)
    write_table(tmp_path / "empty.csv", images[:0], labels[:0])
    for name, found in (
        ("bad.csv", "row 2 (line 4): '300' in column 1 (label)"),
        ("plain.csv", "784 columns, expected 785"),
        ("empty.csv", "no images"),
        ("none.csv", "No such file"),
    ):
        run = run_cli(command, name, env={"FASTMNIST_MODEL": str(small_model)})
        assert (run.code, run.stdout, len(run.errors)) == (1, b"", 1)
        assert run.errors[0].startswith(f"fastmnist: error: {name}: ")
        assert found in run.errors[0]


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_label_in_the_last_column_is_refused(command, run_cli, small_model, train_set, tmp_path):
    images, labels = train_set[0][:30], train_set[1][:30]
    last = np.column_stack([images.reshape(30, -1), labels])
    (tmp_path / "last.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in last.tolist()))
    run = run_cli(command, "last.csv", env={"FASTMNIST_MODEL": str(small_model)})
    assert (run.code, len(run.errors)) == (1, 1)
    assert (
        "last.csv: the first column is 0 in all rows and the last one 0 to 9, expected the label in the" in run.stderr
    )
    write_table(tmp_path / "zeros.csv", images, [0] * 30)  # one class only, where it belongs
    assert run_cli("evaluate", "zeros.csv", env={"FASTMNIST_MODEL": str(small_model)}).code == 0


def test_emnist_is_turned_upright_for_training_too(train_set, tmp_path):
    images, labels = train_set[0][:20], train_set[1][:20]
    turned = np.ascontiguousarray(images.transpose(0, 2, 1))
    write_images(tmp_path / "emnist-digits-train-images-idx3-ubyte", turned)
    write_labels(tmp_path / "emnist-digits-train-labels-idx1-ubyte", labels)
    write_table(tmp_path / "EMNIST-train.csv", turned, labels)
    for path, named in ((tmp_path, "emnist-digits-train-images-idx3-ubyte"), (tmp_path / "EMNIST-train.csv", "EMNIST")):
        pixels, actual_labels, notes = loaded(path)
        assert (pixels.reshape(-1, 28, 28) == images).all()
        assert (actual_labels == labels).all()
        assert len(notes) == 1
        assert named in notes[0]
        assert "turning them upright" in notes[0]


def test_other_files_are_not_turned(small_set, train_set):
    pixels, _, notes = loaded(small_set)
    assert (pixels.reshape(-1, 28, 28) == train_set[0]).all()
    assert notes == []


def test_a_table_has_no_test_set_of_its_own(tmp_path):
    assert not open_dataset(tmp_path / "any.csv").has_test
