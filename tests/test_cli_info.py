"""`fastmnist info`: a table for a person, JSON for programs."""

import json
import math

import pytest
from conftest import TERMINAL, random_network, screen, shown_on_terminal

from fastmnist.model.model_file import Model, save_model


@pytest.fixture
def table(tmp_path):
    """What `info` shows on a terminal, as a dictionary, and its first line."""

    def show(*arguments):
        code, text = shown_on_terminal("info", *arguments, cwd=tmp_path, stdout=TERMINAL)
        assert code == 0
        first, *rows = screen(text)
        return first, {row[:13].strip(): row[13:] for row in rows}

    return show


def test_a_terminal_gets_a_short_table(table, tmp_path):
    origin = {
        "recipe": {"name": "default", "epochs": 20}, "test_accuracy": 0.99137, "validation_accuracy": 0.9,
        "train_accuracy": 1.0,
    }  # fmt: skip
    network = random_network((784, 30, 20, 3))
    model = Model(network, ["a", "b"], "mnist", temperature=1.5, stored_as="float16", origin=origin)
    network.parameters[:] = 0
    save_model(tmp_path / "m.safetensors", model)
    first, rows = table("m.safetensors")
    assert first == "model: m.safetensors"
    assert rows == {
        "layers": "784-30-20-3",
        "parameters": f"{785 * 30 + 31 * 20 + 21 * 3:,}",
        "size": f"{(785 * 30 + 31 * 20 + 21 * 3) * 2 / 1e6:.2f} MB of float16",
        "arithmetic": "float32",
        "recipe": "default, epochs: 20",
        "accuracy": "99.14 % on the test set, 90.00 % on the held-out set, 100.00 % during training",
        "classes": "2: a, b, and no digit",
        "temperature": "1.500",
        "preprocess": "mnist",
    }


def test_what_is_not_known_is_called_so(table, small_model):
    _, rows = table(str(small_model))
    assert rows["recipe"] == rows["accuracy"] == "unknown"
    assert rows["temperature"] == "none: its confidences are not calibrated"


@pytest.mark.parametrize("recipe", ["seed", [], {"name": 7}, {"name": "\033[2J\n", "epochs": "many"}])
def test_metadata_of_any_kind_can_be_shown(recipe, table, tmp_path):
    origin = {"recipe": recipe, "test_accuracy": "\033[2J", "validation_accuracy": None, "train_accuracy": math.nan}
    save_model(tmp_path / "m.safetensors", Model(random_network(), list("0123456789"), "auto", origin=origin))
    _, rows = table("m.safetensors")
    assert rows["recipe"] in {"unknown", "\\x1b[2J\\n"}
    assert "\033" not in rows["accuracy"]


def test_json_for_all_and_in_a_pipe(run_cli, small_model, tmp_path):
    piped = run_cli("info", small_model)
    assert run_cli("info", "--json", small_model).stdout == piped.stdout
    code, text = shown_on_terminal("info", "--json", small_model, cwd=tmp_path, stdout=TERMINAL)
    assert code == 0
    first, shown = text.replace("\r\n", "\n").split("\n", 1)
    assert first == f"model: {small_model}"
    assert json.loads(shown) == json.loads(piped.stdout)
