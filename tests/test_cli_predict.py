"""`fastmnist predict`: never a wrong row, never a missing row."""

import csv
import gzip
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from conftest import ROOT, cli_command, cli_environment, random_network
from test_inputs_idx import HOSTILE

from fastmnist.inputs.idx import write_images
from fastmnist.model.model_file import Model, save_model

HEADER = "path,index,label,confidence"


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def write_pngs(folder, images, name="{:05d}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    for position, image in enumerate(images):
        (folder / name.format(position)).write_bytes(png(image))


@pytest.fixture
def predict(run_cli, small_model):
    """Run `fastmnist predict --model SMALL ARGUMENTS`."""

    def run(*arguments, **settings):
        return run_cli("predict", "--model", small_model, *arguments, **settings)

    return run


def columns(run):
    """The cells of every row, the header checked."""
    rows = list(csv.reader(run.lines))
    assert ",".join(rows[0]) == HEADER
    return [tuple(row) for row in rows[1:]]


def test_all_test_digits_as_pictures_as_idx_and_as_gzip_get_the_same_labels(
    run_cli, seed_training, digits, mnist_dir, tmp_path
):
    images, labels = digits
    write_pngs(tmp_path / "images", images)
    idx = mnist_dir / "t10k-images-idx3-ubyte"
    zipped = tmp_path / "t10k.gz"
    zipped.write_bytes(gzip.compress(idx.read_bytes(), 1))
    runs = [run_cli("predict", "--model", seed_training.model, path) for path in ("images", idx, zipped)]
    for run in runs:
        assert run.code == 0
        assert run.stderr.splitlines()[-1].startswith("10,000 images, 0 errors, ")
    pictures, plain, gz = map(columns, runs)
    assert len(runs[0].lines) == 10_001
    assert [row[0] for row in pictures] == [f"images/{position:05d}.png" for position in range(10_000)]
    assert [row[:2] for row in plain] == [(str(idx), str(position)) for position in range(10_000)]
    assert [row[2:] for row in pictures] == [row[2:] for row in plain] == [row[2:] for row in gz]
    n_right = sum(int(row[2]) == label for row, label in zip(plain, labels, strict=True))
    assert n_right >= 9700


def test_one_corrupt_file_among_100_costs_only_itself(predict, digits, tmp_path):
    write_pngs(tmp_path / "images", digits[0][:100])
    sound = predict("images")
    corrupt = tmp_path / "images" / "00042.png"
    corrupt.write_bytes(corrupt.read_bytes()[:-20])
    run = predict("images")
    assert (sound.code, run.code) == (0, 1)
    expected = columns(sound)
    expected[42] = ("images/00042.png", "", "", "")
    assert columns(run) == expected
    assert len(run.errors) == 1
    assert "images/00042.png: " in run.errors[0]
    assert run.stderr.splitlines()[-1].startswith("100 images, 1 error, ")


def test_any_mix_of_inputs_in_the_order_given(predict, digits, tmp_path):
    images = digits[0]
    write_pngs(tmp_path / "folder", images[:2])
    (tmp_path / "folder" / "notes.txt").write_text("no picture")
    write_images(tmp_path / "four", images[:4])
    (tmp_path / "seven.bin").write_bytes(png(images[1]))
    run = predict("four", "folder", "missing.png", "seven.bin")
    assert run.code == 1
    rows = columns(run)
    assert [row[:2] for row in rows] == [
        *(("four", str(position)) for position in range(4)),
        ("folder/00000.png", ""),
        ("folder/00001.png", ""),
        ("missing.png", ""),
        ("seven.bin", ""),
    ]
    assert rows[0][2:] == rows[4][2:]
    assert rows[1][2:] == rows[5][2:] == rows[7][2:]
    assert rows[6][2:] == ("", "")
    assert "ignored 1 file without an image suffix" in run.stderr
    assert run.stderr.splitlines()[-1].startswith("8 images, 1 error, ")


def test_confidences_are_probabilities_of_the_network(predict, digits, tmp_path):
    """The label and confidence of every row, computed anew in float64."""
    network = random_network()
    images = digits[0][:500]
    write_images(tmp_path / "idx", images)
    hidden = np.maximum(images.reshape(-1, 784) / 255 @ network.weights(0).astype(float) + network.biases(0), 0)
    logits = hidden @ network.weights(1).astype(float) + network.biases(1)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows = columns(predict("idx"))
    assert [int(row[2]) for row in rows] == probabilities.argmax(axis=1).tolist()
    # 5e-7 is the rounding to six decimals; the rest is float32's, of sums of 784 terms.
    np.testing.assert_allclose([float(row[3]) for row in rows], probabilities.max(axis=1), atol=5e-7 + 1e-5)


def test_hostile_idx_files_give_one_row_and_one_error_line_each(predict, tmp_path):
    for name, (content, _) in HOSTILE.items():
        (tmp_path / f"{name}-idx3-ubyte").write_bytes(content)
    run = predict(*(f"{name}-idx3-ubyte" for name in HOSTILE))
    assert run.code == 1
    assert columns(run) == [(f"{name}-idx3-ubyte", "", "", "") for name in HOSTILE]
    assert len(run.errors) == len(HOSTILE)
    for line, (name, (_, parts)) in zip(run.errors, HOSTILE.items(), strict=True):
        assert line.startswith(f"fastmnist: error: {name}-idx3-ubyte: ")
        assert all(part in line for part in parts)
    assert run.stderr.splitlines()[-1].startswith(f"{len(HOSTILE)} images, {len(HOSTILE)} errors, ")


@pytest.mark.parametrize("kind", ["idx", "folder"])
def test_zero_images_give_the_header_and_exit_0(kind, predict, tmp_path):
    if kind == "idx":
        write_images(tmp_path / "idx", np.zeros((0, 28, 28), np.uint8))
    else:
        (tmp_path / "folder").mkdir()
    run = predict(kind)
    assert (run.code, run.stdout.decode()) == (0, HEADER + "\n")
    assert run.stderr.splitlines()[-1].startswith("0 images, 0 errors, ")


@pytest.mark.parametrize(
    "name",
    [b"new\nline.png", b'com,ma "and" quote.png', "\N{GRINNING FACE}.png".encode(), b"\xff\xfe.png", b"=1+1.png"],
)
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_hostile_names_round_trip_in_any_locale(name, locale, predict, digits, tmp_path):
    (tmp_path / os.fsdecode(name)).write_bytes(png(digits[0][0]))
    run = predict(os.fsdecode(name), env={"LC_ALL": locale})
    assert run.code == 0
    header, row = csv.reader(run.stdout.decode("latin-1").splitlines(keepends=True))
    assert ",".join(header) == HEADER
    assert row[0].encode("latin-1") == (b"./" + name if name.startswith(b"=") else name)


def test_errors_repeat_no_control_characters_of_names(predict, tmp_path):
    (tmp_path / "\033[31m\n.png").write_bytes(b"no picture")
    run = predict("\033[31m\n.png")
    assert run.code == 1
    assert len(run.errors) == 1
    assert run.errors[0].startswith(
        r"fastmnist: error: \x1b[31m\n.png: "
    )  # click strips colours, but not for terminals
    assert run.stderr.replace("\n", "").isprintable()


def test_rows_are_the_same_for_any_number_of_threads(predict, digits, tmp_path):
    write_images(tmp_path / "idx", digits[0][:2000])
    write_pngs(tmp_path / "images", digits[0][:600])
    runs = [predict("idx", "images", "--threads", threads) for threads in ("1", "2", "4")]
    assert [run.code for run in runs] == [0, 0, 0]
    assert runs[0].stdout == runs[1].stdout == runs[2].stdout


def test_a_reader_that_goes_away_ends_it_quietly(mnist_dir, small_model, tmp_path):
    command = cli_command("predict", "--model", small_model, mnist_dir / "train-images-idx3-ubyte")
    run = subprocess.run(
        ["bash", "-c", '"$@" | head -1; exit ${PIPESTATUS[0]}', "bash", *command],
        cwd=tmp_path,
        env=cli_environment(),
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0
    assert run.stdout == HEADER + "\n"
    assert run.stderr.startswith("model: ")
    assert "error" not in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("n_images", [1, 2000])
def test_a_full_disk_exits_with_1_and_the_reason(n_images, predict, digits, tmp_path):
    write_images(tmp_path / "idx", digits[0][:n_images])
    with open("/dev/full", "wb") as full:
        run = predict("idx", stdout=full)
    assert run.code == 1
    assert run.errors == ["fastmnist: error: writing output: No space left on device"]
    run = predict("idx", "-o", "/dev/full")
    assert run.code == 1
    assert len(run.errors) == 1
    assert "/dev/full: No space left on device" in run.errors[0]


def test_output_goes_to_a_file(predict, digits, tmp_path):
    write_images(tmp_path / "idx", digits[0][:10])
    to_stdout = predict("idx")
    to_file = predict("idx", "-o", "out.csv")
    assert (to_file.code, to_file.stdout) == (0, b"")
    assert (tmp_path / "out.csv").read_bytes() == to_stdout.stdout
    assert sorted(os.listdir(tmp_path)) == ["idx", "out.csv"]


def test_an_output_that_cannot_be_written_is_reported(predict, digits, tmp_path):
    write_images(tmp_path / "idx", digits[0][:10])
    run = predict("idx", "-o", "none/out.csv")
    assert run.code == 1
    assert run.stdout == b""
    assert len(run.errors) == 1
    assert "none/out.csv: " in run.errors[0]


def endless_idx(path, n_images):
    """An IDX file of black images that takes no room on the disk."""
    write_images(path, np.zeros((0, 28, 28), np.uint8))
    with open(path, "r+b") as file:
        file.seek(4)
        file.write(n_images.to_bytes(4, "big"))
        file.truncate(16 + 784 * n_images)


def test_memory_does_not_grow_with_the_number_of_images(small_model, tmp_path):
    peaks = []
    for n_images in (20_000, 400_000):
        endless_idx(tmp_path / "idx", n_images)
        report = tmp_path / "report"
        command = cli_command("predict", "--model", small_model, "idx", "-o", "out.csv")
        launch = [sys.executable, "-I", "-S", ROOT / "bench" / "launch.py", report]
        subprocess.run([*launch, *command], cwd=tmp_path, env=cli_environment(), capture_output=True, check=True)
        _, peak, code = report.read_text().split()
        assert code == "0"
        assert (tmp_path / "out.csv").read_bytes().count(b"\n") == n_images + 1
        peaks.append(int(peak))
    assert peaks[1] < peaks[0] + 20_000_000  # the file grew by 298,000,000 bytes


@pytest.fixture
def models(tmp_path, small_model):
    """Three models, in the places where they are looked for."""
    paths = {name: tmp_path / name for name in ("o.safetensors", "e.safetensors", "model.safetensors")}
    for path in paths.values():
        shutil.copy(small_model, path)
    return paths


def test_which_model_is_used_and_that_it_is_reported(models, run_cli, digits, tmp_path):
    write_images(tmp_path / "idx", digits[0][:3])
    environment = {"FASTMNIST_MODEL": "e.safetensors"}
    cases = [
        (
            run_cli("predict", "--model", "o.safetensors", "idx", env=environment),
            "model: o.safetensors (--model)",
        ),
        (run_cli("predict", "idx", env=environment), "model: e.safetensors ($FASTMNIST_MODEL)"),
        (run_cli("predict", "idx"), "model: model.safetensors (in this folder)"),
    ]
    models["model.safetensors"].unlink()
    shipped = run_cli("predict", "idx")
    assert "model: shipped with fastmnist, test accuracy " in shipped.stderr.splitlines()[0]
    assert [row[2] for row in columns(shipped)] == ["7", "2", "1"]
    for run, told in cases:
        assert run.code == 0
        assert run.stderr.splitlines()[0] == told


def test_a_model_that_is_not_one_is_refused_before_any_row(run_cli, digits, tmp_path):
    write_images(tmp_path / "idx", digits[0][:3])
    (tmp_path / "bad.safetensors").write_bytes(b"no model")
    for arguments in (["--model", "bad.safetensors"], ["--model", "none.safetensors"]):
        run = run_cli("predict", *arguments, "idx", "-o", "out.csv")
        assert (run.code, run.stdout, len(run.errors)) == (1, b"", 1)
        assert arguments[1] in run.errors[0]
    assert not (tmp_path / "out.csv").exists()


def test_nan_probabilities_are_an_error_not_a_row(run_cli, digits, tmp_path):
    network = random_network()
    network.parameters[:] *= np.float32(1e37)
    save_model(tmp_path / "huge.safetensors", Model(network, list("0123456789"), "none"))
    write_images(tmp_path / "idx", digits[0][:3])
    run = run_cli("predict", "--model", "huge.safetensors", "idx")
    assert run.code == 1
    assert run.lines == [HEADER]
    assert len(run.errors) == 1
    assert "probabilities are not finite" in run.errors[0]
