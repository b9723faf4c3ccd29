"""Weights trained in PyTorch: what is converted says what it said, and nothing else is believed."""

import ast
import contextlib
import itertools
import json
import zipfile

import numpy as np
import pytest
from conftest import random_network
from safetensors.numpy import save, save_file

import fastmnist
from fastmnist.errors import DataError, ModelError
from fastmnist.model.model_file import Model, load_model, save_model
from fastmnist.model.pytorch_file import load_pytorch

PLAIN = {"mean": 0.0, "std": 1.0}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def state_dict(sizes=(784, 20, 10), names=None, dtype=np.float32, seed=0):
    """Tensors of Linear layers, as PyTorch draws them, under its names for a Sequential or under others."""
    rng = np.random.default_rng(seed)
    names = [str(2 * layer) for layer in range(len(sizes) - 1)] if names is None else names
    tensors = {}
    for name, n_in, n_out in zip(names, sizes, sizes[1:], strict=False):
        tensors[f"{name}.weight"] = rng.uniform(-1, 1, (n_out, n_in)).astype(dtype) / dtype(np.sqrt(n_in))
        tensors[f"{name}.bias"] = rng.uniform(-1, 1, n_out).astype(dtype)
    return tensors


def their_probabilities(tensors, names, pixels, mean, std):
    """What PyTorch computes, in float64."""
    activations = (pixels / 255 - mean) / std
    for name in names:
        biases = tensors.get(f"{name}.bias", 0.0)
        logits = activations @ tensors[f"{name}.weight"].astype(np.float64).T + biases
        activations = np.maximum(logits, 0)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def assert_alike(path, tensors, names, pixels, mean=0.0, std=1.0):
    save_file(tensors, path)
    model = fastmnist.convert(path, mean=mean, std=std)
    assert model.origin["converted"]["layers"] == list(names)
    result = model.predict(pixels, preprocess="none")
    expected = their_probabilities(tensors, names, pixels, mean, std)
    np.testing.assert_allclose(result.probabilities, expected, atol=1e-5)
    assert (result.indices == expected.argmax(axis=1)).mean() > 0.99  # a tie may be broken differently


@pytest.fixture(scope="module")
def pixels(digits):
    return digits[0][:500].reshape(-1, 784)


@pytest.mark.parametrize(("mean", "std"), [(0, 1), (0.1307, 0.3081), (0.5, 0.5), (-1, 3)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_it_says_what_pytorch_says(dtype, mean, std, pixels, path):
    assert_alike(path, state_dict(dtype=dtype), ["0", "2"], pixels, mean, std)


def test_pixels_that_were_not_divided_by_255_are_a_normalisation_too(pixels, path):
    tensors = state_dict()
    tensors["0.weight"] /= 255
    assert_alike(path, tensors, ["0", "2"], pixels, 0, 1 / 255)


def test_without_the_normalisation_it_would_say_something_else(pixels, path):
    save_file(state_dict(), path)
    right, wrong = (load_pytorch(path, mean=mean, std=std) for mean, std in [(0.1307, 0.3081), (0, 1)])
    assert (right.network.predict(pixels)[0] != wrong.network.predict(pixels)[0]).mean() > 0.05


def test_a_layer_may_have_no_bias(pixels, path):
    tensors = state_dict()
    del tensors["0.bias"], tensors["2.bias"]
    assert_alike(path, tensors, ["0", "2"], pixels, 0.1307, 0.3081)


NAMED = [
    ((784, 30, 20, 10), ["fc1", "fc2", "fc3"]),
    ((784, 20, 20, 10), ["linear_relu_stack.0", "linear_relu_stack.2", "linear_relu_stack.4"]),
    ((784, 20, 20, 20, 10), ["hidden1", "hidden2", "hidden3", "classifier"]),  # the last comes first in the file
    ((784, *[16] * 12, 10), [f"module.layers.{layer}" for layer in range(13)]),  # 10 stands before 2 in the file
    ((784, 30, 20, 10), ["z", "y", "x"]),
    ((784, 784, 10), ["y", "x"]),
    ((784, 10, 10), ["b", "a"]),
    ((784, 20, 20, 10), ["first", "9" * 5000, "last"]),
]


@pytest.mark.parametrize(("sizes", "names"), NAMED, ids=[str(number) for number in range(len(NAMED))])
def test_layers_are_found_under_any_names(sizes, names, pixels, path):
    assert_alike(path, state_dict(sizes, names), names, pixels)


def refused(path, content, **settings):
    """Convert tensors or bytes that must be refused; return the message, which names the file."""
    path.write_bytes(content if isinstance(content, bytes) else save(content))
    with pytest.raises(ModelError) as error:
        load_pytorch(path, **{**PLAIN, **settings})
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message.removeprefix(f"{path}: ")


def test_layers_that_could_each_come_next_are_refused(path):
    message = refused(path, state_dict((784, 20, 20, 20, 10), ["a", "inner", "middle", "z"]))
    assert message.startswith("inner and middle could each come next, expected layers with numbers in their names")


def zeros(**shapes):
    return {name.replace("__", "."): np.zeros(shape, np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (zeros(conv1__weight=(8, 1, 3, 3)), "conv1.weight (8, 1, 3, 3) is a convolution, expected only Linear layers"),
        (zeros(a__conv__bias=8, a__conv__weight=(8, 1, 3)), "a.conv.weight (8, 1, 3) is a convolution"),
        (zeros(bn__running_mean=20), "bn.running_mean (20,) is a normalisation"),
        ({"bn.num_batches_tracked": np.array(7)}, "bn.num_batches_tracked () is a normalisation"),
        (zeros(norm__weight=20, norm__bias=20), "norm.weight (20,) is a normalisation"),
        (zeros(lstm__weight_ih_l0=(20, 20)), "lstm.weight_ih_l0 (20, 20) is neither the weight nor the bias of"),
        (zeros(x__bias=20), "x.bias (20,) is neither"),
        (zeros(scale__bias=()), "scale.bias () is neither"),
        (zeros(weight=(10, 784)), "weight has no layer's name before it"),
        ({"0.bias": np.zeros(19, np.float32)}, "0.bias (19,) is neither"),
        ({"0.bias": np.zeros((20, 1), np.float32)}, "0.bias (20, 1) is neither"),
        ({"\x1b[2J\n": np.zeros(2, np.float32)}, r"\x1b[2J\n (2,) is neither"),
        ({"0.bias": np.zeros(20, np.int64)}, "0.bias is of type I64, expected F16, F32, F64, as .float() makes them"),
        ({"2.weight": np.full((10, 20), np.nan, np.float32)}, "2.weight has values that are not finite"),
        ({"2.bias": np.full(10, 1e300)}, "weights too large for float32 with mean 0.0 and std 1.0"),
        (zeros(more__weight=(3, 4)), "layers 0 (20, 784), 2 (10, 20), more (3, 4), expected the first to take 784"),
    ],
)  # fmt: skip
def test_what_is_no_linear_layer_is_refused_by_name(others, message, path):
    assert refused(path, {**state_dict(), **others}).startswith(message)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            (3072, 20, 10),
            "layers 0 (20, 3072), 2 (10, 20), expected the first to take 784 inputs, and each the outputs",
        ),
        ((784, 10), "layer sizes (784, 10): expected inputs, one or more hidden layers"),
        ((784, 20, 1), "only one output, expected one for each class"),
        ((784, 20, 257), "layer sizes (784, 20, 257): expected"),
        ((784, *[4] * 20, 10), "21 layers, expected at most 19;"),
        ((784,), "no tensors, expected only Linear layers"),
    ],
)
def test_networks_of_another_form_are_refused(sizes, message, path):
    assert refused(
        path, state_dict(sizes, [f"fc{layer}" if len(sizes) > 9 else str(2 * layer) for layer in range(21)])
    ).startswith(message)


def test_a_network_too_large_for_a_model_file_is_refused(path):
    with open(path, "wb") as file:
        file.truncate(64 * 2**20 + 1)
    with pytest.raises(ModelError, match="67,108,865 bytes, expected a PyTorch weights file of at most 67,108,864"):
        load_pytorch(path, **PLAIN)
    assert "a network of " in refused(path, state_dict((784, 5000, 3000, 10), dtype=np.float16))


def test_class_names_must_fit(path):
    save_file(state_dict((784, 20, 3)), path)
    assert load_pytorch(path, **PLAIN).class_names == ["0", "1", "2"]
    assert load_pytorch(path, **PLAIN, class_names=("a", "b", "c")).class_names == ["a", "b", "c"]
    assert refused(path, state_dict(), class_names=["a"]).startswith(
        "10 outputs, expected one for each of 1 class names"
    )


@pytest.mark.parametrize("names", [["a"] * 10, [*list("abcdefghi"), "=1"], [*list("abcdefghi"), "no digit"]])
def test_class_names_must_be_such(names, path):
    save_file(state_dict(), path)
    with pytest.raises(DataError, match="class name"):
        fastmnist.convert(path, **PLAIN, class_names=names)


def test_numbers_of_numpy_are_a_normalisation(path, tmp_path):
    save_file(state_dict(), path)
    model = fastmnist.convert(path, mean=np.float32(0.5), std=np.float32(0.25))
    model.save(tmp_path / "mine.safetensors")
    assert fastmnist.load(tmp_path / "mine.safetensors").origin["converted"]["std"] == 0.25


@pytest.mark.parametrize(("mean", "std"), [(0, 0), (0, -1), (np.nan, 1), (np.inf, 1), (0, np.nan), (0, np.inf)])
def test_a_normalisation_that_cannot_be_is_refused(mean, std, path):
    save_file(state_dict(), path)
    with pytest.raises(DataError, match=r"mean \S+ and std \S+, expected finite numbers, std above 0"):
        load_pytorch(path, mean=mean, std=std)


@pytest.mark.parametrize("std", [1e-300, 5e-324])
def test_weights_too_large_once_normalised_are_refused(std, path):
    message = refused(path, state_dict(), mean=0.5, std=std)
    assert message.startswith(f"weights too large for float32 with mean 0.5 and std {std}, expected smaller ones")


def test_a_model_of_fastmnist_is_one_already(path):
    save_model(path, Model(random_network(), list("0123456789"), "auto"))
    message = "already a fastmnist model, expected PyTorch weights; use it as it is"
    assert refused(path, path.read_bytes()) == message


def test_metadata_of_others_are_no_matter(path):
    path.write_bytes(save(state_dict(), {"format": "pt"}))
    load_pytorch(path, **PLAIN)


def zip_of_pytorch(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/data.pkl", b"\x80\x02}q\x00.")
    return path.read_bytes()


@pytest.mark.parametrize("form", ["zip", "pickle", "name"])
def test_a_pickle_is_refused_with_the_python_that_converts_it(form, tmp_path):
    path = tmp_path / ("net.pt" if form == "name" else "it's\n.bin")
    content = {"zip": zip_of_pytorch(path), "pickle": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "name": b"?"}[form]
    path.write_bytes(content)
    with pytest.raises(ModelError) as error:
        load_pytorch(path, **PLAIN)
    message = str(error.value)
    assert message.isprintable()
    assert "a pickle, as torch.save writes it, " in message
    lines = ast.unparse(ast.parse(message.partition("convert it with Python: ")[2])).splitlines()
    assert lines[:2] == ["import torch", "from safetensors.torch import save_file"]
    assert "weights_only=True" in lines[2]


def test_a_header_whose_size_looks_like_a_pickle_is_none(path):
    """640 bytes of it begin with 0x80 0x02."""
    for padding in itertools.count():
        content = save(state_dict(), {"x": "x" * padding})
        if int.from_bytes(content[:8], "little") >= 640:
            break
    assert content[:2] == b"\x80\x02"
    path.write_bytes(content)
    load_pytorch(path, **PLAIN)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\0" * 8, b"\xff" * 9, b"PK\x03\x04" + bytes(99), b"\x89HDF\r\n\x1a\n" * 9]
)
def test_what_is_no_safetensors_file_is_refused(content, path):
    assert refused(path, content).startswith("not a valid .safetensors file (")


def test_whatever_byte_of_the_header_is_damaged_it_is_refused_or_read(path):
    content = bytearray(save(state_dict((784, 2, 2))))
    for place in range(8 + int.from_bytes(content[:8], "little")):
        damaged = content.copy()
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with contextlib.suppress(ModelError):
            load_pytorch(path, **PLAIN)


@pytest.mark.parametrize("length", [0, 7, 8, 9, 100, -1])
def test_a_file_cut_short_is_refused(length, path):
    assert refused(path, save(state_dict())[:length]).startswith("not a valid .safetensors file (")


def test_what_is_converted_is_a_model_file_the_same_each_time(path, tmp_path):
    save_file(state_dict(), path)
    for number in range(2):
        fastmnist.convert(path, mean=0.1307, std=0.3081).save(tmp_path / str(number))
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()
    model = load_model(tmp_path / "0")
    assert model.origin["converted"] == {"from": "PyTorch", "layers": ["0", "2"], "mean": 0.1307, "std": 0.3081}
    assert (model.preprocess, model.temperature, model.can_refuse) == ("auto", None, False)
    assert json.dumps(model.metadata)
