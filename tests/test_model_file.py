"""Model files: what is written is read again, and nothing else is believed."""

import io
import json
import math
import os
import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
from conftest import random_network
from safetensors.numpy import load_file, save_file

from fastmnist.errors import ModelError, OutputError, TrainingError
from fastmnist.model import model_file, tensor_file
from fastmnist.model.integer_network import MOST_UNITS, IntegerNetwork, Rounding
from fastmnist.model.model_file import Model, check_storable, find_model, load_model, round_to_float16, save_model
from fastmnist.model.network import Network


def two_classes(network):
    return Model(network, ["no", "yes"], "auto", origin={"note": "small"})


def ten_classes(network):
    return Model(network, list("0123456789"), "auto")


@pytest.fixture
def path(tmp_path):
    """A small, sound model file."""
    save_model(tmp_path / "model.safetensors", two_classes(random_network((784, 1, 2))))
    return tmp_path / "model.safetensors"


def split(path):
    """The header, as JSON, and the bytes of the tensors."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def join(path, header, data):
    """Write a file of a header (JSON, text or bytes) and the bytes of the tensors."""
    text = header if isinstance(header, bytes) else (header if isinstance(header, str) else json.dumps(header)).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def change_header(path, change):
    """Apply `change` to a file's header, and leave the rest."""
    header, data = split(path)
    join(path, change(header) or header, data)


def rewrite(path, tensors=(), without=(), signed=True, **metadata):
    """Change tensors and metadata of a model file; unless `signed`, its checksum is left as it was."""
    content = {name: tensor for name, tensor in load_file(path).items() if name not in without}
    described = json.loads(split(path)[0]["__metadata__"]["fastmnist"]) | metadata
    content.update(tensors)
    if signed:
        described["checksum"] = tensor_file.checksum(content, described)
    save_file(content, path, {"fastmnist": json.dumps(described, sort_keys=True)})


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
    save_model(tmp_path / "m.safetensors", saved)
    model = load_model(tmp_path / "m.safetensors")
    assert model.trained.layer_sizes == layer_sizes
    np.testing.assert_array_equal(model.trained.parameters, network.parameters)
    assert (model.class_names, model.preprocess, model.temperature) == (names, "mnist", 1.25)
    assert model.metadata == saved.metadata | {"format_version": 2, "checksum": model.checksum}
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
    save_model(tmp_path / "32.safetensors", model)
    rounded = network.parameters.astype(np.float16).astype(np.float32)
    round_to_float16(network)
    np.testing.assert_array_equal(network.parameters, rounded)
    model.stored_as = "float16"
    save_model(tmp_path / "16.safetensors", model)
    model = load_model(tmp_path / "16.safetensors")
    assert model.metadata["stored_as"] == model.stored_as == "float16"
    assert model.network.parameters.dtype == np.float32
    np.testing.assert_array_equal(model.network.parameters, rounded)
    assert os.path.getsize(tmp_path / "16.safetensors") < 0.52 * os.path.getsize(tmp_path / "32.safetensors")


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


class Bomb:
    """An object whose unpickling makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_the_tensors_are_those_of_a_torch_sequential(tmp_path):
    network = random_network((784, 4, 3, 10))
    save_model(tmp_path / "m.safetensors", ten_classes(network))
    tensors = load_file(tmp_path / "m.safetensors")
    assert sorted(tensors) == ["0.bias", "0.weight", "2.bias", "2.weight", "4.bias", "4.weight"]
    for layer in range(3):
        np.testing.assert_array_equal(tensors[f"{2 * layer}.weight"], network.weights(layer).T)
        np.testing.assert_array_equal(tensors[f"{2 * layer}.bias"], network.biases(layer))


def test_the_file_says_that_its_temperature_is_not_folded_into_the_last_layer(tmp_path):
    network = random_network()
    save_model(tmp_path / "m.safetensors", Model(network, list("0123456789"), "auto", temperature=2.0))
    assert load_model(tmp_path / "m.safetensors").metadata["temperature_folded"] is False
    np.testing.assert_array_equal(load_file(tmp_path / "m.safetensors")["2.weight"], network.weights(1).T)


def test_a_pickle_in_place_of_the_file_is_refused_and_not_executed(path, tmp_path):
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "executed")))
    refused(path)
    assert not (tmp_path / "executed").exists()
    pickle.loads(path.read_bytes())  # and it would have been executed
    assert (tmp_path / "executed").exists()


def test_a_pickle_in_an_npz_is_refused_and_not_executed(path, tmp_path):
    array = np.empty((), object)
    array[...] = Bomb(tmp_path / "executed")
    path.write_bytes(npz(metadata=array))
    assert "an .npz file, expected a model file of this version of fastmnist (.safetensors)" in refused(path)
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
    assert n_refused > 0.95 * len(whole)  # what is left is white space and escapes in the header


def test_every_cut_of_a_model_is_refused(path):
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        refused(path)


def rename_tensor(old, new):
    return lambda header: {(new if name == old else name): entry for name, entry in header.items()}


def with_entry(name, **changes):
    """A change of one tensor's entry in the header."""

    def change(header):
        header[name] = {**header[name], **changes}

    return change


UNSOUND = {
    "weights that are not finite": (
        lambda path: rewrite(path, {"0.weight": np.full((1, 784), np.nan, np.float32)}),
        "0.weight has values that are not finite",
    ),
    "biases that are not finite": (
        lambda path: rewrite(path, {"2.bias": np.full(2, np.inf, np.float32)}),
        "2.bias has values that are not finite",
    ),
    "layers that do not chain": (
        lambda path: rewrite(path, {"2.weight": np.zeros((2, 3), np.float32)}),
        "layer 1 has shapes ((2, 3), (2,)), expected them to chain",
    ),
    "biases of another layer": (
        lambda path: rewrite(path, {"0.bias": np.zeros(2, np.float32)}),
        "layer 0 has shapes ((1, 784), (2,)), expected them to chain",
    ),
    "float64": (lambda path: rewrite(path, {"0.bias": np.zeros(1)}), "0.bias is of type F64, expected F16 or F32"),
    "bfloat16": (
        lambda path: change_header(path, with_entry("0.bias", dtype="BF16")),
        "0.bias is of type BF16, expected F16 or F32",
    ),
    "float8": (
        lambda path: change_header(path, with_entry("0.bias", dtype="F8_E5M2")),
        "0.bias is of type F8_E5M2, expected F16 or F32",
    ),
    "a type that is not a word": (
        lambda path: change_header(path, with_entry("0.bias", dtype=["F32"])),
        "0.bias is of type ['F32'], expected F16 or F32",
    ),
    "a side longer than any file": (
        lambda path: change_header(path, with_entry("0.bias", shape=[0, 2**64 - 1])),
        "a shape of 0.bias that can't be",
    ),
    "a side that is not a number": (
        lambda path: change_header(path, with_entry("0.bias", shape=[True])),
        "a shape of 0.bias that can't be",
    ),
    "float16 among float32": (
        lambda path: rewrite(path, {"0.bias": np.zeros(1, np.float16)}),
        "0.bias is (1,) float16, expected a matrix or vector of float32",
    ),
    "float32 where the metadata says float16": (
        lambda path: rewrite(path, stored_as="float16"),
        "float32, expected a matrix or vector of float16",
    ),
    "another type in the metadata": (
        lambda path: rewrite(path, stored_as=["float64"]),
        "stored as ['float64'], expected float32 or float16",
    ),
    "a vector of weights": (
        lambda path: rewrite(path, {"0.weight": np.zeros(784, np.float32)}),
        "0.weight is (784,) float32",
    ),
    "other inputs than 784": (
        lambda path: rewrite(path, {"0.weight": np.zeros((1, 783), np.float32)}, layer_sizes=[783, 1, 2]),
        "783 inputs, expected 784",
    ),
    "no classes": (
        lambda path: rewrite(
            path,
            {"2.weight": np.zeros((0, 1), np.float32), "2.bias": np.zeros(0, np.float32)},
            layer_sizes=[784, 1, 0],
            class_names=[],
        ),
        "layer sizes (784, 1, 0)",
    ),
    "a missing tensor": (lambda path: rewrite(path, without=["2.bias"]), "holds 0.bias, 0.weight, 2.weight"),
    "a surplus tensor": (
        lambda path: rewrite(path, {"more": np.zeros(1, np.float32)}),
        "holds 0.bias, 0.weight, 2.bias, 2.weight, more,",
    ),
    "a layer numbered like ReLU": (
        lambda path: change_header(path, rename_tensor("2.bias", "1.bias")),
        "holds 0.bias, 0.weight, 1.bias, 2.weight",
    ),
    "an escape sequence as a name": (
        lambda path: change_header(path, rename_tensor("2.bias", "2.b\033[31mias")),
        "2.b\\x1b[31mias",
    ),
    "no tensors": (
        lambda path: rewrite(path, without=["0.weight", "2.weight", "0.bias", "2.bias"]),
        "holds nothing, expected 0.weight",
    ),
    "too many tensors": (
        lambda path: rewrite(path, {f"{n}.weight": np.zeros(1, np.float32) for n in range(100, 137)}),
        "41 tensors, expected at most 38",
    ),
    "a temperature folded into the weights": (
        lambda path: rewrite(path, temperature=2.0, temperature_folded=True),
        "a temperature that is folded into the last layer",
    ),
    "another layer in the metadata": (lambda path: rewrite(path, layer_sizes=[784, 9, 2]), "do not match its metadata"),
    "a class too many": (lambda path: rewrite(path, class_names=["a", "b", "c"]), "do not match 2 classes"),
    "class names that are numbers": (lambda path: rewrite(path, class_names=[0, 1]), "do not match 2 classes"),
    "an escape sequence as a class": (lambda path: rewrite(path, class_names=["a", "b\033[2J"]), "do not match"),
    "half a character as a class": (lambda path: rewrite(path, class_names=["a", "b\udcff"]), "do not match"),
    "a formula as a class": (lambda path: rewrite(path, class_names=["a", "=1+1"]), "do not match"),
    "another version": (lambda path: rewrite(path, format_version=3), "format version 3, expected 2"),
    "no version": (lambda path: rewrite(path, format_version=None), "format version None, expected 2"),
    "a wrong checksum": (lambda path: rewrite(path, checksum="0" * 64, signed=False), "the checksum does not match"),
    "changed metadata": (lambda path: rewrite(path, note="other", signed=False), "the checksum does not match"),
    "changed weights": (
        lambda path: rewrite(path, {"0.weight": np.ones((1, 784), np.float32)}, signed=False),
        "the checksum does not match",
    ),
    "no metadata": (
        lambda path: change_header(path, lambda header: header.pop("__metadata__") and None),
        "no metadata",
    ),
    "metadata of another program": (
        lambda path: change_header(path, lambda header: {**header, "__metadata__": {"format": "pt"}}),
        "no metadata, or keys other than 'fastmnist'",
    ),
    "more metadata than one string": (
        lambda path: change_header(path, lambda header: header["__metadata__"].update(format="pt")),
        "no metadata, or keys other than 'fastmnist'",
    ),
    "metadata that is a number": (
        lambda path: change_header(path, lambda header: {**header, "__metadata__": {"fastmnist": 3}}),
        "no metadata, or keys other than 'fastmnist'",
    ),
    "metadata that is no JSON": (
        lambda path: change_header(path, lambda header: {**header, "__metadata__": {"fastmnist": "{"}}),
        "its metadata is not a JSON object",
    ),
    "metadata of deep nesting": (
        lambda path: change_header(path, lambda header: {**header, "__metadata__": {"fastmnist": "[" * 60_000}}),
        "its metadata is not a JSON object",
    ),
    "metadata that is a list": (
        lambda path: change_header(path, lambda header: {**header, "__metadata__": {"fastmnist": "[1]"}}),
        "its metadata is not a JSON object",
    ),
    "one name twice": (
        lambda path: join(path, json.dumps(split(path)[0])[:-1] + ', "0.bias": {}}', split(path)[1]),
        "a duplicate name in the header",
    ),
    "one key of an entry twice": (
        lambda path: join(path, json.dumps(split(path)[0]).replace('"F32"', '"F32", "dtype": "F16"'), split(path)[1]),
        "a duplicate name in the header",
    ),
    "a header over 64 KB": (
        lambda path: join(path, json.dumps(split(path)[0]) + " " * 2**16, split(path)[1]),
        "more than 65,536",
    ),
    "a header longer than the file": (
        lambda path: path.write_bytes((2**62).to_bytes(8, "little") + path.read_bytes()[8:]),
        "too few for its header",
    ),
    "a header that is no JSON": (lambda path: join(path, b"{" * 9, b""), "its header is not JSON"),
    "a header of deep nesting": (lambda path: join(path, b"[" * 60_000, b""), "its header is not JSON"),
    "a header that is not UTF-8": (lambda path: join(path, b'{"\xff": 1}', b""), "its header is not JSON"),
    "a header that is a list": (lambda path: join(path, [1], b""), "its header is not a JSON object"),
    "an entry that is a number": (
        lambda path: change_header(path, lambda header: {**header, "0.bias": 3}),
        "0.bias is of type None",
    ),
    "tensors that overlap": (
        lambda path: change_header(path, with_entry("2.bias", data_offsets=[0, 8])),
        "not a valid .safetensors file",
    ),
    "offsets beyond the file": (
        lambda path: change_header(path, with_entry("0.bias", data_offsets=[1 << 40, (1 << 40) + 4])),
        "not a valid .safetensors file",
    ),
    "offsets that are negative": (
        lambda path: change_header(path, with_entry("0.bias", data_offsets=[-4, 0])),
        "not a valid .safetensors file",
    ),
    "dimensions whose product wraps": (
        lambda path: change_header(path, with_entry("0.weight", shape=[22416, 11001563, 598407739])),
        "not a valid .safetensors file",
    ),
    "a shape of another size": (
        lambda path: change_header(path, with_entry("0.weight", shape=[2, 784])),
        "not a valid .safetensors file",
    ),
    "surplus bytes at the end": (
        lambda path: path.write_bytes(path.read_bytes() + b"\0"),
        "not a valid .safetensors file",
    ),
    "a large file": (lambda path: os.truncate(path, (64 << 20) + 1), "67,108,865 bytes, expected a model file of at"),
    "an empty file": (lambda path: path.write_bytes(b""), "not a valid .safetensors file (0 bytes"),
    "an image": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)), "not a valid .safetensors file"),
    "an .npz": (lambda path: path.write_bytes(npz(weights_0=np.zeros(3))), "an .npz file, expected a model file"),
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
    change_header(path, lambda header: dict(reversed(header.items())))
    load_model(path)


def test_a_hostile_header_costs_little_memory(path):
    """The library alone takes 680 MB for a header of 60 MB."""
    join(path, b'{"a":' + b"[" * (60 << 20), b"")
    tracemalloc.start()
    try:
        refused(path)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_class_names_too_long_for_a_header_are_refused_before_training_and_by_saving(tmp_path):
    names = [f"{label}{'ä' * 500}" for label in range(10)]
    with pytest.raises(TrainingError, match=r"class names of [\d,]+ bytes, expected at most 32,768"):
        check_storable((784, 2, 10), names)
    with pytest.raises(OutputError, match=r"metadata of [\d,]+ bytes, expected at most 65,536"):
        save_model(tmp_path / "m.safetensors", Model(random_network(), [name * 3 for name in names], "auto"))
    assert os.listdir(tmp_path) == []


def test_missing_folder_fifo_and_unreadable_names_are_refused_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert "no such file" in refused(tmp_path / "none.safetensors")
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
    save_model(tmp_path / "m.safetensors", ten_classes(Network((784, widest, 10))))
    assert load_model(tmp_path / "m.safetensors").network.layer_sizes == (784, widest, 10)


def test_the_deepest_network_that_is_allowed_can_be_loaded(tmp_path):
    layer_sizes = (784, *[2] * 18, 10)
    assert not storable((784, *[2] * 19, 10))
    check_storable(layer_sizes)
    save_model(tmp_path / "m.safetensors", ten_classes(Network(layer_sizes)))
    assert load_model(tmp_path / "m.safetensors").network.layer_sizes == layer_sizes


def storable(layer_sizes):
    try:
        check_storable(layer_sizes)
    except TrainingError:
        return False
    return True


def test_find_model_takes_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTMNIST_MODEL", "environment.safetensors")
    (tmp_path / "model.safetensors").touch()
    assert str(find_model("option.safetensors")[0]) == "option.safetensors"
    assert str(find_model(None)[0]) == "environment.safetensors"
    monkeypatch.setenv("FASTMNIST_MODEL", "")
    assert str(find_model(None)[0]) == "model.safetensors"
    (tmp_path / "model.safetensors").unlink()
    assert find_model(None) == (model_file.SHIPPED, "shipped with fastmnist")
    (tmp_path / "model.safetensors").touch()
    assert find_model("shipped") == (model_file.SHIPPED, "shipped with fastmnist")


def test_the_shipped_model_is_good_small_and_says_how_it_was_made():
    model = load_model(model_file.SHIPPED)
    assert model_file.SHIPPED.stat().st_size < 4_000_000
    assert model.metadata["test_accuracy"] >= 0.995
    assert model.metadata["recipe"]["name"] == "best"
    assert model.metadata["stored_as"] == "float16"
    assert "temperature" in model.metadata
    assert isinstance(model.network, IntegerNetwork)


SOUND = {"powers": ["1"], "largest": [2.0]}


@pytest.mark.parametrize(
    "value",
    [
        None, [], {}, {"powers": ["1"]}, {**SOUND, "more": 1},
        *({**SOUND, "powers": powers} for powers in (1, [], "1 1", [1], [[1]], [""], ["1 1"], ["x"], ["1.0"], ["101"])),
        *({**SOUND, "largest": largest} for largest in (2.0, [], ["2"], [2.0, 2.0], [0.0], [-1.0], [1e-9], [1e9], [2])),
        *({**SOUND, "largest": [largest]} for largest in (math.nan, math.inf, None, True)),
    ],
)  # fmt: skip
def test_a_rounding_that_would_spoil_all_answers_is_refused(value, path):
    rewrite(path, int8=SOUND)
    assert load_model(path).rounding == ([[1]], [2.0])
    rewrite(path, int8=value)
    assert "int8 in its metadata" in refused(path)


def test_more_units_than_integers_are_for_are_refused(tmp_path):
    n = MOST_UNITS + 1
    model = Model(Network((784, n, 2)), ["a", "b"], "auto", rounding=Rounding([[0] * n], [1.0]))
    save_model(tmp_path / "m", model)
    assert "int8 in its metadata" in refused(tmp_path / "m")


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), 1e-30, 1000.0, "1.0", None, True, [1.0]])
def test_a_temperature_that_would_spoil_all_confidences_is_refused(value, path):
    rewrite(path, temperature=1.5)
    assert load_model(path).metadata["temperature"] == 1.5
    rewrite(path, temperature=value)
    assert "temperature" in refused(path)
