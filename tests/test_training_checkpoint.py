"""Checkpoints: a run goes on bit for bit, or is refused."""

import os
from dataclasses import replace

import numpy as np
import pytest
from test_kernels_augment import digits
from test_model_file import npz, rewrite
from test_training_methods import EVERYTHING

from fastmnist.datasets.labelled import Loading
from fastmnist.errors import OutputError, TrainingError
from fastmnist.training import checkpoint as checkpoint_module
from fastmnist.training.checkpoint import load_checkpoint, save_checkpoint
from fastmnist.training.loop import EpochDone, Training
from fastmnist.training.run import TrainingRun, training_sets

RECIPE = replace(EVERYTHING, hidden=(5,), validation=10)


@pytest.fixture(scope="module")
def some():
    return digits(60), np.random.default_rng(0).integers(10, size=60, dtype=np.uint8)


def trained(some, epochs, recipe=RECIPE):
    """A run after so many epochs, and these."""
    training, done = Training(*some, recipe), []
    for event in training.run():
        if isinstance(event, EpochDone):
            done.append(replace(event, seconds=1.5))
            if event.epoch == epochs:
                return training, done
    raise AssertionError


@pytest.fixture
def path(some, tmp_path):
    """A checkpoint after one epoch of three."""
    save_checkpoint(tmp_path / "c.safetensors", *trained(some, 1))
    return tmp_path / "c.safetensors"


def refused(path, some, recipe=RECIPE):
    """Load a checkpoint that must be refused; return the message, which names it. Nothing is taken from it."""
    training = Training(*some, recipe)
    before = {name: array.tobytes() for name, array in training.state().items()}
    with pytest.raises(TrainingError) as error:
        load_checkpoint(path, training)
    assert {name: array.tobytes() for name, array in training.state().items()} == before
    assert training.epochs_done == 0
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message


@pytest.mark.parametrize("epochs_done", [1, 2, 3])
def test_a_run_resumes_from_a_checkpoint_bit_for_bit(epochs_done, some, tmp_path):
    expected, epochs = trained(some, 3)
    save_checkpoint(tmp_path / "c.safetensors", *trained(some, epochs_done))
    training = Training(*some, RECIPE)
    loaded = load_checkpoint(tmp_path / "c.safetensors", training)
    assert loaded == epochs[:epochs_done]
    losses = [event.train_loss for event in training.run() if isinstance(event, EpochDone)]
    assert losses == [epoch.train_loss for epoch in epochs[epochs_done:]]
    for name, array in expected.state().items():
        assert training.state()[name].tobytes() == array.tobytes()


def test_a_checkpoint_takes_the_place_of_the_last_one(path, some):
    save_checkpoint(path, *trained(some, 2))
    assert len(load_checkpoint(path, Training(*some, RECIPE))) == 2
    assert os.listdir(path.parent) == ["c.safetensors"]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"epochs": 4}, "made with epochs 3, expected epochs 4"),
        ({"seed": 5}, "made with seed 2, expected seed 5"),
        ({"hidden": (6,)}, "expected"),
        ({"average": 0.0}, "made with average 0.7, expected no average"),
        ({"augment": replace(RECIPE.augment, elastic=2)}, "made with augment {"),
    ],
)
def test_other_settings_are_refused_and_named(setting, told, path, some):
    assert told in refused(path, some, replace(RECIPE, **setting))


def test_other_data_are_refused(path, some):
    for changed in ((some[0][::-1].copy(), some[1]), (some[0], some[1][::-1].copy())):
        assert "made with different training data" in refused(path, changed)


def test_another_version_is_refused(path, some, monkeypatch):
    monkeypatch.setattr(checkpoint_module, "__version__", "99")
    assert "expected 99" in refused(path, some)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"tensors": {"parameters": np.zeros(3, np.float32)}}, "do not match the network"),
        ({"tensors": {"surplus": np.zeros(1, np.float32)}}, "6 tensors, expected at most 5"),
        ({"without": ("velocities",)}, "do not match the network"),
        ({"without": ("epochs",)}, "no table with a row for each epoch"),
        ({"tensors": {"epochs": np.zeros((0, 7))}}, "its rows are not epochs 1, 2, 3 and so on, at most 3"),
        ({"tensors": {"epochs": np.ones((2, 7))}}, "its rows are not epochs 1, 2, 3 and so on, at most 3"),
        (
            {"tensors": {"epochs": np.arange(1.0, 5)[:, None].repeat(7, 1)}},
            "its rows are not epochs 1, 2, 3 and so on, at most 3",
        ),
        ({"tensors": {"epochs": np.ones((1, 6))}}, "no table with a row for each epoch"),
        ({"tensors": {"epochs": np.ones((1, 7), np.float32)}}, "no table with a row for each epoch"),
        ({"format_version": 3}, "format version 3"),
        ({"signed": False, "train_data_sha256": "0"}, "checksum"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(change, told, path, some):
    rewrite(path, **change)
    assert told in refused(path, some)


def test_values_that_are_not_finite_are_refused(path, some):
    parameters = Training(*some, RECIPE).state()["parameters"].copy()
    parameters[0] = np.nan
    rewrite(path, {"parameters": parameters})
    assert "not finite" in refused(path, some)


def test_an_npz_is_refused(path, some):
    path.write_bytes(npz(parameters=np.zeros(3)))
    assert "an .npz file, expected a checkpoint file of this version" in refused(path, some)


def test_a_flipped_byte_is_refused_or_changes_nothing(path, some):
    whole = path.read_bytes()
    expected = Training(*some, RECIPE)
    load_checkpoint(path, expected)
    for position in range(0, len(whole), 997):
        path.write_bytes(whole[:position] + bytes((whole[position] ^ 0x20,)) + whole[position + 1 :])
        training = Training(*some, RECIPE)
        try:
            load_checkpoint(path, training)
        except TrainingError:
            continue
        for name, array in expected.state().items():
            assert training.state()[name].tobytes() == array.tobytes()


def test_more_bytes_than_the_network_needs_are_refused_unread(path, some):
    with open(path, "ab") as file:
        file.truncate(path.stat().st_size + 2**21)
    assert "expected a checkpoint file of at most" in refused(path, some)


def test_a_checkpoint_that_does_not_exist_has_no_epochs_and_a_folder_is_refused(some, tmp_path):
    assert load_checkpoint(tmp_path / "none.safetensors", Training(*some, RECIPE)) == []
    assert "not a regular file" in refused(tmp_path, some)


def test_a_checkpoint_that_cannot_be_written_keeps_the_old_one(path, some, monkeypatch):
    before = path.read_bytes()

    def fail(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match="No space left"):
        save_checkpoint(path, *trained(some, 2))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["c.safetensors"]


@pytest.mark.parametrize(("fails_at", "kept"), [(1, None), (3, "keeps 2 epochs; ")])
def test_an_epoch_that_could_not_be_saved_is_not_said_to_be_kept(fails_at, kept, some, tmp_path, monkeypatch):
    images, _ = training_sets(some[0], some[1], None, Loading(None, None, 1))
    run = TrainingRun(images, None, replace(RECIPE, epochs=3), checkpoint=tmp_path / "c.safetensors")
    fsync = os.fsync

    def fail_on_a_full_disk(descriptor):
        if len(run.epochs) == fails_at:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_on_a_full_disk)
    with pytest.raises(OutputError, match="No space left"):
        for _ in run.events():
            pass
    note = run.how_to_resume()
    assert note is None if kept is None else kept in note
