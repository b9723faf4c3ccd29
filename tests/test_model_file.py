"""Model files: what is written is read again, and nothing else is believed."""

import io
import json
import os
import pickle
import warnings
import zipfile

import numpy as np
import pytest
from conftest import random_network

from fastmnist.errors import ModelError, OutputError, TrainingError
from fastmnist.model import arrays_file, model_file
from fastmnist.model.model_file import Model, check_storable, find_model, load_model, round_to_float16, save_model
from fastmnist.model.network import Network


def two_classes(network):
    return Model(network, ["no", "yes"], "auto", origin={"note": "small"})


def ten_classes(network):
    return Model(network, list("0123456789"), "auto")


@pytest.fixture
def path(tmp_path):
    """A small, sound model file."""
    save_model(tmp_path / "model.npz", two_classes(random_network((784, 1, 2))))
    return tmp_path / "model.npz"


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def npy(array, **settings):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **settings)
    return buffer.getvalue()


def rewrite(path, arrays=(), without=(), signed=True, **metadata):
    """Change arrays and metadata of a model file; unless `signed`, its checksum is left as it was."""
    with np.load(path) as file:
        content = {name: file[name] for name in file.files if name not in without}
    described = json.loads(str(content.pop("metadata"))) | metadata
    content.update(arrays)
    if signed:
        described["checksum"] = arrays_file.checksum(content, described)
    np.savez(path, metadata=np.array(json.dumps(described, sort_keys=True)), **content)


def refused(path):
    """Load a file that must be refused; return the message, which names it."""
    with pytest.raises(ModelError) as error:
        load_model(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message


@pytest.mark.parametrize("layer_sizes", [(784, 1, 2), (784, 5, 3), (784, 6, 5, 4, 256)])
def test_what_is_saved_is_loaded(layer_sizes, tmp_path):
    network = random_network(layer_sizes)
    names = [f"c{label}" for label in range(layer_sizes[-1])]
    saved = Model(network, names, "mnist", temperature=1.25, origin={"recipe": {"seed": 1}})
    save_model(tmp_path / "m.npz", saved)
    model = load_model(tmp_path / "m.npz")
    assert model.trained.layer_sizes == layer_sizes
    np.testing.assert_array_equal(model.trained.parameters, network.parameters)
    assert (model.class_names, model.preprocess, model.temperature) == (names, "mnist", 1.25)
    assert model.metadata == saved.metadata | {"format_version": 1, "checksum": model.checksum}
    assert len(model.checksum) == 64


def test_the_network_of_a_model_is_calibrated_and_the_trained_one_is_not():
    network, inputs = random_network(), np.full((2, 784), 99, np.uint8)
    model = Model(network, list("0123456789"), "auto", temperature=2.0)
    assert model.trained is network
    np.testing.assert_allclose(model.network.logits(inputs), network.logits(inputs) / 2, rtol=1e-5)
    assert ten_classes(network).network is network


def test_equal_models_are_equal_files_and_any_change_is_another(tmp_path):
    one, other = random_network(), random_network()
    for number, model in enumerate([two_classes(one), two_classes(other), ten_classes(one)]):
        save_model(tmp_path / str(number), model)
    first, second, third = ((tmp_path / str(number)).read_bytes() for number in range(3))
    assert first == second
    assert first != third


def test_float16_halves_the_file_and_keeps_every_rounded_number(tmp_path):
    network = random_network((784, 40, 10))
    model = ten_classes(network)
    save_model(tmp_path / "32.npz", model)
    rounded = network.parameters.astype(np.float16).astype(np.float32)
    round_to_float16(network)
    np.testing.assert_array_equal(network.parameters, rounded)
    model.stored_as = "float16"
    save_model(tmp_path / "16.npz", model)
    model = load_model(tmp_path / "16.npz")
    assert model.metadata["stored_as"] == model.stored_as == "float16"
    assert model.network.parameters.dtype == np.float32
    np.testing.assert_array_equal(model.network.parameters, rounded)
    assert os.path.getsize(tmp_path / "16.npz") < 0.52 * os.path.getsize(tmp_path / "32.npz")


@pytest.mark.parametrize("weight", [65_520.0, -1e30])  # 65,519 is still rounded to 65,504
def test_a_weight_beyond_float16_is_an_error_that_says_so(weight):
    network = random_network((784, 2, 2))
    network.weights(1)[0, 0] = weight
    before = network.parameters.copy()
    with pytest.raises(TrainingError, match=r"a weight of size [\d,]+, expected at most 65,504 in float16"):
        round_to_float16(network)
    np.testing.assert_array_equal(network.parameters, before)
    network.weights(1)[0, 0] = 65_519
    round_to_float16(network)
    assert network.weights(1)[0, 0] == 65_504


def test_a_deflated_file_is_read(path):
    before = load_model(path)
    write_members(path, members_of(path), zipfile.ZIP_DEFLATED)
    after = load_model(path)
    np.testing.assert_array_equal(after.network.parameters, before.network.parameters)


class Bomb:
    """An object whose unpickling makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["weights_0", "metadata", "surplus"])
def test_a_pickle_inside_is_refused_and_not_executed(name, path, tmp_path):
    array = np.empty((1, 1) if name == "weights_0" else (), object)
    array[...] = Bomb(tmp_path / "executed")
    content = npy(array, allow_pickle=True)
    write_members(path, members_of(path) | {f"{name}.npy": content})
    assert "holds Python objects (a pickle)" in refused(path)
    assert not (tmp_path / "executed").exists()
    np.load(io.BytesIO(content), allow_pickle=True)  # and it would have been executed
    assert (tmp_path / "executed").exists()


def test_a_pickle_in_place_of_the_file_is_refused_and_not_executed(path, tmp_path):
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "executed")))
    refused(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("bits", [0xFF, 0x01, 0x20])
def test_a_model_with_a_flipped_byte_is_refused_or_equal(bits, path):
    whole = path.read_bytes()
    expected = load_model(path)
    n_refused = 0
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes((whole[position] ^ bits,)) + whole[position + 1 :])
        try:
            model = load_model(path)
        except ModelError:
            n_refused += 1
        else:
            assert model.metadata == expected.metadata
            np.testing.assert_array_equal(model.network.parameters, expected.network.parameters)
    assert n_refused > 0.8 * len(whole)  # what is left are zip's own spare fields


def test_every_cut_of_a_model_is_refused(path):
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        refused(path)


UNSOUND = {
    "weights that are not finite": (
        lambda path: rewrite(path, {"weights_0": np.full((784, 1), np.nan, np.float32)}),
        "weights_0 has values that are not finite",
    ),
    "biases that are not finite": (
        lambda path: rewrite(path, {"biases_1": np.full(2, np.inf, np.float32)}),
        "biases_1 has values that are not finite",
    ),
    "layers that do not chain": (
        lambda path: rewrite(path, {"weights_1": np.zeros((3, 2), np.float32)}),
        "layer 1 has shapes ((3, 2), (2,)), expected them to chain",
    ),
    "biases of another layer": (
        lambda path: rewrite(path, {"biases_0": np.zeros(2, np.float32)}),
        "layer 0 has shapes ((784, 1), (2,)), expected them to chain",
    ),
    "float64": (
        lambda path: rewrite(path, {"biases_0": np.zeros(1)}),
        "biases_0 is (1,) float64, expected a matrix or vector of float32",
    ),
    "float16 among float32": (
        lambda path: rewrite(path, {"biases_0": np.zeros(1, np.float16)}),
        "biases_0 is (1,) float16, expected a matrix or vector of float32",
    ),
    "float32 where the metadata says float16": (
        lambda path: rewrite(path, stored_as="float16"),
        "is (784, 1) float32, expected a matrix or vector of float16",
    ),
    "another type in the metadata": (
        lambda path: rewrite(path, stored_as=["float64"]),
        "stored as ['float64'], expected float32 or float16",
    ),
    "a vector of weights": (
        lambda path: rewrite(path, {"weights_0": np.zeros(784, np.float32)}),
        "weights_0 is (784,) float32",
    ),
    "other inputs than 784": (
        lambda path: rewrite(path, {"weights_0": np.zeros((783, 1), np.float32)}, layer_sizes=[783, 1, 2]),
        "783 inputs, expected 784",
    ),
    "no classes": (
        lambda path: rewrite(
            path,
            {"weights_1": np.zeros((1, 0), np.float32), "biases_1": np.zeros(0, np.float32)},
            layer_sizes=[784, 1, 0],
            class_names=[],
        ),
        "layer sizes (784, 1, 0)",
    ),
    "a missing array": (lambda path: rewrite(path, without=["biases_1"]), "holds biases_0, weights_0, weights_1"),
    "a surplus array": (lambda path: rewrite(path, {"more": np.zeros(1)}), "holds biases_0, biases_1, more,"),
    "no arrays": (
        lambda path: rewrite(path, without=["weights_0", "weights_1", "biases_0", "biases_1"]),
        "holds nothing, expected weights_0",
    ),
    "another layer in the metadata": (lambda path: rewrite(path, layer_sizes=[784, 9, 2]), "do not fit its metadata"),
    "a class too many": (lambda path: rewrite(path, class_names=["a", "b", "c"]), "do not fit 2 classes"),
    "class names that are numbers": (lambda path: rewrite(path, class_names=[0, 1]), "do not fit 2 classes"),
    "an escape sequence as a class": (lambda path: rewrite(path, class_names=["a", "b\033[2J"]), "do not fit"),
    "half a character as a class": (lambda path: rewrite(path, class_names=["a", "b\udcff"]), "do not fit"),
    "a formula as a class": (lambda path: rewrite(path, class_names=["a", "=1+1"]), "do not fit"),
    "another version": (lambda path: rewrite(path, format_version=2), "format version 2, expected 1"),
    "no version": (lambda path: rewrite(path, format_version=None), "format version None, expected 1"),
    "a wrong checksum": (lambda path: rewrite(path, checksum="0" * 64, signed=False), "the checksum does not match"),
    "changed metadata": (lambda path: rewrite(path, note="other", signed=False), "the checksum does not match"),
    "changed weights": (
        lambda path: rewrite(path, {"weights_0": np.ones((784, 1), np.float32)}, signed=False),
        "the checksum does not match",
    ),
    "no metadata": (
        lambda path: write_members(path, {k: v for k, v in members_of(path).items() if k != "metadata.npy"}),
        "no metadata",
    ),
    "metadata that is no JSON": (
        lambda path: write_members(path, members_of(path) | {"metadata.npy": npy(np.array("{"))}),
        "its metadata is not a JSON object",
    ),
    "metadata of deep nesting": (
        lambda path: write_members(path, members_of(path) | {"metadata.npy": npy(np.array("[" * 100_000))}),
        "its metadata is not a JSON object",
    ),
    "metadata that is a list": (
        lambda path: write_members(path, members_of(path) | {"metadata.npy": npy(np.array("[1]"))}),
        "its metadata is not a JSON object",
    ),
    "an array in Fortran's order": (
        lambda path: write_members(path, members_of(path) | {"weights_1.npy": npy(np.zeros((3, 2), order="F"))}),
        "weights_1.npy does not fit its header",
    ),
    "an array that is short": (
        lambda path: write_members(path, members_of(path) | {"weights_1.npy": npy(np.zeros((1, 2), "f4"))[:-1]}),
        "weights_1.npy does not fit its header",
    ),
    "dimensions whose product wraps to 784": (
        lambda path: write_members(
            path,
            members_of(path)
            | {"weights_0.npy": npy(np.zeros((784, 1), "f4")).replace(b"(784, 1), ", b"(22416,11001563,598407739)")},
        ),
        "weights_0.npy",
    ),
    "another npy version": (
        lambda path: write_members(path, members_of(path) | {"weights_1.npy": npy(np.zeros(2), version=(2, 0))}),
        "npy format (2, 0), expected (1, 0)",
    ),
    "an array that is no array": (
        lambda path: write_members(path, members_of(path) | {"weights_1.npy": b"hello"}),
        "not a sound .npz file",
    ),
    "one name twice": (
        lambda path: write_members(path, members_of(path) | {"weights_0": b""}),
        "two members of one name",
    ),
    "too many members": (
        lambda path: write_members(path, {f"weights_{n}.npy": b"" for n in range(41)}),
        "41 members, expected at most 40",
    ),
    "a bomb": (
        lambda path: write_members(path, {"weights_0.npy": bytes(65 << 20)}, zipfile.ZIP_DEFLATED),
        "bytes uncompressed, expected at most 67,108,864",
    ),
    "a large file": (lambda path: os.truncate(path, (64 << 20) + 1), "67,108,865 bytes, expected a model file of at"),
    "another compression": (
        lambda path: write_members(path, members_of(path), zipfile.ZIP_LZMA),
        "compressed in a way that NumPy never uses",
    ),
    "an empty file": (lambda path: path.write_bytes(b""), "not a sound .npz file"),
    "an image": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)), "not a sound .npz file"),
}


@pytest.mark.parametrize("fault", UNSOUND)
def test_an_unsound_model_is_refused_in_one_line_that_says_why(fault, path):
    spoil, told = UNSOUND[fault]
    spoil(path)
    assert told in refused(path)


def test_what_rewrite_does_is_not_a_fault_by_itself(path):
    """The faults above are refused for themselves, not for how they were made."""
    rewrite(path, note="other")
    assert load_model(path).metadata["note"] == "other"
    write_members(path, members_of(path))
    load_model(path)


def test_a_zip_that_lies_about_a_size_is_refused(path):
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (1 << 20).to_bytes(4, "little")
    path.write_bytes(content)
    refused(path)


def test_missing_folder_fifo_and_unreadable_names_are_refused_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert "no such file" in refused(tmp_path / "none.npz")
    assert "not a regular file" in refused(tmp_path)
    assert "not a regular file" in refused(tmp_path / "fifo")
    with pytest.raises(ModelError, match=r"^/dev/null: not a regular file"):
        load_model("/dev/null")
    with pytest.raises(ModelError, match=r"a\\nb"):
        load_model(tmp_path / "a\nb")


def test_loading_leaves_no_open_file(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        load_model(path)
        path.write_bytes(b"PK")
        refused(path)


def test_a_save_that_fails_keeps_the_old_file(path, monkeypatch):
    before = path.read_bytes()

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        save_model(path, two_classes(random_network()))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_the_largest_network_that_is_allowed_can_be_loaded(tmp_path):
    widest = next(width for width in range(30_000, 1, -1) if storable((784, width, 10)))
    assert not storable((784, widest + 1, 10))
    save_model(tmp_path / "m.npz", ten_classes(Network((784, widest, 10))))
    assert load_model(tmp_path / "m.npz").network.layer_sizes == (784, widest, 10)


def test_the_deepest_network_that_is_allowed_can_be_loaded(tmp_path):
    layer_sizes = (784, *[2] * 18, 10)
    assert not storable((784, *[2] * 19, 10))
    check_storable(layer_sizes)
    save_model(tmp_path / "m.npz", ten_classes(Network(layer_sizes)))
    assert load_model(tmp_path / "m.npz").network.layer_sizes == layer_sizes


def storable(layer_sizes):
    try:
        check_storable(layer_sizes)
    except TrainingError:
        return False
    return True


def test_find_model_takes_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTMNIST_MODEL", "environment.npz")
    (tmp_path / "model.npz").touch()
    assert str(find_model("option.npz")[0]) == "option.npz"
    assert str(find_model(None)[0]) == "environment.npz"
    monkeypatch.setenv("FASTMNIST_MODEL", "")
    assert str(find_model(None)[0]) == "model.npz"
    (tmp_path / "model.npz").unlink()
    assert find_model(None) == (model_file.SHIPPED, "shipped with fastmnist")


def test_the_shipped_model_is_good_small_and_says_how_it_was_made():
    model = load_model(model_file.SHIPPED)
    assert model_file.SHIPPED.stat().st_size < 4_000_000
    assert model.metadata["test_accuracy"] >= 0.995
    assert model.metadata["recipe"]["name"] == "best"
    assert model.metadata["stored_as"] == "float16"
    assert "temperature" in model.metadata


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), 1e-30, 1000.0, "1.0", None, True, [1.0]])
def test_a_temperature_that_would_spoil_all_confidences_is_refused(value, path):
    rewrite(path, temperature=1.5)
    assert load_model(path).metadata["temperature"] == 1.5
    rewrite(path, temperature=value)
    assert "temperature" in refused(path)
